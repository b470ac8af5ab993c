"""What Marathon's users suffered from, one test for each: that it cannot happen here.

The numbers in the docstrings are issues of Marathon's tracker.
"""

from attrs import evolve

from scheduler.core.app import Constraint, Operator, Resources, UpdatePolicy, UpgradeStrategy
from scheduler.core.effects import Accepted, DeploymentFailed, Kill
from scheduler.core.events import CancelDeployment, ChangeApps
from scheduler.core.explain import Block, blocked_by
from scheduler.core.ids import AppId
from scheduler.core.instance import Condition, Instance, TaskState
from scheduler.core.wishes import Upsert
from scheduler.core.world import World
from tests.unit.core.game import WEB, Game, effects_in, facts_in, launched_in, offer, spec, update

KEEP_ALL = UpgradeStrategy(minimum_health_capacity_milli=1000, maximum_over_capacity_milli=0)


def running(*, instances: int = 2, **changes: object) -> Game:
    """An app whose first deployment is over."""
    game = Game()
    game.connect()
    game.upsert(spec(WEB, instances=instances, **changes))
    game.run_all()
    assert not game.world.deployments
    return game


def host_of(instance: Instance) -> str:
    assert instance.placement is not None
    return instance.placement.host


def test_a_deployment_that_hangs_ends_by_its_deadline_and_reverts() -> None:
    """#3954, #517, #1620: deployments stuck for ever, that cannot fail and do not roll back."""
    policy = UpdatePolicy(progress_deadline_s=60, auto_revert=True)
    game = running(update=policy)
    game.upsert(spec(cmd="broken", instances=2, update=policy))
    game.wait_stepwise(61_000)
    assert game.world.spec_of(AppId(WEB)).cmd == "run"
    (taken_back,) = game.world.rolled_back.values()
    assert "no progress" in taken_back.reason
    assert not game.world.deployments, "what ran before still runs, so nothing is left to do"


def test_a_locked_app_takes_a_change_that_waits_its_turn() -> None:
    """#1346, #1481: 409 "app is locked", and no way to stand in line."""
    game = running()
    game.upsert(spec(cmd="two", instances=2))
    app = game.world.apps[AppId(WEB)]
    upsert = Upsert(spec(cmd="three", instances=2), app.version)
    answer = game.ask(ChangeApps(game.request(), upserts=(upsert,), queue=True))
    assert isinstance(answer, Accepted)
    game.run_all()
    assert game.world.spec_of(AppId(WEB)).cmd == "three"
    assert not game.world.queued


def test_no_lock_outlives_its_deployment() -> None:
    """#1811, #4165: phantom locks."""
    game = running()
    game.upsert(spec(cmd="two", instances=2))
    game.ask(CancelDeployment(game.request(), game.deployment_id, force=True))
    assert not game.world.locks
    assert isinstance(game.upsert(spec(cmd="three", instances=2)), Accepted)


def test_unique_hosts_and_full_health_do_not_lock_an_upgrade_up() -> None:
    """#1425, #3287: UNIQUE on as many agents as instances never finished."""
    unique = (Constraint("hostname", Operator.UNIQUE),)
    game = running(instances=3, constraints=unique, upgrade_strategy=KEEP_ALL)
    game.upsert(spec(cmd="two", instances=3, constraints=unique, upgrade_strategy=KEEP_ALL))
    game.run_all()
    assert not game.world.deployments
    hosts = {host_of(one) for one in game.world.instances.values()}
    assert len(hosts) == 3, "and UNIQUE holds (#4990)"


def test_one_instance_with_full_health_does_not_lock_an_upgrade_up() -> None:
    """#689, #1133: minimumHealthCapacity 1 with one instance and no room above it."""
    game = running(instances=1, upgrade_strategy=KEEP_ALL)
    game.upsert(spec(cmd="two", instances=1, upgrade_strategy=KEEP_ALL))
    game.run_all()
    assert not game.world.deployments
    assert game.conditions() == [Condition.RUNNING]


def test_taking_back_a_deployment_deletes_no_app_it_did_not_make() -> None:
    """#4046, #7276: a rollback removed apps of others."""
    game = running()
    other = evolve(spec(), id=AppId("/other"))
    game.upsert(spec(cmd="two", instances=2))
    first = game.deployment_id
    game.upsert(other)
    game.ask(CancelDeployment(game.request(), first))
    game.run_all()
    assert game.world.spec_of(AppId(WEB)).cmd == "run"
    assert game.world.live_app(AppId("/other")) is not None


def test_a_new_leader_touches_no_task() -> None:
    """#1553, #2308, #3783: a failover killed or restarted what was running."""
    game = running()
    before = dict(game.world.instances)
    heir = Game()
    heir.world = World(game.world.settings)
    heir.world.load(game.history)
    batch = heir.connect()
    assert effects_in(batch, Kill) == []
    assert launched_in(batch) == []
    assert heir.world.instances == before


def test_updates_that_come_late_or_twice_launch_nothing_too_many() -> None:
    """#4801: 20,229 tasks of an app that wanted 20,000."""
    game = running(instances=5)
    updates = [update(one.task_id, TaskState.RUNNING) for one in game.world.instances.values()]
    lost = [update(one.task_id, TaskState.FAILED) for one in game.world.instances.values()]
    game.send(*updates, *lost[:2], *updates, *lost[:2])
    game.wait_stepwise(10_000)
    game.run_all()
    assert game.conditions() == [Condition.RUNNING] * 5


def test_a_deployment_says_what_it_waits_for() -> None:
    """#1090, #687: "Waiting", and nobody knew for what."""
    game = Game()
    game.connect()
    game.upsert(spec(resources=Resources(cpus_milli=64_000, mem_mib=32)))
    game.offer(offer(1, cpus_milli=4_000))
    (block,) = blocked_by(game.world, game.deployment_id, game.now_ms)
    assert block.block is Block.OFFERS
    assert block.refusals == (("InsufficientCpus", 1),)
    assert block.nearest is not None
    assert "64 cpus wanted, 4 cpus offered" in block.message


def test_a_backoff_is_bounded_and_can_be_reset() -> None:
    """#1456: waits of 70 minutes."""
    game = running(instances=1)
    for _ in range(60):
        game.send(update(game.only.task_id, TaskState.FAILED))
        game.wait_stepwise(300_000)
        game.run_all()
    (delay,) = game.world.delays.values()
    assert delay.delay_ms <= 300_000


def test_a_ghost_is_found_and_ended_and_a_riddle_is_left_alone() -> None:
    """#616, #4581: orphan and ghost tasks."""
    game = running(instances=1)
    ghost = game.only
    game.upsert(spec(instances=0))
    game.run_all()
    assert not game.world.instances
    assert ghost.placement is not None
    agent_id = ghost.placement.agent_id
    batch = game.send(update(ghost.task_id, TaskState.RUNNING, agent_id=agent_id))
    assert [kill.task_id for kill in effects_in(batch, Kill)] == [ghost.task_id]


def test_a_deployment_stopped_by_force_leaves_what_runs() -> None:
    """#4264: cancelling killed what was healthy."""
    game = running()
    before = set(game.world.instances)
    game.upsert(spec(cmd="two", instances=2))
    batch = game.send(CancelDeployment(game.request(), game.deployment_id, force=True))
    assert len(facts_in(batch, DeploymentFailed)) == 1
    assert before <= set(game.world.instances)
