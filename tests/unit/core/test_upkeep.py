"""Which instances go when some must: Marathon's killSelection, before and after a failover."""

import pytest
from attrs import evolve

from scheduler.core import World, resume, settle
from scheduler.core.app import Constraint, HealthCheck, KillSelection, Operator, UnreachableStrategy
from scheduler.core.effects import InstanceHealthChanged, Kill
from scheduler.core.events import KillTasks, ProbeResult
from scheduler.core.ids import InstanceId
from scheduler.core.instance import CheckResult, Condition, Goal, Instance, TaskState
from tests.unit.core.game import (
    NOW_MS,
    WEB,
    Game,
    agent,
    effects_in,
    facts_in,
    instance,
    spec,
    update,
)

OLDEST = KillSelection.OLDEST_FIRST
YOUNGEST = KillSelection.YOUNGEST_FIRST
PATIENT = UnreachableStrategy(inactive_after_s=300, expunge_after_s=600)


def aged(number: int) -> Instance:
    """The higher the number the younger; the ids say the opposite."""
    since_ms = NOW_MS - 100_000 + number
    return instance(
        Condition.RUNNING,
        id=InstanceId(f"web.instance-{9 - number}"),
        since_ms=since_ms,
        started_at_ms=since_ms,
        healthy_since_ms=since_ms,
    )


def reload(game: Game) -> None:
    world = World(game.world.settings)
    world.load(sorted(game.history, key=lambda record: record.key))
    game.world = world
    batch = game.batch()
    resume(batch)
    settle(batch)


def scaled_down(game: Game, selection: KillSelection) -> list[str]:
    game.upsert(spec(instances=2, kill_selection=selection))
    return [i.id for i in game.world.instances.values() if i.goal is Goal.DECOMMISSIONED]


def four(selection: KillSelection) -> Game:
    game = Game()
    game.install(spec(instances=4, kill_selection=selection))
    game.put(*(aged(number) for number in range(4)))
    return game


@pytest.mark.parametrize("is_reloaded", [False, True])
@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (OLDEST, {"web.instance-9", "web.instance-8"}),
        (YOUNGEST, {"web.instance-7", "web.instance-6"}),
    ],
)
def test_the_oldest_or_the_youngest_go_first(
    selection: KillSelection, expected: set[str], is_reloaded: bool
) -> None:
    """A new leader reads the instances in the order of their keys, which say nothing of age."""
    game = four(selection)
    if is_reloaded:
        reload(game)
    assert set(scaled_down(game, selection)) == expected


@pytest.mark.parametrize(("selection", "gone"), [(OLDEST, "9"), (YOUNGEST, "6")])
def test_one_that_was_ill_for_a_while_is_as_old_as_before(
    selection: KillSelection, gone: str
) -> None:
    game = Game()
    checked = spec(instances=4, kill_selection=selection, health_checks=(HealthCheck(path="/"),))
    game.install(checked)
    well = CheckResult(alive=True, first_success_ms=NOW_MS)
    game.put(*(evolve(aged(number), checks=(well,)) for number in range(4)))
    oldest = game.world.instances[InstanceId("web.instance-9")]
    assert oldest.task_id is not None
    for result in (evolve(well, alive=False, consecutive_failures=1), well):
        game.send(ProbeResult(oldest.task_id, 0, result))
    game.upsert(evolve(checked, instances=3))
    doomed = [one.id for one in game.world.instances.values() if one.goal is Goal.DECOMMISSIONED]
    assert doomed == [f"web.instance-{gone}"]


def test_news_of_an_instance_do_not_make_it_younger() -> None:
    game = four(YOUNGEST)
    oldest = aged(0)
    game.put(evolve(oldest, addresses=("10.0.0.1",)))
    assert oldest.id not in scaled_down(game, YOUNGEST)


def grouped(placed: list[int]) -> Game:
    """An app that is to be spread over racks, one instance for each agent named, oldest first."""
    game = Game()
    by_rack = (Constraint("rack", Operator.GROUP_BY),)
    game.install(spec(instances=len(placed), constraints=by_rack, kill_selection=OLDEST))
    for number in sorted({*placed}):
        game.put(agent(number, rack=f"r{number}"))
    for age, number in enumerate(placed):
        one = aged(age)
        assert one.placement is not None
        place = evolve(one.placement, agent_id=agent(number).id)
        game.put(evolve(one, placement=place))
    return game


def test_what_goes_leaves_the_groups_even() -> None:
    game = grouped([1, 2, 2, 2, 1, 2])
    game.upsert(evolve(game.world.spec_of(WEB), instances=3))
    ending = [i for i in game.world.instances.values() if i.goal is Goal.DECOMMISSIONED]
    assert {i.id for i in ending} == {"web.instance-8", "web.instance-7", "web.instance-9"}


