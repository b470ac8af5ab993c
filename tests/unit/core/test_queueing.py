"""Changes that wait for the deployments in their way instead of being refused."""

import pytest
from attrs import evolve

from scheduler.core.app import AppSpec, UpdatePolicy
from scheduler.core.batch import Batch
from scheduler.core.effects import Accepted, Answer, QueuedChangeFailed, Refusal, Rejected, Reply
from scheduler.core.events import CancelDeployment, ChangeApps, SteerDeployment, Steering
from scheduler.core.ids import AppId, DeploymentId, RequestId
from scheduler.core.settings import Settings
from scheduler.core.wishes import Removal, Upsert
from scheduler.core.world import World
from tests.unit.core.game import WEB, Game, effects_in, facts_in, spec


def answer_in(batch: Batch) -> Answer:
    (reply,) = effects_in(batch, Reply)
    return reply.answer


def accepted_in(batch: Batch) -> DeploymentId:
    """Return the deployment that was promised."""
    answer = answer_in(batch)
    assert isinstance(answer, Accepted)
    assert answer.deployment_id is not None
    return answer.deployment_id


def deploy(game: Game, cmd: str, *, force: bool = False, queue: bool = False) -> Batch:
    app = game.world.live_app(AppId(WEB))
    upsert = Upsert(spec(cmd=cmd), None if app is None else app.version)
    change = ChangeApps(RequestId(1), upserts=(upsert,), force=force, queue=queue)
    return game.send(change)


def busy() -> Game:
    """An app whose first deployment cannot end: no offer comes."""
    game = Game()
    game.connect()
    deploy(game, "one")
    return game


def test_a_change_of_a_locked_app_waits_when_asked() -> None:
    game = busy()
    deployment_id = accepted_in(deploy(game, "two", queue=True))
    assert list(game.world.queued) == [deployment_id]
    assert game.world.spec_of(AppId(WEB)).cmd == "one"


def test_without_asking_it_is_refused() -> None:
    answer = answer_in(deploy(busy(), "two"))
    assert isinstance(answer, Rejected)
    assert answer.refusal is Refusal.LOCKED


def test_a_change_of_a_free_app_does_not_wait() -> None:
    game = Game()
    game.connect()
    deploy(game, "one", queue=True)
    assert not game.world.queued
    assert len(game.world.deployments) == 1


def test_it_begins_under_its_own_id_when_the_app_is_free() -> None:
    game = busy()
    (first,) = game.world.deployments
    deployment_id = accepted_in(deploy(game, "two", queue=True))
    game.send(CancelDeployment(RequestId(2), first, force=True))
    assert list(game.world.deployments) == [deployment_id]
    assert game.world.spec_of(AppId(WEB)).cmd == "two"
    assert not game.world.queued


def test_a_second_change_of_the_app_is_refused() -> None:
    """What it would be derived from is not there yet."""
    game = busy()
    queued = accepted_in(deploy(game, "two", queue=True))
    answer = answer_in(deploy(game, "three", queue=True))
    assert isinstance(answer, Rejected)
    assert answer.deployment_ids == (queued,)


def test_a_forced_change_goes_before_and_drops_what_waits() -> None:
    game = busy()
    deploy(game, "two", queue=True)
    assert isinstance(answer_in(deploy(game, "three", force=True)), Accepted)
    assert not game.world.queued
    assert game.world.spec_of(AppId(WEB)).cmd == "three"


def test_what_waits_can_be_cancelled() -> None:
    game = busy()
    queued = accepted_in(deploy(game, "two", queue=True))
    answer = answer_in(game.send(CancelDeployment(RequestId(2), queued)))
    assert isinstance(answer, Accepted)
    assert not game.world.queued


def test_a_change_that_has_no_app_any_more_fails_visibly() -> None:
    """A cancelled deployment took the app away for which the change waited."""
    game = busy()
    (first,) = game.world.deployments
    queued = accepted_in(deploy(game, "two", queue=True))
    batch = game.send(CancelDeployment(RequestId(2), first))
    (fact,) = facts_in(batch, QueuedChangeFailed)
    assert fact.queued.id == queued


def test_what_waits_survives_a_restart() -> None:
    game = busy()
    queued = accepted_in(deploy(game, "two", queue=True))
    again = World(game.world.settings)
    again.load(game.history)
    assert again.queued[queued] == game.world.queued[queued]


def test_a_removal_can_wait_too() -> None:
    game = busy()
    removal = Removal(AppId(WEB), None)
    game.send(ChangeApps(RequestId(3), removals=(removal,), queue=True))
    (first,) = game.world.deployments
    game.send(CancelDeployment(RequestId(2), first, force=True))
    assert game.world.live_app(AppId(WEB)) is None


def test_queueing_twice_the_same_definition_gives_two_answers() -> None:
    game = busy()
    app = game.world.live_app(AppId(WEB))
    assert app is not None
    other = evolve(spec(), id=AppId("/other"))
    game.send(ChangeApps(RequestId(4), upserts=(Upsert(other, None),)))
    both = (Upsert(spec(cmd="two"), app.version), Upsert(evolve(other, cmd="x"), None))
    answer = answer_in(game.send(ChangeApps(RequestId(5), upserts=both, queue=True)))
    assert isinstance(answer, Rejected), "the second app exists already"


