"""Bring one app closer to its target: create the instances that lack, end those too many.

The counting is ``rollout``'s; here the counts are read from the world's tallies, and it is chosen
*which* instances go. The order is Marathon's (page "Applications", killSelection): first what
serves nobody, then the healthy ones, the youngest or the oldest first. Where a newer version
replaces them what is out of sight goes later, for it counts as kept.
"""

from collections import Counter, deque
from collections.abc import Iterator

from scheduler.core.app import AppSpec, KillSelection, Operator, port_requests
from scheduler.core.backoff import is_delayed
from scheduler.core.batch import Batch
from scheduler.core.effects import AppTerminated
from scheduler.core.ids import AppId, InstanceId, Version
from scheduler.core.instance import Condition, Goal
from scheduler.core.lifecycle import step
from scheduler.core.records import App, Kind, version_key
from scheduler.core.reverts import watch_progress
from scheduler.core.rollout import (
    Bounds,
    Moves,
    Side,
    bounds_of,
    decide,
    ill_to_end,
    launch_room,
    stop_first,
    with_canaries,
)
from scheduler.core.signals import Cause, Signal
from scheduler.core.tally import Bucket, Tally
from scheduler.core.targets import Target, target_of
from scheduler.core.timers import Timer
from scheduler.core.transitions import create
from scheduler.core.world import World

ENDING_ORDER = (
    Bucket.DONE,
    Bucket.SCHEDULED,
    Bucket.UNREACHABLE,
    Bucket.RECYCLING,
    Bucket.PENDING,
    Bucket.UNHEALTHY,
    Bucket.UNPROVEN,
    Bucket.PROVING,
    Bucket.SERVING,
)

REPLACING_ORDER = (
    Bucket.DONE,
    Bucket.SCHEDULED,
    # None of these counts as kept (``rollout.decide``), so each may go whatever the floor says.
    Bucket.RECYCLING,
    Bucket.PENDING,
    Bucket.UNREACHABLE,
    Bucket.UNHEALTHY,
    Bucket.UNPROVEN,
    Bucket.PROVING,
    Bucket.SERVING,
)

ALL_OFFERS_REVIVES = 3
"""In how many intervals of REVIVE every agent that has room makes an offer."""

NOBODY = Side()


def settle_app(batch: Batch, app_id: AppId) -> None:
    """Make the moves that an app needs now; does nothing when it matches its target."""
    world = batch.world
    target = target_of(world, app_id)
    if target.version is None:
        _end_all(batch, app_id)
        _forget_removed(batch, app_id)
        return
    new, old = _sides(world, app_id, target)
    sides = _side(new), _side(old, is_old=True)
    spec = target.spec
    bounds = bounds_at(spec, *sides, is_promoted=target.is_promoted)
    watch_progress(batch, app_id, sides[0].serving)
    moves = decide(wanted=target.instances, bounds=bounds, new=sides[0], old=sides[1])
    replaced = _first(moves.end_old, old, spec, world, REPLACING_ORDER)
    why = "replaced by a newer version"
    if not replaced and is_kept_out(world, target, *sides, batch.now_ms):
        replaced = _in_the_way(world, target, bounds, sides, old)
        why = "stopped first: its fixed ports are needed by the newer version"
    if target.is_paused:
        moves, replaced = Moves(), []
    elif replaced and world.brake.holds:
        ill = ill_to_end(wanted=target.instances, bounds=bounds, new=sides[0], old=sides[1])
        allowed = _first(ill, old, spec, world, (Bucket.UNHEALTHY,))
        if len(allowed) < len(replaced):
            world.brake.hold_back(Timer.HELD + app_id)
        replaced = allowed
    _end(batch, replaced, why)
    _end(batch, _first(moves.end_new, new, spec, world, ENDING_ORDER), "scaled down")
    for _ in range(moves.create):
        create(batch, app_id, target.config_version)


def is_held_up(world: World, app_id: AppId, target: Target, now_ms: int) -> bool:
    """Whether instances would be replaced now, if the disaster brake did not hold."""
    if not world.brake.holds or target.is_paused:
        return False
    new, old, bounds = _counted(world, app_id, target)
    if decide(wanted=target.instances, bounds=bounds, new=new, old=old).end_old > 0:
        return True
    return is_stop_first_held_up(world, app_id, target, now_ms)


