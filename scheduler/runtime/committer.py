"""Commit one batch at a time, without keeping the turn waiting."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

from attrs import frozen

from scheduler.core.ids import Epoch
from scheduler.core.records import Record
from scheduler.runtime.crashpoints import crash_here
from scheduler.store import Store, StoreError


@frozen
class Committed:
    """All records of the batch are durable."""


Result = Committed | StoreError


class Committer(Protocol):
    """Has at most one commit under way."""

    def begin(self, epoch: Epoch, records: Sequence[Record]) -> None:
        """Start to commit; ``records`` must not change until the result is there."""
        ...

    def poll(self) -> Result | None:
        """Return the result of the commit begun last, or None while there is none."""
        ...


class DirectCommitter:
    """Commits at once, in the caller's thread: for simulations and tests."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._result: Result | None = None

    def begin(self, epoch: Epoch, records: Sequence[Record]) -> None:
        """Commit now."""
        self._result = _commit(self._store, epoch, records)

    def poll(self) -> Result | None:
        """Return the result."""
        return self._result


class ThreadCommitter:
    """Commits in the one thread that may use the store."""

    def __init__(self, store: Store, thread: ThreadPoolExecutor, wake: Callable[[], None]) -> None:
        """Prepare.

        Args:
            store: where to commit.
            thread: has a single thread.
            wake: called from that thread when there is a result to poll for.
        """
        self._store = store
        self._thread = thread
        self._wake = wake
        self._pending: Future[Result] | None = None

    def begin(self, epoch: Epoch, records: Sequence[Record]) -> None:
        """Hand the batch to the thread."""
        assert self._pending is None or self._pending.done(), "a commit is still under way"
        self._pending = self._thread.submit(_commit, self._store, epoch, records)
        self._pending.add_done_callback(lambda _: self._wake())

    def poll(self) -> Result | None:
        """Return the result if the thread is done."""
        if self._pending is None or not self._pending.done():
            return None
        return self._pending.result()


def _commit(store: Store, epoch: Epoch, records: Sequence[Record]) -> Result:
    crash_here("before_commit")
    try:
        store.commit(epoch, records)
    except StoreError as error:
        return error
    crash_here("after_commit")
    return Committed()
