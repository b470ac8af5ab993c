"""What an operator may ask for against the scheduler's own caution."""

from attrs import evolve

from scheduler.core.batch import Batch
from scheduler.core.effects import Answer, Kill, Refusal, Rejected, Released, Reply
from scheduler.core.events import KillUnknown, ReleaseBrake, Tick
from scheduler.core.ids import InstanceId, RequestId, TaskId
from scheduler.core.instance import Condition, TaskState
from scheduler.core.settings import Settings
from tests.unit.core.game import Game, effects_in, instance, spec, update

RIDDLE = TaskId("other.instance-7._app.1")


def game() -> Game:
    made = Game(Settings(brake_min_instances=1))
    made.install(spec(unreachable_strategy=None, instances=3))
    made.put(instance(Condition.RUNNING))
    made.connect()
    return made


def lose_sight_of_two(g: Game) -> None:
    for number in (2, 3):
        lost = instance(Condition.UNREACHABLE)
        g.put(evolve(lost, id=InstanceId(f"web.instance-{number}")))


def answer_in(batch: Batch) -> Answer:
    (reply,) = effects_in(batch, Reply)
    return reply.answer


def test_an_unknown_task_is_killed_by_an_operators_word() -> None:
    g = game()
    g.send(update(RIDDLE, TaskState.RUNNING))
    batch = g.send(KillUnknown(RequestId(1), (RIDDLE,)))
    assert answer_in(batch) == Released()
    assert [kill.task_id for kill in effects_in(batch, Kill)] == [RIDDLE]


def test_a_task_that_nobody_reported_is_not_killed() -> None:
    """The word must be about something seen: a slip of the pen kills nothing."""
    g = game()
    g.send(update(RIDDLE, TaskState.RUNNING))
    batch = g.send(KillUnknown(RequestId(1), (RIDDLE, TaskId("gone.instance-1._app.1"))))
    answer = answer_in(batch)
    assert isinstance(answer, Rejected)
    assert answer.refusal is Refusal.NOT_FOUND
    assert effects_in(batch, Kill) == []


def test_the_brake_holds_when_most_is_out_of_sight() -> None:
    g = game()
    assert not g.world.is_braked
    lose_sight_of_two(g)
    assert g.world.is_braked


def test_a_released_brake_holds_again_when_its_time_is_over() -> None:
    g = game()
    lose_sight_of_two(g)
    assert answer_in(g.send(ReleaseBrake(RequestId(1), 60))) == Released()
    assert not g.world.is_braked
    g.now_ms += 61_000
    g.send(Tick())
    assert g.world.is_braked


def test_a_release_is_taken_back_by_zero_seconds() -> None:
    g = game()
    lose_sight_of_two(g)
    g.send(ReleaseBrake(RequestId(1), 60))
    g.send(ReleaseBrake(RequestId(2), 0))
    assert g.world.is_braked
