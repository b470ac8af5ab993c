"""Count and calculate once more what the core counts and calculates: the checkers' own way.

Nothing here uses the world's tallies or the core's arithmetic, or a mistake in them would excuse
itself. Source: Marathon page "Deployments" (upgradeStrategy), ``docs/app-spec.md`` (update).
"""

from collections.abc import Iterable
from fractions import Fraction
from math import ceil, floor

from scheduler.core.app import AppSpec, UpdateOrder
from scheduler.core.health import is_serving
from scheduler.core.ids import Version
from scheduler.core.instance import Condition, Goal, Instance


def floor_of(spec: AppSpec) -> int:
    """Fewest instances that must serve while others are replaced."""
    policy = spec.update
    if policy is not None and policy.order is UpdateOrder.START_FIRST:
        return spec.instances
    if policy is not None and policy.order is UpdateOrder.STOP_FIRST:
        return max(0, spec.instances - (policy.max_parallel or 1))
    share = Fraction(spec.upgrade_strategy.minimum_health_capacity_milli, 1000)
    return ceil(spec.instances * share)


def ceiling_of(spec: AppSpec) -> int:
    """Most tasks that may be alive; canaries may come beside all wanted instances."""
    policy = spec.update
    if policy is not None and policy.order is UpdateOrder.START_FIRST:
        ceiling = spec.instances + (policy.max_parallel or 1)
    elif policy is not None and policy.order is UpdateOrder.STOP_FIRST:
        ceiling = max(1, spec.instances)
    else:
        surge = Fraction(spec.upgrade_strategy.maximum_over_capacity_milli, 1000)
        ceiling = floor(spec.instances * (1 + surge))
        least = ceil(
            spec.instances * Fraction(spec.upgrade_strategy.minimum_health_capacity_milli, 1000)
        )
        if ceiling <= least:
            # Nothing could ever move.
            ceiling = least + 1
    if policy is not None:
        ceiling = max(ceiling, spec.instances + min(policy.canary_instances, spec.instances))
    return max(ceiling, 1)


def is_beside(instance: Instance) -> bool:
    """Whether an app does not count on it: given up, or back beside its replacement."""
    is_back = instance.spare_until_ms is not None and instance.condition is Condition.RUNNING
    return is_back or instance.condition is Condition.UNREACHABLE_INACTIVE


def may_live(instance: Instance) -> bool:
    """Whether a task of the instance may be alive, as far as it is still counted on."""
    return instance.condition is not Condition.SCHEDULED and not is_beside(instance)


def fills_a_place(instance: Instance) -> bool:
    """Whether the instance stands for one of those that are wanted."""
    if is_done(instance):
        return True
    return instance.goal is Goal.RUNNING and not is_beside(instance)


def is_done(instance: Instance) -> bool:
    """Whether it has ended, and its restart policy leaves it so."""
    return instance.goal is Goal.STOPPED and instance.condition is Condition.SCHEDULED


def serves(instance: Instance, spec: AppSpec) -> bool:
    """Whether it runs, is meant to, and all its checks say that it is alive."""
    return instance.goal is Goal.RUNNING and is_serving(instance, spec)


def is_complete(
    instances: Iterable[Instance], config_version: Version | None, spec: AppSpec | None
) -> bool:
    """Whether an app is just as wanted: nothing too few, too many, too old or not serving."""
    present = list(instances)
    return is_counted(present, config_version, spec) and (
        spec is None
        or all(
            is_done(i) or (serves(i, spec) and i.ready and i.proven)
            for i in present
            if not is_beside(i)
        )
    )


def is_counted(
    instances: Iterable[Instance], config_version: Version | None, spec: AppSpec | None
) -> bool:
    """Whether an app has as many instances as wanted, and none of another version."""
    present = [i for i in instances if not is_beside(i)]
    if spec is None:
        return not present
    return len(present) == spec.instances and all(i.version == config_version for i in present)
