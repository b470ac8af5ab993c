"""Tasks that come back after they were replaced."""

import pytest
from attrs import evolve

from scheduler.core.app import OnReturn, UnreachableStrategy
from scheduler.core.effects import Kill
from scheduler.core.events import Tick
from scheduler.core.ids import InstanceId, TaskId, Version, task_id_of
from scheduler.core.instance import Condition, Goal, TaskState
from scheduler.core.times import format_ms
from tests.unit.core.game import NOW_MS, V1, Game, effects_in, instance, spec, update

ORIGINAL = instance(Condition.UNREACHABLE_INACTIVE)
REPLACEMENT = evolve(
    instance(Condition.RUNNING),
    id=InstanceId("web.instance-2"),
    created_at_ms=NOW_MS - 1,
)


def task_of(one) -> TaskId:
    return task_id_of(one.id, one.incarnation)


def returned(policy: OnReturn | None, keep_both_s: int = 0, instances: int = 1):
    """Let the original come back beside its replacement."""
    strategy = UnreachableStrategy(5, 3_600, policy, keep_both_s)
    game = Game()
    game.install(spec(instances=instances, unreachable_strategy=strategy))
    game.put(ORIGINAL, REPLACEMENT)
    game.connect()
    batch = game.send(update(task_of(ORIGINAL), TaskState.RUNNING))
    return game, [kill.task_id for kill in effects_in(batch, Kill)]


def test_the_original_stays_where_that_is_wanted() -> None:
    _, killed = returned(OnReturn.KEEP_ORIGINAL)
    assert killed == [task_of(REPLACEMENT)]


@pytest.mark.parametrize("condition", [Condition.DRAINING, Condition.KILLING])
def test_a_replacement_that_is_being_ended_already_goes_on_with_it_and_stays_away(
    condition: Condition,
) -> None:
    """Killed for its health, it may still be in Consul: it must not be killed before it is out."""
    game = Game()
    strategy = UnreachableStrategy(5, 3_600, OnReturn.KEEP_ORIGINAL)
    game.install(spec(unreachable_strategy=strategy))
    ending = evolve(REPLACEMENT, condition=condition, kill_reason="sick", kill_attempts=1)
    game.put(ORIGINAL, ending)
    game.connect()
    batch = game.send(update(task_of(ORIGINAL), TaskState.RUNNING))
    assert effects_in(batch, Kill) == []
    after = game.world.instances[REPLACEMENT.id]
    assert (after.condition, after.goal) == (condition, Goal.DECOMMISSIONED)


def test_one_that_was_given_up_itself_is_not_the_replacement() -> None:
    """It may come back as well; the one that runs in the original's place has to go."""
    game = Game()
    strategy = UnreachableStrategy(5, 3_600, OnReturn.KEEP_ORIGINAL)
    game.install(spec(unreachable_strategy=strategy))
    lost = evolve(
        ORIGINAL, id=InstanceId("web.instance-9"), created_at_ms=ORIGINAL.created_at_ms + 99_999
    )
    game.put(ORIGINAL, REPLACEMENT, lost)
    game.connect()
    batch = game.send(update(task_of(ORIGINAL), TaskState.RUNNING))
    assert [kill.task_id for kill in effects_in(batch, Kill)] == [task_of(REPLACEMENT)]
    assert lost.id in game.world.instances


def test_the_replacement_stays_where_that_is_wanted() -> None:
    _, killed = returned(OnReturn.KEEP_REPLACEMENT)
    assert killed == [task_of(ORIGINAL)]


def test_both_stay_for_a_while_where_that_is_wanted() -> None:
    game, killed = returned(OnReturn.KEEP_BOTH, keep_both_s=60)
    assert killed == []
    game.now_ms += 59_000
    assert effects_in(game.send(Tick()), Kill) == []
    game.now_ms += 1_000
    assert len(effects_in(game.send(Tick()), Kill)) == 1


def test_without_a_wish_one_too_many_is_ended() -> None:
    """It is kept or killed, never ignored."""
    _, killed = returned(None)
    assert len(killed) == 1


@pytest.mark.parametrize("policy", [None, *OnReturn])
def test_a_task_that_is_missed_goes_on_whatever_the_wish(policy: OnReturn | None) -> None:
    game, killed = returned(policy, instances=2)
    assert killed == []
    assert game.world.instances[ORIGINAL.id].condition is Condition.RUNNING


def test_a_spare_task_that_ends_is_not_launched_again() -> None:
    game, _ = returned(OnReturn.KEEP_BOTH, keep_both_s=60)
    game.send(update(task_of(ORIGINAL), TaskState.FAILED))
    assert list(game.world.instances) == [REPLACEMENT.id]


@pytest.mark.parametrize("policy", [None, *OnReturn])
def test_an_older_version_that_returns_after_its_deployment_goes_whatever_the_wish(
    policy: OnReturn | None,
) -> None:
    """Nothing else would replace it, and it would push out the one that is to be launched."""
    strategy = UnreachableStrategy(5, 3_600, policy, 60)
    game = Game()
    game.install(spec(unreachable_strategy=strategy), version=V1)
    newer = Version(format_ms(NOW_MS - 1))
    game.install(spec(cmd="new", unreachable_strategy=strategy), version=newer)
    waiting = evolve(instance(Condition.SCHEDULED), id=REPLACEMENT.id, version=newer)
    game.put(ORIGINAL, waiting)
    game.connect()
    batch = game.send(update(task_of(ORIGINAL), TaskState.RUNNING))
    assert [kill.task_id for kill in effects_in(batch, Kill)] == [task_of(ORIGINAL)]
    game.send(update(task_of(ORIGINAL), TaskState.KILLED))
    assert list(game.world.instances) == [REPLACEMENT.id]
