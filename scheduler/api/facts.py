"""Translate what the core publishes into Marathon's events (types of ``events*.raml``)."""

from collections.abc import Iterator
from typing import Any

from scheduler.api.appinfo import ip_addresses, step_json, steps_json
from scheduler.core.deployment import Deployment, Step
from scheduler.core.effects import (
    AppTerminated,
    DeploymentDone,
    DeploymentFailed,
    DeploymentStarted,
    DeploymentStepDone,
    Fact,
    InstanceHealthChanged,
    QueuedChangeFailed,
    SchedulerDisconnected,
    SchedulerRegistered,
    TaskStatusChanged,
    UnhealthyKill,
    UnknownTask,
)
from scheduler.core.ids import instance_id_of
from scheduler.core.instance import Instance, TaskState
from scheduler.core.times import format_ms

Json = dict[str, Any]
Events = Iterator[tuple[str, Json]]

_CONDITIONS = {
    TaskState.STAGING: "Staging",
    TaskState.STARTING: "Starting",
    TaskState.RUNNING: "Running",
    TaskState.KILLING: "Killing",
    TaskState.UNREACHABLE: "Unreachable",
    TaskState.UNKNOWN: "Unknown",
    TaskState.FINISHED: "Finished",
    TaskState.FAILED: "Failed",
    TaskState.KILLED: "Killed",
    TaskState.ERROR: "Error",
    TaskState.DROPPED: "Dropped",
    TaskState.GONE: "Gone",
    TaskState.GONE_BY_OPERATOR: "Gone",
    TaskState.LOST: "Unknown",
}


def events_of(fact: Fact) -> Events:  # noqa: C901 - one case for each fact
    """Yield the type and the keys of every event that a fact means."""
    match fact:
        case TaskStatusChanged():
            yield from _task_status(fact)
        case InstanceHealthChanged(instance, healthy):
            yield from _health(instance, healthy=healthy)
        case UnhealthyKill():
            yield "unhealthy_instance_kill_event", _unhealthy_kill(fact)
        case UnknownTask():
            yield from _unknown(fact)
        case DeploymentStarted(deployment):
            yield "group_change_success", {"groupId": "/", "version": deployment.version}
            yield from _step_begins(deployment)
        case DeploymentStepDone(deployment, step):
            yield "deployment_step_success", _about_step(deployment, step)
            yield from _step_begins(deployment)
        case DeploymentDone(deployment):
            yield "deployment_success", {"id": deployment.id, "plan": _plan(deployment)}
        case DeploymentFailed(deployment, reason):
            about = {"id": deployment.id, "plan": _plan(deployment), "reason": reason}
            yield "deployment_failed", about
        case QueuedChangeFailed(queued, reason):
            # A deployment that never began, as /v2/deployments showed it.
            plan: Json = {"id": queued.id, "steps": [], "version": format_ms(queued.queued_at_ms)}
            yield "deployment_failed", {"id": queued.id, "plan": plan, "reason": reason}
        case AppTerminated(app_id):
            yield "app_terminated_event", {"appId": app_id}
        case SchedulerRegistered(framework_id, master, again):
            kind = "scheduler_reregistered_event" if again else "scheduler_registered_event"
            yield kind, {"frameworkId": framework_id, "master": master}
        case SchedulerDisconnected():
            yield "scheduler_disconnected_event", {}


def _task_status(fact: TaskStatusChanged) -> Events:
    instance, update = fact.instance, fact.update
    placement = instance.placement
    yield (
        "status_update_event",
        {
            "slaveId": update.agent_id or (placement.agent_id if placement else ""),
            "taskId": update.task_id,
            "taskStatus": update.state,
            "message": update.message,
            "appId": instance.app_id,
            "host": placement.host if placement else "",
            "ipAddresses": ip_addresses(instance),
            "ports": list(placement.host_ports) if placement else [],
            "version": instance.version,
        },
    )
    yield (
        "instance_changed_event",
        {
            "instanceId": instance.id,
            "condition": _CONDITIONS[update.state],
            "runSpecId": instance.app_id,
            "agentId": placement.agent_id if placement else None,
            "host": placement.host if placement else None,
            "runSpecVersion": instance.version,
        },
    )


def _health(instance: Instance, *, healthy: bool) -> Events:
    yield (
        "health_status_changed_event",
        {
            "appId": instance.app_id,
            "instanceId": instance.id,
            "version": instance.version,
            "alive": healthy,
        },
    )
    yield (
        "instance_health_changed_event",
        {
            "instanceId": instance.id,
            "runSpecId": instance.app_id,
            "runSpecVersion": instance.version,
            "healthy": healthy,
        },
    )


def _unhealthy_kill(fact: UnhealthyKill) -> Json:
    instance = fact.instance
    placement = instance.placement
    return {
        "appId": instance.app_id,
        "taskId": fact.task_id,
        "instanceId": instance.id,
        "version": instance.version,
        "reason": fact.reason,
        "host": placement.host if placement else "",
        "slaveId": placement.agent_id if placement else None,
    }


def _unknown(fact: UnknownTask) -> Events:
    update = fact.update
    instance_id = instance_id_of(update.task_id)
    if instance_id is None or not update.state.is_terminal:
        return
    path = instance_id.rpartition(".instance-")[0]
    yield (
        "unknown_instance_terminated_event",
        {
            "instanceId": instance_id,
            "runSpecId": "/" + path.replace("_", "/"),
            "condition": _CONDITIONS[update.state],
        },
    )


# -------------------------------------------------------------------- deployments


def _plan(deployment: Deployment) -> Json:
    return {
        "id": deployment.id,
        "steps": steps_json(deployment),
        "version": deployment.version,
    }


def _about_step(deployment: Deployment, step: Step) -> Json:
    return {"plan": _plan(deployment), "currentStep": step_json(step)}


def _step_begins(deployment: Deployment) -> Events:
    if deployment.current_step < len(deployment.steps):
        step = deployment.steps[deployment.current_step]
        yield "deployment_info", _about_step(deployment, step)
