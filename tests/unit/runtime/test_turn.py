"""Decide, commit, act: in this order, one batch at a time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.core.events import Disconnected
from scheduler.runtime import InboxFull, Limits
from scheduler.store import CommitUnknown, Fault, StaleEpoch, StoreUnavailable
from tests.unit.runtime.toy import LATE_MS, Rig, command, stored, update


@pytest.fixture
def rig() -> Rig:
    return Rig()


def faults(rig: Rig, *wanted: Fault) -> None:
    rest = iter(wanted)
    rig.store.next_fault = lambda: next(rest, Fault.NONE)


def test_nothing_is_acted_upon_before_its_commit(rig: Rig):
    rig.inbox.post(update(1))
    rig.inbox.post(command(2))
    rig.turns.turn(0)
    assert (rig.seen.acknowledged, rig.seen.replied) == ([], [])
    rig.committer.release()
    rig.turns.turn(0)
    assert (rig.seen.acknowledged, rig.seen.replied) == (["1"], [2])
    assert rig.seen.problems == []


def test_the_world_shows_a_decision_at_once_and_says_that_it_is_not_durable(rig: Rig):
    rig.inbox.post(update(1))
    rig.turns.turn(0)
    assert set(rig.world.apps) == {"/1"}
    assert (rig.turns.decided, rig.turns.durable) == (1, 0)
    rig.committer.release()
    rig.turns.turn(0)
    assert rig.turns.durable == 1


def test_while_a_batch_commits_events_only_gather(rig: Rig):
    rig.inbox.post(update(1))
    rig.turns.turn(0)
    for number in (2, 3, 4):
        rig.inbox.post(update(number))
        rig.turns.turn(0)
    assert len(rig.committer.batches) == 1
    assert len(rig.inbox) == 3
    rig.committer.release()
    rig.turns.turn(0)
    assert [len(records) for _, records in rig.committer.batches] == [1, 3]


def test_an_empty_inbox_makes_no_batch(rig: Rig):
    rig.turns.turn(0)
    assert rig.turns.decided == 0


def test_a_batch_stops_taking_events_at_its_limit_of_records():
    rig = Rig(Limits(records_max=10))
    for number in range(25):
        rig.inbox.post(update(number))
    rig.settle_all()
    assert [len(records) for _, records in rig.committer.batches] == [10, 10, 5]


def test_a_batch_stops_taking_events_when_its_time_is_over():
    rig = Rig(Limits(drain_s=0.010))
    ticking = iter(range(1000))
    rig.turns.stopwatch = lambda: next(ticking) * 0.004
    for number in range(7):
        rig.inbox.post(update(number))
    rig.settle_all()
    assert len(rig.committer.batches[0][1]) == 3
    assert len(stored(rig.store)) == 7


@pytest.mark.parametrize("fault", [Fault.UNKNOWN_LOST, Fault.UNKNOWN_WRITTEN, Fault.UNAVAILABLE])
def test_a_failed_commit_is_repeated_unchanged_under_the_same_epoch(rig: Rig, fault: Fault):
    faults(rig, fault)
    rig.inbox.post(update(1))
    rig.turns.turn(0)
    rig.committer.release()
    rig.turns.turn(0)
    assert rig.seen.acknowledged == []
    assert isinstance(rig.turns.error, CommitUnknown | StoreUnavailable)
    rig.inbox.post(update(2))
    rig.turns.turn(99)
    assert len(rig.committer.batches) == 1, "not before the wait is over"
    assert rig.turns.next_due_ms == 100
    rig.turns.turn(100)
    assert rig.committer.batches[1] == rig.committer.batches[0]
    rig.committer.release()
    rig.turns.turn(101)
    assert rig.seen.acknowledged == ["1"]
    assert rig.turns.error is None


def test_the_wait_between_two_attempts_doubles_up_to_a_limit():
    limits = Limits(retry_first_ms=100, retry_max_ms=1_000)
    waits = [limits.retry_wait_ms(attempts) for attempts in (1, 2, 3, 4, 5, 99, 10_000)]
    assert waits == [100, 200, 400, 800, 1_000, 1_000, 1_000]


def test_a_lost_epoch_ends_everything_and_nothing_is_acted_upon(rig: Rig):
    rig.inbox.post(update(1))
    rig.store.campaign()
    rig.turns.turn(0)
    rig.committer.release()
    with pytest.raises(StaleEpoch):
        rig.turns.turn(0)
    assert (rig.seen.acknowledged, stored(rig.store)) == ([], set())


def test_a_batch_that_only_acts_is_committed_empty_first(rig: Rig):
    """The commit proves that we lead: a replaced leader with nothing to store must not act."""
    rig.inbox.post(Disconnected())
    rig.turns.turn(0)
    assert [records for _, records in rig.committer.batches] == [[]]
    assert rig.seen.suppressed == 0
    rig.committer.release()
    rig.turns.turn(0)
    assert rig.seen.suppressed == 1
    assert rig.turns.durable == rig.turns.decided == 1


def test_time_alone_brings_a_batch_when_it_is_due(rig: Rig):
    rig.world.wake_at(50, "key")
    rig.turns.turn(49)
    assert rig.turns.decided == 0
    assert rig.turns.next_due_ms == 50
    rig.turns.turn(50)
    assert set(rig.world.apps) == {"/tick"}


def test_the_core_is_told_how_late_it_looks_at_the_time(rig: Rig):
    """While a commit is repeated nothing is decided, though its time has come."""
    faults(rig, Fault.UNAVAILABLE)
    rig.inbox.post(update(1))
    rig.turns.turn(0)
    rig.world.wake_at(50, "key")
    rig.committer.release()
    rig.turns.turn(40)
    rig.turns.turn(60_000)
    rig.committer.release()
    LATE_MS.clear()
    rig.turns.turn(60_050)
    assert LATE_MS == [60_000]


def test_a_term_begins_with_what_was_under_way(rig: Rig):
    rig.turns.begin(0)
    rig.committer.release()
    rig.turns.turn(0)
    assert stored(rig.store) == {"/resumed"}


def test_commands_are_turned_away_when_too_many_wait_but_mesos_is_always_heard(rig: Rig):
    for number in range(3):
        rig.inbox.post(command(number))
    with pytest.raises(InboxFull):
        rig.inbox.post(command(4))
    for number in range(10, 10_010):
        rig.inbox.post(update(number))
    assert len(rig.inbox) == 10_003
    rig.inbox.take()
    rig.inbox.post(command(5))


def test_every_event_wakes_the_reader(rig: Rig):
    rig.inbox.post(update(1))
    rig.inbox.post(command(2))
    assert rig.wakes == 2


STEP = st.sampled_from(["update", "command", "turn", "release", "later"])
FAULT = st.sampled_from([*Fault, Fault.NONE, Fault.NONE, Fault.NONE])


@given(st.lists(STEP, max_size=60), st.lists(FAULT, max_size=20))
def test_in_any_order_of_events_turns_and_failures_effects_follow_their_commit(steps, wanted):
    """Invariants S1 and S2: what is sent, acknowledged or answered is durable; and it all is."""
    rig = Rig(Limits(records_max=4))
    faults(rig, *wanted)
    now_ms = 0
    posted: list[int] = []
    for number, step in enumerate(steps):
        match step:
            case "update":
                rig.inbox.post(update(number))
                posted.append(number)
            case "command":
                try:
                    rig.inbox.post(command(number))
                except InboxFull:
                    continue
                posted.append(number)
            case "turn":
                rig.turns.turn(now_ms)
            case "release" if rig.committer.batches and rig.committer.poll() is None:
                rig.committer.release()
            case _:
                now_ms += 1_000
    for _ in range(200):
        now_ms += 10_000
        rig.turns.turn(now_ms)
        if rig.committer.batches and rig.committer.poll() is None:
            rig.committer.release()
    acted = [int(uuid) for uuid in rig.seen.acknowledged] + rig.seen.replied
    assert rig.seen.problems == []
    assert sorted(acted) == posted, "each exactly once, none forgotten"
    assert stored(rig.store) == {f"/{number}" for number in posted}
