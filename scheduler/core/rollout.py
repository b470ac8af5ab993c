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

Where floor and ceiling meet (n = 1 with 1.0 and 0.0) nothing could ever move, so the ceiling is
one higher, as Marathon has it; an app that must never run twice has 0.0 and 0.0 instead.
"""

import sys

from attrs import frozen

from scheduler.core.app import UpgradeStrategy


@frozen
class Side:
    """The instances of one side of an upgrade: of the wanted version, or of all others."""

    scheduled: int = 0
    pending: int = 0
    unproven: int = 0
    unhealthy: int = 0
    serving: int = 0
    unreachable: int = 0
    recycling: int = 0
    doomed: int = 0

    @property
    def active(self) -> int:
        """Those that fill a place in the instance count."""
        return self.alive - self.doomed + self.scheduled

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


@frozen
class Moves:
    """What to do now. ``end_*`` name how many active instances of a side to end."""

    create: int = 0
    end_new: int = 0
    end_old: int = 0


def floor_of(wanted: int, strategy: UpgradeStrategy) -> int:
    """Fewest instances that stay healthy through an upgrade."""
    return -(-wanted * strategy.minimum_health_capacity_milli // 1000)


def ceiling_of(wanted: int, strategy: UpgradeStrategy, *, is_single: bool) -> int:
    """Most instances that may be alive during an upgrade."""
    ceiling = wanted * (1000 + strategy.maximum_over_capacity_milli) // 1000
    if not is_single and ceiling <= floor_of(wanted, strategy):
        return floor_of(wanted, strategy) + 1
    return max(ceiling, 1)


def decide(
    *, wanted: int, strategy: UpgradeStrategy, new: Side, old: Side, is_single: bool
) -> Moves:
    """Decide the next moves of an app towards ``wanted`` instances of the new side.

    Level-triggered: the same counts always give the same moves, whatever happened before. With
    nothing on the old side it is plain scaling. Returns counts ≥ 0; ``create`` and ``end_new``
    are never both positive.
    """
    surplus = new.active - wanted
    end_new = max(0, surplus)
    missing = max(0, -surplus)
    ceiling = ceiling_of(wanted, strategy, is_single=is_single)
    create = min(missing, _room(ceiling, new, old))
    if old.active == 0:
        return Moves(create=create, end_new=end_new)
    spare = max(0, new.serving + old.serving - floor_of(wanted, strategy))
    old_idle = old.active - old.serving
    end_old = min(old.active, old_idle + spare) if wanted else old.active
    return Moves(create=create, end_new=end_new, end_old=end_old)


def launch_room(
    *, wanted: int, strategy: UpgradeStrategy, new: Side, old: Side, is_single: bool
) -> int:
    """How many waiting instances may be launched now without passing the ceiling.

    Not all that was created may be: an instance goes back to waiting when its task ends, and by
    then the target may have shrunk below what is still alive.
    """
    if old.alive == 0 and new.doomed == 0:
        return sys.maxsize
    return max(0, ceiling_of(wanted, strategy, is_single=is_single) - new.alive - old.alive)


def _room(ceiling: int, new: Side, old: Side) -> int:
    """How many more fit under the ceiling. Plain scaling up has none: nothing is replaced."""
    if old.alive == 0 and new.doomed == 0:
        return sys.maxsize
    return max(0, ceiling - new.alive - new.scheduled - old.alive)
