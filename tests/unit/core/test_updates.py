"""How an app says that it is updated: canaries, pauses, deadlines and the way back."""

from attrs import evolve

from scheduler.core.app import (
    AppSpec,
    HealthCheck,
    RestartMode,
    RestartPolicy,
    UpdateOrder,
    UpdatePolicy,
    UpgradeStrategy,
)
from scheduler.core.effects import Accepted, DeploymentFailed, Refusal, Rejected
from scheduler.core.events import (
    CancelDeployment,
    ChangeApps,
    ProbeResult,
    Removal,
    SteerDeployment,
    Steering,
    Tick,
)
from scheduler.core.ids import AppId, DeploymentId
from scheduler.core.instance import CheckResult, Condition, TaskState
from tests.unit.core.game import (
    NOW_MS,
    WEB,
    Game,
    facts_in,
    launched_in,
    offer,
    running_of,
    spec,
    update,
)

CHECK = HealthCheck(path="/", max_consecutive_failures=0)


def app(cmd: str, policy: UpdatePolicy | None, *, checked: bool = False) -> AppSpec:
    return spec(
        instances=3,
        cmd=cmd,
        update=policy,
        health_checks=(CHECK,) if checked else (),
        upgrade_strategy=UpgradeStrategy(1000, 1000),
    )


def updating(policy: UpdatePolicy, *, checked: bool = False) -> Game:
    """A game with three old instances that serve, and an update to ``new`` begun."""
    game = Game()
    game.connect()
    game.upsert(app("old", None))
    game.run_all()
    assert len(running_of(game, "old")) == 3
    game.upsert(app("new", policy, checked=checked))
    return game


def at_its_canaries() -> Game:
    """A game with three old instances, and one new one that waits to be promoted."""
    policy = UpdatePolicy(canary_instances=1, auto_pause=True)
    game = Game()
    game.connect()
    game.upsert(app("old", policy))
    game.run_all()
    game.upsert(app("new", policy))
    game.run_all()
    return game


def steer(game: Game, verb: Steering) -> None:
    answer = game.ask(SteerDeployment(game.request(), game.deployment_id, verb))
    assert isinstance(answer, Accepted)


def refusal_of(game: Game, verb: Steering) -> str:
    answer = game.ask(SteerDeployment(game.request(), game.deployment_id, verb))
    assert isinstance(answer, Rejected)
    assert answer.refusal is Refusal.STALE
    return answer.message


def counts(game: Game, *cmds: str) -> tuple[int, ...]:
    return tuple(len(running_of(game, cmd)) for cmd in cmds)


def answer_probes(game: Game, *, alive: bool) -> None:
    for one in running_of(game, "new"):
        assert one.task_id is not None
        result = CheckResult(alive=alive, consecutive_failures=0 if alive else 1)
        if alive:
            result = CheckResult(alive=True, first_success_ms=game.now_ms)
        game.send(ProbeResult(one.task_id, 0, result))


# ------------------------------------------------------------------ canaries


def test_canaries_go_first_and_the_rest_follows_when_they_serve() -> None:
    game = updating(UpdatePolicy(canary_instances=1), checked=True)
    game.run_all()
    assert (len(running_of(game, "old")), len(running_of(game, "new"))) == (3, 1)
    answer_probes(game, alive=True)
    game.run_all()
    answer_probes(game, alive=True)
    game.run_all()
    assert (len(running_of(game, "old")), len(running_of(game, "new"))) == (0, 3)


def lose(game: Game, cmd: str) -> None:
    """Let the agents of all instances of a definition go out of sight for good."""
    for one in running_of(game, cmd):
        assert one.placement is not None
        agent_id = one.placement.agent_id
        game.send(update(one.task_id, TaskState.UNREACHABLE, agent_id=agent_id))


