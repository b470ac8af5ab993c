"""The sync against a registry in memory that fails in every way: before, after and in between."""

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.core.app import AppSpec
from scheduler.core.ids import TaskId
from scheduler.discovery.client import ConsulUnavailableError
from scheduler.discovery.desired import entries_of
from scheduler.discovery.entry import ServiceEntry
from scheduler.discovery.names import DefaultDiscovery, plan_of
from scheduler.discovery.registry import Failed, Held, StaleEpochError
from scheduler.discovery.sync import PAUSE_MAX_S, SyncLoop
from tests.discovery_support import app, running

SPECS: list[AppSpec] = [app("/a"), app("/b"), app("/taken")]


def entry(number: int) -> ServiceEntry:
    spec = SPECS[number % len(SPECS)]
    plan = plan_of(spec, DefaultDiscovery.ALL)
    (made,) = entries_of(running(spec, number), spec, plan, owner="egret")
    return made


class MemoryRegistry:
    """A Consul in memory. ``faults`` says, call by call, how it goes: well, or not."""

    def __init__(self):
        self.entries: dict[str, ServiceEntry] = {}
        self.foreign = {"taken"}
        self.faults: list[str] = []
        self.calls: list[str] = []
        self.refuses: set[str] = set()
        self.broken: set[str] = set()
        self.is_stale = False

    def _fail(self, call: str) -> bool:
        """Raise before anything happens, or say whether to fail after it has happened."""
        self.calls.append(call)
        if self.is_stale:
            raise StaleEpochError
        fault = self.faults.pop(0) if self.faults else "well"
        if fault == "before":
            raise ConsulUnavailableError(fault)
        return fault == "after"

    def stop(self) -> None:
        """Nothing is under way here."""

    def take_over(self):
        if self._fail("take_over"):
            raise ConsulUnavailableError("after")

    def read(self, desired):
        if self._fail("read"):
            raise ConsulUnavailableError("after")
        return Held(dict(self.entries), frozenset(self.broken))

    def is_foreign(self, name):
        if self._fail("is_foreign"):
            raise ConsulUnavailableError("after")
        return name in self.foreign

    def delete(self, entries):
        is_lost = self._fail("delete")
        for each in entries:
            self.entries.pop(each.id, None)
        if is_lost:
            raise ConsulUnavailableError("after")
        return []

    def put(self, entries):
        is_lost = self._fail("put")
        failed = [Failed(e, "no", is_refused=True) for e in entries if e.id in self.refuses]
        self.entries.update({e.id: e for e in entries if e.id not in self.refuses})
        if is_lost:
            raise ConsulUnavailableError("after")
        return failed

    def tidy(self, desired):
        if self._fail("tidy"):
            raise ConsulUnavailableError("after")


class Bench:
    """A SyncLoop whose rounds and time are turned by hand."""

    def __init__(self):
        self.registry = MemoryRegistry()
        self.now_s = 0.0
        self.gone: list[TaskId] = []
        self.sync = self.new_sync()

    def new_sync(self) -> SyncLoop:
        return SyncLoop(
            self.registry,
            on_gone=self.on_gone,
            on_stale=lambda: None,
            clock=lambda: round(self.now_s * 1000),
            clock_s=lambda: self.now_s,
        )

    def on_gone(self, task_id):
        held = {each.task_id for each in self.registry.entries.values()}
        assert task_id not in held
        self.gone.append(task_id)

    def round(self, *, after_s=PAUSE_MAX_S):
        self.now_s += after_s
        self.sync._round()
        self.sync._publish()

    def rounds(self, count=4):
        for _ in range(count):
            self.round()


def by_id(*numbers):
    return {made.id: made for made in map(entry, numbers)}


faults = st.lists(st.sampled_from(["well", "before", "after"]), max_size=12)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("run"), st.integers(0, 8)),
        st.tuples(st.just("drain"), st.integers(0, 8)),
        st.tuples(st.just("vanish"), st.integers(0, 8)),
        st.tuples(st.just("round"), faults),
        st.tuples(st.just("wipe"), st.none()),
        st.tuples(st.just("load"), st.none()),
        st.tuples(st.just("restart"), faults),
    ),
    max_size=30,
)


@settings(max_examples=300)
@given(steps)
def test_after_the_faults_consul_holds_what_is_desired_and_every_drained_task_was_told(steps):
    """A drained task is told gone only when nothing of it is left: see ``Bench.on_gone``."""
    bench = Bench()
    desired: dict[str, ServiceEntry] = {}
    draining: set[TaskId] = set()
    for kind, value in steps:
        if kind == "run":
            made = entry(value)
            if made.task_id not in draining:
                desired |= {made.id: made}
                bench.sync.submit({made.id: made})
        elif kind in {"drain", "vanish"}:
            made = entry(value)
            desired.pop(made.id, None)
            is_draining = kind == "drain"
            draining |= {made.task_id} if is_draining else set()
            bench.sync.submit({made.id: None}, [made.task_id] if is_draining else ())
        elif kind == "round":
            bench.registry.faults = list(value)
            bench.round()
        elif kind == "wipe":
            bench.registry.entries.clear()
        else:
            if kind == "restart":
                bench.sync = bench.new_sync()
            bench.sync.submit(desired, draining, is_whole=True)
            bench.registry.faults = list(value or ())
            bench.round()
    bench.registry.faults = []
    # The longest pause, then the period of the full comparison.
    bench.rounds()
    bench.round(after_s=31)
    bench.rounds()
    assert bench.registry.entries == {
        key: made for key, made in desired.items() if made.name != "taken"
    }
    assert draining <= set(bench.gone)
    assert bench.sync.status().pending == 0
    assert bench.sync.status().lag_ms == 0
    refused = {refusal.name for refusal in bench.sync.status().refusals}
    assert refused == {made.name for made in desired.values() if made.name == "taken"}


