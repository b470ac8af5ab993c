"""What the disaster brake sees that is gone before anybody could count it."""

import pytest
from attrs import evolve

from scheduler.core.app import AppSpec, HealthCheck, UpgradeStrategy
from scheduler.core.batch import Batch
from scheduler.core.effects import Kill, Reconcile
from scheduler.core.events import ReleaseBrake
from scheduler.core.ids import TaskId
from scheduler.core.instance import Instance, TaskState
from scheduler.discovery import is_advertised
from tests.unit.core.game import Game, effects_in, launched_in, offer, running_of, spec, update
from tests.unit.core.troubled import Cluster, host_of

AT_ONCE = HealthCheck(grace_period_s=0, max_consecutive_failures=1)


def checked(*apps: AppSpec) -> Cluster:
    """Apps of which all instances are healthy."""
    g = Cluster()
    g.connect()
    g.upsert(*apps)
    for _ in range(20):
        g.take_a_step()
    g.probe_all(alive=True)
    assert not g.world.deployments
    return g


def test_the_brake_engages_though_one_failure_is_enough_to_be_killed() -> None:
    """Each is gone before the next one fails: what was killed must be remembered."""
    g = checked(spec(instances=20, health_checks=(AT_ONCE,)))
    for one in g.running():
        g.now_ms += 2_000
        g.probe(one, alive=False, failures=1)
    assert g.conditions() == ["Killing"] * 10 + ["Running"] * 10
    assert g.world.brake.holds


def test_one_app_that_crashes_all_the_time_engages_no_brake() -> None:
    g = checked(
        spec("/ill", instances=5, health_checks=(AT_ONCE,)),
        spec("/well", instances=15, health_checks=(AT_ONCE,)),
    )
    for _ in range(50):
        for one in g.running():
            if one.app_id == "/ill":
                g.probe(one, alive=True)
                assert len(g.probe(g.world.instances[one.id], alive=False, failures=1)) == 1
        g.take_a_step()
        g.wait(1_000)
        g.take_a_step()
        assert not g.world.brake.holds


def test_one_after_the_other_killed_and_well_again_engages_no_brake() -> None:
    g = checked(spec(instances=10, health_checks=(AT_ONCE,)))
    for number in range(100):
        one = g.running()[number % 10]
        assert len(g.probe(one, alive=False, failures=1)) == 1
        g.take_a_step()
        g.wait(5_000)
        g.take_a_step()
        g.probe(g.world.instances[one.id], alive=True)
        assert not g.world.brake.holds


# ------------------------------------------------------- what no master knows


def forgotten(g: Game, instances: list[Instance]) -> Batch:
    """Let a master without memory answer for tasks, all at once."""
    return g.send(*(update(one.task_id, TaskState.UNKNOWN, uuid=None) for one in instances))


def spread(agents: int, instances: int) -> Cluster:
    g = Cluster()
    g.connect()
    g.upsert(spec(instances=instances))
    g.run_all(agents=range(1, agents + 1))
    return g


def test_a_master_that_has_lost_its_registry_has_nothing_launched_anew() -> None:
    """Its agents come back with their tasks; nothing was ended, so nothing need be replaced."""
    g = spread(agents=5, instances=20)
    before = list(g.world.instances.values())
    forgotten(g, before)
    assert launched_in(g.offer(offer(9, cpus_milli=100_000))) == []
    assert g.world.brake.holds
    for one in before:
        assert one.placement is not None
        back = update(one.task_id, TaskState.RUNNING, agent_id=one.placement.agent_id)
        assert effects_in(g.send(back), Kill) == []
    g.wait_stepwise(g.world.settings.brake_linger_ms)
    assert not g.world.brake.holds
    assert g.conditions() == ["Running"] * 20
    assert [one.task_id for one in g.world.instances.values()] == [one.task_id for one in before]


def test_what_was_not_known_is_asked_for_again_soon() -> None:
    """A master that learns of a task from its agent does not tell us of it unasked."""
    g = spread(agents=5, instances=20)
    tasks = {one.task_id for one in g.world.instances.values()}
    g.connect()
    g.wait_stepwise(1_000)
    forgotten(g, list(g.world.instances.values()))
    settings = g.world.settings
    effects = g.wait_stepwise(settings.reconcile_retry_ms + settings.reconcile_retry_max_ms)
    asked = [task_id for e in effects if isinstance(e, Reconcile) for task_id, _ in e.tasks]
    assert set(asked) == tasks


