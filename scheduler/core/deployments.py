"""Carry deployments forward: a step is over when its apps match their targets, nothing else.

No step waits for an event that could be missed: each time one of its apps changed, the state is
looked at again. A new leader therefore goes on where the old one was.
"""

from attrs import evolve

from scheduler.core.batch import Batch
from scheduler.core.deployment import Action, ActionKind, Deployment
from scheduler.core.effects import DeploymentDone, DeploymentStepDone
from scheduler.core.ids import AppId, DeploymentId
from scheduler.core.outcomes import conclude
from scheduler.core.records import Kind, Outcome
from scheduler.core.tally import Bucket
from scheduler.core.targets import target_of
from scheduler.core.world import World


def settle_deployment(batch: Batch, deployment_id: DeploymentId) -> None:
    """Go as many steps forward as are satisfied; end the deployment after the last one.

    One that is paused begins no step.
    """
    deployment = batch.world.deployments.get(deployment_id)
    if deployment is None:
        return
    while deployment.current_step < len(deployment.steps):
        step = deployment.steps[deployment.current_step]
        is_last = deployment.current_step == len(deployment.steps) - 1
        if deployment.paused is not None and not is_last:
            return
        if _find_unsatisfied(batch.world, deployment):
            return
        batch.publish(DeploymentStepDone(deployment, step))
        deployment = _next_step(batch, deployment)
    drop_deployment(batch, deployment)
    if deployment.has_failed:
        # That was told when it failed: it is no success now because nothing is left to do.
        conclude(batch, deployment, Outcome.FAILED)
        return
    conclude(batch, deployment, Outcome.DONE)
    batch.publish(DeploymentDone(deployment))


def drop_deployment(batch: Batch, deployment: Deployment) -> None:
    """Delete a deployment and what was noted of its progress; its apps are free again."""
    batch.delete(Kind.DEPLOYMENT, deployment.id)
    batch.world.witnesses.pop(deployment.id, None)
    for change in deployment.changes:
        # Whatever failed in this moment was this deployment's: what comes after it starts afresh.
        batch.world.failed_rollouts.pop(change.app_id, None)
        if change.app_id in batch.world.rollouts:
            batch.delete(Kind.ROLLOUT, change.app_id)


def _find_unsatisfied(world: World, deployment: Deployment) -> bool:
    """Whether some action of the present step is unsatisfied.

    The search begins where the last one ended: the app that held the step up then mostly still
    does, so that an update of one app does not cost a look at all the apps of the step.
    """
    actions = deployment.steps[deployment.current_step].actions
    start = world.witnesses.get(deployment.id, 0) % len(actions)
    for offset in range(len(actions)):
        index = (start + offset) % len(actions)
        if not is_satisfied(world, actions[index]):
            world.witnesses[deployment.id] = index
            return True
    return False


def is_satisfied(world: World, action: Action) -> bool:
    """Whether an app has reached what the present step wants of it.

    All wanted instances run the wanted version and serve, and no others are left; those given up
    as out of sight do not hold a deployment up, except that a stopped app must have none. Who only
    asks for fewer has them when the surplus is gone: how the others fare is not what was changed.
    """
    if action.kind is ActionKind.START:
        return True
    target = target_of(world, action.app_id)
    tallies = world.tallies.get(action.app_id, {})
    total = sum(tally.total for tally in tallies.values())
    if target.version is None:
        return total == 0
    inactive = sum(tally.count(Bucket.INACTIVE) for tally in tallies.values())
    wanted = tallies.get(target.config_version)
    if total - inactive != target.instances:
        return False
    if wanted is None:
        return target.instances == 0
    if action.kind is ActionKind.SCALE and _only_shrinks(world, action.app_id):
        return wanted.total - wanted.count(Bucket.INACTIVE) == target.instances
    return wanted.count(Bucket.SERVING) + wanted.count(Bucket.DONE) == target.instances


def _only_shrinks(world: World, app_id: AppId) -> bool:
    """Whether an app's deployment leaves its definition as it is, and wants no more of it."""
    lock = world.locks.get(app_id)
    if lock is None or lock.change.before is None or lock.change.after is None:
        return False
    known = world.versions[app_id]
    before, after = known[lock.change.before], known[lock.change.after]
    is_same = before.config_version == after.config_version
    return is_same and after.spec.instances < before.spec.instances


def _next_step(batch: Batch, deployment: Deployment) -> Deployment:
    following = evolve(
        deployment,
        current_step=deployment.current_step + 1,
        step_started_at_ms=batch.now_ms,
        promoted=False,
    )
    batch.put(following)
    return following
