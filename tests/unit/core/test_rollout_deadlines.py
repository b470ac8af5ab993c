"""The deadlines of a rollout: what fails it, what must not, and what the failure leaves."""

from attrs import evolve

from scheduler.core.app import (
    AppSpec,
    HealthCheck,
    HealthProtocol,
    RestartMode,
    RestartPolicy,
    UnreachableStrategy,
    UpdatePolicy,
)
from scheduler.core.effects import DeploymentFailed
from scheduler.core.events import Disconnected, ProbeResult, SteerDeployment, Steering
from scheduler.core.ids import DeploymentId
from scheduler.core.instance import CheckResult, Condition, TaskState
from tests.unit.core.game import WEB, Game, facts_in, launched_in, offer, spec, update
from tests.unit.core.troubled import Cluster

PROGRESS = UpdatePolicy(progress_deadline_s=600, auto_revert=True)
HEALTHY = UpdatePolicy(healthy_deadline_s=60, auto_revert=True)
CHECKED = (HealthCheck(grace_period_s=0, max_consecutive_failures=0),)
WELL = CheckResult(alive=True, first_success_ms=1)
WAITS_LONG = UnreachableStrategy(3_600, 7_200)


def rolling(app: AppSpec) -> tuple[Game, DeploymentId]:
    """An app whose instances serve, and the rollout of a new version just begun."""
    game = Game()
    game.connect()
    game.upsert(app)
    game.run_all()
    for one in list(game.world.instances.values()):
        if app.health_checks and one.task_id is not None:
            game.send(update(one.task_id, TaskState.RUNNING, healthy=True))
            game.send(ProbeResult(one.task_id, 0, WELL))
    game.wait_stepwise(11_000)
    assert not game.world.deployments
    game.upsert(evolve(app, cmd="new"))
    return game, game.deployment_id


def is_under_way(game: Game, deployment_id: DeploymentId) -> bool:
    deployment = game.world.deployments.get(deployment_id)
    return deployment is not None and deployment.paused is None


def disaster(policy: UpdatePolicy) -> tuple[Cluster, DeploymentId]:
    """A rollout under way while the checks of everything fail at once."""
    cluster = Cluster()
    cluster.connect()
    app = spec(instances=6, update=policy, health_checks=CHECKED)
    cluster.upsert(app)
    for _ in range(8):
        cluster.take_a_step()
    cluster.probe_all(alive=True)
    cluster.upsert(evolve(app, cmd="new"))
    for _ in range(3):
        cluster.take_a_step()
    cluster.probe_all(alive=False, failures=1)
    assert cluster.world.brake.holds
    return cluster, cluster.deployment_id


# --------------------------------------------------- what is no lack of progress


def test_canaries_that_wait_for_an_operators_word_do_not_run_out_of_time() -> None:
    policy = evolve(PROGRESS, canary_instances=1, auto_pause=True)
    game, deployment_id = rolling(spec(instances=3, update=policy))
    game.run_all()
    game.wait_stepwise(3_600_000)
    assert is_under_way(game, deployment_id)


def test_canaries_that_do_not_come_up_run_out_of_time() -> None:
    policy = evolve(PROGRESS, canary_instances=1, auto_pause=True)
    game, deployment_id = rolling(spec(instances=3, update=policy))
    game.wait_stepwise(601_000)
    assert deployment_id not in game.world.deployments


def test_the_time_without_mesos_is_free() -> None:
    game, deployment_id = rolling(spec(update=PROGRESS))
    game.send(Disconnected())
    game.wait_stepwise(3_600_000)
    game.connect()
    game.wait_stepwise(590_000)
    assert is_under_way(game, deployment_id)
    game.wait_stepwise(620_000)
    assert deployment_id not in game.world.deployments


def test_the_time_in_which_the_brake_holds_everything_is_free() -> None:
    cluster, deployment_id = disaster(PROGRESS)
    cluster.wait_stepwise(700_000)
    assert is_under_way(cluster, deployment_id)


