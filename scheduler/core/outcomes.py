"""Remember what became of deployments that are over, so that who waited for one can ask.

A deployment is deleted when it is over. That it was done cannot be told from its absence: one that
was taken back is absent, too. So its outcome is stored in the same commit; a new leader knows it.
Kept are the latest ones, fewer where they changed many apps.
"""

from scheduler.core.batch import Batch
from scheduler.core.deployment import Deployment
from scheduler.core.ids import DeploymentId, Version
from scheduler.core.records import Finished, Kind, Outcome, Queued
from scheduler.core.times import format_ms

CHANGES_MAX = 10_000
"""Most changed apps in all that is kept; the last outcome is kept whatever it changed."""


def conclude(
    batch: Batch,
    deployment: Deployment,
    outcome: Outcome,
    reason: str | None = None,
    *,
    reverted_by: DeploymentId | None = None,
) -> None:
    """Keep what became of a deployment; of one that had failed before, why it had."""
    _keep(
        batch,
        Finished(
            id=deployment.id,
            outcome=outcome,
            version=deployment.version,
            ended_at_ms=batch.now_ms,
            started_at_ms=deployment.started_at_ms,
            changes=deployment.changes,
            reason=why_of(deployment, reason),
            reverts=deployment.reverts,
            reverted_by=reverted_by,
        ),
    )


def why_of(deployment: Deployment, reason: str | None) -> str | None:
    """Give the reason of an end; of a deployment that had failed before, with why it had."""
    if not deployment.has_failed:
        return reason
    why = deployment.paused
    return why if reason is None else f"{reason}; it had failed: {why}"


def conclude_queued(batch: Batch, queued: Queued, outcome: Outcome, reason: str) -> None:
    """Keep what became of a change that never began."""
    version = Version(format_ms(queued.queued_at_ms))
    _keep(batch, Finished(queued.id, outcome, version, batch.now_ms, reason=reason))


def _keep(batch: Batch, finished: Finished) -> None:
    kept, most = batch.world.finished, batch.world.settings.finished_max
    batch.put(finished)
    changes = sum(len(one.changes) for one in kept.values())
    for oldest in list(kept.values()):
        fits = len(kept) <= most and changes <= CHANGES_MAX
        if fits or oldest.id == finished.id:
            return
        batch.delete(Kind.FINISHED, oldest.id)
        changes -= len(oldest.changes)
