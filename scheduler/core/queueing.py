"""Let a change wait for the deployments in its way, where its caller asked for that.

Marathon refuses a change of a locked app, and its users wrote retry loops. With ``queue=true`` the
change is stored, answered with the id its deployment will have, and begun as soon as none of its
apps is locked, the oldest first. One change may wait for an app: what a second one would be
derived from does not exist yet, so it is refused as locked. Where the deployment
ahead is taken back, it goes on from the version before that.
"""

from collections.abc import Callable

from attrs import evolve

from scheduler.core.app import AppSpec
from scheduler.core.batch import Batch
from scheduler.core.deployment import Change
from scheduler.core.effects import Accepted, Answer, QueuedChangeFailed, Rejected
from scheduler.core.events import ChangeApps
from scheduler.core.ids import AppId, DeploymentId, RequestId
from scheduler.core.outcomes import conclude_queued
from scheduler.core.planning import is_config_change
from scheduler.core.records import Kind, Outcome, Queued
from scheduler.core.wishes import Removal, Upsert
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
            conclude_queued(batch, queued, Outcome.FAILED, answer.message)
            batch.publish(QueuedChangeFailed(queued, answer.message))


def drop_queued(batch: Batch, deployment_id: DeploymentId, reason: str) -> None:
    """Forget a change that waits, and say so to whoever relies on it."""
    queued = batch.world.queued[deployment_id]
    batch.delete(Kind.QUEUED, queued.id)
    conclude_queued(batch, queued, Outcome.CANCELLED, reason)
    batch.publish(QueuedChangeFailed(queued, reason))


def follow_revert(batch: Batch, reverted: Change) -> None:
    """Let what waits for an app go on from the version to which the app is taken back.

    A fix that waits for a broken deployment is what queueing is for: its definition is whole and
    stays as it is. A mere scaling keeps to its count, lest it bring back what was taken back.
    Changes of an app that the revert removes find none when their turn comes.
    """
    if reverted.before is None or reverted.after is None:
        return
    world, app_id = batch.world, reverted.app_id
    broken = world.spec_at(app_id, reverted.before)
    restored = world.spec_at(app_id, reverted.after)
    for queued in tuple(world.queued.values()):
        if app_id in queued.app_ids:
            upserts = (_rebased(one, reverted, broken, restored) for one in queued.upserts)
            removals = (_expecting(one, reverted) for one in queued.removals)
            followed = evolve(queued, upserts=tuple(upserts), removals=tuple(removals))
            if followed != queued:
                batch.put(followed)


def _rebased(upsert: Upsert, reverted: Change, broken: AppSpec, restored: AppSpec) -> Upsert:
    if upsert.spec.id != reverted.app_id or upsert.expect != reverted.before:
        return upsert
    spec = upsert.spec
    if not is_config_change(broken, spec):
        spec = evolve(restored, instances=spec.instances)
    return Upsert(spec, reverted.after)


def _expecting(removal: Removal, reverted: Change) -> Removal:
    if removal.app_id != reverted.app_id or removal.expect != reverted.before:
        return removal
    return evolve(removal, expect=reverted.after)


def _as_command(queued: Queued) -> ChangeApps:
    return ChangeApps(
        RequestId(0),
        upserts=queued.upserts,
        removals=queued.removals,
        restarts=queued.restarts,
        groups=queued.groups,
        removed_groups=queued.removed_groups,
    )
