"""Carry out what only an operator may ask for, against the scheduler's own caution.

Overrides are not stored: they end with the leader's term, because who gave them judged the
situation of that moment.
"""

from scheduler.core.batch import Batch
from scheduler.core.effects import Answer, Refusal, Rejected, Released
from scheduler.core.events import KillUnknown, ReleaseBrake
from scheduler.core.strays import kill_stray
from scheduler.core.timers import Timer


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
        world.brake.take_back()
        return Released()
    until_ms = batch.now_ms + for_s * 1000
    world.wake_all_at(batch.now_ms, world.brake.release(until_ms))
    world.wake_at(until_ms, Timer.BRAKE)
    return Released()
