"""A scheduler that was away condemns nothing for the silence that was its own."""

import pytest
from attrs import evolve

from scheduler.core import World, resume, settle
from scheduler.core.app import HealthCheck, UnreachableStrategy, UpdatePolicy
from scheduler.core.effects import Kill, Reconcile, Revive
from scheduler.core.events import Disconnected, Tick
from scheduler.core.instance import CheckResult, Condition, Instance, TaskState
from scheduler.core.records import Rollout
from tests.unit.core.game import Game, effects_in, instance, spec, update

HOUR_MS = 3_600_000
APP = spec(unreachable_strategy=UnreachableStrategy(60, 120))
WAITING_FOR_WORD = [
    Condition.PROVISIONED,
    Condition.STAGING,
    Condition.STARTING,
    Condition.UNREACHABLE,
    Condition.UNREACHABLE_INACTIVE,
]


def back_after_an_hour(game: Game) -> list[Kill]:
    """Begin a new leader's term on what the old one stored; returns the kills it begins with."""
    game.now_ms += HOUR_MS
    world = World(game.world.settings)
    world.load(game.history)
    game.world = world
    batch = game.batch()
    resume(batch)
    settle(batch)
    game.history.extend(batch.records)
    return effects_in(batch, Kill)


def away_with(subject: Instance) -> Game:
    game = Game()
    game.install(APP)
    game.put(subject)
    return game


@pytest.mark.parametrize("condition", WAITING_FOR_WORD)
def test_a_task_that_ran_all_the_time_is_left_running(condition: Condition) -> None:
    """Its update lies unacknowledged at the agent, or its agent came back: we were not there."""
    subject = instance(condition)
    game = away_with(subject)
    assert back_after_an_hour(game) == []
    assert effects_in(game.connect(), Kill) == []
    batch = game.send(update(subject.task_id, TaskState.RUNNING))
    assert effects_in(batch, Kill) == []
    now = game.world.instances[subject.id]
    assert (now.condition, now.task_id) == (Condition.RUNNING, subject.task_id)


@pytest.mark.parametrize("condition", WAITING_FOR_WORD)
def test_a_lost_connection_is_no_silence_of_the_tasks(condition: Condition) -> None:
    subject = instance(condition)
    game = away_with(subject)
    game.connect()
    game.send(Disconnected())
    effects = game.wait_stepwise(HOUR_MS)
    assert not [effect for effect in effects if isinstance(effect, Kill)]
    assert game.world.instances[subject.id].task_id == subject.task_id


@pytest.mark.parametrize("condition", WAITING_FOR_WORD)
def test_a_time_in_which_nothing_was_decided_is_no_silence_of_the_tasks(
    condition: Condition,
) -> None:
    """The store was away or the process stood still: what was said may wait behind much else."""
    subject = instance(condition)
    game = away_with(subject)
    game.connect()
    game.send(update(subject.task_id, subject.task_state or TaskState.STAGING, uuid=None))
    game.now_ms += HOUR_MS
    batch = game.send(Tick(late_ms=HOUR_MS))
    assert effects_in(batch, Kill) == []
    asked = [task_id for ask in effects_in(batch, Reconcile) for task_id, _ in ask.tasks]
    assert asked == [subject.task_id]
    batch = game.send(update(subject.task_id, TaskState.RUNNING))
    assert effects_in(batch, Kill) == []
    assert game.world.instances[subject.id].task_id == subject.task_id


def test_a_time_in_which_nothing_was_decided_is_no_standstill_of_a_deployment() -> None:
    app = evolve(APP, update=UpdatePolicy(progress_deadline_s=600))
    game = Game()
    game.connect()
    game.upsert(app)
    deployment_id = game.deployment_id
    game.now_ms += HOUR_MS
    game.send(Tick(late_ms=HOUR_MS - 600_000))
    assert game.world.deployments[deployment_id].paused is None
    game.wait(600_000)
    assert game.world.deployments[deployment_id].paused


def test_a_task_that_failed_its_checks_too_often_is_ended_whatever_else_it_has_missed() -> None:
    """That its checks were not asked since we are here excuses no verdict that is stored."""
    game = Game()
    check = HealthCheck(max_consecutive_failures=3)
    game.install(spec(health_checks=(check,), update=UpdatePolicy(healthy_deadline_s=30)))
    failed = CheckResult(alive=False, consecutive_failures=3)
    sick = instance(Condition.RUNNING, checks=(failed,), healthy_since_ms=None, proven=False)
    game.put(sick)
    assert [kill.task_id for kill in back_after_an_hour(game)] == [sick.task_id]


