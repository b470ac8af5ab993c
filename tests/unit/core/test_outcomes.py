"""What became of a deployment is kept when it is over, for a bounded number of them."""

from attrs import evolve

from scheduler.core.app import RestartMode, RestartPolicy, UpdatePolicy
from scheduler.core.deployment import Change, Deployment
from scheduler.core.effects import Accepted, DeploymentDone, DeploymentFailed, Reply
from scheduler.core.events import CancelDeployment, ChangeApps
from scheduler.core.ids import AppId, DeploymentId, RequestId
from scheduler.core.instance import TaskState
from scheduler.core.outcomes import CHANGES_MAX, conclude
from scheduler.core.records import Finished, Outcome
from scheduler.core.settings import Settings
from scheduler.core.wishes import Upsert
from scheduler.core.world import World
from tests.unit.core.game import (
    NOW_MS,
    V1,
    WEB,
    Game,
    effects_in,
    facts_in,
    instance,
    offer,
    spec,
    update,
)

OTHER = AppId("/other")


def begin(game: Game, cmd: str, *, force: bool = False, queue: bool = False) -> DeploymentId:
    app = game.world.live_app(WEB)
    upsert = Upsert(spec(cmd=cmd), None if app is None else app.version)
    change = ChangeApps(RequestId(1), upserts=(upsert,), force=force, queue=queue)
    (reply,) = effects_in(game.send(change), Reply)
    assert isinstance(reply.answer, Accepted)
    assert reply.answer.deployment_id is not None
    return reply.answer.deployment_id


def started() -> tuple[Game, DeploymentId]:
    game = Game()
    game.install(spec())
    game.put(instance())
    game.connect()
    return game, begin(game, "new")


def failing(*, auto_revert: bool) -> tuple[Game, DeploymentId]:
    """An app whose rollout makes no progress and has just failed."""
    policy = UpdatePolicy(progress_deadline_s=10, auto_revert=auto_revert)
    game = Game()
    game.install(spec(update=policy))
    game.put(instance())
    game.connect()
    game.upsert(spec(cmd="new", update=policy))
    (deployment_id,) = game.world.deployments
    game.wait_stepwise(60_000)
    return game, deployment_id


def test_one_that_ended_is_done() -> None:
    game, deployment_id = started()
    version = game.world.apps[WEB].version
    game.run_all()
    finished = game.world.finished[deployment_id]
    assert (finished.outcome, finished.reason) == (Outcome.DONE, None)
    assert finished.changes == (Change(WEB, V1, version),)
    assert finished.version == version
    assert finished.started_at_ms == NOW_MS
    assert NOW_MS < finished.ended_at_ms <= game.now_ms


def test_one_that_had_nothing_to_do_is_done() -> None:
    game = Game()
    game.connect()
    (reply,) = effects_in(game.send(ChangeApps(RequestId(1))), Reply)
    assert isinstance(reply.answer, Accepted)
    assert reply.answer.deployment_id is not None
    assert game.world.finished[reply.answer.deployment_id].outcome is Outcome.DONE


def test_one_that_failed_and_was_taken_back_names_its_reason_and_its_revert() -> None:
    game, deployment_id = failing(auto_revert=True)
    finished = game.world.finished[deployment_id]
    assert finished.outcome is Outcome.REVERTED
    assert "made no progress for 10 s" in (finished.reason or "")
    assert finished.reverted_by is not None
    back = game.world.deployments.get(finished.reverted_by)
    assert (back or game.world.finished[finished.reverted_by]).reverts == deployment_id


def test_one_that_failed_and_waits_for_an_operator_is_not_over() -> None:
    game, deployment_id = failing(auto_revert=False)
    assert game.world.deployments[deployment_id].has_failed
    assert game.world.finished == {}


def test_one_that_had_failed_keeps_its_reason_when_it_is_cancelled() -> None:
    game, deployment_id = failing(auto_revert=False)
    game.send(CancelDeployment(RequestId(2), deployment_id))
    finished = game.world.finished[deployment_id]
    assert finished.outcome is Outcome.CANCELLED
    assert (finished.reason or "").startswith("cancelled; it had failed: ")
    assert [one.reason for one in game.world.rolled_back.values()] == [finished.reason]
    assert "made no progress for 10 s" in (finished.reason or "")


