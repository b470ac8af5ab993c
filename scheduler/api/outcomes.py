"""Show what becomes of a deployment, under way or over: Marathon's list loses it when it ends."""

from scheduler.api.appinfo import Json, current_step
from scheduler.api.blocked import block_json, queued_blocks
from scheduler.core.deployment import Change, Deployment
from scheduler.core.explain import blocked_by
from scheduler.core.ids import DeploymentId
from scheduler.core.records import Finished, Queued
from scheduler.core.times import format_ms
from scheduler.core.world import World


def outcome_json(world: World, deployment_id: DeploymentId, now_ms: int) -> Json | None:
    """Show one deployment, or a change that is queued; None if it is not known (any more)."""
    if deployment_id in world.queued:
        return _queued(world, world.queued[deployment_id])
    if deployment_id in world.deployments:
        return _running(world, world.deployments[deployment_id], now_ms)
    if deployment_id in world.finished:
        return _finished(world.finished[deployment_id])
    return None


def progress_json(world: World, deployment: Deployment, now_ms: int) -> Json:
    """Show how far a deployment is, what it waits for and how it was steered."""
    return {
        "startedAt": format_ms(deployment.started_at_ms),
        "stepStartedAt": format_ms(deployment.step_started_at_ms),
        "paused": deployment.paused,
        "failed": deployment.has_failed,
        "promoted": deployment.promoted,
        "reverts": deployment.reverts,
        "blockedBy": [block_json(block) for block in blocked_by(world, deployment.id, now_ms)],
    }


def _queued(world: World, queued: Queued) -> Json:
    at = format_ms(queued.queued_at_ms)
    return {
        "id": queued.id,
        "outcome": "queued",
        "reason": None,
        "version": at,
        "startedAt": None,
        "endedAt": None,
        "changes": [],
        "reverts": None,
        "revertedBy": None,
        "blockedBy": queued_blocks(world, queued),
    }


def _running(world: World, deployment: Deployment, now_ms: int) -> Json:
    """What has failed and holds its apps until an operator decides has no end yet."""
    return {
        "id": deployment.id,
        "outcome": "failed" if deployment.has_failed else "running",
        "reason": deployment.paused if deployment.has_failed else None,
        "version": deployment.version,
        "endedAt": None,
        "changes": _changes(deployment.changes),
        "revertedBy": None,
        "currentStep": current_step(deployment),
        "totalSteps": len(deployment.steps),
        **progress_json(world, deployment, now_ms),
    }


def _finished(finished: Finished) -> Json:
    started_at_ms = finished.started_at_ms
    return {
        "id": finished.id,
        "outcome": finished.outcome,
        "reason": finished.reason,
        "version": finished.version,
        "startedAt": None if started_at_ms is None else format_ms(started_at_ms),
        "endedAt": format_ms(finished.ended_at_ms),
        "changes": _changes(finished.changes),
        "reverts": finished.reverts,
        "revertedBy": finished.reverted_by,
    }


def _changes(changes: tuple[Change, ...]) -> list[Json]:
    return [
        {"app": change.app_id, "before": change.before, "after": change.after} for change in changes
    ]
