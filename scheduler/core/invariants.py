"""Find where a world contradicts itself: recount its indexes, follow its references.

Every decision rests on the indexes that ``World.apply`` keeps in step. Here each is counted anew
from the stored entities alone; any difference is a bug in ``apply``, never in what happened to the
cluster. O(all instances): for tests, simulations and an operator's doubt, not for every step.
"""

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping
from typing import TypeVar

from scheduler.core.executors import ExecutorId
from scheduler.core.ids import AgentId, AppId, InstanceId, Version
from scheduler.core.instance import Condition, Goal, Instance
from scheduler.core.service_ports import service_ports
from scheduler.core.tally import Bucket
from scheduler.core.world import World

K = TypeVar("K", bound=Hashable)


def check(world: World) -> list[str]:
    """Name every contradiction in ``world``; an empty list says that there is none.

    The instances' references are followed first: with one broken the rest cannot be counted.
    """
    return [*_broken_references(world)] or [
        *_leftovers(world),
        *_wrong_buckets(world),
        *_wrong_places(world),
        *_wrong_health_counts(world),
        *_wrong_waiting(world),
        *_wrong_locks(world),
        *_wrong_service_ports(world),
        *_wrong_wanted(world),
        *_odd_instances(world),
    ]


def _broken_references(world: World) -> Iterator[str]:
    for app in world.apps.values():
        if app.version not in world.versions.get(app.id, {}):
            yield f"{app.id} points at version {app.version}, which is not stored"
    for instance in world.instances.values():
        if instance.app_id not in world.apps:
            yield f"{instance.id} belongs to {instance.app_id}, which is not stored"
        elif instance.version not in world.versions.get(instance.app_id, {}):
            yield f"{instance.id} runs version {instance.version}, which is not stored"
        if instance.id in world.ended:
            yield f"{instance.id} exists and has a tombstone"
    for deployment in world.deployments.values():
        for change in deployment.changes:
            known = world.versions.get(change.app_id, {})
            for version in (change.before, change.after):
                if version is not None and version not in known:
                    yield f"{deployment.id} needs {change.app_id}@{version}, which is not stored"


def _leftovers(world: World) -> Iterator[str]:
    owners = [*world.failures, *world.rollouts, *world.versions, *world.tallies]
    owners += [app_id for app_id, _ in [*world.delays, *world.rolled_back]]
    for app_id in dict.fromkeys(owners):
        if app_id not in world.apps:
            yield f"something is kept of {app_id}, which is not stored"


def _wrong_buckets(world: World) -> Iterator[str]:
    wanted: dict[tuple[AppId, Version, Bucket], set[InstanceId]] = {}
    for instance in world.instances.values():
        key = (instance.app_id, instance.version, world.bucket_of(instance))
        wanted.setdefault(key, set()).add(instance.id)
    found = {
        (app_id, version, bucket): set(ids)
        for app_id, tallies in world.tallies.items()
        for version, tally in tallies.items()
        for bucket, ids in tally.buckets.items()
        if ids
    }
    yield from _differences("bucket", found, wanted)
    for app_id, tallies in world.tallies.items():
        if not all(tally.total for tally in tallies.values()) or not tallies:
            yield f"{app_id} has a tally of nothing"


def _wrong_places(world: World) -> Iterator[str]:
    on_agent: dict[AppId, Counter[AgentId]] = {}
    placed: dict[tuple[AppId, Version, str], Counter[str]] = {}
    executors: dict[tuple[AppId, AgentId], Counter[ExecutorId]] = {}
    for instance in world.instances.values():
        if instance.placement is None or not instance.condition.has_task:
            continue
        agent_id = instance.placement.agent_id
        on_agent.setdefault(instance.app_id, Counter())[agent_id] += 1
        if (executor := instance.placement.executor) is not None:
            executors.setdefault((instance.app_id, agent_id), Counter())[executor.id] += 1
        agent = world.agents.get(agent_id)
        spec = world.spec_at(instance.app_id, instance.version)
        for name in {constraint.field for constraint in spec.constraints} if agent else ():
            value = None if agent is None else agent.value_of(name)
            if value is not None:
                key = (instance.app_id, instance.version, name)
                placed.setdefault(key, Counter())[value] += 1
    tasks_on = Counter[AgentId]()
    for counts in on_agent.values():
        tasks_on.update(counts)
    for agent_id in sorted(world.agents.keys() - tasks_on.keys() - world.vacated.keys()):
        yield f"{agent_id} is kept though no task is there"
    found = {app_id: counts for app_id, counts in world.on_agent.items() if counts}
    yield from _differences("on_agent", found, on_agent)
    yield from _differences("tasks_on", world.tasks_on, tasks_on)
    yield from _differences("executors", world.executors.tasks, executors)
    found_placed = {
        (app_id, version, name): counts
        for app_id, tallies in world.tallies.items()
        for version, tally in tallies.items()
        for name, counts in tally.placed.items()
        if counts
    }
    yield from _differences("placed", found_placed, placed)


