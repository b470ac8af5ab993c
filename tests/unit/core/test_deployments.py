"""Deployments go forward by what is, step by step, and an app follows the step it is in."""

from attrs import evolve

from scheduler.core.app import HealthCheck, ReadinessCheck, UnreachableStrategy, UpgradeStrategy
from scheduler.core.batch import Batch
from scheduler.core.deployment import ActionKind
from scheduler.core.effects import DeploymentDone, DeploymentStepDone
from scheduler.core.events import CancelDeployment, ChangeApps, KillTasks, ReadinessResult
from scheduler.core.ids import AppId
from scheduler.core.instance import Condition, TaskState
from scheduler.core.targets import target_of
from tests.unit.core.game import V1, WEB, Game, facts_in, instance, offer, spec, update

DB = AppId("/db")


def deploy_two() -> Game:
    """Deploy an app and what it depends on; nothing has been offered yet."""
    game = Game()
    game.connect()
    game.upsert(spec(dependencies=("/db",)), spec(DB))
    return game


def run(game: Game, app_id: str) -> Batch:
    """Launch one instance of an app and let it run."""
    game.offer(offer())
    (one,) = (i for i in game.world.instances.values() if i.app_id == app_id)
    return game.send(update(one.task_id, TaskState.RUNNING))


def test_a_step_begins_when_the_one_before_it_is_satisfied() -> None:
    game = deploy_two()
    assert game.conditions(WEB) == []
    assert game.conditions(DB) == ["Scheduled"]
    batch = run(game, DB)
    assert [f.step.actions[0].kind for f in facts_in(batch, DeploymentStepDone)] == [
        ActionKind.SCALE
    ]
    assert game.conditions(WEB) == ["Scheduled"]
    batch = run(game, WEB)
    assert len(facts_in(batch, DeploymentDone)) == 1
    assert game.world.deployments == {}
    assert game.world.locks == {}


def test_until_its_step_has_begun_an_app_is_what_it_was() -> None:
    game = Game()
    game.install(spec(dependencies=("/db",)), spec(DB, cmd="old", instances=1))
    game.put(instance(Condition.RUNNING))
    game.connect()
    game.run_all()
    game.upsert(spec(cmd="new", dependencies=("/db",)), spec(DB, cmd="new"))
    assert target_of(game.world, DB).spec.cmd == "new"
    assert target_of(game.world, WEB).spec.cmd == "run"
    assert not target_of(game.world, WEB).is_rolling
    game.run_all()
    assert target_of(game.world, WEB).spec.cmd == "new"


def test_an_unknown_or_removed_app_has_no_target() -> None:
    game = Game()
    assert target_of(game.world, WEB).version is None
    game.install(spec())
    assert target_of(game.world, WEB).version is not None
    game.remove(WEB)
    assert target_of(game.world, WEB).version is None
    assert target_of(game.world, WEB).instances == 0


def test_a_step_waits_for_what_is_not_ready() -> None:
    game = Game()
    game.connect()
    game.upsert(spec(readiness_checks=(ReadinessCheck(),)))
    run(game, WEB)
    assert game.world.deployments
    task_id = game.only.task_id
    assert task_id is not None
    game.send(ReadinessResult(task_id, "readinessCheck", ready=False))
    assert game.world.deployments
    game.send(ReadinessResult(task_id, "readinessCheck", ready=True))
    assert game.world.deployments == {}


def test_instances_given_up_out_of_sight_do_not_hold_a_deployment_up() -> None:
    game = Game()
    strategy = UnreachableStrategy(0, 3600)
    game.install(spec(unreachable_strategy=strategy))
    game.put(instance(Condition.UNREACHABLE_INACTIVE))
    game.connect()
    game.upsert(spec(cmd="new", unreachable_strategy=strategy))
    game.run_all()
    assert game.world.deployments == {}
    assert game.conditions() == ["Running", "UnreachableInactive"]


def test_a_stopped_app_must_have_none_left_at_all() -> None:
    game = Game()
    game.install(spec(unreachable_strategy=None))
    game.put(instance(Condition.UNREACHABLE_INACTIVE))
    game.connect()
    game.remove(WEB)
    assert game.world.instances == {}
    assert game.world.apps == {}


def test_an_upgrade_keeps_to_floor_and_ceiling_at_every_step() -> None:
    """Four instances, half of them may go, none may be added: two by two."""
    capacities = UpgradeStrategy(500, 0)

    class Watched(Game):
        def obey(self, batch: Batch) -> Batch:
            ones = list(self.world.instances.values())
            running = [one for one in ones if one.condition is Condition.RUNNING]
            alive = [one for one in ones if one.condition.has_task]
            if self.watches:
                assert len(running) >= 2
                assert len(alive) <= 4
            return batch

        watches = False

    game = Watched()
    game.connect()
    game.upsert(spec(instances=4, upgrade_strategy=capacities))
    game.run_all()
    game.watches = True
    game.upsert(spec(instances=4, upgrade_strategy=capacities, cmd="new"))
    game.run_all()
    assert game.world.deployments == {}
    assert {i.version for i in game.world.instances.values()} == {game.world.apps[WEB].version}


def test_a_new_leader_goes_on_where_the_old_one_was() -> None:
    from scheduler.core import World, resume, settle

    game = deploy_two()
    run(game, DB)
    world = World(game.world.settings)
    world.load(game.history)
    game.world = world
    batch = game.batch()
    resume(batch)
    settle(batch)
    game.history += batch.records
    assert game.world.deployments[game.deployment_id].current_step == 2
    game.connect()
    game.run_all()
    assert game.world.deployments == {}
    assert game.conditions(WEB) == game.conditions(DB) == ["Running"]


def test_scaling_down_while_tasks_are_killed_ends_the_right_number() -> None:
    game = Game()
    game.connect()
    game.upsert(spec(instances=5))
    game.run_all()
    tasks = tuple(i.task_id for i in game.world.instances.values() if i.task_id)[:2]
    game.send(KillTasks(game.request(), tasks))
    game.upsert(spec(instances=2))
    game.run_all()
    assert game.conditions() == ["Running", "Running"]


def test_a_restart_of_nothing_is_over_at_once() -> None:
    game = Game()
    game.install(spec(instances=0))
    game.ask(ChangeApps(game.request(), restarts=(WEB,)))
    assert game.world.deployments == {}
    assert game.world.apps[WEB].version != V1


def test_a_deployment_is_not_over_while_an_old_task_is_still_alive() -> None:
    """Over means that what was is gone, not only that what is wanted is there."""
    game = Game()
    game.connect()
    game.upsert(spec())
    game.run_all()
    game.upsert(spec(cmd="new"))
    game.offer(offer())
    (new,) = (one for one in game.world.instances.values() if not one.started_at_ms)
    game.send(update(new.task_id, TaskState.RUNNING))
    assert game.conditions() == ["Killing", "Running"]
    assert game.world.deployments
    (old,) = (one for one in game.world.instances.values() if one.id != new.id)
    game.send(update(old.task_id, TaskState.KILLED))
    assert game.world.deployments == {}


def test_an_app_that_is_ill_for_good_can_be_made_smaller() -> None:
    """Its deployment asks for fewer; that the others serve was never promised by it."""
    game = Game()
    game.connect()
    ill = spec(instances=4, health_checks=(HealthCheck(path="/", max_consecutive_failures=0),))
    game.upsert(ill)
    game.run_all()
    game.ask(CancelDeployment(game.request(), game.deployment_id, force=True))
    game.upsert(evolve(ill, instances=2))
    assert game.world.deployments
    game.run_all()
    assert len(game.world.instances) == 2
    assert not game.world.deployments