def test_while_canaries_are_tried_old_ones_that_are_lost_are_replaced_by_old_ones() -> None:
    """All of the old version may be lost: the new one is no more approved for it."""
    game = updating(UpdatePolicy(canary_instances=1, auto_pause=True))
    game.run_all()
    assert (len(running_of(game, "old")), len(running_of(game, "new"))) == (3, 1)
    lose(game, "old")
    assert running_of(game, "old") == []
    game.run_all(agents=(4, 5, 6))
    assert (len(running_of(game, "old")), len(running_of(game, "new"))) == (3, 1)


def test_in_a_paused_deployment_what_is_lost_is_replaced_by_the_same() -> None:
    game = updating(UpdatePolicy(order=UpdateOrder.START_FIRST, max_parallel=1), checked=True)
    game.offer(offer(1), offer(2))
    (new,) = (
        one for one in game.world.instances.values() if one.condition is Condition.PROVISIONED
    )
    game.send(update(new.task_id, TaskState.RUNNING))
    steer(game, Steering.PAUSE)
    before = len(running_of(game, "old")), len(running_of(game, "new"))
    lose(game, "old")
    lose(game, "new")
    game.run_all(agents=(4, 5, 6))
    assert (len(running_of(game, "old")), len(running_of(game, "new"))) == before


def test_a_paused_deployment_begins_no_step() -> None:
    game = Game()
    game.connect()
    db = evolve(app("db", None), id=AppId("/db"))
    shop = evolve(app("shop", None), dependencies=(db.id,))
    game.upsert(db, shop)
    game.run_all()
    game.upsert(evolve(db, instances=4), evolve(shop, instances=1))
    (fourth,) = launched_in(game.offer(offer(1)))
    steer(game, Steering.PAUSE)
    game.send(update(fourth.task_id, TaskState.RUNNING))
    game.run_all()
    assert counts(game, "db", "shop") == (4, 3)
    steer(game, Steering.RESUME)
    game.run_all()
    assert counts(game, "db", "shop") == (4, 1)
    assert not game.world.deployments


def test_canaries_come_although_the_app_is_made_smaller_as_well() -> None:
    game = Game()
    game.connect()
    game.upsert(evolve(app("old", None), instances=9))
    game.run_all()
    policy = UpdatePolicy(canary_instances=1)
    game.upsert(evolve(app("new", policy), upgrade_strategy=UpgradeStrategy(1000, 0)))
    game.run_all()
    assert (len(running_of(game, "old")), len(running_of(game, "new"))) == (0, 3)
    assert not game.world.deployments


def test_with_auto_pause_the_canaries_wait_for_an_operators_word() -> None:
    game = updating(UpdatePolicy(canary_instances=1, auto_pause=True))
    game.run_all()
    game.wait_stepwise(100_000)
    game.run_all()
    assert (len(running_of(game, "old")), len(running_of(game, "new"))) == (3, 1)
    steer(game, Steering.PROMOTE)
    game.run_all()
    assert (len(running_of(game, "old")), len(running_of(game, "new"))) == (0, 3)
    assert game.world.deployments == {}


def test_each_step_has_canaries_of_its_own_to_promote() -> None:
    """Who has approved the database has not seen the shop that depends on it."""
    policy = UpdatePolicy(canary_instances=1, auto_pause=True)
    game = Game()
    game.connect()
    db = evolve(app("old db", policy), id=AppId("/db"))
    shop = evolve(app("old shop", policy), id=AppId("/shop"), dependencies=("/db",))
    game.upsert(db, shop)
    game.run_all()
    game.upsert(evolve(db, cmd="new db"), evolve(shop, cmd="new shop"))
    game.run_all()
    assert counts(game, "old db", "new db", "old shop", "new shop") == (3, 1, 3, 0)
    steer(game, Steering.PROMOTE)
    game.run_all()
    game.run_all()
    assert counts(game, "old db", "new db", "old shop", "new shop") == (0, 3, 3, 1)
    steer(game, Steering.PROMOTE)
    game.run_all()
    assert counts(game, "old shop", "new shop") == (0, 3)
    assert not game.world.deployments


