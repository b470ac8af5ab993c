"""Carry out what only an operator may ask for, against the scheduler's own caution.

Overrides are not stored: they end with the leader's term, because who gave them judged the
situation of that moment.
"""

from scheduler.core.batch import Batch
from scheduler.core.effects import Answer, Refusal, Rejected, Released
from scheduler.core.events import KillUnknown, ReleaseBrake
from scheduler.core.ids import AgentId
from scheduler.core.instance import Condition
from scheduler.core.sight import SIGHT_KEY
from scheduler.core.strays import kill_stray

BRAKE_KEY = "~"
"""The timer key that ends an override of the brake, or its lingering."""


def override(batch: Batch, command: ReleaseBrake | KillUnknown) -> Answer:
    """Release the disaster brake, or kill unknown tasks."""
    if isinstance(command, ReleaseBrake):
        return _release(batch, command.for_s)
    world = batch.world
    for task_id in command.task_ids:
        if task_id not in world.unknown_tasks:
            message = f"No unknown task '{task_id}' is reported by Mesos"
            return Rejected(Refusal.NOT_FOUND, task_id, message)
    for task_id in command.task_ids:
        world.condemned[task_id] = None
        kill_stray(batch, task_id)
    return Released()


def _release(batch: Batch, for_s: int) -> Answer:
    world = batch.world
    if for_s <= 0:
        world.brake_released_until_ms = None
        world.sight.take_back()
        return Released()
    # The operator says that what is missing is lost: it proves no disaster any more.
    world.sight.accept()
    world.brake_lingers = False
    world.brake_released_until_ms = batch.now_ms + for_s * 1000
    world.wake_at(world.brake_released_until_ms, BRAKE_KEY)
    for instance in world.instances.values():
        if instance.condition in {Condition.RUNNING, Condition.UNREACHABLE}:
            world.wake_at(batch.now_ms, instance.id)
    return Released()


def end_release(batch: Batch) -> None:
    """Let the brake hold again if the override's time is over."""
    until_ms = batch.world.brake_released_until_ms
    if until_ms is not None and until_ms <= batch.now_ms:
        batch.world.brake_released_until_ms = None
        batch.world.sight.accept()


def follow_brake(batch: Batch) -> None:
    """Note whether the disaster goes on; when it is over the brake lingers, then lets go."""
    world = batch.world
    if world.brake_released_until_ms is not None:
        return
    if world.is_disaster:
        world.brake_lingers, world.brake_lingers_until_ms = True, None
    elif world.brake_lingers and world.brake_lingers_until_ms is None:
        world.brake_lingers_until_ms = batch.now_ms + world.settings.brake_linger_ms
        world.wake_at(world.brake_lingers_until_ms, BRAKE_KEY)


def end_lingering(batch: Batch) -> None:
    """Let the brake go if its cause has been over for long enough."""
    world = batch.world
    until_ms = world.brake_lingers_until_ms
    if until_ms is not None and until_ms <= batch.now_ms:
        world.brake_lingers, world.brake_lingers_until_ms = False, None


def end_memory(batch: Batch, agent_id: AgentId) -> None:
    """Forget what was given up on an agent if the last of it was long enough ago."""
    sight = batch.world.sight
    last_ms = sight.last_given_up_ms(agent_id)
    if last_ms is None:
        return
    until_ms = last_ms + batch.world.settings.brake_memory_ms
    if until_ms <= batch.now_ms:
        sight.hear_of(agent_id)
    else:
        batch.world.wake_at(until_ms, SIGHT_KEY + agent_id)
