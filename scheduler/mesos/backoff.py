"""Decide how long to wait before the next attempt to subscribe.

Mesos asks for exponential back-off with jitter (Mesos "Scheduler HTTP API", disconnections); its
own library caps the wait at about 15 s, and so do we: a master that is back is found soon.
"""

from collections.abc import Callable


class Backoff:
    """Waits that double from ``first_s`` to ``cap_s``, each cut by chance to half at the least."""

    def __init__(self, first_s: float, cap_s: float, random: Callable[[], float]) -> None:
        self._first_s = first_s
        self._cap_s = cap_s
        self._random = random
        self._failures = 0

    def next_s(self) -> float:
        """Count a failed attempt and say how long to wait after it, in seconds."""
        # 2**30 times anything sensible is over the cap: the exponent need not grow further.
        ceiling_s = min(self._cap_s, self._first_s * 2 ** min(self._failures, 30))
        self._failures += 1
        return ceiling_s * (0.5 + 0.5 * self._random())

    def longest_s(self) -> float:
        """Count a refusal that only a person can lift: the wait is at the cap at once."""
        self._failures = max(self._failures, 30)
        return self.next_s()

    def reset(self) -> None:
        """All is well again: the next failure is a first one."""
        self._failures = 0