def test_nothing_is_promoted_that_has_no_canaries_or_stands_still() -> None:
    game = updating(UpdatePolicy(max_parallel=1), checked=True)
    assert "No canaries" in refusal_of(game, Steering.PROMOTE)
    game = updating(UpdatePolicy(canary_instances=1, auto_pause=True))
    steer(game, Steering.PAUSE)
    assert "paused by an operator" in refusal_of(game, Steering.PROMOTE)
    steer(game, Steering.RESUME)
    steer(game, Steering.PROMOTE)
    assert "No canaries" in refusal_of(game, Steering.PROMOTE)


def test_to_promote_is_progress() -> None:
    policy = UpdatePolicy(canary_instances=1, auto_pause=True, progress_deadline_s=100)
    game = updating(policy)
    game.run_all()
    game.wait_stepwise(90_000)
    steer(game, Steering.PROMOTE)
    game.wait_stepwise(90_000)
    assert game.world.deployments[game.deployment_id].paused is None
    game.wait_stepwise(20_000)
    assert game.world.deployments[game.deployment_id].paused is not None


def test_who_takes_the_way_back_back_has_approved_no_canary() -> None:
    game = at_its_canaries()
    steer(game, Steering.PROMOTE)
    for _ in range(2):
        game.ask(CancelDeployment(game.request(), game.deployment_id))
    for _ in range(3):
        game.run_all()
    assert counts(game, "old", "new") == (3, 1)
    game.ask(CancelDeployment(game.request(), game.deployment_id))
    game.run_all()
    assert counts(game, "old", "new") == (3, 0)
    assert not game.world.deployments


def test_an_app_that_must_not_run_twice_has_no_canaries() -> None:
    game = Game()
    game.connect()
    single = spec(
        labels=(("MARATHON_SINGLE_INSTANCE_APP", "true"),),
        update=UpdatePolicy(canary_instances=1, auto_pause=True),
        upgrade_strategy=UpgradeStrategy(0, 0),
    )
    game.upsert(single)
    game.run_all()
    game.upsert(evolve(single, cmd="new"))
    game.offer(offer(1))
    assert game.conditions() == ["Killing"]
    game.run_all()
    assert len(running_of(game, "new")) == 1
    assert not game.world.deployments


def test_a_canary_that_has_done_its_work_is_good() -> None:
    game = Game()
    game.connect()
    job = spec(
        instances=2,
        restart_policy=RestartPolicy(mode=RestartMode.ON_FAILURE),
        update=UpdatePolicy(canary_instances=1),
    )
    game.upsert(job)
    game.run_all()
    game.upsert(evolve(job, cmd="new"))
    (canary,) = launched_in(game.offer(offer(1)))
    game.send(update(canary.task_id, TaskState.FINISHED))
    game.run_all()
    assert not game.world.deployments
    assert len(running_of(game, "new")) == 1


def test_lost_tasks_are_replaced_by_no_more_new_ones_than_may_be_under_way() -> None:
    game = Game()
    game.connect()
    policy = UpdatePolicy(order=UpdateOrder.STOP_FIRST, max_parallel=1)
    game.upsert(evolve(app("old", None), instances=6))
    game.run_all()
    game.upsert(evolve(app("new", policy), instances=6))
    for one in running_of(game, "old")[:3]:
        game.send(update(one.task_id, TaskState.LOST))
    assert len(launched_in(game.offer(offer(1), offer(2), offer(3)))) == 1
    game.run_all()
    assert len(running_of(game, "new")) == 6


def test_while_canaries_are_tried_an_old_task_that_ends_comes_back_old() -> None:
    game = updating(UpdatePolicy(canary_instances=1, auto_pause=True))
    game.run_all()
    crashed = running_of(game, "old")[0]
    game.send(update(crashed.task_id, TaskState.FAILED))
    game.wait(2000)
    game.run_all()
    assert (len(running_of(game, "old")), len(running_of(game, "new"))) == (3, 1)


# -------------------------------------------------------------- pause, resume