def test_a_refusal_names_the_app_that_is_waited_for() -> None:
    game = busy()
    queued = accepted_in(deploy(game, "two", queue=True))
    other = Upsert(evolve(spec(), id=AppId("/a-free-one")), None)
    app = game.world.live_app(AppId(WEB))
    assert app is not None
    both = (other, Upsert(spec(cmd="three"), app.version))
    answer = answer_in(game.send(ChangeApps(RequestId(4), upserts=both)))
    assert isinstance(answer, Rejected)
    assert answer.subject == WEB
    assert answer.deployment_ids == (queued,)


def test_what_waits_is_not_lost_when_too_many_deployments_are_under_way() -> None:
    """It was accepted: it waits for a place as well."""
    game = Game(Settings(deployments_max=1))
    game.connect()
    deploy(game, "one")
    (first,) = game.world.deployments
    queued = accepted_in(deploy(game, "two", queue=True))
    other = ChangeApps(RequestId(5), upserts=(Upsert(evolve(spec(), id=AppId("/other")), None),))
    game.send(CancelDeployment(RequestId(2), first, force=True), other)
    assert list(game.world.queued) == [queued]
    (second,) = game.world.deployments
    game.send(CancelDeployment(RequestId(6), second, force=True))
    assert list(game.world.deployments) == [queued]


# ------------------------------------------------- behind a deployment that is taken back


def behind_a_broken_one(queued: AppSpec) -> tuple[Game, DeploymentId]:
    """An app that ran well; its update is broken and locks it, and a change waits behind that."""
    game = Game()
    game.connect()
    game.upsert(spec(update=REVERTING))
    game.run_all()
    game.upsert(spec(cmd="broken", update=REVERTING))
    app = game.world.live_app(WEB)
    assert app is not None
    change = ChangeApps(RequestId(1), upserts=(Upsert(queued, app.version),), queue=True)
    return game, accepted_in(game.send(change))


REVERTING = UpdatePolicy(progress_deadline_s=60, auto_revert=True)


def test_a_fix_that_waits_for_a_broken_deployment_begins_when_that_reverts_itself() -> None:
    game, fix = behind_a_broken_one(spec(cmd="fixed", update=REVERTING))
    game.wait_stepwise(61_000)
    game.run_all()
    assert game.world.spec_of(WEB).cmd == "fixed"
    assert not game.world.queued
    assert fix not in game.world.deployments, "it is done"


def test_a_fix_that_waits_begins_when_the_deployment_ahead_is_cancelled() -> None:
    game, fix = behind_a_broken_one(spec(cmd="fixed", update=REVERTING))
    game.send(CancelDeployment(RequestId(2), game.deployment_id))
    game.run_all()
    assert fix not in game.world.queued
    assert game.world.spec_of(WEB).cmd == "fixed"


def test_a_scaling_that_waits_does_not_bring_back_what_was_taken_back() -> None:
    game, _ = behind_a_broken_one(spec(cmd="broken", instances=3, update=REVERTING))
    game.wait_stepwise(61_000)
    game.run_all()
    assert game.world.spec_of(WEB) == spec(instances=3, update=REVERTING)


def test_a_removal_that_waits_follows_what_is_taken_back() -> None:
    game, _ = behind_a_broken_one(spec(cmd="fixed", update=REVERTING))
    (first, queued) = (game.deployment_id, *game.world.queued)
    game.send(CancelDeployment(RequestId(2), queued))
    app = game.world.live_app(WEB)
    assert app is not None
    removal = Removal(WEB, app.version)
    game.send(ChangeApps(RequestId(3), removals=(removal,), queue=True))
    game.send(CancelDeployment(RequestId(4), first))
    game.run_all()
    assert game.world.live_app(WEB) is None


@pytest.mark.parametrize("is_forced", [True, False])
def test_whoever_relies_on_what_waits_is_told_when_it_is_dropped(*, is_forced: bool) -> None:
    game = busy()
    queued = accepted_in(deploy(game, "two", queue=True))
    if is_forced:
        batch = deploy(game, "three", force=True)
    else:
        batch = game.send(CancelDeployment(RequestId(2), queued))
    (fact,) = facts_in(batch, QueuedChangeFailed)
    assert fact.queued.id == queued
    assert fact.reason == ("replaced by a forced change" if is_forced else "cancelled")


@pytest.mark.parametrize("verb", [*Steering])
def test_what_has_not_begun_cannot_be_steered(verb: Steering) -> None:
    game = busy()
    queued = accepted_in(deploy(game, "two", queue=True))
    answer = answer_in(game.send(SteerDeployment(RequestId(2), queued, verb)))
    assert isinstance(answer, Rejected)
    assert answer.refusal is not Refusal.NOT_FOUND, "it is listed"
    assert "has not begun yet" in answer.message
