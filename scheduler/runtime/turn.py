"""Turn what has happened into durable decisions, and those into deeds. In this order only.

A batch goes through four steps:

    drain    events from the inbox are handled, then the apps they touched are settled once;
             the records are applied to the world in memory as they are decided
    commit   all records in one durable write under our epoch, in another thread; a batch that
             only acts is committed too, empty: that proves that we still lead
    act      only when the commit has succeeded: calls to Mesos, answers, facts
    repeat   with what the inbox has gathered meanwhile

One batch is under way at most. While it commits nothing is handled, so memory is never more than
one batch ahead of the store, and everything that is visible becomes durable with it. A commit
that failed for sure, or whose fate is unknown, is repeated with the same records under the same
epoch for as long as it takes: the world has already moved, and dropping the batch would tear it
from the store. Only the loss of the epoch ends that: then this object and its world are to be
thrown away.

This module does no I/O, knows no clock and no event loop: a simulation drives it exactly as
``shell`` does.
"""

from collections.abc import Callable
from random import Random
from time import perf_counter
from typing import Protocol

from attrs import define, field, frozen

from scheduler.core import handle, resume, settle
from scheduler.core.batch import Batch
from scheduler.core.effects import Effect, Fact, MesosEffect, Publish, Reply
from scheduler.core.events import Event, Tick
from scheduler.core.ids import Epoch, InstanceId
from scheduler.core.instance import Instance
from scheduler.core.records import Record
from scheduler.core.world import World
from scheduler.runtime.committer import Committed, Committer
from scheduler.runtime.crashpoints import crash_here
from scheduler.runtime.inbox import Inbox
from scheduler.store import CommitUnknown, StoreError, StoreUnavailable

Changes = list[tuple[Instance | None, Instance | None]]
"""Instances before and after; None before it came to be, or after it was forgotten."""


class Outputs(Protocol):
    """Where decisions go once they are durable. None of these may block."""

    def mesos(self, effect: MesosEffect) -> None:
        """Make a call to Mesos."""
        ...

    def reply(self, reply: Reply) -> None:
        """Answer the caller of a command."""
        ...

    def publish(self, fact: Fact) -> None:
        """Tell the public."""
        ...

    def instances_changed(self, changes: Changes) -> None:
        """Let health checks and discovery follow."""
        ...


@frozen
class Steps:
    """What decides: the core's three doors, named here so that a test can put in others."""

    handle: Callable[[Batch, Event], None]
    settle: Callable[[Batch], None]
    resume: Callable[[Batch], None]


CORE = Steps(handle=handle, settle=settle, resume=resume)


@frozen
class Limits:
    """Bounds of one batch, and the pace of repeating a commit."""

    records_max: int = 500
    """No further event is handled with this many records; one event may go beyond."""
    drain_s: float = 0.010
    """No further event is handled after this time."""
    retry_first_ms: int = 100
    retry_max_ms: int = 5_000

    def retry_wait_ms(self, attempts: int) -> int:
        """Wait after so many failed attempts: 100, 200, 400 … ms, at most ``retry_max_ms``."""
        return min(self.retry_first_ms << min(attempts - 1, 16), self.retry_max_ms)


@frozen
class CommitReport:
    """What became of one attempt to commit; for metrics and logs."""

    records: int
    attempts: int
    elapsed_s: float
    """Since the first attempt began."""
    error: StoreError | None


@define
class _Pending:
    """The batch that is being committed."""

    number: int
    records: list[Record]
    effects: list[Effect]
    changes: Changes
    begun_s: float
    attempts: int = 1
    retry_at_ms: int | None = None
    """When to commit again; None while an attempt is under way."""

    @property
    def needs_commit(self) -> bool:
        """Whether anything follows from the batch outside this process.

        With no record the commit is empty, but it still proves that our epoch stands. Without
        that proof a leader that was replaced unawares, and has nothing to store, could go on
        acknowledging and killing by what it remembers.
        """
        return bool(self.records) or any(not isinstance(e, Publish) for e in self.effects)


def _ignore(_: CommitReport) -> None:
    pass