def test_a_paused_deployment_replaces_nothing_and_resumed_it_goes_on() -> None:
    game = updating(UpdatePolicy(order=UpdateOrder.STOP_FIRST))
    steer(game, Steering.PAUSE)
    before = {one.id for one in running_of(game, "old")}
    game.run_all()
    assert {one.id for one in running_of(game, "old")} == before
    steer(game, Steering.RESUME)
    game.run_all()
    assert len(running_of(game, "new")) == 3
    assert game.world.deployments == {}


def test_a_paused_app_is_kept_at_its_strength() -> None:
    """Paused is the replacing, not the care for what runs."""
    game = updating(UpdatePolicy(order=UpdateOrder.STOP_FIRST, max_parallel=1))
    steer(game, Steering.PAUSE)
    game.run_all()
    crashed = game.world.instances[running_of(game, "old")[0].id]
    game.send(update(crashed.task_id, TaskState.FAILED))
    game.wait(2000)
    game.run_all()
    assert game.world.instances[crashed.id].condition is Condition.RUNNING


def test_pausing_what_has_failed_keeps_the_reason() -> None:
    game = updating(UpdatePolicy(progress_deadline_s=60))
    game.wait_stepwise(61_000)
    reason = game.world.deployments[game.deployment_id].paused
    assert game.world.deployments[game.deployment_id].has_failed
    steer(game, Steering.PAUSE)
    assert game.world.deployments[game.deployment_id].paused == reason
    steer(game, Steering.RESUME)
    steer(game, Steering.PAUSE)
    assert not game.world.deployments[game.deployment_id].has_failed


def test_a_deployment_that_does_not_exist_cannot_be_steered() -> None:
    game = Game()
    for verb in Steering:
        answer = game.ask(SteerDeployment(game.request(), DeploymentId("none"), verb))
        assert isinstance(answer, Rejected)
        assert answer.refusal is Refusal.NOT_FOUND


# ----------------------------------------------------------- deadlines, revert


def test_one_that_is_not_healthy_in_time_pauses_the_deployment_with_the_reason() -> None:
    game = updating(UpdatePolicy(healthy_deadline_s=60), checked=True)
    game.run_all()
    answer_probes(game, alive=False)
    game.wait_stepwise(61_000)
    paused = game.world.deployments[game.deployment_id].paused
    assert paused is not None
    assert "healthyDeadlineSeconds" in paused
    assert len(running_of(game, "old")) == 3


def test_a_deadline_is_kept_to_the_second_also_soon_after_the_start() -> None:
    """The patience of a new leader is for the tasks that it found, not for its own."""
    game = updating(UpdatePolicy(healthy_deadline_s=5), checked=True)
    game.run_all()
    answer_probes(game, alive=False)
    game.wait_stepwise(6_000)
    assert game.now_ms < game.world.patient_until_ms
    assert game.world.deployments[game.deployment_id].paused


def test_an_old_one_that_misses_its_deadline_does_not_fail_what_is_to_replace_it() -> None:
    """A broken version is mended by the next one: its own failures must not stop that."""
    game = Game()
    game.connect()
    game.upsert(app("new", UpdatePolicy(healthy_deadline_s=60), checked=True))
    game.run_all()
    answer_probes(game, alive=False)
    # Its turn comes when another app serves, for which there is no offer yet.
    game.upsert(spec("/other"), evolve(app("mended", None), dependencies=("/other",)), force=True)
    game.wait_stepwise(70_000)
    assert game.conditions() == ["Killing"] * 3
    assert game.world.deployments[game.deployment_id].paused is None
    game.run_all()
    assert game.world.deployments == {}
    assert len(running_of(game, "mended")) == 3


def test_with_auto_revert_it_goes_back_to_what_was() -> None:
    game = updating(UpdatePolicy(healthy_deadline_s=60, auto_revert=True), checked=True)
    failed = game.deployment_id
    game.run_all()
    answer_probes(game, alive=False)
    old_version = running_of(game, "old")[0].version
    game.now_ms = NOW_MS + 70_000
    batch = game.send(Tick())
    assert [fact.deployment.id for fact in facts_in(batch, DeploymentFailed)] == [failed]
    game.run_all()
    assert game.world.apps[WEB].version == old_version
    assert (len(running_of(game, "old")), len(game.world.instances)) == (3, 3)
    assert game.world.deployments == {}