def _wrong_health_counts(world: World) -> Iterator[str]:
    once_healthy = failing = 0
    for instance in world.instances.values():
        checks = instance.checks if instance.condition is Condition.RUNNING else ()
        if any(check.first_success_ms is not None for check in checks):
            once_healthy += 1
            failing += any(check.alive is False for check in checks)
    if (world.brake.once_healthy, world.brake.failing) != (once_healthy, failing):
        counted = (world.brake.once_healthy, world.brake.failing)
        yield f"once_healthy, failing: counted {counted}, are {(once_healthy, failing)}"
    conditions = [instance.condition for instance in world.instances.values()]
    seen = (conditions.count(Condition.RUNNING), conditions.count(Condition.UNREACHABLE))
    if (world.brake.running, world.brake.sight.unreachable) != seen:
        counted = (world.brake.running, world.brake.sight.unreachable)
        yield f"running, out of sight: counted {counted}, are {seen}"


def _wrong_waiting(world: World) -> Iterator[str]:
    waiting = {
        (app_id, version)
        for app_id, tallies in world.tallies.items()
        for version, tally in tallies.items()
        if tally.count(Bucket.SCHEDULED)
    }
    if set(world.waiting) != waiting:
        yield f"waiting: {sorted(world.waiting)}, should be {sorted(waiting)}"


def _wrong_locks(world: World) -> Iterator[str]:
    wanted: dict[AppId, str] = {}
    for deployment in world.deployments.values():
        if not 0 <= deployment.current_step <= len(deployment.steps):
            yield f"{deployment.id} is at step {deployment.current_step}"
        for change in deployment.changes:
            if change.app_id in wanted:
                yield f"{change.app_id} is in two deployments"
            wanted[change.app_id] = deployment.id
    found = {app_id: str(lock.deployment_id) for app_id, lock in world.locks.items()}
    yield from _differences("lock", found, wanted)


def _wrong_service_ports(world: World) -> Iterator[str]:
    wanted = {
        app_id: ports
        for app_id, app in world.apps.items()
        if not app.removed
        and (ports := tuple(p for p in service_ports(world.spec_of(app_id)) if p))
    }
    yield from _differences("service ports", world.service_ports.of_app, wanted)


def _wrong_wanted(world: World) -> Iterator[str]:
    wanted = {
        app_id: instances
        for app_id, app in world.apps.items()
        if not app.removed and (instances := world.spec_of(app_id).instances)
    }
    yield from _differences("wanted", world.wanted, wanted)
    if world.brake.wanted != sum(wanted.values()):
        yield f"wanted in all: counted {world.brake.wanted}, are {sum(wanted.values())}"


def _odd_instances(world: World) -> Iterator[str]:
    for instance in world.instances.values():
        has_task = instance.condition.has_task
        if has_task and (instance.placement is None or instance.incarnation < 1):
            yield f"{instance.id} is {instance.condition} without a place"
        if has_task and instance.placement is not None:
            executor = instance.placement.executor
            if executor is not None and not executor.is_placed:
                yield f"{instance.id} runs in {executor.id}, which has no place"
        if not has_task and instance.placement is not None:
            yield f"{instance.id} waits for a place and has one"
        if not has_task and instance.goal is Goal.DECOMMISSIONED:
            yield f"{instance.id} has no task and goal {instance.goal}: nothing would end it"
        if _is_being_ended(instance) and instance.kill_reason is None:
            yield f"{instance.id} is {instance.condition} for no reason"


def _is_being_ended(instance: Instance) -> bool:
    return instance.condition in {Condition.DRAINING, Condition.KILLING}


def _differences(what: str, found: Mapping[K, object], wanted: Mapping[K, object]) -> Iterator[str]:
    for key in sorted({*found, *wanted}, key=str):
        if found.get(key) != wanted.get(key):
            yield f"{what} {key}: counted {found.get(key)}, is {wanted.get(key)}"