@define
class Turns:
    """Everything one leader decides in its term. See the module for the order of things."""

    world: World
    epoch: Epoch
    inbox: Inbox
    committer: Committer
    outputs: Outputs
    rng: Random
    steps: Steps = CORE
    limits: Limits = Limits()
    stopwatch: Callable[[], float] = perf_counter
    """Seconds from anywhere; a simulation's may stand still."""
    report: Callable[[CommitReport], None] = _ignore

    error: StoreError | None = field(default=None, init=False)
    """Why the last attempt to commit failed; None when it did not: we are healthy."""
    decided: int = field(default=0, init=False)
    """Number of the last batch that was decided: what the world shows."""
    durable: int = field(default=0, init=False)
    """Number of the last batch that was committed and acted upon."""
    _pending: _Pending | None = field(default=None, init=False)

    def begin(self, now_ms: int) -> None:
        """Start the term with a freshly loaded world: derive again what was under way."""
        batch = Batch(self.world, now_ms, self.rng)
        self.steps.resume(batch)
        self._decide(batch)
        self.advance(now_ms)

    def turn(self, now_ms: int) -> None:
        """Do what can be done now: finish the batch under way, else begin one.

        Call again when ``has_work``, when ``next_due_ms`` has come, when an event is posted and
        when the committer has a result.

        Raises:
            StaleEpoch: another leads; nothing of the last batch was written. The end.
            CorruptState: the store is damaged. The end as well.
        """
        if not self.advance(now_ms):
            return
        batch = self._drain(now_ms)
        if batch is not None:
            self._decide(batch)
            self.advance(now_ms)

    @property
    def has_work(self) -> bool:
        """Whether another turn now would handle an event."""
        return self._pending is None and len(self.inbox) > 0

    @property
    def next_due_ms(self) -> int | None:
        """When a turn is wanted though nothing happens, epoch ms; None if never."""
        if self._pending is not None:
            return self._pending.retry_at_ms
        return self.world.next_due_ms

    # ------------------------------------------------------------------ drain

    def _drain(self, now_ms: int) -> Batch | None:
        batch = Batch(self.world, now_ms, self.rng)
        due_ms = self.world.next_due_ms
        if due_ms is not None and due_ms <= now_ms:
            self.steps.handle(batch, Tick(late_ms=now_ms - due_ms))
        elif not len(self.inbox):
            return None
        started_s = self.stopwatch()
        while len(batch.records) < self.limits.records_max:
            event = self.inbox.take()
            if event is None:
                break
            self.steps.handle(batch, event)
            if self.stopwatch() - started_s >= self.limits.drain_s:
                break
        return batch

    def _decide(self, batch: Batch) -> None:
        self.steps.settle(batch)
        self.decided += 1
        self._pending = _Pending(
            number=self.decided,
            records=batch.records,
            effects=batch.effects,
            changes=_joined(self.world.take_changes()),
            begun_s=self.stopwatch(),
        )
        crash_here("decided")
        if self._pending.needs_commit:
            self.committer.begin(self.epoch, batch.records)

    # ----------------------------------------------------------------- commit

    def advance(self, now_ms: int) -> bool:
        """Carry the batch under way as far as it goes, without beginning another.

        True if none is left. Raises as ``turn`` does.
        """
        pending = self._pending
        if pending is None:
            return True
        if pending.retry_at_ms is not None:
            if now_ms < pending.retry_at_ms:
                return False
            pending.retry_at_ms = None
            pending.attempts += 1
            self.committer.begin(self.epoch, pending.records)
        result = self.committer.poll() if pending.needs_commit else Committed()
        if result is None:
            return False
        if isinstance(result, StoreError):
            self._repeat_later(pending, result, now_ms)
            return False
        if pending.needs_commit:
            self._report(pending, None)
        self._pending = None
        self._act(pending)
        self.durable = pending.number
        return True

    def _repeat_later(self, pending: _Pending, error: StoreError, now_ms: int) -> None:
        self._report(pending, error)
        if not isinstance(error, StoreUnavailable | CommitUnknown):
            raise error
        pending.retry_at_ms = now_ms + self.limits.retry_wait_ms(pending.attempts)

    def _report(self, pending: _Pending, error: StoreError | None) -> None:
        self.error = error
        elapsed_s = self.stopwatch() - pending.begun_s
        self.report(CommitReport(len(pending.records), pending.attempts, elapsed_s, error))

    # -------------------------------------------------------------------- act

    def _act(self, pending: _Pending) -> None:
        crash_here("before_effects")
        if pending.changes:
            self.outputs.instances_changed(pending.changes)
        for effect in pending.effects:
            match effect:
                case Reply():
                    self.outputs.reply(effect)
                    crash_here("after_reply")
                case Publish(fact):
                    self.outputs.publish(fact)
                case _:
                    self.outputs.mesos(effect)
                    crash_here("after_mesos_effect")
        crash_here("after_effects")


def _joined(changes: Changes) -> Changes:
    """Join the changes of each instance to one, from its first state to its last.

    What lies between was never durable; and the version it refers to may be gone already.
    """
    ends: dict[InstanceId, tuple[Instance | None, Instance | None]] = {}
    for before, after in changes:
        known = after or before
        assert known is not None, "a change from nothing to nothing"
        first = ends[known.id][0] if known.id in ends else before
        ends[known.id] = (first, after)
    return [(before, after) for before, after in ends.values() if before is not after]