def test_changes_are_written_without_reading_everything_again():
    bench = Bench()
    bench.sync.submit(by_id(0, 1))
    bench.round()
    bench.registry.calls.clear()
    bench.sync.submit(by_id(3))
    bench.round(after_s=1)
    assert bench.registry.calls == ["put"]
    assert len(bench.registry.entries) == 3


def test_a_round_with_nothing_to_do_asks_consul_nothing():
    bench = Bench()
    bench.sync.submit(by_id(0))
    bench.round()
    bench.registry.calls.clear()
    bench.sync.submit(by_id(0))
    bench.round(after_s=1)
    assert bench.registry.calls == []


def test_a_draining_task_does_not_wait_for_thousands_of_others():
    bench = Bench()
    bench.sync.submit(by_id(0))
    bench.round()
    many = {made.id: made for made in map(entry, range(3, 3000, 3))}
    bench.sync.submit(many)
    bench.round(after_s=1)
    assert 1 < len(bench.registry.entries) < 500
    bench.sync.submit({entry(0).id: None}, [entry(0).task_id])
    bench.round(after_s=0)
    assert bench.gone == [entry(0).task_id]
    bench.rounds(8)
    assert len(bench.registry.entries) == len(many)


def test_pauses_grow_while_consul_is_away_and_a_never_registered_task_is_told_all_the_same():
    bench = Bench()
    bench.round()
    bench.registry.faults = ["before"] * 100
    bench.sync.submit(by_id(0))
    for _ in range(600):
        bench.round(after_s=0.1)
    assert 10 < bench.sync.status().failures < 25
    assert bench.sync.status().lag_ms > 50_000
    assert bench.sync.status().last_error == "before"
    bench.sync.submit({}, [TaskId("never")])
    bench.round(after_s=0)
    assert bench.gone == [TaskId("never")]


def test_a_write_of_unknown_fate_counts_as_possibly_there():
    bench = Bench()
    bench.round()
    bench.sync.submit(by_id(0))
    bench.registry.faults = ["well", "after"]
    bench.round(after_s=1)
    assert bench.registry.entries == by_id(0)
    bench.sync.submit({entry(0).id: None}, [entry(0).task_id])
    bench.registry.faults = ["before"]
    bench.round()
    assert bench.gone == []
    bench.rounds()
    assert bench.gone == [entry(0).task_id]
    assert bench.registry.entries == {}


def test_a_refused_entry_is_shown_and_tried_again_with_the_next_comparison():
    bench = Bench()
    bench.registry.refuses = {entry(0).id}
    bench.sync.submit(by_id(0, 1))
    bench.round()
    assert bench.registry.entries == by_id(1)
    (refusal,) = bench.sync.status().refusals
    assert (refusal.app_id, refusal.reason) == ("/a", "no")
    assert bench.sync.status().registered == 1
    bench.registry.refuses = set()
    bench.round(after_s=31)
    assert bench.registry.entries == by_id(0, 1)
    assert bench.sync.status().refusals == ()


def test_a_name_that_others_take_later_stays_ours():
    bench = Bench()
    bench.sync.submit(by_id(0))
    bench.round()
    bench.registry.foreign.add("a")
    bench.sync.submit(by_id(3))
    bench.round(after_s=31)
    assert bench.registry.entries == by_id(0, 3)


def test_a_name_that_we_hold_since_an_earlier_term_is_not_asked_about():
    bench = Bench()
    bench.registry.entries = by_id(0)
    bench.registry.foreign.add("a")
    bench.sync.submit(by_id(0, 3))
    bench.round()
    assert bench.registry.entries == by_id(0, 3)


def test_an_entry_that_changed_is_written_anew_and_keeps_its_id():
    bench = Bench()
    bench.sync.submit(by_id(0))
    bench.round()
    moved = evolve(entry(0), port=1234)
    bench.sync.submit({moved.id: moved})
    bench.round(after_s=1)
    assert bench.registry.entries == {moved.id: moved}


def test_an_overtaken_leader_stops_and_says_so():
    told = []
    bench = Bench()
    bench.registry.is_stale = True
    bench.sync = SyncLoop(
        bench.registry,
        on_gone=lambda _: None,
        on_stale=lambda: told.append("stale"),
        clock=lambda: 0,
    )
    bench.sync.run()
    assert told == ["stale"]
    assert bench.registry.calls == ["take_over"]


def test_a_stopped_sync_removes_nothing():
    bench = Bench()
    bench.registry.entries = by_id(0, 1)
    bench.sync.stop()
    bench.sync.run()
    assert bench.registry.calls == []


def test_an_entry_whose_check_is_broken_is_written_again():
    bench = Bench()
    bench.sync.submit(by_id(0, 1))
    bench.round()
    bench.registry.broken = {entry(0).id}
    bench.registry.calls.clear()
    bench.round(after_s=31)
    assert bench.registry.calls == ["read", "put", "tidy"]
    assert bench.sync.status().puts == 3


def test_nobody_is_told_gone_before_consul_was_read():
    bench = Bench()
    bench.registry.entries = by_id(0)
    bench.registry.faults = ["before"] * 3
    bench.sync.submit({}, [entry(0).task_id], is_whole=True)
    for _ in range(3):
        bench.round()
        assert bench.gone == []
    bench.rounds()
    assert bench.gone == [entry(0).task_id]
