"""Whether an instance that has ended is launched again: Egret's ``restartPolicy``."""

import pytest
from attrs import evolve

from scheduler.core.app import HealthCheck, RestartMode, RestartPolicy, UpgradeStrategy
from scheduler.core.events import ProbeResult
from scheduler.core.ids import InstanceId
from scheduler.core.instance import CheckResult, Condition, Goal, TaskState
from scheduler.core.tally import Bucket
from tests.unit.core.game import V1, WEB, Game, instance, spec, update

ALWAYS, ON_FAILURE, NEVER = RestartMode.ALWAYS, RestartMode.ON_FAILURE, RestartMode.NEVER
FINISHED, FAILED = TaskState.FINISHED, TaskState.FAILED


def game(policy: RestartPolicy | None) -> Game:
    made = Game()
    made.install(spec(restart_policy=policy))
    made.put(instance(Condition.RUNNING))
    made.connect()
    return made


def end(g: Game, state: TaskState) -> bool:
    """Let the task end and tell whether it is launched again; if so it runs anew."""
    g.send(update(g.only.task_id, state))
    if g.only.goal is Goal.STOPPED:
        return False
    g.wait(400_000)
    g.run_all()
    return g.only.condition is Condition.RUNNING


@pytest.mark.parametrize(
    ("policy", "state", "again"),
    [
        (None, FINISHED, True),
        (None, FAILED, True),
        (RestartPolicy(ALWAYS), FINISHED, True),
        (RestartPolicy(ON_FAILURE), FINISHED, False),
        (RestartPolicy(ON_FAILURE), FAILED, True),
        (RestartPolicy(NEVER), FINISHED, False),
        (RestartPolicy(NEVER), FAILED, False),
        (RestartPolicy(ALWAYS, attempts=0), FAILED, False),
    ],
)
def test_the_mode_decides(policy: RestartPolicy | None, state: TaskState, again: bool) -> None:
    """Marathon restarts always, and so does an app that says nothing."""
    assert end(game(policy), state) is again


@pytest.mark.parametrize("state", [FINISHED, FAILED])
def test_what_is_left_ended_says_how_it_ended(state: TaskState) -> None:
    g = game(RestartPolicy(NEVER))
    assert not end(g, state)
    assert g.only.task_state is state


def test_attempts_bound_the_restarts_within_the_interval() -> None:
    g = game(RestartPolicy(ALWAYS, attempts=2, interval_s=10_000))
    assert [end(g, FAILED) for _ in range(3)] == [True, True, False]


def test_a_task_that_its_checks_condemn_counts_like_one_that_failed() -> None:
    """Whoever asks the checks: an executor beside the task, or the scheduler."""
    g = Game()
    check = HealthCheck(grace_period_s=0, max_consecutive_failures=1)
    policy = RestartPolicy(ALWAYS, attempts=1, interval_s=3_600)
    g.install(spec(restart_policy=policy, health_checks=(check,)))
    g.put(instance(Condition.RUNNING))
    g.connect()
    lives = 0
    while g.only.goal is not Goal.STOPPED:
        lives += 1
        assert g.only.task_id is not None
        failed = CheckResult(alive=False, consecutive_failures=1)
        g.send(ProbeResult(g.only.task_id, 0, failed))
        assert g.only.condition is Condition.KILLING
        (condemned,) = g.world.instances.values()
        g.send(update(condemned.task_id, TaskState.KILLED))
        if g.only.goal is Goal.RUNNING:
            assert g.world.delays, "it backs off like after a failure"
            g.wait(400_000)
            g.run_all()
    assert lives == 2
    assert g.only.condition is Condition.SCHEDULED
    assert g.only.last_message == "HTTP check failed 1 times: no cause given"


def test_after_the_interval_the_count_begins_anew() -> None:
    g = game(RestartPolicy(ALWAYS, attempts=1, interval_s=60))
    # Each life lasts longer than the interval.
    assert [end(g, FAILED) for _ in range(4)] == [True, True, True, True]


