"""The life of a scheduler on an event loop, with the real core."""

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from random import Random

import pytest
import pytest_asyncio
from attrs import evolve

from scheduler.core.app import AppSpec, HealthCheck
from scheduler.core.effects import Accepted, DeploymentStarted, Fact, Refusal, Rejected
from scheduler.core.events import ChangeApps, ReleaseBrake, Subscribed, Upsert
from scheduler.core.ids import AppId, Epoch, FrameworkId, InstanceId, RequestId
from scheduler.core.instance import CheckResult, Condition, Goal, Instance
from scheduler.core.records import App, AppVersion, Entity, Framework, Record, put
from scheduler.core.settings import Settings
from scheduler.runtime import Changes, LeadLost, NotLeader, Runtime, Station, Surroundings, Term
from scheduler.spec import decode_spec, encode_spec
from scheduler.store import (
    Codec,
    CorruptState,
    Elected,
    Fault,
    MemoryStore,
    SqliteStore,
    Store,
    StoreUnavailable,
)
from scheduler.telemetry import Bus, Metrics
from tests.support import eventually
from tests.unit.store.samples import FULL_INSTANCE, SAMPLES

WEB = AppId("/web")


class Recorder:
    """A room that remembers when it was started and stopped."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.changes: Changes = []
        self.looks = 0
        self.runtime: Runtime | None = None

    async def start(self, term: Term) -> None:
        assert self.runtime is not None
        self.log.append(f"start {term.epoch} with {len(term.world.apps)} apps")

    async def stop(self) -> None:
        self.log.append("stop")

    def instances_changed(self, changes: Changes) -> None:
        self.looks += 1
        self.changes += changes


class Lifetime:
    """One process's runtime."""

    def __init__(self, store: Store) -> None:
        self.bus = Bus()
        self.metrics = Metrics()
        self.runtime = Runtime(
            Settings(), store, Surroundings(rng=Random(1)), self.metrics, self.bus
        )
        self.room = Recorder()
        self.room.runtime = self.runtime
        self.runtime.add_room(self.room)
        self.running = asyncio.create_task(self.runtime.run())

    async def until(self, station: Station) -> None:
        while self.runtime.leadership.station is not station:
            assert not self.running.done(), self.running
            await asyncio.sleep(0.001)

    async def end(self) -> None:
        self.runtime.stop()
        await self.running


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(Codec(encode_spec, decode_spec))


@pytest_asyncio.fixture
async def life(store: MemoryStore) -> AsyncIterator[Lifetime]:
    life = Lifetime(store)
    await life.until(Station.SUBSCRIBING)
    yield life
    if not life.running.done():
        await life.end()


def create(request_id: RequestId) -> ChangeApps:
    return ChangeApps(request_id, (Upsert(AppSpec(WEB, cmd="sleep 9"), expect=None),))


async def test_a_command_is_answered_when_its_decision_is_durable(
    life: Lifetime, store: MemoryStore
):
    commits = store.commits
    answer = await life.runtime.submit(create, timeout_s=30)
    assert isinstance(answer, Accepted)
    assert store.commits == commits + 1
    assert WEB in life.runtime.world.apps
    again = await life.runtime.submit(create, timeout_s=30)
    assert isinstance(again, Rejected)
    assert again.refusal in {Refusal.EXISTS, Refusal.STALE}


async def test_rooms_start_with_the_loaded_world_and_stop_at_the_end(
    life: Lifetime, store: MemoryStore
):
    await life.runtime.submit(create, timeout_s=30)
    await life.end()
    assert life.room.log == ["start 1 with 0 apps", "stop"]
    after = Lifetime(store)
    await after.until(Station.SUBSCRIBING)
    await after.end()
    assert after.room.log == ["start 2 with 1 apps", "stop"]
    assert after.runtime.leadership.station is Station.STOPPED


