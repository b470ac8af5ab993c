"""Show apps, tasks and deployments as Marathon's JSON does."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import orjson

from scheduler.api.encoded import Encodings, extended
from scheduler.core.app import AppSpec
from scheduler.core.deployment import Deployment, Step
from scheduler.core.health import check_results
from scheduler.core.ids import AppId, TaskId
from scheduler.core.instance import CheckResult, Condition, Instance, TaskState
from scheduler.core.records import AppVersion, Failure, RolledBack
from scheduler.core.service_ports import service_ports
from scheduler.core.tally import Bucket
from scheduler.core.times import format_ms
from scheduler.core.world import World
from scheduler.runtime.health_room import LastResponse
from scheduler.spec import to_json

Json = dict[str, Any]
LastResponses = Callable[[TaskId], LastResponse | None]
_versions = Encodings(20_000)
_tasks = Encodings(100_000)


def version_json(version: AppVersion) -> Json:
    """Show one version of an app, without anything that runs."""
    return {
        **to_json(version.spec),
        "version": version.version,
        "versionInfo": {
            "lastScalingAt": version.last_scaling_at,
            "lastConfigChangeAt": version.config_version,
        },
    }


def version_encoded(version: AppVersion) -> bytes:
    """Encode what ``version_json`` shows; versions never change, so this is done once."""
    key = (version.app_id, version.version)
    return _versions.of(key, version, lambda: version_json(version))


# --------------------------------------------------------------------------- apps

COUNTS = "counts"
DEPLOYMENTS = "deployments"
TASKS = "tasks"
LAST_FAILURE = "lastTaskFailure"
READINESS = "readiness"
STATS = "taskStats"
ROLLED_BACK = "rolledBack"
"""An addition to Marathon: the versions that were taken back, and why."""
ENDED = "ended"
"""Another: how many instances have ended and, by ``restartPolicy``, are left so."""

LISTED = frozenset({COUNTS, DEPLOYMENTS})
SINGLE = frozenset({COUNTS, DEPLOYMENTS, TASKS, LAST_FAILURE})

_EMBEDS = {
    "tasks": {TASKS, DEPLOYMENTS},
    "count": {COUNTS},
    "counts": {COUNTS},
    "deployments": {DEPLOYMENTS},
    "readiness": {READINESS},
    "lastTaskFailure": {LAST_FAILURE},
    "failures": {LAST_FAILURE, DEPLOYMENTS, TASKS},
    "taskStats": {STATS},
    "rolledBack": {ROLLED_BACK},
    "ended": {ENDED},
}


def embeds_of(texts: Iterable[str], prefix: str) -> frozenset[str]:
    """Read ``embed`` parameters such as ``apps.tasks``; unknown ones mean nothing."""
    found: set[str] = set()
    for text in texts:
        for one in text.split(","):
            if one.startswith(prefix):
                found |= _EMBEDS.get(one.removeprefix(prefix), set())
    return frozenset(found)


def app_info(
    world: World,
    app_id: AppId,
    embeds: frozenset[str],
    now_ms: int,
    last_response: LastResponses,
) -> orjson.Fragment:
    """Show an app and what the embeds ask for, encoded."""
    state = _state_of_app(world, app_id, embeds, now_ms)
    if READINESS in embeds:
        state["readinessCheckResults"] = readiness_json(world, app_id, last_response)
    return extended(version_encoded(world.version_of(app_id)), state)


def _state_of_app(world: World, app_id: AppId, embeds: frozenset[str], now_ms: int) -> Json:
    info: Json = {}
    if COUNTS in embeds:
        counts = world.counts_of(app_id)
        info["tasksStaged"] = counts.staged
        info["tasksRunning"] = counts.running
        info["tasksHealthy"] = counts.healthy
        info["tasksUnhealthy"] = counts.unhealthy
    if DEPLOYMENTS in embeds:
        deployment = world.deployment_of(app_id)
        info["deployments"] = [] if deployment is None else [{"id": deployment.id}]
    if LAST_FAILURE in embeds and app_id in world.failures:
        info["lastTaskFailure"] = failure_json(world.failures[app_id])
    if TASKS in embeds:
        info["tasks"] = tasks_encoded(world, tasks_of(world, app_id))
    if STATS in embeds:
        info["taskStats"] = task_stats(world, app_id, now_ms)
    if ROLLED_BACK in embeds:
        found = (world.rolled_back.get((app_id, version)) for version in world.versions[app_id])
        info["rolledBack"] = [rolled_back_json(one) for one in found if one is not None]
    if ENDED in embeds:
        info["ended"] = _ended_json(world, app_id)
    return info


def _ended_json(world: World, app_id: AppId) -> Json:
    """Count what has done its work, and what ended badly and may not be launched again."""
    tallies = world.tallies.get(app_id, {}).values()
    left = [world.instances[one] for tally in tallies for one in tally.buckets[Bucket.DONE]]
    finished = sum(one.task_state is TaskState.FINISHED for one in left)
    return {"finished": finished, "failed": len(left) - finished}


def rolled_back_json(rolled_back: RolledBack) -> Json:
    """Show why a version was taken back."""
    return {
        "version": rolled_back.version,
        "at": format_ms(rolled_back.at_ms),
        "reason": rolled_back.reason,
    }


def failure_json(failure: Failure) -> Json:
    """Show the last failed task of an app."""
    return {
        "appId": failure.app_id,
        "host": failure.host,
        "message": failure.message,
        "state": failure.state,
        "taskId": failure.task_id,
        "timestamp": format_ms(failure.at_ms),
        "version": failure.version,
        "slaveId": failure.agent_id,
    }


def readiness_json(world: World, app_id: AppId, last_response: LastResponses) -> list[Json]:
    """Show the readiness of each running task of an app that has readiness checks."""
    checks = world.spec_of(app_id).readiness_checks
    if not checks:
        return []
    return [
        _readiness(check.name, instance.task_id, instance, last_response)
        for instance in world.instances_of(app_id)
        if instance.condition is Condition.RUNNING and instance.task_id is not None
        for check in checks
    ]


def _readiness(
    name: str, task_id: TaskId, instance: Instance, last_response: LastResponses
) -> Json:
    shown: Json = {"name": name, "taskId": task_id, "ready": instance.ready}
    last = last_response(task_id)
    if last is not None and last.name == name:
        shown["lastResponse"] = {
            "status": last.response.status,
            "contentType": last.response.content_type,
            "body": last.response.body,
        }
    return shown


# -------------------------------------------------------------------------- tasks


def tasks_of(world: World, app_id: AppId) -> Iterator[Instance]:
    """Yield the instances of an app that have a task."""
    return (i for i in world.instances_of(app_id) if i.condition.has_task)


def tasks_encoded(world: World, instances: Iterable[Instance]) -> list[orjson.Fragment]:
    """Show the present tasks of instances, encoded."""
    return [
        orjson.Fragment(_tasks.of(one.id, one, lambda one=one: _task_json(world, one)))
        for one in instances
    ]


def _task_json(world: World, instance: Instance) -> Json:
    """Show the present task of an instance."""
    spec = world.spec_at(instance.app_id, instance.version)
    placement = instance.placement
    shown: Json = {
        "appId": instance.app_id,
        "id": instance.task_id,
        "host": placement.host if placement else None,
        "ports": list(placement.host_ports) if placement else [],
        "servicePorts": list(service_ports(spec)),
        "slaveId": placement.agent_id if placement else None,
        "state": state_of(instance),
        "stagedAt": _time(instance.staged_at_ms),
        "startedAt": _time(instance.started_at_ms),
        "version": instance.version,
        "ipAddresses": ip_addresses(instance),
        "healthCheckResults": health_results(instance, spec) or None,
        "localVolumes": [],
        "region": placement.region if placement else None,
        "zone": placement.zone if placement else None,
        "role": spec.role,
    }
    return {name: value for name, value in shown.items() if value is not None}


def state_of(instance: Instance) -> TaskState:
    """Say Mesos's word for where a task is; a launch not yet confirmed counts as staging."""
    if instance.condition in {Condition.UNREACHABLE, Condition.UNREACHABLE_INACTIVE}:
        return TaskState.UNREACHABLE
    return instance.task_state or TaskState.STAGING


