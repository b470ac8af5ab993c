"""Rounds of questions about our tasks: in batches, until answered, one round at a time."""

from scheduler.core.effects import Effect, Reconcile, Revive, Suppress
from scheduler.core.events import Disconnected, Subscribed
from scheduler.core.ids import InstanceId, TaskId
from scheduler.core.instance import Condition, TaskState
from scheduler.core.settings import Settings
from tests.unit.core.game import FRAMEWORK, Game, instance, spec, update

SETTINGS = Settings(
    reconcile_batch=2,
    reconcile_retry_ms=10_000,
    reconcile_retry_max_ms=40_000,
    reconcile_interval_ms=600_000,
)


def with_tasks(count: int) -> Game:
    """A game with running tasks and no connection yet."""
    game = Game(SETTINGS)
    game.install(spec(instances=count))
    for number in range(count):
        game.put(instance(Condition.RUNNING, id=InstanceId(f"web.instance-{number}")))
    return game


def asked(effects: list[Effect]) -> list[list[TaskId]]:
    """The RECONCILE calls among effects, by the tasks they name."""
    return [[task for task, _ in e.tasks] for e in effects if isinstance(e, Reconcile)]


def task(number: int) -> TaskId:
    return TaskId(f"web.instance-{number}._app.2")


def answer(game: Game, *numbers: int) -> None:
    game.send(*(update(task(n), TaskState.RUNNING, uuid=None) for n in numbers))


def test_a_new_subscription_asks_for_every_task_in_batches_then_for_all() -> None:
    game = with_tasks(5)
    calls = asked(game.connect().effects) + asked(game.wait_stepwise(5000))
    assert calls == [[task(0), task(1)], [task(2), task(3)], [task(4)], []]


def test_each_question_names_the_agent() -> None:
    """Without it a master that does not know the task cannot tell whether its agent may return."""
    game = with_tasks(1)
    (call,) = (e for e in game.connect().effects if isinstance(e, Reconcile))
    assert call.tasks == ((task(0), "agent-1"),)


def test_those_that_do_not_answer_are_asked_again_after_a_growing_wait() -> None:
    game = with_tasks(3)
    game.connect()
    answer(game, 0, 2)
    game.wait_stepwise(2000)
    started_ms = game.now_ms
    waits: list[int] = []
    while len(waits) < 5:
        calls = asked(game.wait_stepwise(1000))
        if calls:
            assert calls == [[task(1)]]
            waits.append((game.now_ms - started_ms) // 1000)
            started_ms = game.now_ms
    assert waits[1:] == [21, 41, 41, 41]
    answer(game, 1)
    assert asked(game.wait_stepwise(500_000)) == []


def test_with_all_answered_the_next_round_begins_after_the_interval() -> None:
    game = with_tasks(1)
    game.connect()
    answer(game, 0)
    assert asked(game.wait_stepwise(10_000)) == [[]]
    assert asked(game.wait_stepwise(580_000)) == []
    assert asked(game.wait_stepwise(20_000))[0] == [task(0)]


def test_a_task_that_was_heard_of_meanwhile_is_not_asked_for() -> None:
    game = with_tasks(5)
    game.connect()
    answer(game, 2, 3, 4)
    assert asked(game.wait_stepwise(5000)) == [[]]


def test_a_task_that_has_ended_meanwhile_is_not_asked_for() -> None:
    game = with_tasks(3)
    game.connect()
    game.send(update(task(2), TaskState.KILLED))
    assert asked(game.wait_stepwise(5000)) == [[]]


def test_a_second_subscription_begins_anew_and_leaves_one_round_under_way() -> None:
    game = with_tasks(3)
    game.connect()
    game.send(Disconnected())
    assert asked(game.wait_stepwise(60_000)) == []
    calls = asked(game.send(Subscribed(FRAMEWORK, "other:5050")).effects)
    calls += asked(game.wait_stepwise(3000))
    assert calls == [[task(0), task(1)], [task(2)], []]


def test_an_answer_that_changes_nothing_writes_nothing() -> None:
    """A round over a hundred thousand tasks must not be a hundred thousand writes."""
    game = with_tasks(2)
    game.connect()
    batch = game.send(update(task(0), TaskState.RUNNING, uuid=None))
    assert batch.records == []
    assert batch.effects == []


def test_without_tasks_everything_is_asked_for_once() -> None:
    game = Game(SETTINGS)
    assert asked(game.connect().effects) == [[]]
    assert asked(game.wait_stepwise(500_000)) == []


def test_nothing_is_asked_without_a_connection() -> None:
    game = with_tasks(2)
    effects = game.wait_stepwise(2_000_000)
    assert not [e for e in effects if isinstance(e, (Reconcile, Revive, Suppress))]