def test_a_task_that_comes_back_having_failed_its_checks_too_often_is_ended() -> None:
    """The disaster brake may have held when they failed; that they still fail is told no more."""
    game = Game()
    game.install(spec(health_checks=(HealthCheck(max_consecutive_failures=3),)))
    failed = CheckResult(alive=False, consecutive_failures=3)
    sick = instance(Condition.UNREACHABLE, checks=(failed,))
    game.put(sick)
    game.connect()
    batch = game.send(update(sick.task_id, TaskState.RUNNING))
    assert [kill.task_id for kill in effects_in(batch, Kill)] == [sick.task_id]


@pytest.mark.parametrize("condition", [Condition.PROVISIONED, Condition.STAGING])
def test_a_task_that_stays_silent_is_replaced_all_the_same(condition: Condition) -> None:
    subject = instance(condition)
    game = away_with(subject)
    back_after_an_hour(game)
    game.connect()
    effects = game.wait_stepwise(120_000)
    assert next(e.task_id for e in effects if isinstance(e, Kill)) == subject.task_id


def test_a_task_out_of_sight_is_given_up_once_mesos_has_said_that_it_still_is() -> None:
    subject = instance(Condition.UNREACHABLE)
    game = away_with(subject)
    back_after_an_hour(game)
    game.connect()
    game.send(update(subject.task_id, TaskState.UNREACHABLE, uuid=None))
    game.wait_stepwise(60_000)
    assert subject.id not in game.world.instances


def test_an_unconfirmed_launch_is_asked_about_and_then_given_time_to_answer() -> None:
    """Asked late, it must not be condemned in the moment of the question."""
    subject = instance(Condition.PROVISIONED)
    game = away_with(subject)
    game.connect()
    batch = game.wait(HOUR_MS)
    assert effects_in(batch, Kill) == []
    assert game.only.unconfirmed_asks == 1
    game.wait_stepwise(29_000)
    assert game.only.condition is Condition.PROVISIONED
    game.wait_stepwise(1000)
    assert game.only.condition is Condition.SCHEDULED


def test_a_new_task_gets_time_to_be_found_healthy_by_the_new_leader() -> None:
    """``healthyDeadlineSeconds`` was over while nobody probed."""
    app = evolve(APP, update=UpdatePolicy(healthy_deadline_s=60))
    subject = instance(Condition.RUNNING, healthy_since_ms=None, proven=False)
    game = Game()
    game.install(evolve(app, instances=1))
    game.put(subject)
    assert back_after_an_hour(game) == []
    game.connect()
    assert game.only.condition is Condition.RUNNING


def test_the_progress_of_a_deployment_is_not_judged_by_the_time_without_a_leader() -> None:
    app = evolve(APP, update=UpdatePolicy(progress_deadline_s=600))
    game = Game()
    game.connect()
    game.upsert(app)
    deployment_id = game.deployment_id
    assert isinstance(game.world.rollouts[app.id], Rollout)
    back_after_an_hour(game)
    game.connect()
    game.wait(1000)
    assert game.world.deployments[deployment_id].paused is None
    game.wait(600_000)
    assert game.world.deployments[deployment_id].paused


def test_a_kill_under_way_is_sent_once_when_mesos_can_hear_it() -> None:
    """Not at the beginning of the term, when nobody listens, nor once for each period missed."""
    subject = instance(Condition.KILLING, kill_reason="scaled down", kill_attempts=1)
    game = away_with(subject)
    assert len(back_after_an_hour(game)) <= 1
    kills = effects_in(game.connect(), Kill)
    assert [kill.task_id for kill in kills] == [subject.task_id]
    effects = game.wait_stepwise(game.world.settings.kill_retry_ms)
    assert len([effect for effect in effects if isinstance(effect, Kill)]) == 1


def test_what_waits_is_offered_to_though_an_old_call_for_no_offers_arrives_late() -> None:
    """A SUPPRESS that was decided before the connection was lost goes out on the new one."""
    game = Game()
    game.install(APP)
    game.connect()
    assert game.world.waiting
    assert effects_in(game.send(Disconnected()), Revive) == []
    assert len(effects_in(game.connect(), Revive)) == 1