def ip_addresses(instance: Instance) -> list[Json]:
    """List the task's addresses: its container's, else its agent's."""
    placement = instance.placement
    found = instance.addresses or ((placement.address,) if placement and placement.address else ())
    return [
        {"ipAddress": address, "protocol": "IPv6" if ":" in address else "IPv4"}
        for address in found
    ]


def health_results(instance: Instance, spec: AppSpec) -> list[Json]:
    """Show the verdict of every check that has given one."""
    shown: list[Json] = []
    checks = zip(spec.health_checks, check_results(instance, spec), strict=False)
    for check, result in checks:
        if check.protocol.is_probed_by_scheduler:
            if result != CheckResult():
                shown.append(_probed(instance, result))
        elif instance.mesos_healthy is not None:
            shown.append(
                {
                    "alive": instance.mesos_healthy,
                    "consecutiveFailures": 0,
                    "instanceId": instance.id,
                }
            )
    return shown


def _probed(instance: Instance, result: CheckResult) -> Json:
    shown = {
        "alive": bool(result.alive),
        "consecutiveFailures": result.consecutive_failures,
        "firstSuccess": _time(result.first_success_ms),
        "lastSuccess": _time(result.last_success_ms),
        "lastFailure": _time(result.last_failure_ms),
        "lastFailureCause": result.last_failure_cause,
        "instanceId": instance.id,
    }
    return {name: value for name, value in shown.items() if value is not None}