def test_one_that_had_failed_is_not_done_when_nothing_is_left_to_do() -> None:
    """A task that ended badly and may not be started again fills its place."""
    never = RestartPolicy(mode=RestartMode.NEVER)
    game = Game()
    game.connect()
    game.upsert(spec(restart_policy=never))
    deployment_id = game.deployment_id
    game.offer(offer())
    batch = game.send(update(game.only.task_id, TaskState.FAILED))
    assert game.world.deployments == {}
    assert len(facts_in(batch, DeploymentFailed)) == 1
    assert facts_in(batch, DeploymentDone) == []
    finished = game.world.finished[deployment_id]
    assert finished.outcome is Outcome.FAILED
    assert "restartPolicy allows no more restarts" in (finished.reason or "")


def test_a_cancelled_one_names_what_takes_it_back() -> None:
    game, deployment_id = started()
    game.send(CancelDeployment(RequestId(2), deployment_id))
    finished = game.world.finished[deployment_id]
    assert (finished.outcome, finished.reason) == (Outcome.CANCELLED, "cancelled")
    assert finished.reverted_by is not None
    assert finished.reverted_by != deployment_id


def test_one_cancelled_by_force_is_taken_back_by_nothing() -> None:
    game, deployment_id = started()
    game.send(CancelDeployment(RequestId(2), deployment_id, force=True))
    finished = game.world.finished[deployment_id]
    assert (finished.outcome, finished.reason) == (Outcome.CANCELLED, "cancelled by force")
    assert finished.reverted_by is None


def test_one_that_a_forced_change_replaced_is_cancelled() -> None:
    game, deployment_id = started()
    begin(game, "newer", force=True)
    finished = game.world.finished[deployment_id]
    assert finished.outcome is Outcome.CANCELLED
    assert finished.reason == "cancelled by a forced change"


def test_a_queued_change_that_is_dropped_is_cancelled() -> None:
    game, _deployment_id = started()
    queued = begin(game, "newer", queue=True)
    game.send(CancelDeployment(RequestId(2), queued))
    finished = game.world.finished[queued]
    assert (finished.outcome, finished.reason) == (Outcome.CANCELLED, "cancelled")
    assert (finished.started_at_ms, finished.changes) == (None, ())


def test_a_queued_change_that_cannot_begin_has_failed() -> None:
    game = Game()
    game.connect()
    first = begin(game, "one")
    queued = begin(game, "two", queue=True)
    game.send(CancelDeployment(RequestId(2), first))
    assert game.world.live_app(WEB) is None
    finished = game.world.finished[queued]
    assert (finished.outcome, finished.reason) == (
        Outcome.FAILED,
        "App '/web' does not exist",
    )


def test_a_queued_change_ends_as_the_deployment_that_it_became() -> None:
    game, _deployment_id = started()
    queued = begin(game, "newer", queue=True)
    game.run_all()
    game.run_all()
    assert game.world.finished[queued].outcome is Outcome.DONE


def end(game: Game, name: str, changes: int = 1) -> None:
    batch = game.batch()
    change = Change(OTHER, V1, V1)
    deployment = Deployment(DeploymentId(name), V1, 0, (), (change,) * changes)
    conclude(batch, deployment, Outcome.DONE)


def test_only_the_latest_are_kept() -> None:
    game = Game(Settings(finished_max=2))
    for number in range(4):
        end(game, f"d{number}")
    assert list(game.world.finished) == ["d2", "d3"]


def test_of_large_ones_fewer_are_kept_but_the_last_always() -> None:
    game = Game()
    end(game, "small")
    end(game, "half", CHANGES_MAX // 2)
    end(game, "half more", CHANGES_MAX // 2)
    assert list(game.world.finished) == ["half", "half more"]
    end(game, "huge", 2 * CHANGES_MAX)
    assert list(game.world.finished) == ["huge"]


def test_a_new_leader_forgets_the_oldest_first() -> None:
    game = Game()
    finished = Finished(DeploymentId("old"), Outcome.DONE, V1, ended_at_ms=1)
    newer = evolve(finished, id=DeploymentId("a newer one"), ended_at_ms=2)
    game.put(newer, finished)
    world = World(game.world.settings)
    world.load(game.history)
    assert list(world.finished) == ["old", "a newer one"]
