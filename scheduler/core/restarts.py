"""Decide whether an instance that has ended is launched again: Egret's ``restartPolicy``.

Marathon restarts always, also after exit status 0; that is what an app without the extension gets.
With it, ``attempts`` bound the restarts within ``intervalSeconds``: beyond them the instance is
left ended until its app is changed or restarted.
"""

from attrs import evolve

from scheduler.core.app import RestartMode
from scheduler.core.batch import Batch
from scheduler.core.instance import Instance, TaskState


def count_attempt(instance: Instance, state: TaskState, batch: Batch) -> Instance | None:
    """Count one more end of the instance's task; None if it must not be launched again."""
    policy = batch.world.spec_at(instance.app_id, instance.version).restart_policy
    if policy is None:
        return instance
    is_success = state is TaskState.FINISHED
    if policy.mode is RestartMode.NEVER or (policy.mode is RestartMode.ON_FAILURE and is_success):
        return None
    if policy.attempts is None:
        return instance
    if policy.attempts == 0:
        return None
    is_over = batch.now_ms - instance.attempts_since_ms >= policy.interval_s * 1000
    if instance.attempts == 0 or is_over:
        return evolve(instance, attempts=1, attempts_since_ms=batch.now_ms)
    if instance.attempts >= policy.attempts:
        return None
    return evolve(instance, attempts=instance.attempts + 1)
