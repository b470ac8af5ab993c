"""Compare an app with its target and decide what to create and what to end: counts in, counts out.

Capacity arithmetic (Marathon page "Deployments", upgradeStrategy). With ``n`` wanted:

- at least ``ceil(n · minimumHealthCapacity)`` instances stay healthy: nothing healthy is ended
  below it;
- at most ``floor(n · (1 + maximumOverCapacity))`` may be alive: nothing is created above it. Tasks
  that are still being killed are alive.

Worked example: n = 10, minimumHealthCapacity 0.8, maximumOverCapacity 0.2, ten old ones healthy.
Floor 8, ceiling 12: two old ones are ended and two new ones created at once (10 + 2 = 12). When
the two old ones are gone (10 alive) two more are created; each new one that becomes healthy lets
one more old one go.

An app may say more with ``update`` (Egret's extension): the order, how many at a time, canaries.
``Bounds`` is what all of that comes down to.

Where floor and ceiling meet (n = 1 with 1.0 and 0.0) nothing could ever move, so the ceiling is
one higher, as Marathon has it; an app that must never run twice has 0.0 and 0.0 instead.
"""

import sys

from attrs import evolve, frozen

from scheduler.core.app import AppSpec, UpdateOrder, UpgradeStrategy


@frozen
class Side:
    """The instances of one side of an upgrade: of the wanted version, or of all others."""

    scheduled: int = 0
    pending: int = 0
    unproven: int = 0
    """Running, but not (yet) healthy, ready and proven, for whatever reason but a failed check."""
    unhealthy: int = 0
    serving: int = 0
    unreachable: int = 0
    recycling: int = 0
    doomed: int = 0
    done: int = 0
    """Ended as its restart policy allows; fills its place without a task."""

    @property
    def active(self) -> int:
        """Those that fill a place in the instance count."""
        return self.alive - self.doomed + self.scheduled + self.done

    @property
    def alive(self) -> int:
        """Those that may have a task."""
        return (
            self.pending
            + self.unproven
            + self.unhealthy
            + self.serving
            + self.unreachable
            + self.recycling
            + self.doomed
        )

    @property
    def kept(self) -> int:
        """Those that run or are out of sight: without serving now, they may in a moment."""
        return self.serving + self.unproven + self.unhealthy + self.unreachable

    @property
    def under_way(self) -> int:
        """Those that are still to come to where they fill their place for good."""
        return self.active - self.serving - self.done


@frozen
class Moves:
    """What to do now. ``end_*`` name how many active instances of a side to end."""

    create: int = 0
    end_new: int = 0
    end_old: int = 0


@frozen
class Bounds:
    """What a replacement must keep to."""

    floor: int
    """Fewest instances, old and new, that serve."""
    ceiling: int
    """Most instances that may be alive."""
    parallel: int = sys.maxsize
    """Most new instances that may be under way at once."""
    new_most: int = sys.maxsize
    """Most new instances at all: the canaries, until they are approved."""
    old_least: int = 0
    """Fewest old instances that stay, whoever else serves: all that are wanted, for canaries."""


