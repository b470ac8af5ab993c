"""What an operator may ask for against the scheduler's own caution."""

from attrs import evolve

from scheduler.core.app import (
    Constraint,
    HealthCheck,
    Operator,
    UnreachableStrategy,
    UpgradeStrategy,
)
from scheduler.core.batch import Batch
from scheduler.core.effects import Answer, Kill, Refusal, Rejected, Released, Reply
from scheduler.core.events import KillUnknown, ProbeResult, ReleaseBrake, Tick
from scheduler.core.explain import Block, blocked_by
from scheduler.core.ids import AgentId, InstanceId, RequestId, TaskId
from scheduler.core.instance import CheckResult, Condition, TaskState
from scheduler.core.settings import Settings
from tests.unit.core.game import Game, effects_in, instance, offer, spec, update

RIDDLE = TaskId("other.instance-7._app.1")


def game() -> Game:
    made = Game(Settings(brake_instances_min=1, brake_agents_min=1))
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
    assert not g.world.brake.holds
    lose_sight_of_two(g)
    assert g.world.brake.holds


def test_when_a_release_is_over_only_what_is_lost_later_engages_the_brake_again() -> None:
    """The operator has said that the others are lost, however long they are waited for."""
    g = spread(10, unreachable_strategy=UnreachableStrategy(3_600, 7_200))
    lose(g, *range(1, 7))
    assert g.world.brake.holds
    assert answer_in(g.send(ReleaseBrake(RequestId(1), 60))) == Released()
    assert not g.world.brake.holds
    g.wait_stepwise(86_400_000)
    assert not g.world.brake.holds
    g.run_all(agents=range(7, 17))
    lose(g, *range(7, 17))
    assert g.world.brake.holds


def test_a_release_is_taken_back_by_zero_seconds() -> None:
    g = game()
    lose_sight_of_two(g)
    g.send(ReleaseBrake(RequestId(1), 60))
    g.send(ReleaseBrake(RequestId(2), 0))
    assert g.world.brake.holds


# --------------------------------------------------------- what is lost at once


def lose(g: Game, *numbers: int) -> None:
    """Let agents go out of sight, one after the other, each with its task."""
    for one in list(g.world.instances.values()):
        place = one.placement
        if place is not None and place.agent_id in {f"agent-{n}" for n in numbers}:
            lost = update(one.task_id, TaskState.UNREACHABLE, agent_id=place.agent_id)
            g.send(lost)


def spread(count: int, **changes: object) -> Game:
    """An app with one task on each of ``count`` agents."""
    g = Game()
    g.connect()
    lonely = spec(instances=count, constraints=(Constraint("hostname", Operator.UNIQUE),))
    g.upsert(evolve(lonely, **changes))
    g.run_all(agents=range(1, count + 1))
    assert g.world.brake.running == count
    return g


def test_a_cluster_that_breaks_apart_is_not_started_anew_although_apps_wait_for_nothing() -> None:
    g = spread(10)
    lose(g, *range(1, 11))
    # The first half went before anybody could know.
    assert g.conditions() == ["Scheduled"] * 5 + ["Unreachable"] * 5
    g.wait_stepwise(600_000)
    assert g.conditions().count("Unreachable") == 5


def test_what_the_brake_held_goes_on_as_if_nothing_had_been_when_it_returns() -> None:
    g = spread(10)
    lose(g, *range(1, 11))
    for one in list(g.world.instances.values()):
        if one.condition is Condition.UNREACHABLE:
            assert one.placement is not None
            g.send(update(one.task_id, TaskState.RUNNING, agent_id=one.placement.agent_id))
    g.wait_stepwise(600_000)
    g.offer(*(offer(number) for number in range(1, 6)))
    assert g.conditions().count("Running") == 5
    g.wait_stepwise(g.world.settings.brake_linger_ms)
    assert not g.world.brake.holds


def test_one_or_two_machines_that_fail_are_replaced_whatever_ran_there() -> None:
    g = spread(2)
    g.upsert(spec(instances=9))
    g.run_all(agents=(1, 2))
    lose(g, 1, 2)
    assert g.conditions() == ["Scheduled"] * 9


