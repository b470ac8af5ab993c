"""Deliver status updates at least once, in order for each task.

Only the oldest update of a task is under way; it is sent again after 10 s, doubling up to 10 min,
until the framework acknowledges it (Mesos's task status update manager).
"""

import asyncio
from collections import deque
from collections.abc import Callable

from attrs import define, field

from scheduler.local.resources import JsonObject

RETRY_MAX_S = 600.0


@define(eq=False)
class _Queue:
    """The updates of one task that are not acknowledged, the oldest first."""

    framework_id: str
    task_id: str
    waiting: deque[JsonObject] = field(factory=deque[JsonObject])
    wait_s: float = 0.0
    timer: asyncio.TimerHandle | None = None

    def disarm(self) -> None:
        """Stop the timer."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


class StatusUpdates:
    """The unacknowledged updates of one agent."""

    def __init__(self, send: Callable[[str, JsonObject], None], retry_s: float) -> None:
        """Start with none.

        Args:
            send: called with (framework id, status) for each attempt.
            retry_s: the first interval between attempts.
        """
        self._send = send
        self._retry_s = retry_s
        self._queues: dict[tuple[str, str], _Queue] = {}
        self._is_paused = False

    def add(self, framework_id: str, status: JsonObject) -> None:
        """Queue an update; it is sent at once if no other of its task waits."""
        key = (framework_id, status["task_id"]["value"])
        queue = self._queues.get(key)
        if queue is None:
            queue = self._queues[key] = _Queue(*key)
        queue.waiting.append(status)
        if len(queue.waiting) == 1:
            self._begin(queue)

    def holds(self, framework_id: str, task_id: str, uid: str) -> bool:
        """Return whether an update is queued."""
        queue = self._queues.get((framework_id, task_id))
        return queue is not None and any(s["uuid"] == uid for s in queue.waiting)

    def acknowledge(self, framework_id: str, task_id: str, uid: str) -> JsonObject | None:
        """Take the acknowledged update out and send the next; None if it was not under way."""
        queue = self._queues.get((framework_id, task_id))
        if queue is None or queue.waiting[0]["uuid"] != uid:
            return None
        queue.disarm()
        done = queue.waiting.popleft()
        if queue.waiting:
            self._begin(queue)
        else:
            del self._queues[(framework_id, task_id)]
        return done

    def resend(self, framework_id: str | None = None) -> None:
        """Send what is under way again at once, of one framework or of all."""
        for queue in list(self._queues.values()):
            if framework_id is None or queue.framework_id == framework_id:
                self._begin(queue)

    def drop(self, framework_id: str) -> None:
        """Forget a framework's updates."""
        for key in [k for k in self._queues if k[0] == framework_id]:
            self._queues.pop(key).disarm()

    def pause(self) -> None:
        """Stop sending: the agent's process is dead; what is queued is on its disk."""
        self._is_paused = True
        for queue in self._queues.values():
            queue.disarm()

    def resume(self) -> None:
        """Go on after a pause and send everything that waits."""
        self._is_paused = False
        self.resend()

    def _begin(self, queue: _Queue) -> None:
        queue.disarm()
        queue.wait_s = self._retry_s
        self._attempt(queue)

    def _attempt(self, queue: _Queue) -> None:
        if self._is_paused:
            return
        self._send(queue.framework_id, queue.waiting[0])
        loop = asyncio.get_running_loop()
        queue.timer = loop.call_later(queue.wait_s, self._attempt, queue)
        queue.wait_s = min(queue.wait_s * 2, RETRY_MAX_S)