def is_stop_first_held_up(world: World, app_id: AppId, target: Target, now_ms: int) -> bool:
    """Whether an instance would be stopped now for its fixed ports, but for the disaster brake."""
    if not world.brake.holds or target.is_paused:
        return False
    new, old = _sides(world, app_id, target)
    sides = _side(new), _side(old, is_old=True)
    if not is_kept_out(world, target, *sides, now_ms):
        return False
    bounds = bounds_at(target.spec, *sides, is_promoted=target.is_promoted)
    return bool(_in_the_way(world, target, bounds, sides, old))


def launch_room_of(world: World, app_id: AppId, version: Version) -> int:
    """How many waiting instances of a config version of an app may be launched now.

    See ``rollout.launch_room``.
    """
    target = target_of(world, app_id)
    if target.version is None:
        return 0
    new, old, bounds = _counted(world, app_id, target)
    return launch_room(bounds, new, old, is_new=version == target.config_version)


def sides_of(world: World, app_id: AppId, target: Target) -> tuple[Side, Side]:
    """Count the instances of the wanted version, and those of all others."""
    new, old = _sides(world, app_id, target)
    return _side(new), _side(old, is_old=True)


def _counted(world: World, app_id: AppId, target: Target) -> tuple[Side, Side, Bounds]:
    """Count both sides, and say what they must keep to now."""
    new, old = sides_of(world, app_id, target)
    return new, old, bounds_at(target.spec, new, old, is_promoted=target.is_promoted)


def bounds_at(spec: AppSpec, new: Side, old: Side, *, is_promoted: bool) -> Bounds:
    """Say what a replacement must keep to now: canaries first, then the app's own bounds."""
    bounds = bounds_of(spec)
    policy = spec.update
    if spec.is_single_instance:
        # A canary would be the second copy.
        return bounds
    if policy is not None and policy.canary_instances and old.active and not is_promoted:
        canaries = min(policy.canary_instances, spec.instances)
        if policy.auto_pause or new.serving + new.done < canaries:
            return with_canaries(bounds, spec.instances, canaries)
    return bounds


def awaits_promotion(world: World, app_id: AppId) -> bool:
    """Whether an app's canaries serve and only an operator's word is missing."""
    found = _canaries(world, app_id)
    if found is None:
        return False
    new, most = found
    return new.serving + new.done >= most


def has_canaries(world: World, app_id: AppId) -> bool:
    """Whether an app is at its canaries, be they on their way or waiting to be promoted."""
    return _canaries(world, app_id) is not None


def _canaries(world: World, app_id: AppId) -> tuple[Side, int] | None:
    """Count the new side of an app that is at its canaries, and how many of them there may be."""
    target = target_of(world, app_id)
    if target.version is None or not target.is_rolling:
        return None
    new, _old, bounds = _counted(world, app_id, target)
    return (new, bounds.new_most) if bounds.old_least > 0 else None


def has_fixed_ports(spec: AppSpec) -> bool:
    """Whether an instance must have certain host ports, which it may find taken."""
    return any(request.host_port for request in port_requests(spec))


def is_kept_out(world: World, target: Target, new: Side, old: Side, now_ms: int) -> bool:
    """Whether waiting new instances find their fixed ports taken on every agent that is left.

    Offers come one by one: until all agents had the time to make theirs, another may have room.
    """
    assert target.version is not None
    if not old.active or not new.scheduled or not world.connected:
        return False
    key = target.version.app_id, target.config_version
    report = world.reports.by_class.get(key)
    if report is None or report.ports_since_ms is None or not has_fixed_ports(target.spec):
        return False
    going = new.doomed + new.recycling + old.doomed + old.recycling
    under_way = new.pending + new.unproven + new.unhealthy + going
    all_answered_ms = report.ports_since_ms + all_offers_ms(world)
    if now_ms < all_answered_ms or under_way:
        return False
    return not is_delayed(world, *key, now_ms)


def all_offers_ms(world: World) -> int:
    """Say in what time every agent that has room makes an offer: REVIVE was called and answered."""
    return ALL_OFFERS_REVIVES * world.settings.revive_interval_ms


