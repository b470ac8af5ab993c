"""Do what is due: one function for each kind of timer.

A key may be outdated, and the same may come more than once: the state decides what it means.
"""

from collections.abc import Callable

from scheduler.core.batch import Batch
from scheduler.core.deadlines import deadline_of
from scheduler.core.ids import AgentId, AppId, InstanceId, TaskId
from scheduler.core.instance import Condition, Instance
from scheduler.core.lifecycle import step
from scheduler.core.reverts import check_progress
from scheduler.core.signals import Cause, Signal
from scheduler.core.strays import look_at_stray
from scheduler.core.timers import Timer
from scheduler.core.world import World

UNHEARD_LOOK_MS = 10_000
"""How often an overdue task is looked at again while nothing can be heard of it."""
_WAITING_FOR_WORD = frozenset(
    {
        Condition.PROVISIONED,
        Condition.STAGING,
        Condition.STARTING,
        Condition.UNREACHABLE,
        Condition.UNREACHABLE_INACTIVE,
    }
)


def pass_deadlines(batch: Batch) -> None:
    """Look at everything whose time has come."""
    for key in batch.world.pop_due(batch.now_ms):
        on_time = _ON_TIME.get(key[:1])
        if on_time is None:
            _look_at_instance(batch, InstanceId(key))
        else:
            on_time(batch, key[1:])


def _end_delay(batch: Batch, _key: str) -> None:
    """Ask for offers: the app's waiting instances may be launched."""
    batch.world.revive_wanted = True


def _look_at_rollout(batch: Batch, key: str) -> None:
    check_progress(batch, AppId(key))


def _look_at_brake(batch: Batch, _key: str) -> None:
    for key in batch.world.brake.pass_time(batch.now_ms):
        batch.world.wake_at(batch.now_ms, key)


def _look_at_held(batch: Batch, key: str) -> None:
    batch.world.dirty[AppId(key)] = None


def _look_at_stray(batch: Batch, key: str) -> None:
    look_at_stray(batch, TaskId(key))


def _look_at_agent(batch: Batch, key: str) -> None:
    """Forget what was given up on an agent if the last of it was long enough ago."""
    world, agent_id = batch.world, AgentId(key)
    last_ms = world.brake.sight.last_given_up_ms(agent_id)
    if last_ms is None:
        return
    until_ms = last_ms + world.settings.brake_memory_ms
    if until_ms <= batch.now_ms:
        world.brake.sight.hear_of(agent_id)
    else:
        world.wake_at(until_ms, Timer.SIGHT + agent_id)


def _look_at_instance(batch: Batch, instance_id: InstanceId) -> None:
    world = batch.world
    instance = world.instances.get(instance_id)
    if instance is None:
        return
    spec = world.spec_at(instance.app_id, instance.version)
    deadline_ms = deadline_of(instance, spec, world.settings)
    is_due = deadline_ms is not None and deadline_ms <= batch.now_ms
    if is_due and _may_be_unheard(world, instance, batch.now_ms):
        world.wake_at(max(world.patient_until_ms, batch.now_ms + UNHEARD_LOOK_MS), instance_id)
    elif is_due or instance.condition is Condition.RUNNING:
        step(batch, instance, Cause(Signal.DEADLINE))


def _may_be_unheard(world: World, instance: Instance, now_ms: int) -> bool:
    """Whether a task may have spoken while nobody listened, and Mesos was not asked since.

    Its deadline passes only once it has had its say: a task that ran while the scheduler was
    away must not be ended for a silence that was ours.
    """
    if instance.condition not in _WAITING_FOR_WORD:
        return False
    if not world.connected:
        return True
    return now_ms < world.patient_until_ms and instance.task_id in world.reconciliation.unanswered


_ON_TIME: dict[str, Callable[[Batch, str], None]] = {
    Timer.LAUNCH_DELAY: _end_delay,
    Timer.ROLLOUT: _look_at_rollout,
    Timer.BRAKE: _look_at_brake,
    Timer.HELD: _look_at_held,
    Timer.STRAY: _look_at_stray,
    Timer.SIGHT: _look_at_agent,
}