async def test_rooms_follow_the_instances(life: Lifetime):
    await life.runtime.submit(create, timeout_s=30)
    [(before, after)] = life.room.changes
    assert before is None
    assert after is not None
    assert after.condition is Condition.SCHEDULED
    assert life.metrics.conditions[Condition.SCHEDULED] == 1


async def test_rooms_look_when_an_operator_lets_the_brake_go(store: MemoryStore):
    """No instance changes then, and yet what the brake held is to go on."""
    elected = store.campaign()
    assert isinstance(elected, Elected)
    ill = CheckResult(alive=False, first_success_ms=1, consecutive_failures=1)
    spec = AppSpec(WEB, cmd="x", instances=6, health_checks=(HealthCheck(path="/"),))
    version = FULL_INSTANCE.version
    running = evolve(
        FULL_INSTANCE, app_id=WEB, condition=Condition.RUNNING, goal=Goal.RUNNING, checks=(ill,)
    )
    tasks = [evolve(running, id=InstanceId(f"web.instance-{number}")) for number in range(6)]
    framework = Framework(FrameworkId("f-1"), 0)
    first = [framework, AppVersion(spec, version, version, version), App(WEB, version)]
    store.commit(elected.epoch, [put(entity) for entity in (*first, *tasks)])
    life = Lifetime(store)
    await life.until(Station.SUBSCRIBING)
    assert life.runtime.world.brake.holds
    for seconds, braked in ((600, False), (0, True)):
        life.room.looks = 0
        await life.runtime.submit(lambda number, s=seconds: ReleaseBrake(number, s), timeout_s=30)
        assert life.runtime.world.brake.holds is braked
        await eventually(lambda: life.room.looks, what="a look")
    await life.end()


async def test_the_public_is_told_after_the_commit(life: Lifetime):
    facts: list[Fact] = []
    end = life.runtime.subscribe_facts(facts.append)
    await life.runtime.submit(create, timeout_s=30)
    assert type(facts[0]) is DeploymentStarted
    end()


async def test_the_first_subscription_makes_the_leader_active_and_stores_the_framework_id(
    life: Lifetime, store: MemoryStore
):
    life.runtime.post(Subscribed(FrameworkId("f-1"), "m:5050"))
    await life.until(Station.ACTIVE)
    await life.runtime.read_barrier(30)
    assert any(getattr(record, "key", "") == "self" for record in store.load())


async def test_a_command_waits_while_the_store_fails_and_reads_wait_with_it(
    life: Lifetime, store: MemoryStore
):
    store.next_fault = lambda: Fault.UNAVAILABLE
    command = asyncio.create_task(life.runtime.submit(create, timeout_s=30))
    while life.runtime.store_problem is None:
        await asyncio.sleep(0.001)
    with pytest.raises(TimeoutError):
        await life.runtime.read_barrier(0.01)
    assert not command.done()
    store.next_fault = lambda: Fault.NONE
    assert isinstance(await command, Accepted)
    await life.runtime.read_barrier(30)
    assert life.runtime.store_problem is None


async def test_reads_that_give_up_while_the_store_is_away_leave_nothing_behind(
    life: Lifetime, store: MemoryStore
):
    store.next_fault = lambda: Fault.UNAVAILABLE
    command = asyncio.create_task(life.runtime.submit(create, timeout_s=30))
    while life.runtime.store_problem is None:
        await asyncio.sleep(0.001)
    for _ in range(3):
        with pytest.raises(TimeoutError):
            await life.runtime.read_barrier(0.001)
    _, durable = life.runtime._barrier or pytest.fail("there is nothing to wait for")
    assert not durable.done()
    assert not durable._callbacks
    store.next_fault = lambda: Fault.NONE
    await life.runtime.read_barrier(30)
    assert life.runtime._barrier is None
    assert isinstance(await command, Accepted)


