"""Do what is due: one function for each kind of timer.

A key may be outdated, and the same may come more than once: the state decides what it means.
"""

from collections.abc import Callable

from scheduler.core.batch import Batch
from scheduler.core.deadlines import deadline_of, unproven_deadline
from scheduler.core.ids import AgentId, AppId, InstanceId, TaskId
from scheduler.core.instance import Condition, Goal
from scheduler.core.lifecycle import step
from scheduler.core.patience import unheard_until_ms, unprobed_until_ms
from scheduler.core.progress import check_progress
from scheduler.core.signals import Cause, Signal
from scheduler.core.strays import look_at_stray
from scheduler.core.targets import target_of
from scheduler.core.timers import Timer

_OUT_OF_SIGHT = frozenset({Condition.UNREACHABLE, Condition.UNREACHABLE_INACTIVE})


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


def _look_at_unproven(batch: Batch, key: str) -> None:
    """Fail an app's rollout whose new instance is not healthy in time, however often it restarts.

    Only what is to replace others can fail a deployment: one of the version before says nothing
    against the one that replaces it. A task out of sight has its time again when it returns.
    """
    world, instance_id = batch.world, InstanceId(key)
    instance = world.instances.get(instance_id)
    if instance is None or instance.condition in _OUT_OF_SIGHT:
        return
    spec = world.spec_at(instance.app_id, instance.version)
    due_ms = unproven_deadline(instance, spec)
    if due_ms is None or due_ms > batch.now_ms:
        return
    is_new = target_of(world, instance.app_id).brings(instance.version)
    if not is_new or instance.goal is not Goal.RUNNING:
        return
    unprobed_ms = unprobed_until_ms(world, instance, spec, batch.now_ms)
    if world.brake.holds:
        world.brake.hold_back(Timer.UNPROVEN + instance_id)
    elif unprobed_ms is not None:
        world.wake_at(unprobed_ms, Timer.UNPROVEN + instance_id)
    else:
        reason = f"{instance_id} was not healthy in time (update.healthyDeadlineSeconds)"
        world.failed_rollouts[instance.app_id] = reason


def _look_at_brake(batch: Batch, _key: str) -> None:
    world = batch.world
    world.wake_all_at(batch.now_ms, world.brake.pass_time(batch.now_ms))


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
    unheard_ms = unheard_until_ms(world, instance, batch.now_ms) if is_due else None
    if unheard_ms is not None:
        world.wake_at(unheard_ms, instance_id)
    elif is_due or instance.condition is Condition.RUNNING:
        step(batch, instance, Cause(Signal.DEADLINE))


_ON_TIME: dict[str, Callable[[Batch, str], None]] = {
    Timer.LAUNCH_DELAY: _end_delay,
    Timer.ROLLOUT: _look_at_rollout,
    Timer.UNPROVEN: _look_at_unproven,
    Timer.BRAKE: _look_at_brake,
    Timer.HELD: _look_at_held,
    Timer.STRAY: _look_at_stray,
    Timer.SIGHT: _look_at_agent,
}
