"""Keep virtual time: what is to happen, in order; nothing ever waits for real."""

import heapq
from collections.abc import Callable
from itertools import count


class Clock:
    """A queue of actions by time; those of one moment run in the order they were asked for."""

    def __init__(self, now_ms: int) -> None:
        self.now_ms = now_ms
        self.steps = 0
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self._sequence = count()

    def after(self, delay_ms: int, action: Callable[[], None]) -> None:
        self.at(self.now_ms + delay_ms, action)

    def at(self, at_ms: int, action: Callable[[], None]) -> None:
        heapq.heappush(self._heap, (max(at_ms, self.now_ms), next(self._sequence), action))

    def run_until(self, end_ms: int) -> None:
        """Run every action that is due before ``end_ms``."""
        while self._heap and self._heap[0][0] < end_ms:
            self.now_ms, _, action = heapq.heappop(self._heap)
            self.steps += 1
            action()
        self.now_ms = end_ms