def test_what_no_master_knows_is_given_back_when_the_brake_lets_go() -> None:
    g = spread(agents=5, instances=20)
    forgotten(g, list(g.world.instances.values()))
    g.wait_stepwise(3_600_000)
    assert g.conditions() == ["Unreachable"] * 20
    g.send(ReleaseBrake(g.request(), 600))
    assert g.conditions() == ["Scheduled"] * 20


def test_what_no_master_knows_of_one_or_two_agents_is_replaced_at_once() -> None:
    g = spread(agents=5, instances=20)
    on_two = [one for one in g.world.instances.values() if host_of(one) in {"host1", "host2"}]
    forgotten(g, on_two)
    assert g.conditions() == ["Running"] * 12 + ["Scheduled"] * 8


def test_what_no_master_knew_counts_for_the_brake_like_what_was_given_up() -> None:
    g = spread(agents=5, instances=20)
    for one in list(g.world.instances.values()):
        forgotten(g, [one])
    assert g.conditions() == ["Scheduled"] * 10 + ["Unreachable"] * 10


@pytest.mark.parametrize("state", [TaskState.GONE, TaskState.GONE_BY_OPERATOR])
def test_what_is_gone_for_good_is_replaced_however_much_it_is(state: TaskState) -> None:
    g = spread(agents=5, instances=20)
    forgotten(g, list(g.world.instances.values()))
    g.send(*(update(one.task_id, state) for one in g.world.instances.values()))
    assert g.conditions() == ["Scheduled"] * 20


def test_a_master_that_learns_that_an_agent_is_out_of_sight_has_its_tasks_waited_for() -> None:
    g = spread(agents=5, instances=20)
    forgotten(g, list(g.world.instances.values()))
    g.send(*(update(one.task_id, TaskState.UNREACHABLE) for one in g.world.instances.values()))
    assert {one.task_state for one in g.world.instances.values()} == {TaskState.UNREACHABLE}


def test_what_no_master_knows_leaves_discovery_at_once_but_for_the_brake() -> None:
    """What may well run is to be found as long as nobody can know; what is replaced is not."""
    g = spread(agents=5, instances=20)
    some = [one for one in g.world.instances.values() if host_of(one) == "host1"]
    forgotten(g, some)
    assert advertised(g).isdisjoint(one.task_id for one in some)
    rest = g.running()
    forgotten(g, rest)
    assert g.world.brake.holds
    assert advertised(g) == {one.task_id for one in rest}
    g.send(*(update(one.task_id, TaskState.FAILED) for one in rest[:2]))
    assert advertised(g) == {one.task_id for one in rest[2:]}
    g.send(ReleaseBrake(g.request(), 600))
    assert advertised(g) == set()


def advertised(g: Game) -> set[TaskId | None]:
    is_suspect = g.world.brake.holds
    return {
        one.task_id
        for one in g.world.instances.values()
        if is_advertised(
            one, g.world.spec_at(one.app_id, one.version), is_prober_suspect=is_suspect
        )
    }


# ------------------------------------------------------- what mends a disaster


def mended(strategy: UpgradeStrategy) -> Cluster:
    """All six of an app are ill, the brake holds, and an operator posts what mends it."""
    check = HealthCheck(grace_period_s=0, max_consecutive_failures=0)
    ill = spec(instances=6, health_checks=(check,), upgrade_strategy=strategy)
    cluster = checked(ill)
    cluster.probe_all(alive=False, failures=1)
    assert cluster.world.brake.holds
    cluster.upsert(evolve(ill, cmd="mended"))
    return cluster


def roll_on(cluster: Cluster, *, alive: bool) -> None:
    """Let the rollout take its time, with one verdict for all that is new."""
    for _ in range(30):
        cluster.take_a_step()
        for one in running_of(cluster, "mended"):
            cluster.probe(one, alive=alive, failures=0 if alive else 1)


@pytest.mark.parametrize("strategy", [UpgradeStrategy(1000, 500), UpgradeStrategy(0, 0)])
def test_what_mends_a_disaster_replaces_the_ill_although_the_brake_holds(
    strategy: UpgradeStrategy,
) -> None:
    cluster = mended(strategy)
    roll_on(cluster, alive=True)
    assert len(running_of(cluster, "mended")) == 6
    assert not cluster.world.deployments


@pytest.mark.parametrize("strategy", [UpgradeStrategy(1000, 500), UpgradeStrategy(0, 0)])
def test_while_the_brake_holds_no_more_are_replaced_than_serve_in_their_place(
    strategy: UpgradeStrategy,
) -> None:
    """If the prober is blind the new version looks as ill as the old one."""
    cluster = mended(strategy)
    roll_on(cluster, alive=False)
    assert cluster.world.brake.holds
    assert len(running_of(cluster, "run")) >= 5
