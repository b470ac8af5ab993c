"""Tell Marathon's clients of health checks: that they come, that they go, that one has failed.

Unlike Marathon, which tells of every failure, a check is told of when it turns an instance
unhealthy. ``taskId`` holds the instance's id, as it does in Marathon.
"""

from collections.abc import Iterator
from typing import Any

from scheduler.api.facts import Events
from scheduler.core.app import AppSpec
from scheduler.core.deployment import Change, Deployment
from scheduler.core.effects import DeploymentStarted, Fact, InstanceHealthChanged
from scheduler.core.health import check_results
from scheduler.core.ids import AppId, Version
from scheduler.core.instance import Instance
from scheduler.core.world import World
from scheduler.spec import to_json

Json = dict[str, Any]


def check_events_of(world: World, fact: Fact) -> Events:
    """Yield what a fact means for health checks, given the definitions that there are."""
    match fact:
        case InstanceHealthChanged(instance, healthy=False):
            yield from _failed(world, instance)
        case DeploymentStarted(deployment):
            yield from _replaced(world, deployment)
        case _:
            pass


def _failed(world: World, instance: Instance) -> Events:
    spec = _spec(world, instance.app_id, instance.version)
    if spec is None:
        return
    about = {"appId": instance.app_id, "taskId": instance.id}
    results = zip(spec.health_checks, check_results(instance, spec), _checks(spec), strict=True)
    for check, result, shown in results:
        is_probed = check.protocol.is_probed_by_scheduler
        if (result.alive if is_probed else instance.mesos_healthy) is False:
            yield "failed_health_check_event", {**about, "healthCheck": shown}


def _replaced(world: World, deployment: Deployment) -> Events:
    for change in deployment.changes:
        before, after = _both(world, change)
        if before == after:
            continue
        if before:
            yield "remove_health_check_event", {"appId": change.app_id}
        for check in after:
            about = {"appId": change.app_id, "version": change.after, "healthCheck": check}
            yield "add_health_check_event", about


def _both(world: World, change: Change) -> Iterator[list[Json]]:
    for version in (change.before, change.after):
        spec = None if version is None else _spec(world, change.app_id, version)
        yield [] if spec is None else _checks(spec)


def _spec(world: World, app_id: AppId, version: Version) -> AppSpec | None:
    found = world.versions.get(app_id, {}).get(version)
    return None if found is None else found.spec


def _checks(spec: AppSpec) -> list[Json]:
    return to_json(spec).get("healthChecks", []) if spec.health_checks else []