def _in_the_way(
    world: World, target: Target, bounds: Bounds, sides: tuple[Side, Side], old: list[Tally]
) -> list[InstanceId]:
    """Find an old instance that has to go first, whatever the floor says, for its fixed ports.

    One at a time, and none if what keeps the new ones out is somebody else's.
    """
    bounds = stop_first(bounds)
    moves = decide(wanted=target.instances, bounds=bounds, new=sides[0], old=sides[1])
    if not moves.end_old:
        return []
    ports = [request.host_port for request in port_requests(target.spec) if request.host_port]
    for instance_id in _first(sides[1].active, old, target.spec, world, REPLACING_ORDER):
        instance = world.instances[instance_id]
        held = () if instance.placement is None else instance.placement.host_ports
        # What is out of sight would not show that it has gone.
        if instance.condition is not Condition.UNREACHABLE and any(p in held for p in ports):
            return [instance_id]
    return []


def _sides(world: World, app_id: AppId, target: Target) -> tuple[list[Tally], list[Tally]]:
    """Split the tallies: the wanted version, and the others. Without a deployment all are wanted,
    those of other versions first in line when some must go.
    """
    wanted = world.tally(app_id, target.config_version)
    of_app = world.tallies.get(app_id, {}).values()
    others = [tally for tally in of_app if tally is not wanted]
    if target.is_rolling:
        return [wanted], others
    return [*others, wanted], []


def _side(tallies: list[Tally], *, is_old: bool = False) -> Side:
    """Count one side. An old instance serves when it is healthy; a new one must be proven, too.

    Written out for speed: it is counted at every look at an app.
    """
    if not tallies:
        return NOBODY
    counts = dict.fromkeys(Bucket, 0)
    for tally in tallies:
        for bucket, ids in tally.buckets.items():
            counts[bucket] += len(ids)
    proving = counts[Bucket.PROVING]
    return Side(
        scheduled=counts[Bucket.SCHEDULED],
        pending=counts[Bucket.PENDING],
        unproven=counts[Bucket.UNPROVEN] + (0 if is_old else proving),
        unhealthy=counts[Bucket.UNHEALTHY],
        serving=counts[Bucket.SERVING] + (proving if is_old else 0),
        unreachable=counts[Bucket.UNREACHABLE],
        recycling=counts[Bucket.RECYCLING],
        doomed=counts[Bucket.DOOMED],
        done=counts[Bucket.DONE],
    )


def _first(
    count: int, tallies: list[Tally], spec: AppSpec, world: World, order: tuple[Bucket, ...]
) -> list[InstanceId]:
    """Choose ``count`` active instances to end: by bucket, then by the age of their tasks."""
    chosen: list[InstanceId] = []
    youngest_first = spec.kill_selection is KillSelection.YOUNGEST_FIRST
    for bucket in order:
        for tally in tallies:
            if len(chosen) == count:
                return chosen
            if not tally.buckets[bucket]:
                continue
            ids = tally.by_age(bucket, world.age_of)
            ordered: Iterator[InstanceId] = reversed(ids) if youngest_first else iter(ids)
            if bucket is Bucket.SERVING:
                ordered = _evened_out(ordered, spec, world)
            while len(chosen) < count and (chosen_id := next(ordered, None)) is not None:
                chosen.append(chosen_id)
    return chosen


def _evened_out(ordered: Iterator[InstanceId], spec: AppSpec, world: World) -> Iterator[InstanceId]:
    """Order instances so that ending them keeps a GROUP_BY spread even: largest group first."""
    grouped = next((c for c in spec.constraints if c.operator is Operator.GROUP_BY), None)
    if grouped is None:
        yield from ordered
        return
    groups: dict[str | None, deque[InstanceId]] = {}
    for instance_id in ordered:
        placement = world.instances[instance_id].placement
        agent = None if placement is None else world.agents.get(placement.agent_id)
        value = None if agent is None else agent.value_of(grouped.field)
        groups.setdefault(value, deque()).append(instance_id)
    sizes = Counter({value: len(ids) for value, ids in groups.items()})
    while groups:
        value = max(groups, key=lambda value: sizes[value])
        yield groups[value].popleft()
        sizes[value] -= 1
        if not groups[value]:
            del groups[value]


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
    for rolled_app, version in list(world.rolled_back):
        if rolled_app == app.id:
            batch.delete(Kind.ROLLED_BACK, version_key(rolled_app, version))
    for version in list(world.versions.get(app.id, {})):
        batch.delete(Kind.VERSION, version_key(app.id, version))
    batch.delete(Kind.APP, app.id)