def test_a_new_version_has_all_its_attempts() -> None:
    """What the old one has crashed does not fail the rollout of the one that mends it."""
    policy = RestartPolicy(ALWAYS, attempts=1, interval_s=10_000)
    old = spec(instances=2, restart_policy=policy, upgrade_strategy=UpgradeStrategy(1000, 500))
    g = Game()
    g.install(old)
    ids = (InstanceId(f"web.instance-{number}") for number in (1, 2))
    g.put(*(instance(Condition.RUNNING, id=one) for one in ids))
    g.connect()
    g.upsert(evolve(old, cmd="mended"))
    first = next(i for i in g.world.instances.values() if i.version == V1)
    g.send(update(first.task_id, FAILED))
    g.wait(400_000)
    g.run_all()
    again = g.world.instances[first.id]
    assert again.version != V1
    g.send(update(again.task_id, FAILED))
    assert g.world.instances[first.id].goal is Goal.RUNNING


def test_an_end_that_is_nobodys_fault_is_no_attempt() -> None:
    """A task that was to run once has not run once when its machine was lost."""
    g = game(RestartPolicy(NEVER))
    assert end(g, TaskState.GONE)


def test_a_task_that_we_kill_and_that_fails_out_of_sight_has_not_crashed() -> None:
    """Its agent went out of sight while it was ended; the word of its end comes later."""
    g = Game()
    g.install(spec(restart_policy=RestartPolicy(NEVER)))
    killed = instance(Condition.UNREACHABLE, kill_reason="killed by an operator")
    g.put(killed)
    g.connect()
    g.send(update(killed.task_id, FAILED))
    assert g.only.goal is Goal.RUNNING
    assert g.world.delays == {}


def test_one_that_is_done_keeps_its_place_and_is_not_replaced() -> None:
    g = game(RestartPolicy(NEVER))
    g.send(update(g.only.task_id, FINISHED))
    (tally,) = g.world.tallies[WEB].values()
    assert tally.count(Bucket.DONE) == 1
    assert tally.active == 1
    g.run_all()
    assert g.only.goal is Goal.STOPPED
    assert g.world.waiting == {}


def test_a_new_definition_runs_once_more_and_its_deployment_ends() -> None:
    """What has ended as it may is what the deployment wanted."""
    g = game(RestartPolicy(NEVER))
    g.send(update(g.only.task_id, FINISHED))
    g.upsert(spec(cmd="again", restart_policy=RestartPolicy(NEVER)))
    g.run_all()
    (one,) = (i for i in g.world.instances.values() if i.condition is Condition.RUNNING)
    assert one.version != V1
    g.send(update(one.task_id, FINISHED))
    assert g.world.deployments == {}
    assert len(g.world.instances) == 1


def test_an_old_one_that_runs_is_let_go_when_the_new_one_is_done() -> None:
    """The new one will never serve; waiting for that would hold the deployment up for ever."""
    g = game(None)
    g.upsert(spec(cmd="once", restart_policy=RestartPolicy(NEVER)))
    for _ in range(5):
        g.run_all()
        for one in list(g.world.instances.values()):
            if one.version != V1 and one.condition is Condition.RUNNING:
                g.send(update(one.task_id, FINISHED))
    assert g.world.deployments == {}
    assert g.only.goal is Goal.STOPPED


def test_scaling_down_forgets_the_done_ones_first() -> None:
    g = game(RestartPolicy(NEVER))
    g.upsert(spec(instances=2, restart_policy=RestartPolicy(NEVER)))
    g.run_all()
    first, second = g.world.instances.values()
    g.send(update(first.task_id, FINISHED))
    g.upsert(spec(instances=1, restart_policy=RestartPolicy(NEVER)), force=True)
    g.run_all()
    assert list(g.world.instances) == [second.id]
