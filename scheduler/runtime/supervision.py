"""Watch over work that must not end by itself."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


def supervise(
    work: Coroutine[Any, Any, object], name: str, fail: Callable[[BaseException], None]
) -> asyncio.Task[object]:
    """Run ``work`` beside everything else; if it raises, ``fail`` is told why."""

    def on_done(done: asyncio.Task[object]) -> None:
        error = None if done.cancelled() else done.exception()
        if error is not None:
            fail(error)

    task = asyncio.create_task(work, name=name)
    task.add_done_callback(on_done)
    return task