async def test_reads_that_wait_when_the_lead_is_lost_are_told(life: Lifetime, store: MemoryStore):
    store.next_fault = lambda: Fault.UNAVAILABLE
    command = asyncio.create_task(life.runtime.submit(create, timeout_s=30))
    while life.runtime.store_problem is None:
        await asyncio.sleep(0.001)
    reads = [asyncio.create_task(life.runtime.read_barrier(30)) for _ in range(3)]
    await asyncio.sleep(0)
    life.runtime.stop()
    ends = await asyncio.gather(command, *reads, return_exceptions=True)
    assert [type(end) for end in ends] == [LeadLost] * 4


async def test_who_waits_is_told_at_once_that_the_lead_is_lost_however_slow_a_room_is(
    life: Lifetime, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
):
    """What was handled may yet be made durable by the commit under way; the rest never is."""
    store.next_fault = lambda: Fault.UNAVAILABLE
    decided = asyncio.create_task(life.runtime.submit(create, timeout_s=30))
    while life.runtime.store_problem is None:
        await asyncio.sleep(0.001)
    undecided = asyncio.create_task(life.runtime.submit(create, timeout_s=30))
    read = asyncio.create_task(life.runtime.read_barrier(30))
    await asyncio.sleep(0)
    hold = asyncio.Event()
    monkeypatch.setattr(life.room, "stop", hold.wait)
    life.runtime.stop()
    with pytest.raises(LeadLost, match="nothing was changed"):
        await undecided
    with pytest.raises(LeadLost, match="unknown"):
        await decided
    with pytest.raises(LeadLost):
        await read
    assert not life.running.done()
    hold.set()
    await life.running


async def test_a_commit_under_way_is_answered_though_the_lead_is_given_up(
    life: Lifetime, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
):
    begun, release, commit = threading.Event(), threading.Event(), store.commit

    def slow(epoch: Epoch, records: Sequence[Record]) -> None:
        begun.set()
        release.wait()
        commit(epoch, records)

    monkeypatch.setattr(store, "commit", slow)
    decided = asyncio.create_task(life.runtime.submit(create, timeout_s=30))
    await eventually(begun.is_set, what="the commit")
    undecided = asyncio.create_task(life.runtime.submit(create, timeout_s=30))
    await asyncio.sleep(0)
    life.runtime.stop()
    with pytest.raises(LeadLost, match="nothing was changed"):
        await undecided
    release.set()
    assert isinstance(await decided, Accepted)
    await life.running


async def test_a_lost_epoch_ends_the_term_and_begins_a_new_one(life: Lifetime, store: MemoryStore):
    other = store.campaign()
    assert isinstance(other, Elected)
    with pytest.raises(NotLeader):
        await life.runtime.submit(create, timeout_s=30)
    while life.runtime.epoch != Epoch(other.epoch + 1):
        await asyncio.sleep(0.001)
    await life.until(Station.SUBSCRIBING)
    assert life.room.log == ["start 1 with 0 apps", "stop", "start 3 with 0 apps"]
    assert WEB not in life.runtime.world.apps
    assert isinstance(await life.runtime.submit(create, timeout_s=30), Accepted)


@pytest.mark.parametrize("step", ["campaign", "load"])
async def test_a_store_that_is_away_when_we_want_to_lead_again_is_waited_for(
    life: Lifetime, store: MemoryStore, monkeypatch: pytest.MonkeyPatch, step: str
):
    monkeypatch.setattr("scheduler.runtime.shell._STORE_RETRY_S", 0.001)
    await life.runtime.submit(create, timeout_s=30)
    tries, real = 0, getattr(store, step)

    def stumble() -> object:
        nonlocal tries
        tries += 1
        if tries <= 3:
            raise StoreUnavailable("away")
        return real()

    monkeypatch.setattr(store, step, stumble)
    life.runtime.abdicate()
    while tries < 4:
        assert not life.running.done(), life.running
        await asyncio.sleep(0.001)
    await life.until(Station.SUBSCRIBING)
    assert WEB in life.runtime.world.apps


