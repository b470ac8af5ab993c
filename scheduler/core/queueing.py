"""Let a change wait for the deployments in its way, where its caller asked for that.

Marathon refuses a change of a locked app, and its users wrote retry loops. With ``queue=true`` the
change is stored, answered with the id its deployment will have, and begun as soon as none of its
apps is locked, the oldest first. One change may wait for an app: what a second one would be
derived from does not exist yet, so it is refused as locked.
"""

from collections.abc import Callable

from scheduler.core.batch import Batch
from scheduler.core.effects import Accepted, Answer, QueuedChangeFailed, Rejected
from scheduler.core.events import ChangeApps
from scheduler.core.ids import AppId, DeploymentId, RequestId
from scheduler.core.records import Kind, Queued
from scheduler.core.world import World

Begin = Callable[[Batch, ChangeApps, DeploymentId], Answer]


def waiting_for(world: World, app_ids: list[AppId]) -> list[DeploymentId]:
    """Name the queued changes that wait for one of the apps."""
    wanted = set(app_ids)
    return [queued.id for queued in world.queued.values() if wanted & set(queued.app_ids)]


def enqueue(batch: Batch, command: ChangeApps) -> Accepted:
    """Store a change until its apps are free."""
    queued = Queued(
        id=DeploymentId(batch.new_uuid()),
        queued_at_ms=batch.now_ms,
        upserts=command.upserts,
        removals=command.removals,
        restarts=command.restarts,
        groups=command.groups,
        removed_groups=command.removed_groups,
    )
    batch.put(queued)
    return Accepted(batch.new_version(), queued.id)


def begin_queued(batch: Batch, begin: Begin) -> None:
    """Begin every queued change whose apps are free, while more deployments may be under way."""
    world = batch.world
    oldest_first = sorted(world.queued.values(), key=lambda queued: queued.queued_at_ms)
    for queued in oldest_first:
        if len(world.deployments) >= world.settings.deployments_max:
            return
        if any(app_id in world.locks for app_id in queued.app_ids):
            continue
        batch.delete(Kind.QUEUED, queued.id)
        answer = begin(batch, _as_command(queued), queued.id)
        if isinstance(answer, Rejected):
            batch.publish(QueuedChangeFailed(queued.id, answer.message))


def _as_command(queued: Queued) -> ChangeApps:
    return ChangeApps(
        RequestId(0),
        upserts=queued.upserts,
        removals=queued.removals,
        restarts=queued.restarts,
        groups=queued.groups,
        removed_groups=queued.removed_groups,
    )
