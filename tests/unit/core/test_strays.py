"""Tasks that no instance stands for: listed, and killed only where our records prove the case."""

import pytest

from scheduler.core.effects import Acknowledge, Kill, UnknownTask
from scheduler.core.ids import InstanceId, TaskId
from scheduler.core.instance import Condition, TaskState
from scheduler.core.records import Ended
from scheduler.core.settings import Settings
from tests.unit.core.game import (
    NOW_MS,
    WEB,
    Game,
    effects_in,
    facts_in,
    instance,
    spec,
    update,
)

RIDDLE = TaskId("other.instance-7._app.1")


def game(settings: Settings | None = None) -> Game:
    made = Game(settings)
    made.install(spec())
    made.put(instance(Condition.RUNNING))
    made.connect()
    return made


def test_an_unknown_task_is_listed_and_left_alone() -> None:
    """A store restored from an old copy must not kill a cluster."""
    g = game()
    batch = g.send(update(RIDDLE, TaskState.RUNNING))
    assert effects_in(batch, Kill) == []
    assert list(g.world.unknown_tasks) == [RIDDLE]
    (fact,) = facts_in(batch, UnknownTask)
    assert not fact.ended_by_us
    assert len(effects_in(batch, Acknowledge)) == 1


def test_it_is_told_of_once_and_leaves_the_list_when_it_ends() -> None:
    g = game()
    g.send(update(RIDDLE, TaskState.RUNNING))
    assert facts_in(g.send(update(RIDDLE, TaskState.RUNNING)), UnknownTask) == []
    g.send(update(RIDDLE, TaskState.FINISHED))
    assert g.world.unknown_tasks == {}


@pytest.mark.parametrize("state", [TaskState.UNKNOWN, TaskState.UNREACHABLE, TaskState.LOST])
def test_a_state_that_does_not_say_that_it_exists_lists_nothing(state: TaskState) -> None:
    g = game()
    g.send(update(RIDDLE, state))
    assert g.world.unknown_tasks == {}


def test_an_earlier_task_of_an_instance_is_killed() -> None:
    g = game()
    batch = g.send(update(TaskId("web.instance-1._app.1"), TaskState.RUNNING))
    assert [kill.task_id for kill in effects_in(batch, Kill)] == ["web.instance-1._app.1"]
    assert g.only.condition is Condition.RUNNING


def test_a_task_that_rises_from_the_dead_is_killed_by_its_tombstone() -> None:
    g = game()
    g.put(Ended(InstanceId("web.instance-9"), WEB, incarnation=3, at_ms=NOW_MS))
    for incarnation, is_killed in [(1, True), (3, True), (4, False)]:
        task_id = TaskId(f"web.instance-9._app.{incarnation}")
        batch = g.send(update(task_id, TaskState.RUNNING))
        assert bool(effects_in(batch, Kill)) is is_killed


def test_a_task_from_the_future_of_an_instance_is_a_riddle() -> None:
    """We have no record of having launched it: the store may be older than the cluster."""
    g = game()
    batch = g.send(update(TaskId("web.instance-1._app.3"), TaskState.RUNNING))
    assert effects_in(batch, Kill) == []


@pytest.mark.parametrize("task_id", ["hello", "web.instance-1", "web._app.x", "._app.", "._app.1"])
def test_any_name_at_all_is_survived(task_id: str) -> None:
    g = game()
    batch = g.send(update(TaskId(task_id), TaskState.RUNNING))
    assert effects_in(batch, Kill) == []
    assert task_id in g.world.unknown_tasks


def test_never_many_are_killed_at_once() -> None:
    """Beyond the limit something is wrong that an operator has to see first."""
    g = game(Settings(unknown_kill_max=3))
    g.put(Ended(InstanceId("web.instance-9"), WEB, incarnation=10, at_ms=NOW_MS))
    strays = [TaskId(f"web.instance-9._app.{n}") for n in range(1, 11)]
    batch = g.send(*(update(task_id, TaskState.RUNNING) for task_id in strays))
    assert len(effects_in(batch, Kill)) == 3
    assert len(g.world.unknown_tasks) == 10


def test_a_kill_that_is_not_obeyed_is_sent_again_until_the_stray_is_gone() -> None:
    g = game(Settings(kill_retry_ms=10_000))
    stray = TaskId("web.instance-1._app.1")
    g.send(update(stray, TaskState.RUNNING))
    again = [e.task_id for e in g.wait_stepwise(25_000) if isinstance(e, Kill)]
    assert again == [stray, stray]
    g.send(update(stray, TaskState.KILLED))
    assert not [e for e in g.wait_stepwise(60_000) if isinstance(e, Kill)]
