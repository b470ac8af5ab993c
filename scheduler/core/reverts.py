"""Take a deployment back, by an operator's word or because it has failed.

A revert is a deployment of its own: it goes through the same steps, keeps to the same capacities
and can be followed like any other. It touches only what the first one changed: an app that was
changed again since is left alone, and an app is removed only if that deployment created it.
"""

from attrs import evolve

from scheduler.core.batch import Batch
from scheduler.core.deployment import Change, Deployment, GroupChange
from scheduler.core.deployments import drop_deployment
from scheduler.core.effects import (
    Accepted,
    DeploymentDone,
    DeploymentFailed,
    DeploymentStarted,
    Rejected,
)
from scheduler.core.ids import AppId, DeploymentId, Version
from scheduler.core.outcomes import conclude, why_of
from scheduler.core.planning import circle_in, imagine, plan
from scheduler.core.queueing import follow_revert
from scheduler.core.records import App, Kind, Outcome, RolledBack, Rollout
from scheduler.core.retention import prune_versions


def deploy(
    batch: Batch,
    version: Version,
    changes: list[Change],
    group_changes: list[GroupChange],
    *,
    reverts: Deployment | None = None,
    deployment_id: DeploymentId | None = None,
) -> Accepted:
    """Begin a deployment of changes of apps that are already stored, and change the groups.

    A queued one has its id already.

    One that gives up a way back goes to what may have waited for approval, so it does again.
    """
    # Before the plan: what is below a group comes after what the group depends on.
    for change in group_changes:
        if change.after is not None:
            batch.put(change.after)
        elif change.before is not None:
            batch.delete(Kind.GROUP, change.group_id)
    deployment = Deployment(
        id=deployment_id or DeploymentId(batch.new_uuid()),
        version=version,
        started_at_ms=batch.now_ms,
        steps=plan(batch.world, changes),
        changes=tuple(changes),
        step_started_at_ms=batch.now_ms,
        reverts=None if reverts is None else reverts.id,
        untried=reverts is not None and reverts.goes_back,
        group_changes=tuple(group_changes),
    )
    batch.publish(DeploymentStarted(deployment))
    if not deployment.changes:
        # Deployments are looked at through their apps: without one, nobody would end this.
        conclude(batch, deployment, Outcome.DONE)
        batch.publish(DeploymentDone(deployment))
        return Accepted(version, deployment.id)
    batch.put(deployment)
    for change in changes:
        # Only now: the version before the change is needed for as long as this deployment lasts.
        prune_versions(batch, change.app_id)
    return Accepted(version, deployment.id)


def give_up(batch: Batch, deployment: Deployment, reason: str) -> None:
    """End a deployment that is not wanted any more; what it reached stays."""
    drop_deployment(batch, deployment)
    conclude(batch, deployment, Outcome.CANCELLED, reason)
    batch.publish(DeploymentFailed(deployment, reason))


def revert(
    batch: Batch, deployment: Deployment, reason: str, outcome: Outcome
) -> Accepted | Rejected:
    """Replace a deployment by one that takes back what it changed, and only that.

    Refused, with nothing changed, where the definitions of before and the others of now would
    depend on each other in a circle.
    """
    world = batch.world
    changes = [
        Change(change.app_id, before=change.after, after=change.before)
        for change in deployment.changes
        if change.before != change.after
        and (app := world.apps.get(change.app_id)) is not None
        and (None if app.removed else app.version) == change.after
    ]
    imagined = imagine(world)
    reverted = [_after(world.apps[change.app_id], change) for change in changes]
    imagined.apps.update({app.id: app for app in reverted})
    group_changes = [
        GroupChange(change.group_id, before=change.after, after=change.before)
        for change in deployment.group_changes
        if world.groups.get(change.group_id) == change.after
    ]
    for change in group_changes:
        imagined.groups.pop(change.group_id, None)
        if change.after is not None:
            imagined.groups[change.group_id] = change.after
    circle = circle_in(imagined)
    if circle is not None:
        return circle
    drop_deployment(batch, deployment)
    batch.publish(DeploymentFailed(deployment, reason))
    for app, change in zip(reverted, changes, strict=True):
        batch.put(app)
        follow_revert(batch, change)
        if change.before is not None:
            why = why_of(deployment, reason) or reason
            batch.put(RolledBack(app.id, change.before, batch.now_ms, why))
    accepted = deploy(batch, batch.new_version(), changes, group_changes, reverts=deployment)
    conclude(batch, deployment, outcome, reason, reverted_by=accepted.deployment_id)
    return accepted


def _after(app: App, change: Change) -> App:
    return evolve(app, removed=True) if change.after is None else App(app.id, change.after)


def fail(batch: Batch, app_id: AppId, reason: str) -> None:
    """End an app's deployment that cannot succeed: revert it, or stop it where it is.

    ``update.autoRevert`` decides. A revert that fails itself is not reverted again, nor is an app
    that is new: there is nothing to go back to, and its definition would be lost. What is stopped
    stays paused with the reason until an operator resumes or cancels it: nothing that failed goes
    on by itself.
    """
    deployment = batch.world.deployment_of(app_id)
    if deployment is None or deployment.paused is not None:
        return
    policy = batch.world.spec_of(app_id).update
    is_created = batch.world.locks[app_id].change.before is None
    may_revert = policy is not None and policy.auto_revert and deployment.reverts is None
    if may_revert and not is_created:
        answer = revert(batch, deployment, reason, Outcome.REVERTED)
        if isinstance(answer, Accepted):
            return
    batch.put(evolve(deployment, paused=reason))
    batch.publish(DeploymentFailed(deployment, reason))


def watch_progress(batch: Batch, app_id: AppId, serving: int) -> None:
    """Note how far an app has come, where ``update.progressDeadlineSeconds`` counts on it."""
    world = batch.world
    lock = world.locks.get(app_id)
    app = world.live_app(app_id)
    if lock is None or app is None or lock.step is None:
        return
    policy = world.spec_of(app_id).update
    deployment = world.deployments[lock.deployment_id]
    if policy is None or policy.progress_deadline_s is None:
        return
    if deployment.current_step != lock.step:
        return
    known = world.rollouts.get(app_id)
    is_old = known is not None and known.deployment_id == deployment.id
    if known is None or not is_old or serving > known.serving:
        batch.put(Rollout(app_id, deployment.id, serving, batch.now_ms))