def test_a_version_that_serves_is_not_taken_back_for_the_grace_of_the_old_one() -> None:
    app = spec(instances=2, update=PROGRESS, kill_grace_s=1_800)
    game, deployment_id = rolling(app)
    for _ in range(2):
        # Both new ones run; the old ones take their time to end.
        for launch in launched_in(game.offer(offer(1), offer(2))):
            game.send(update(launch.task_id, TaskState.RUNNING))
    assert sorted(game.conditions()) == ["Killing", "Killing", "Running", "Running"]
    game.wait_stepwise(1_700_000)
    assert is_under_way(game, deployment_id)


def test_the_reason_of_a_failure_names_what_was_waited_for() -> None:
    game, _ = rolling(spec(update=evolve(PROGRESS, auto_revert=False)))
    game.wait_stepwise(601_000)
    paused = game.world.deployments[game.deployment_id].paused
    assert paused == "/web made no progress for 600 s (offers: no offer was free for it yet)"


# ------------------------------------------------------- health that nobody saw


def test_checks_that_mesos_tells_condemn_nobody_while_it_is_away() -> None:
    checks = (HealthCheck(protocol=HealthProtocol.MESOS_HTTP),)
    game, deployment_id = rolling(spec(update=HEALTHY, health_checks=checks))
    (launch,) = launched_in(game.offer(offer(2)))
    game.send(update(launch.task_id, TaskState.RUNNING))
    game.wait_stepwise(5_000)
    game.send(Disconnected())
    game.wait_stepwise(600_000)
    assert is_under_way(game, deployment_id)
    assert "Killing" not in game.conditions()


def test_the_brake_holds_the_deadline_of_health_as_well() -> None:
    cluster, deployment_id = disaster(HEALTHY)
    before = {one.task_id for one in cluster.world.instances.values()}
    cluster.wait_stepwise(600_000)
    assert is_under_way(cluster, deployment_id)
    assert {one.task_id for one in cluster.world.instances.values()} == before


def test_a_task_that_was_out_of_sight_has_its_time_again() -> None:
    app = spec(update=HEALTHY, health_checks=CHECKED, unreachable_strategy=WAITS_LONG)
    game, deployment_id = rolling(app)
    (launch,) = launched_in(game.offer(offer(2)))
    game.send(update(launch.task_id, TaskState.RUNNING))
    game.send(update(launch.task_id, TaskState.UNREACHABLE))
    game.wait_stepwise(120_000)
    game.send(update(launch.task_id, TaskState.RUNNING))
    game.wait_stepwise(59_000)
    assert is_under_way(game, deployment_id)
    game.wait_stepwise(2_000)
    assert deployment_id not in game.world.deployments


def test_a_new_leader_asks_the_slowest_check_before_it_condemns() -> None:
    checks = (HealthCheck(grace_period_s=0, interval_s=120, max_consecutive_failures=0),)
    game, deployment_id = rolling(spec(update=HEALTHY, health_checks=checks))
    (launch,) = launched_in(game.offer(offer(2)))
    game.send(update(launch.task_id, TaskState.RUNNING))
    game.wait_stepwise(50_000)
    game.send(Disconnected())
    game.connect()
    game.wait_stepwise(119_000)
    assert is_under_way(game, deployment_id)
    assert launch.task_id is not None
    game.send(ProbeResult(launch.task_id, 0, WELL))
    game.run_all()
    assert not game.world.deployments
    assert game.world.rolled_back == {}


# ------------------------------------------------------------ what must fail it


def test_a_crash_loop_fails_by_the_deadline_of_health() -> None:
    """Each task is a new one, but the instance has never proved itself."""
    policy = evolve(HEALTHY, min_healthy_s=10)
    game, deployment_id = rolling(spec(update=policy))
    for _ in range(29):
        for launch in launched_in(game.offer(offer(2))):
            game.send(update(launch.task_id, TaskState.RUNNING))
            game.send(update(launch.task_id, TaskState.FAILED))
        game.wait_stepwise(2_000)
    assert is_under_way(game, deployment_id)
    game.wait_stepwise(2_000)
    assert deployment_id not in game.world.deployments
    (rolled_back,) = game.world.rolled_back.values()
    assert "healthyDeadlineSeconds" in rolled_back.reason