def test_no_progress_in_time_stops_the_deployment() -> None:
    game = updating(UpdatePolicy(progress_deadline_s=100), checked=True)
    game.run_all()
    game.wait_stepwise(99_000)
    assert game.world.deployments[game.deployment_id].paused is None
    game.wait_stepwise(10_000)
    paused = game.world.deployments[game.deployment_id].paused
    assert paused is not None
    assert "no progress" in paused


def test_progress_starts_the_deadline_anew() -> None:
    game = updating(UpdatePolicy(progress_deadline_s=100), checked=True)
    game.run_all()
    game.wait_stepwise(90_000)
    answer_probes(game, alive=True)
    game.run_all()
    assert game.world.deployments == {}
    game.wait_stepwise(200_000)
    assert game.conditions() == ["Running"] * 3


def test_one_is_proven_only_when_it_was_healthy_for_long_enough() -> None:
    """Until then no old one goes for it."""
    game = updating(UpdatePolicy(order=UpdateOrder.START_FIRST, min_healthy_s=30))
    game.run_all()
    assert (len(running_of(game, "old")), len(running_of(game, "new"))) == (3, 1)
    game.wait_stepwise(29_000)
    assert len(running_of(game, "old")) == 3
    for _ in range(3):
        game.wait_stepwise(31_000)
        game.run_all()
    assert (len(running_of(game, "old")), len(running_of(game, "new"))) == (0, 3)
    assert game.world.deployments == {}


def test_a_task_that_was_healthy_in_time_is_not_condemned_by_the_deadline_later() -> None:
    """A short failure days after the update is a matter of its health checks alone."""
    for min_healthy_s in (0, 10):
        policy = UpdatePolicy(min_healthy_s=min_healthy_s, healthy_deadline_s=60)
        game = updating(policy, checked=True)
        for _ in range(4):
            game.run_all()
            answer_probes(game, alive=True)
            game.wait_stepwise(11_000)
        game.run_all()
        assert game.world.deployments == {}
        before = {one.task_id for one in running_of(game, "new")}
        assert len(before) == 3
        answer_probes(game, alive=False)
        game.wait_stepwise(100_000)
        assert {one.task_id for one in running_of(game, "new")} == before


def test_the_way_back_needs_no_canaries() -> None:
    """What is gone back to has run before; waiting for a word would keep the failure running."""
    game = at_its_canaries()
    assert (len(running_of(game, "old")), len(running_of(game, "new"))) == (3, 1)
    game.ask(CancelDeployment(game.request(), game.deployment_id))
    game.run_all()
    assert (len(running_of(game, "old")), len(running_of(game, "new"))) == (3, 0)
    assert game.world.deployments == {}


def test_each_one_that_serves_is_progress() -> None:
    game = updating(UpdatePolicy(progress_deadline_s=100, max_parallel=1), checked=True)
    for _ in range(3):
        game.run_all()
        game.wait_stepwise(90_000)
        assert all(one.paused is None for one in game.world.deployments.values())
        answer_probes(game, alive=True)
    game.run_all()
    assert game.world.deployments == {}
    assert len(running_of(game, "new")) == 3


def test_a_rollout_that_fails_as_its_app_is_removed_does_not_bring_it_back() -> None:
    """The failure is of a deployment that is gone: what an operator says later holds."""
    game = Game()
    game.connect()
    old = evolve(app("old", None), restart_policy=RestartPolicy(mode=RestartMode.NEVER))
    game.upsert(old)
    game.run_all()
    game.upsert(evolve(old, cmd="new", update=UpdatePolicy(auto_revert=True)))
    (new, *_) = launched_in(game.offer(offer(4)))
    removal = ChangeApps(game.request(), removals=(Removal(WEB, None),), force=True)
    game.send(update(new.task_id, TaskState.FAILED), removal)
    game.run_all()
    assert WEB not in game.world.apps
    assert not game.world.deployments