def floor_of(wanted: int, strategy: UpgradeStrategy) -> int:
    """Fewest instances that stay healthy through an upgrade."""
    return -(-wanted * strategy.minimum_health_capacity_milli // 1000)


def ceiling_of(wanted: int, strategy: UpgradeStrategy, *, is_single: bool) -> int:
    """Most instances that may be alive during an upgrade."""
    ceiling = wanted * (1000 + strategy.maximum_over_capacity_milli) // 1000
    if not is_single and ceiling <= floor_of(wanted, strategy):
        return floor_of(wanted, strategy) + 1
    return max(ceiling, 1)


def bounds_of(spec: AppSpec) -> Bounds:
    """Derive the bounds of an app's replacement from its definition.

    ``update.order`` startFirst keeps all of ``instances`` serving and adds ``maxParallel`` above;
    stopFirst adds none and takes ``maxParallel`` away; without an order the capacities decide, and
    ``maxParallel`` allows no more to be away at once.
    An app that must never run twice always stops first.
    """
    wanted, policy = spec.instances, spec.update
    if spec.is_single_instance:
        return Bounds(floor=0, ceiling=max(1, wanted))
    ceiling = ceiling_of(wanted, spec.upgrade_strategy, is_single=False)
    bounds = Bounds(floor_of(wanted, spec.upgrade_strategy), ceiling)
    if policy is None:
        return bounds
    at_a_time = policy.max_parallel or 1
    if policy.order is UpdateOrder.STOP_FIRST:
        bounds = Bounds(floor=max(0, wanted - at_a_time), ceiling=max(1, wanted))
    elif policy.order is UpdateOrder.START_FIRST:
        bounds = Bounds(floor=wanted, ceiling=wanted + at_a_time)
    if policy.max_parallel is None:
        return bounds
    floor = max(bounds.floor, wanted - policy.max_parallel)
    return evolve(bounds, floor=floor, parallel=policy.max_parallel)


def with_canaries(bounds: Bounds, wanted: int, canaries: int) -> Bounds:
    """Narrow the bounds to the first stage: the canaries run beside all that is wanted, old."""
    most = min(canaries, wanted)
    ceiling = max(bounds.ceiling, wanted + most)
    return evolve(bounds, ceiling=ceiling, new_most=most, old_least=wanted)


def stop_first(bounds: Bounds) -> Bounds:
    """Let one more old instance go: the new ones need what it holds (a fixed port, say).

    Canaries that find no place beside the old ones take the places of as many.
    """
    old_least = max(0, bounds.old_least - bounds.new_most)
    return evolve(bounds, floor=max(0, bounds.floor - 1), old_least=old_least)


def decide(*, wanted: int, bounds: Bounds, new: Side, old: Side) -> Moves:
    """Decide the next moves of an app towards ``wanted`` instances of the new side.

    Level-triggered: the same counts always give the same moves, whatever happened before. With
    nothing on the old side it is plain scaling. Returns counts ≥ 0; ``create`` and ``end_new``
    are never both positive.
    """
    surplus = new.active - wanted
    # More canaries than allowed (one came back beside its replacement): those that run stay.
    end_new = max(0, surplus, min(new.scheduled, new.active - bounds.new_most))
    create = min(max(0, -surplus), _room(bounds, new, old))
    if old.active == 0:
        return Moves(create=create, end_new=end_new)
    # A new one that has ended as it may fills its place for good: it holds no old one back. Of
    # a surplus those are the first to go.
    done = max(0, new.done - end_new)
    # Old ones that are kept without serving are the first to go, but not all at once for one failed
    # probe each.
    spare = max(0, new.serving + done + old.kept - bounds.floor)
    end_old = min(old.active, old.active - old.kept + spare) if wanted else old.active
    # Those beyond the least go: they would take the canaries' room, of an app made smaller as well.
    end_old = min(end_old, max(0, old.active - bounds.old_least))
    return Moves(create=create, end_new=end_new, end_old=end_old)


def ill_to_end(*, wanted: int, bounds: Bounds, new: Side, old: Side) -> int:
    """How many ill old instances may be ended although the disaster brake holds: each for one that
    serves in its place.

    The new version may be what mends the disaster. That it serves shows that it is no blind prober
    that calls the old one ill. Where nothing fits beside the old ones the first goes before, and no
    second one until that has proved right.
    """
    most = new.serving + new.done + old.kept - wanted
    is_filled = new.active + old.active >= wanted
    is_moving = new.under_way or old.doomed
    if most < 1 and bounds.ceiling <= wanted and is_filled and not is_moving:
        most = 1
    return max(0, min(most, old.unhealthy))


def launch_room(bounds: Bounds, new: Side, old: Side, *, is_new: bool) -> int:
    """How many waiting instances of a side may be launched now without passing the bounds.

    Not all that was created may be: an instance goes back to waiting when its task ends, and by
    then the target may have shrunk below what is still alive. What waited in the old version may
    wait in the new one by then, of which only so many may be under way.
    """
    if old.active == 0 and old.alive == 0 and new.doomed == 0:
        return sys.maxsize
    room = bounds.ceiling - new.alive - old.alive
    if is_new and (old.active or old.alive):
        under_way = new.alive - new.doomed - new.serving
        room = min(room, bounds.parallel - under_way)
    return max(0, room)


def _room(bounds: Bounds, new: Side, old: Side) -> int:
    """How many more may be created. Plain scaling up has no limit: nothing is replaced."""
    if old.alive == 0 and old.active == 0 and new.doomed == 0:
        return sys.maxsize
    room = min(
        bounds.ceiling - new.alive - new.scheduled - old.alive,
        bounds.parallel - new.under_way,
        bounds.new_most - new.active,
    )
    return max(0, room)
