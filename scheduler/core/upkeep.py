"""Bring one app closer to its target: create the instances that lack, end those too many.

The counting is ``rollout``'s; here the counts are read from the world's tallies, and it is chosen
*which* instances go. The order is Marathon's (page "Applications", killSelection): first what
serves nobody, then the healthy ones, the youngest or the oldest first.
"""

from collections.abc import Iterator

from scheduler.core.app import KillSelection
from scheduler.core.batch import Batch
from scheduler.core.effects import AppTerminated
from scheduler.core.ids import AppId, InstanceId, app_path_of
from scheduler.core.instance import Goal, Instance
from scheduler.core.lifecycle import step
from scheduler.core.records import App, Kind, version_key
from scheduler.core.rollout import Side, decide, launch_room
from scheduler.core.signals import Cause, Signal
from scheduler.core.targets import Target, target_of
from scheduler.core.world import Bucket, Tally, World

ENDING_ORDER = (
    Bucket.SCHEDULED,
    Bucket.UNREACHABLE,
    Bucket.RECYCLING,
    Bucket.PENDING,
    Bucket.UNHEALTHY,
    Bucket.UNPROVEN,
    Bucket.SERVING,
)


def settle_app(batch: Batch, app_id: AppId) -> None:
    """Make the moves that an app needs now; does nothing when it matches its target."""
    world = batch.world
    target = target_of(world, app_id)
    if target.version is None:
        _end_all(batch, app_id)
        _forget_removed(batch, app_id)
        return
    new, old = _sides(world, app_id, target)
    spec = target.spec
    moves = decide(
        wanted=target.instances,
        strategy=spec.upgrade_strategy,
        new=_side(new),
        old=_side(old),
        is_single=spec.is_single_instance,
    )
    selection = spec.kill_selection
    _end(batch, _first(moves.end_old, old, selection), "replaced by a newer version")
    _end(batch, _first(moves.end_new, new, selection), "scaled down")
    for _ in range(moves.create):
        _create(batch, app_id, target)


def launch_room_of(world: World, app_id: AppId) -> int:
    """How many waiting instances of an app may be launched now (see ``rollout.launch_room``)."""
    target = target_of(world, app_id)
    if target.version is None:
        return 0
    new, old = _sides(world, app_id, target)
    return launch_room(
        wanted=target.instances,
        strategy=target.spec.upgrade_strategy,
        new=_side(new),
        old=_side(old),
        is_single=target.spec.is_single_instance,
    )


def _sides(world: World, app_id: AppId, target: Target) -> tuple[list[Tally], list[Tally]]:
    """Split the tallies: the wanted version, and the others. Without a deployment all are wanted,
    those of other versions first in line when some must go.
    """
    wanted = world.tally(app_id, target.config_version)
    others = [tally for tally in world.tallies[app_id].values() if tally is not wanted]
    if target.is_rolling:
        return [wanted], others
    return [*others, wanted], []


def _side(tallies: list[Tally]) -> Side:
    def total(bucket: Bucket) -> int:
        return sum(tally.count(bucket) for tally in tallies)

    return Side(
        scheduled=total(Bucket.SCHEDULED),
        pending=total(Bucket.PENDING),
        unproven=total(Bucket.UNPROVEN),
        unhealthy=total(Bucket.UNHEALTHY),
        serving=total(Bucket.SERVING),
        unreachable=total(Bucket.UNREACHABLE),
        recycling=total(Bucket.RECYCLING),
        doomed=total(Bucket.DOOMED),
    )


def _first(count: int, tallies: list[Tally], selection: KillSelection) -> list[InstanceId]:
    """Choose ``count`` active instances to end; buckets keep their arrival order."""
    chosen: list[InstanceId] = []
    for bucket in ENDING_ORDER:
        for tally in tallies:
            if len(chosen) == count:
                return chosen
            ids = tally.buckets[bucket]
            youngest_first = selection is KillSelection.YOUNGEST_FIRST
            ordered: Iterator[InstanceId] = reversed(ids) if youngest_first else iter(ids)
            while len(chosen) < count and (chosen_id := next(ordered, None)) is not None:
                chosen.append(chosen_id)
    return chosen


def _end(batch: Batch, instance_ids: list[InstanceId], reason: str) -> None:
    cause = Cause(Signal.KILL, reason=reason, goal=Goal.DECOMMISSIONED)
    for instance_id in instance_ids:
        step(batch, batch.world.instances[instance_id], cause)


def _end_all(batch: Batch, app_id: AppId) -> None:
    ending = [Bucket.INACTIVE, *ENDING_ORDER]
    for tally in list(batch.world.tallies.get(app_id, {}).values()):
        for bucket in ending:
            _end(batch, list(tally.buckets[bucket]), "app removed or stopped")


def _forget_removed(batch: Batch, app_id: AppId) -> None:
    """Forget a removed app once its last task has ended and no deployment needs it."""
    world = batch.world
    app = world.apps.get(app_id)
    if app is None or not app.removed or app_id in world.locks:
        return
    if any(tally.total for tally in world.tallies.get(app_id, {}).values()):
        return
    forget_app(batch, app)
    batch.publish(AppTerminated(app_id))


def forget_app(batch: Batch, app: App) -> None:
    """Delete everything that is stored of an app; it must have no instances."""
    world = batch.world
    for delay_app, version in list(world.delays):
        if delay_app == app.id:
            batch.delete(Kind.DELAY, version_key(delay_app, version))
    if app.id in world.failures:
        batch.delete(Kind.FAILURE, app.id)
    for version in list(world.versions.get(app.id, {})):
        batch.delete(Kind.VERSION, version_key(app.id, version))
    batch.delete(Kind.APP, app.id)


def _create(batch: Batch, app_id: AppId, target: Target) -> None:
    name = app_path_of(app_id, separator="_")
    batch.put(
        Instance(
            id=InstanceId(f"{name}.instance-{batch.new_uuid()}"),
            app_id=app_id,
            version=target.config_version,
            since_ms=batch.now_ms,
            created_at_ms=batch.now_ms,
        )
    )
    batch.world.revive_wanted = True