def test_an_operator_who_says_that_they_are_lost_has_them_replaced() -> None:
    g = spread(10)
    lose(g, *range(1, 11))
    g.send(ReleaseBrake(RequestId(1), 60))
    assert g.conditions() == ["Scheduled"] * 10
    g.wait_stepwise(61_000)
    assert not g.world.brake.holds


def test_what_was_given_up_is_remembered_for_a_while() -> None:
    """After it, half of the cluster may be missing and no more: the rest is replaced as well."""
    g = spread(10)
    lose(g, *range(1, 11))
    g.run_all(agents=range(11, 21))
    g.wait_stepwise(g.world.settings.brake_memory_ms - 1000)
    assert g.world.brake.holds
    assert g.conditions() == ["Running"] * 5 + ["Unreachable"] * 5
    g.wait_stepwise(g.world.settings.brake_linger_ms + 20_000)
    assert g.conditions() == ["Running"] * 5 + ["Scheduled"] * 5


def test_strays_that_the_brake_spared_are_ended_when_it_is_let_go() -> None:
    g = spread(10)
    lost = [one.task_id for one in g.world.instances.values()]
    lose(g, *range(1, 11))
    g.send(update(lost[0], TaskState.RUNNING, agent_id=AgentId("agent-99")))
    assert lost[0] in g.world.unknown_tasks
    kills = effects_in(g.send(Tick()), Kill)
    assert kills == []
    g.send(ReleaseBrake(RequestId(1), 600))
    killed = {e.task_id for e in g.wait_stepwise(11_000) if isinstance(e, Kill)}
    assert killed == {lost[0]}


def test_nothing_is_replaced_while_the_brake_holds() -> None:
    """A rollout that ended what is out of sight would double the cluster behind a partition."""
    g = spread(10, unreachable_strategy=UnreachableStrategy(3_600, 7_200))
    before = set(g.world.instances)
    lose(g, *range(1, 8))
    g.upsert(spec(instances=10, cmd="new", upgrade_strategy=UpgradeStrategy(0, 1000)))
    g.run_all(agents=range(11, 31))
    assert before <= set(g.world.instances)
    (block,) = blocked_by(g.world, g.deployment_id, g.now_ms)
    assert block.block is Block.BRAKE
    g.send(ReleaseBrake(RequestId(1), 600))
    g.wait_stepwise(11_000)
    g.run_all(agents=range(11, 31))
    assert not g.world.deployments


def test_the_brake_outlasts_its_cause_until_every_check_was_asked_again() -> None:
    """Verdicts of the time without network are left when the first checks succeed again."""
    checks = (HealthCheck(path="/", max_consecutive_failures=3, interval_s=60),)
    g = spread(10, health_checks=checks)
    tasks = [one.task_id for one in g.world.instances.values() if one.task_id is not None]
    well = CheckResult(alive=True, first_success_ms=g.now_ms)
    verdicts = [evolve(well, alive=False, consecutive_failures=failures) for failures in (1, 3)]
    for verdict in (well, *verdicts):
        for task_id in tasks:
            assert effects_in(g.send(ProbeResult(task_id, 0, verdict)), Kill) == []
    for task_id in tasks:
        # One after the other within an interval, as the prober comes to them.
        kills = [e for e in g.wait_stepwise(6_000) if isinstance(e, Kill)]
        kills += effects_in(g.send(ProbeResult(task_id, 0, well)), Kill)
        assert kills == []
    g.wait_stepwise(g.world.settings.brake_linger_ms)
    assert not g.world.brake.holds


def test_a_machine_replaced_now_and_then_is_no_disaster() -> None:
    g = spread(6)
    for number in range(1, 7):
        g.wait_stepwise(300_000)
        lose(g, number)
        g.run_all(agents=range(number + 1, number + 7))
        assert not g.world.brake.holds
    assert g.conditions() == ["Running"] * 6