async def test_who_abdicates_makes_way_for_who_waits_and_else_leads_again(tmp_path: Path):
    def new_life() -> Lifetime:
        return Lifetime(SqliteStore(tmp_path / "db", Codec(encode_spec, decode_spec)))

    first = new_life()
    await first.until(Station.SUBSCRIBING)
    first.runtime.abdicate()
    await first.until(Station.CAMPAIGNING)
    await first.until(Station.SUBSCRIBING)
    assert first.runtime.epoch == 2
    second = new_life()
    await second.until(Station.CAMPAIGNING)
    first.runtime.abdicate()
    await second.until(Station.SUBSCRIBING)
    assert second.runtime.epoch == 3
    assert first.runtime.leadership.station is Station.CAMPAIGNING
    await second.end()
    await first.until(Station.SUBSCRIBING)
    await first.end()


async def test_who_is_stopped_in_the_moment_of_its_election_leaves_without_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The store is closed then, so that a campaign ends; there is nothing to load from."""
    store = SqliteStore(tmp_path / "db", Codec(encode_spec, decode_spec))
    campaign, elected, release = store.campaign, threading.Event(), threading.Event()

    def slow() -> object:
        result = campaign()
        elected.set()
        release.wait()
        return result

    monkeypatch.setattr(store, "campaign", slow)
    life = Lifetime(store)
    await eventually(elected.is_set, what="the election")
    life.runtime.stop()
    release.set()
    await life.running
    assert life.room.log == []


async def test_a_store_that_is_away_at_the_start_is_an_error(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
):
    """Then its address is wrong, more often than not: who started us must hear of it."""

    def fail() -> object:
        raise StoreUnavailable("no such directory")

    monkeypatch.setattr(store, "campaign", fail)
    with pytest.raises(StoreUnavailable):
        await Lifetime(store).running


async def test_nothing_is_answered_after_the_end(life: Lifetime):
    await life.end()
    with pytest.raises(NotLeader):
        await life.runtime.submit(create, timeout_s=1)
    with pytest.raises(NotLeader):
        await life.runtime.read_barrier(1)


@pytest.mark.parametrize(
    "trace",
    [
        FULL_INSTANCE,
        Instance(FULL_INSTANCE.id, FULL_INSTANCE.app_id, FULL_INSTANCE.version, incarnation=1),
        SAMPLES["ended"],
    ],
    ids=["a task", "an instance that waits again", "a task that has ended"],
)
async def test_tasks_without_a_framework_id_are_no_reason_to_make_a_new_one(
    store: MemoryStore, trace: Entity
):
    """Invariant S13: whatever shows that something was launched shows that there was an id."""
    elected = store.campaign()
    assert isinstance(elected, Elected)
    version = FULL_INSTANCE.version
    spec = AppSpec(FULL_INSTANCE.app_id, cmd="x")
    entities = (
        AppVersion(spec, version, version, version),
        App(spec.id, version),
        trace,
    )
    store.commit(elected.epoch, list(map(put, entities)))
    life = Lifetime(store)
    with pytest.raises(CorruptState, match="no framework id"):
        await life.running


async def test_a_record_that_cannot_be_read_keeps_us_from_leading(store: MemoryStore):
    """Invariant S14."""
    elected = store.campaign()
    assert isinstance(elected, Elected)
    store.commit(elected.epoch, [put(SAMPLES["app"])])
    [row] = store._rows
    store._rows[row] = b"\xff"
    life = Lifetime(store)
    with pytest.raises(CorruptState, match="app '/shop/web'"):
        await life.running
    assert life.room.log == []


async def test_a_fault_in_a_decision_ends_the_process_not_only_the_batch(store: MemoryStore):
    life = Lifetime(store)
    await life.until(Station.SUBSCRIBING)

    # The core promises to stop on this contradiction: our framework id never changes.
    life.runtime.post(Subscribed(FrameworkId("f-1"), "m:5050"))
    life.runtime.post(Subscribed(FrameworkId("f-2"), "m:5050"))
    with pytest.raises(AssertionError, match="another framework id"):
        await life.running
    assert life.room.log[-1] == "stop"
