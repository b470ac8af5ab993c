"""A core so small that a test can see through it, around the real batch and the real world.

An update or a command writes one record and asks for one effect; any other event writes none.
"""

from collections.abc import Sequence
from random import Random

from scheduler.core.batch import Batch
from scheduler.core.effects import Accepted, Acknowledge, Fact, MesosEffect, Reply, Suppress
from scheduler.core.events import ChangeApps, Event, StatusUpdate, Tick
from scheduler.core.ids import AgentId, AppId, Epoch, RequestId, TaskId, Version
from scheduler.core.instance import TaskState
from scheduler.core.records import App, Record
from scheduler.core.settings import Settings
from scheduler.core.world import World
from scheduler.runtime import Changes, Committed, Inbox, Limits, Steps, Turns
from scheduler.store import Elected, MemoryStore, StoreError
from tests.unit.store.samples import CODEC

V1 = Version("2026-11-24T22:17:03.000Z")


def update(number: int) -> StatusUpdate:
    """An event that writes the app ``/<number>`` and then acknowledges itself."""
    return StatusUpdate(TaskId(f"t{number}"), TaskState.RUNNING, AgentId("a"), uuid=str(number))


def command(number: int) -> ChangeApps:
    """An event that writes the app ``/<number>`` and is then answered."""
    return ChangeApps(RequestId(number))


def handle(batch: Batch, event: Event) -> None:
    match event:
        case StatusUpdate(task_id=task_id, uuid=str(uuid)):
            batch.put(App(AppId(f"/{task_id[1:]}"), V1))
            batch.emit(Acknowledge(task_id, AgentId("a"), uuid))
        case ChangeApps(request_id=number):
            batch.put(App(AppId(f"/{number}"), V1))
            batch.emit(Reply(number, Accepted(V1, None)))
        case Tick(late_ms=late_ms):
            LATE_MS.append(late_ms)
            list(batch.world.pop_due(batch.now_ms))
            batch.put(App(AppId("/tick"), V1))
        case _:
            batch.emit(Suppress())


def settle(batch: Batch) -> None:
    batch.world.dirty.clear()


def resume(batch: Batch) -> None:
    batch.put(App(AppId("/resumed"), V1))


LATE_MS: list[int] = []
"""How late each look at the time was, as the core is told."""
STEPS = Steps(handle, settle, resume)


class Seen:
    """Outputs that remember, and how many records were durable at each moment."""

    def __init__(self, store: MemoryStore) -> None:
        self.store = store
        self.acknowledged: list[str] = []
        self.replied: list[int] = []
        self.suppressed = 0
        self.problems: list[str] = []

    def mesos(self, effect: MesosEffect) -> None:
        if isinstance(effect, Suppress):
            self.suppressed += 1
            return
        assert isinstance(effect, Acknowledge)
        self._check(f"/{effect.task_id[1:]}")
        self.acknowledged.append(effect.uuid)

    def reply(self, reply: Reply) -> None:
        self._check(f"/{reply.request_id}")
        self.replied.append(reply.request_id)

    def publish(self, fact: Fact) -> None:
        raise AssertionError

    def instances_changed(self, changes: Changes) -> None:
        raise AssertionError

    def _check(self, key: str) -> None:
        if key not in stored(self.store):
            self.problems.append(f"acted on {key} before it was durable")


def stored(store: MemoryStore) -> set[str]:
    return {record.key for record in store.load()}


class HeldCommitter:
    """Commits when the test says so."""

    def __init__(self, store: MemoryStore) -> None:
        self.store = store
        self.batches: list[tuple[Epoch, list[Record]]] = []
        self._result: Committed | StoreError | None = None

    def begin(self, epoch: Epoch, records: Sequence[Record]) -> None:
        assert self._result is None or self.batches, "two commits at once"
        self.batches.append((epoch, list(records)))
        self._result = None

    def release(self) -> None:
        epoch, records = self.batches[-1]
        try:
            self.store.commit(epoch, records)
            self._result = Committed()
        except StoreError as error:
            self._result = error

    def poll(self) -> Committed | StoreError | None:
        return self._result


class Rig:
    """Turns on a memory store, with a commit that waits for the test."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.store = MemoryStore(CODEC)
        elected = self.store.campaign()
        assert isinstance(elected, Elected)
        self.epoch = elected.epoch
        self.seen = Seen(self.store)
        self.committer = HeldCommitter(self.store)
        self.wakes = 0
        self.inbox = Inbox(self._wake, commands_max=3)
        self.elapsed_s = 0.0
        self.world = World(Settings())
        self.turns = Turns(
            world=self.world,
            epoch=self.epoch,
            inbox=self.inbox,
            committer=self.committer,
            outputs=self.seen,
            rng=Random(1),
            steps=STEPS,
            limits=limits or Limits(),
            stopwatch=lambda: self.elapsed_s,
        )

    def _wake(self) -> None:
        self.wakes += 1

    def settle_all(self, now_ms: int = 0) -> None:
        while self.turns.has_work or self.turns.durable < self.turns.decided:
            self.turns.turn(now_ms)
            self.committer.release()
            self.turns.turn(now_ms)
