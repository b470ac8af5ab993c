"""Fail a rollout that comes no further: ``update.progressDeadlineSeconds``."""

from attrs import evolve

from scheduler.core.batch import Batch
from scheduler.core.deployment import Action, ActionKind
from scheduler.core.deployments import is_satisfied
from scheduler.core.explain import blocked_by
from scheduler.core.ids import AppId
from scheduler.core.targets import target_of
from scheduler.core.timers import Timer
from scheduler.core.upkeep import awaits_promotion, sides_of
from scheduler.core.world import World


def check_progress(batch: Batch, app_id: AppId) -> None:
    """Have an app's deployment fail if it has made no progress for too long.

    Free is the time in which it is paused, or waits for an operator to promote it, or can come no
    further through no fault of its own: Mesos is away, we have only just come, or the disaster
    brake holds. It has it all again then.
    """
    world = batch.world
    rollout = world.rollouts.get(app_id)
    deployment = world.deployment_of(app_id)
    if rollout is None or deployment is None or world.live_app(app_id) is None:
        return
    policy = world.spec_of(app_id).update
    if policy is None or policy.progress_deadline_s is None or deployment.paused is not None:
        return
    deadline_ms = policy.progress_deadline_s * 1000
    if batch.now_ms - rollout.progressed_at_ms < deadline_ms:
        return
    if deployment.current_step != world.locks[app_id].step or _is_complete(world, app_id):
        # Only others are still under way; should this app fall back, its time runs again.
        world.wake_at(batch.now_ms + deadline_ms, Timer.ROLLOUT + app_id)
        return
    if _is_excused(world, app_id, batch.now_ms):
        batch.put(evolve(rollout, progressed_at_ms=batch.now_ms))
        return
    blocks = blocked_by(world, deployment.id, batch.now_ms)
    why = "; ".join(f"{one.block}: {one.message}" for one in blocks if one.app_id == app_id)
    world.failed_rollouts[app_id] = (
        f"{app_id} made no progress for {policy.progress_deadline_s} s ({why})"
    )


def _is_complete(world: World, app_id: AppId) -> bool:
    """Whether all that is wanted serves; old tasks may still be in their kill grace."""
    if is_satisfied(world, Action(ActionKind.SCALE, app_id)):
        return True
    target = target_of(world, app_id)
    new, _old = sides_of(world, app_id, target)
    return target.is_rolling and new.serving + new.done >= target.instances


def _is_excused(world: World, app_id: AppId, now_ms: int) -> bool:
    if not world.connected or now_ms < world.patient_until_ms or world.brake.holds:
        return True
    return awaits_promotion(world, app_id)