def test_nothing_is_counted_of_a_version_that_no_instance_runs() -> None:
    """An app that is deployed every hour would gather a tally for each version."""
    game = four(OLDEST)
    game.connect()
    game.upsert(spec(instances=0))
    game.run_all(agents=())
    assert WEB in game.world.apps
    assert game.world.tallies == {}


def test_what_serves_nobody_goes_before_what_serves() -> None:
    game = four(OLDEST)
    waiting = instance(Condition.SCHEDULED, id=InstanceId("web.instance-new"))
    lost = instance(Condition.UNREACHABLE, id=InstanceId("web.instance-lost"))
    game.install(spec(instances=6, kill_selection=OLDEST))
    game.put(waiting, lost)
    game.upsert(spec(instances=4, kill_selection=OLDEST))
    assert sorted(game.world.instances) == [f"web.instance-{n}" for n in (6, 7, 8, 9)]


def test_one_out_of_sight_does_not_go_for_one_that_is_being_restarted() -> None:
    """It counts as kept, the other does not: both would be gone, and again with each restart."""
    game = four(OLDEST)
    whole = spec(instances=4, kill_selection=OLDEST, unreachable_strategy=PATIENT)
    game.install(whole)
    game.connect()
    restarted, lost = aged(0), aged(1)
    assert restarted.task_id is not None
    game.send(KillTasks(game.request(), (restarted.task_id,)))
    game.send(update(lost.task_id, TaskState.UNREACHABLE))
    game.upsert(evolve(whole, cmd="new"))
    assert game.world.instances[restarted.id].goal is Goal.DECOMMISSIONED
    assert game.world.instances[lost.id].condition is Condition.UNREACHABLE


# ------------------------------------------------------------------- health

CHECK = HealthCheck(path="/", max_consecutive_failures=3)


def checked(count: int) -> Game:
    game = Game()
    game.install(spec(instances=count, health_checks=(CHECK,)))
    once = CheckResult(alive=True, first_success_ms=NOW_MS)
    game.put(*(evolve(aged(number), checks=(once,)) for number in range(count)))
    return game


def failing(times: int) -> CheckResult:
    return CheckResult(
        alive=False, consecutive_failures=times, first_success_ms=NOW_MS, last_failure_cause="no"
    )


def probe(game: Game, number: int, result: CheckResult) -> list[Kill]:
    task_id = game.world.instances[InstanceId(f"web.instance-{9 - number}")].task_id
    assert task_id is not None
    return effects_in(game.send(ProbeResult(task_id, 0, result)), Kill)


def test_a_task_is_killed_at_the_limit_of_failures_and_not_before() -> None:
    game = checked(4)
    assert probe(game, 0, failing(2)) == []
    assert len(probe(game, 0, failing(3))) == 1
    assert "3 times: no" in (game.world.instances[InstanceId("web.instance-9")].kill_reason or "")


def test_a_limit_of_none_never_kills() -> None:
    game = Game()
    check = HealthCheck(path="/", max_consecutive_failures=0)
    game.install(spec(health_checks=(check,)))
    game.put(instance(Condition.RUNNING, id=InstanceId("web.instance-9")))
    assert probe(game, 0, failing(1000)) == []


def test_a_verdict_heard_twice_is_written_and_told_once() -> None:
    game = checked(4)
    task_id = game.world.instances[InstanceId("web.instance-9")].task_id
    assert task_id is not None
    verdict = ProbeResult(task_id, 0, failing(1))
    assert len(facts_in(game.send(verdict), InstanceHealthChanged)) == 1
    again = game.send(verdict)
    assert again.records == []
    assert again.effects == []


def test_when_most_checks_fail_at_once_nothing_is_killed() -> None:
    """Then the prober is suspect, not every app: a cut cable must not end a cluster."""
    game = checked(6)
    killed = [kill for number in range(6) for kill in probe(game, number, failing(1))]
    assert game.world.brake.holds
    killed += [kill for number in range(6) for kill in probe(game, number, failing(9))]
    assert killed == []
    assert game.conditions() == ["Running"] * 6


def test_when_the_brake_is_let_go_what_still_fails_is_killed() -> None:
    game = checked(6)
    for number in range(6):
        probe(game, number, failing(1))
    for number in range(6):
        probe(game, number, failing(9))
    well = CheckResult(alive=True, first_success_ms=NOW_MS)
    for number in range(5):
        probe(game, number, well)
    effects = game.wait_stepwise(game.world.settings.brake_linger_ms + 30_000)
    assert not game.world.brake.holds
    assert len([e for e in effects if isinstance(e, Kill)]) >= 1
    assert game.conditions().count("Running") == 5