def _time(at_ms: int | None) -> str | None:
    return None if at_ms is None else format_ms(at_ms)


# --------------------------------------------------------------------- statistics


def task_stats(world: World, app_id: AppId, now_ms: int) -> Json:
    """Sum up an app's tasks by how new they are; O(tasks)."""
    version = world.version_of(app_id)
    tasks = list(tasks_of(world, app_id))
    parts: tuple[tuple[str, Callable[[Instance], bool]], ...] = (
        ("startedAfterLastScaling", lambda i: _staged(i) >= version.last_scaling_at),
        ("withLatestConfig", lambda i: i.version == version.config_version),
        ("withOutdatedConfig", lambda i: i.version != version.config_version),
        ("totalSummary", lambda _: True),
    )
    stats = {
        name: _stats_of(world, [task for task in tasks if belongs(task)], now_ms)
        for name, belongs in parts
    }
    return {name: {"stats": found} for name, found in stats.items() if found is not None}


def _staged(instance: Instance) -> str:
    return _time(instance.staged_at_ms) or ""


def _stats_of(world: World, tasks: list[Instance], now_ms: int) -> Json | None:
    if not tasks:
        return None
    ages_s = sorted(
        (now_ms - task.started_at_ms) / 1000 for task in tasks if task.started_at_ms is not None
    )
    alive = [
        all(result["alive"] for result in results)
        for task in tasks
        if (results := health_results(task, world.spec_at(task.app_id, task.version)))
    ]
    running = sum(task.condition is Condition.RUNNING for task in tasks)
    stats: Json = {
        "counts": {
            "staged": len(tasks) - running,
            "running": running,
            "healthy": sum(alive),
            "unhealthy": len(alive) - sum(alive),
        }
    }
    if ages_s:
        middle = len(ages_s) // 2
        median = ages_s[middle] if len(ages_s) % 2 else (ages_s[middle - 1] + ages_s[middle]) / 2
        stats["lifeTime"] = {"averageSeconds": sum(ages_s) / len(ages_s), "medianSeconds": median}
    return stats


# -------------------------------------------------------------------- deployments


def deployment_json(world: World, deployment: Deployment, last_response: LastResponses) -> Json:
    """Show a deployment under way; steps are counted from 1, as Marathon does."""
    steps = deployment.steps
    current = steps[deployment.current_step] if deployment.current_step < len(steps) else Step(())
    return {
        "id": deployment.id,
        "version": deployment.version,
        "affectedApps": [change.app_id for change in deployment.changes],
        "affectedPods": [],
        "steps": steps_json(deployment),
        "currentActions": [
            {
                "action": action.kind,
                "app": action.app_id,
                "readinessCheckResults": readiness_json(world, action.app_id, last_response)
                if world.live_app(action.app_id)
                else [],
            }
            for action in current.actions
        ],
        "currentStep": current_step(deployment),
        "totalSteps": len(steps),
    }


def current_step(deployment: Deployment) -> int:
    """Give the number of the present step, counted from 1; 0 where there is none."""
    return min(deployment.current_step + 1, len(deployment.steps))


def steps_json(deployment: Deployment) -> list[Json]:
    """Show all steps of a deployment."""
    return [step_json(step) for step in deployment.steps]


def step_json(step: Step) -> Json:
    """Show one step: its actions, which run side by side."""
    return {"actions": [{"action": action.kind, "app": action.app_id} for action in step.actions]}