def test_a_task_that_never_starts_fails_by_the_deadline_of_health() -> None:
    game, deployment_id = rolling(spec(update=HEALTHY))
    (launch,) = launched_in(game.offer(offer(2)))
    game.send(update(launch.task_id, TaskState.STAGING))
    game.wait_stepwise(61_000)
    assert deployment_id not in game.world.deployments


def test_waiting_for_offers_does_not_fail_by_the_deadline_of_health() -> None:
    """An instance that was never launched has not failed to be healthy."""
    game, deployment_id = rolling(spec(update=HEALTHY))
    game.wait_stepwise(600_000)
    assert is_under_way(game, deployment_id)


def test_resuming_gives_what_is_not_healthy_its_time_again() -> None:
    policy = evolve(HEALTHY, auto_revert=False)
    game, deployment_id = rolling(spec(update=policy, health_checks=CHECKED))
    (launch,) = launched_in(game.offer(offer(2)))
    game.send(update(launch.task_id, TaskState.STAGING))
    game.wait_stepwise(61_000)
    assert not is_under_way(game, deployment_id)
    game.ask(SteerDeployment(game.request(), deployment_id, Steering.RESUME))
    game.wait_stepwise(59_000)
    assert is_under_way(game, deployment_id)
    game.wait_stepwise(2_000)
    assert not is_under_way(game, deployment_id)


def test_a_version_that_uses_up_its_restarts_is_taken_back() -> None:
    """An instance that may not be launched again fills its place, but it has not succeeded."""
    policy = RestartPolicy(RestartMode.ALWAYS, attempts=1, interval_s=3_600)
    app = spec(instances=3, update=UpdatePolicy(auto_revert=True), restart_policy=policy)
    game, deployment_id = rolling(app)
    for _ in range(20):
        for launch in launched_in(game.offer(offer(2), offer(3))):
            if game.world.deployments.get(deployment_id) is not None:
                game.send(update(launch.task_id, TaskState.FAILED))
        game.wait_stepwise(2_000)
    assert deployment_id not in game.world.deployments
    (rolled_back,) = game.world.rolled_back.values()
    assert "restartPolicy" in rolled_back.reason


def test_a_job_that_ends_well_completes_its_rollout() -> None:
    policy = RestartPolicy(RestartMode.ON_FAILURE)
    game, _ = rolling(spec(update=UpdatePolicy(auto_revert=True), restart_policy=policy))
    for _ in range(3):
        for launch in launched_in(game.offer(offer(2))):
            game.send(update(launch.task_id, TaskState.FINISHED))
        game.run_all()
    assert not game.world.deployments
    assert game.world.rolled_back == {}


# ------------------------------------------------------- what the failure leaves


def test_a_new_app_that_fails_keeps_its_definition_and_says_why() -> None:
    """There is nothing to go back to: to revert would be to delete it."""
    game = Game()
    game.connect()
    game.upsert(spec(update=PROGRESS))
    game.wait_stepwise(700_000)
    assert WEB in game.world.apps
    paused = game.world.deployments[game.deployment_id].paused
    assert paused is not None
    assert "no progress" in paused


def test_a_failure_that_is_not_reverted_is_told_all_the_same() -> None:
    game, deployment_id = rolling(spec(update=evolve(HEALTHY, auto_revert=False)))
    (launch,) = launched_in(game.offer(offer(2)))
    game.send(update(launch.task_id, TaskState.STAGING))
    game.wait_stepwise(59_000)
    batch = game.wait(1_000)
    (failed,) = facts_in(batch, DeploymentFailed)
    assert failed.deployment.id == deployment_id
    assert "healthyDeadlineSeconds" in failed.reason


def test_what_was_healthy_for_long_enough_may_crash_later_without_failing_a_scaling() -> None:
    game, _ = rolling(spec(instances=1, update=evolve(HEALTHY, min_healthy_s=1)))
    for _ in range(4):
        game.run_all()
        game.wait_stepwise(2_000)
    assert not game.world.deployments
    game.upsert(evolve(game.world.spec_of(WEB), instances=2))
    (running,) = (i for i in game.world.instances.values() if i.condition is Condition.RUNNING)
    game.send(update(running.task_id, TaskState.FAILED))
    game.wait_stepwise(120_000)
    assert all(one.paused is None for one in game.world.deployments.values())
