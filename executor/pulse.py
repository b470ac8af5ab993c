"""Wait, for a result or for a condition that others bring about, and no longer than allowed.

`asyncio.wait_for` is not used: before Python 3.12 it drops a cancellation that comes in the same
moment as the result, and whoever cancelled then waits for ever.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")


async def within(timeout_s: float | None, work: Coroutine[Any, Any, _T]) -> _T:
    """The result of some work, which is cancelled if it takes longer, or if we are.

    Raises:
        asyncio.TimeoutError: it took longer. Whatever the work itself raises comes through.
    """
    task = asyncio.ensure_future(work)
    try:
        done, _ = await asyncio.wait([task], timeout=timeout_s)
        if done:
            return task.result()
        task.cancel()
        await asyncio.wait([task])
        raise asyncio.TimeoutError
    finally:
        # Nobody asks for the result of what was cancelled.
        task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        task.cancel()


class Pulse:
    """Wake everyone who waits, so that each looks at its own condition again.

    Conditions are looked at, never remembered: a pulse that comes before somebody waits is not
    lost, because the condition is then true already.
    """

    def __init__(self) -> None:
        self._waiters: set[asyncio.Future[None]] = set()

    def beat(self) -> None:
        """Something changed."""
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def until(self, condition: Callable[[], bool], timeout_s: float | None = None) -> bool:
        """Return True once the condition holds, False if it does not within timeout_s."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while not condition():
            remaining = None if deadline is None else deadline - time.monotonic()
            if remaining is not None and remaining <= 0:
                return False
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.add(waiter)
            try:
                await asyncio.wait([waiter], timeout=remaining)
            finally:
                self._waiters.discard(waiter)
        return True
