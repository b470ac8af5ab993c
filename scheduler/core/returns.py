"""Decide what becomes of a task that comes back after it was replaced (``unreachableStrategy``).

Marathon kills one too many of the app, whichever its killSelection names. An app may say more with
``onReturn``: keep the one that was there first, keep the replacement, or let both run for a while.
Only a task that makes one too many is concerned; where it is missed it simply goes on.
"""

from collections.abc import Callable

from attrs import evolve

from scheduler.core.app import OnReturn, UnreachableStrategy
from scheduler.core.batch import Batch
from scheduler.core.instance import Condition, Goal, Instance
from scheduler.core.signals import Cause, Signal
from scheduler.core.tally import Bucket
from scheduler.core.targets import target_of
from scheduler.core.transitions import is_held
from scheduler.core.world import World

Step = Callable[[Batch, Instance, Cause], None]
"""``lifecycle.step``: whoever has to go may be in any condition."""


def settle_return(batch: Batch, returned: Instance, step: Step) -> None:
    """Apply the app's ``onReturn`` to a task that has just come back; None leaves it to scaling.

    One of an older version whose place the wanted version has taken goes whatever that says: no
    deployment is left that would replace it.
    """
    world = batch.world
    if _is_outdated(world, returned):
        cause = Cause(Signal.KILL, reason="its place was taken", goal=Goal.DECOMMISSIONED)
        step(batch, returned, cause)
        return
    if target_of(world, returned.app_id).is_rolling:
        # Two versions side by side: the deployment knows what is one too many, but for what was
        # made to stand in.
        if is_held(batch, returned):
            _drop_stand_in(batch, returned, step)
        return
    strategy = world.spec_at(returned.app_id, returned.version).unreachable_strategy
    if strategy is None or strategy.on_return is None or not _is_surplus(world, returned):
        return
    cause = Cause(Signal.KILL, reason="one of two after a return", goal=Goal.DECOMMISSIONED)
    match strategy.on_return:
        case OnReturn.KEEP_REPLACEMENT:
            step(batch, returned, cause)
        case OnReturn.KEEP_ORIGINAL:
            replacement = _youngest_other(world, returned)
            if replacement is not None:
                step(batch, replacement, cause)
        case OnReturn.KEEP_BOTH:
            _keep_both(batch, returned, strategy)


def _keep_both(batch: Batch, returned: Instance, strategy: UnreachableStrategy) -> None:
    until_ms = batch.now_ms + strategy.keep_both_s * 1000
    batch.put(evolve(returned, spare_until_ms=until_ms))


def _is_surplus(world: World, returned: Instance) -> bool:
    """Whether more tasks live than are wanted; a replacement not launched yet just goes."""
    target = target_of(world, returned.app_id)
    tallies = world.tallies.get(returned.app_id, {}).values()
    living = sum(tally.active - tally.count(Bucket.SCHEDULED) for tally in tallies)
    return living > target.instances


def _drop_stand_in(batch: Batch, returned: Instance, step: Step) -> None:
    waiting = batch.world.tally(returned.app_id, returned.version).buckets[Bucket.SCHEDULED]
    youngest = next(reversed(waiting), None)
    if youngest is not None:
        cause = Cause(Signal.KILL, reason="its place is filled", goal=Goal.DECOMMISSIONED)
        step(batch, batch.world.instances[youngest], cause)


def _is_outdated(world: World, returned: Instance) -> bool:
    target = target_of(world, returned.app_id)
    if target.version is None or target.is_rolling or returned.version == target.config_version:
        return False
    return world.tally(returned.app_id, target.config_version).active >= target.instances


def _youngest_other(world: World, returned: Instance) -> Instance | None:
    """Return the instance created last beside ``returned``: the one that was to replace it."""
    others = (
        instance
        for instance in world.instances_of(returned.app_id)
        if instance.id != returned.id
        and instance.goal is Goal.RUNNING
        and instance.condition.has_task
        # What was given up already stands in for nobody.
        and instance.condition is not Condition.UNREACHABLE_INACTIVE
    )
    return max(others, key=lambda i: (i.created_at_ms, i.id), default=None)
