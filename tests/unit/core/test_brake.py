"""The disaster brake, cell by cell: resting, engaged, lingering, released."""

import pytest

from scheduler.core.brake import Brake
from scheduler.core.ids import AgentId, InstanceId
from scheduler.core.instance import CheckResult, Instance
from scheduler.core.settings import Settings
from tests.unit.core.game import instance

SETTINGS = Settings(brake_instances_min=4, brake_agents_min=2, brake_linger_ms=100)
NOW_MS = 1_000
KEYS = ["web.instance-1", "&/web", "!web.instance-2._app.1"]


def set_cause(brake: Brake, *, present: bool) -> None:
    """Three of four checks fail, or none does."""
    brake.once_healthy, brake.failing = 4, 3 if present else 0


def resting() -> Brake:
    brake = Brake(SETTINGS)
    set_cause(brake, present=False)
    return brake


def engaged() -> Brake:
    brake = resting()
    set_cause(brake, present=True)
    for key in KEYS:
        brake.hold_back(key)
    assert brake.follow(NOW_MS) is None
    return brake


def lingering() -> Brake:
    brake = engaged()
    set_cause(brake, present=False)
    assert brake.follow(NOW_MS) == NOW_MS + 100
    return brake


def released() -> Brake:
    brake = engaged()
    assert list(brake.release(NOW_MS + 50)) == KEYS
    return brake


def test_a_resting_brake_does_not_hold_and_time_changes_nothing() -> None:
    brake = resting()
    assert brake.follow(NOW_MS) is None
    assert list(brake.pass_time(NOW_MS + 10_000)) == []
    assert not brake.holds


def test_it_holds_from_the_moment_of_its_cause_even_before_it_is_told() -> None:
    brake = resting()
    set_cause(brake, present=True)
    assert brake.holds


def test_it_holds_as_long_as_its_cause_however_long() -> None:
    brake = engaged()
    assert brake.follow(NOW_MS + 1_000_000) is None
    assert list(brake.pass_time(NOW_MS + 1_000_000)) == []
    assert brake.holds


def test_it_outlasts_its_cause_and_gives_back_what_it_held_when_it_lets_go() -> None:
    brake = lingering()
    assert list(brake.pass_time(NOW_MS + 99)) == []
    assert brake.holds
    assert list(brake.pass_time(NOW_MS + 100)) == KEYS
    assert not brake.holds


def test_what_it_held_is_given_back_once() -> None:
    brake = lingering()
    assert list(brake.pass_time(NOW_MS + 100)) == KEYS
    set_cause(brake, present=True)
    brake.follow(NOW_MS + 200)
    set_cause(brake, present=False)
    brake.follow(NOW_MS + 200)
    assert list(brake.pass_time(NOW_MS + 300)) == []


def test_lingering_is_told_once_and_not_made_longer_by_being_asked() -> None:
    brake = lingering()
    assert brake.follow(NOW_MS + 60) is None
    assert list(brake.pass_time(NOW_MS + 100)) == KEYS


def test_a_cause_that_comes_back_while_it_lingers_begins_it_anew() -> None:
    brake = lingering()
    set_cause(brake, present=True)
    brake.follow(NOW_MS + 50)
    assert list(brake.pass_time(NOW_MS + 100)) == []
    assert brake.holds
    set_cause(brake, present=False)
    assert brake.follow(NOW_MS + 200) == NOW_MS + 300


def test_what_is_held_back_for_a_cause_of_a_moment_is_let_go_all_the_same() -> None:
    """The cause may be over before the batch is in which something was held back."""
    brake = resting()
    set_cause(brake, present=True)
    brake.hold_back(KEYS[0])
    set_cause(brake, present=False)
    assert brake.follow(NOW_MS) == NOW_MS + 100
    assert list(brake.pass_time(NOW_MS + 100)) == KEYS[:1]


@pytest.mark.parametrize("state", [resting, engaged, lingering, released])
def test_a_release_lets_go_whatever_it_was_and_for_its_time(state) -> None:
    brake = state()
    brake.release(NOW_MS + 500)
    set_cause(brake, present=True)
    assert brake.follow(NOW_MS) is None
    assert not brake.holds
    assert list(brake.pass_time(NOW_MS + 499)) == []
    assert not brake.holds
    assert list(brake.pass_time(NOW_MS + 500)) == []
    assert brake.holds


def test_a_release_taken_back_lets_it_hold_again_at_once() -> None:
    brake = released()
    assert not brake.holds
    brake.take_back()
    assert brake.holds


@pytest.mark.parametrize(
    ("agents", "missing", "holds"), [(2, 3, True), (1, 3, False), (2, 2, False), (3, 3, True)]
)
def test_what_is_out_of_sight_is_a_cause_on_enough_agents_and_above_its_share(
    agents: int, missing: int, holds: bool
) -> None:
    brake = Brake(SETTINGS)
    brake.running, brake.wanted = 4 - missing, 4
    for number in range(missing):
        brake.sight.count(AgentId(f"agent-{number % agents}"), +1)
    assert brake.holds is holds


def test_few_instances_are_no_disaster_whatever_share_of_them_fails() -> None:
    brake = Brake(SETTINGS)
    brake.once_healthy = brake.failing = 3
    assert not brake.holds


# ------------------------------------------------------- what was killed lately

ONCE_HEALTHY = (CheckResult(alive=False, first_success_ms=1),)


def ill(number: int) -> Instance:
    return instance(id=InstanceId(f"web.instance-{number}"), checks=ONCE_HEALTHY)


def after_kills(*numbers: int, checks: int) -> Brake:
    """As many instances are left of which a check succeeded, and none of which fails."""
    brake = Brake(SETTINGS)
    for number in numbers:
        assert brake.remember_kill(ill(number), NOW_MS) == NOW_MS + 100
    brake.once_healthy = checks
    return brake


@pytest.mark.parametrize(("kills", "left", "holds"), [(2, 2, False), (3, 2, True), (2, 1, False)])
def test_what_was_killed_lately_counts_as_failing(kills: int, left: int, holds: bool) -> None:
    assert after_kills(*range(kills), checks=left).holds is holds


def test_an_instance_that_is_killed_again_and_again_counts_once() -> None:
    assert not after_kills(1, 1, 1, 1, 1, checks=4).holds


def test_a_kill_is_forgotten_after_a_while() -> None:
    brake = after_kills(1, 2, 3, checks=2)
    brake.follow(NOW_MS)
    assert list(brake.pass_time(NOW_MS + 99)) == []
    assert brake.killed == 3
    list(brake.pass_time(NOW_MS + 100))
    assert brake.killed == 0
    assert brake.follow(NOW_MS + 100) == NOW_MS + 200


def test_a_kill_is_forgotten_when_its_instance_is_found_healthy_again() -> None:
    brake = after_kills(1, 2, 3, checks=2)
    brake.find_healthy(InstanceId("web.instance-1"))
    assert not brake.holds


def test_what_never_was_healthy_proves_nothing_by_being_killed() -> None:
    brake = Brake(SETTINGS)
    for number in range(5):
        brake.remember_kill(instance(id=InstanceId(f"web.instance-{number}")), NOW_MS)
    assert not brake.holds


def test_what_an_operator_lets_be_killed_is_not_held_against_the_apps_later() -> None:
    brake = after_kills(1, 2, 3, checks=2)
    brake.release(NOW_MS + 50)
    brake.remember_kill(ill(4), NOW_MS + 10)
    list(brake.pass_time(NOW_MS + 50))
    assert brake.killed == 0
    assert not brake.holds
