"""Write one log line for each fact that the core publishes: one for each change of state."""

import structlog

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

_log = structlog.get_logger("facts")

_MESSAGE_MAX = 500
"""Longest part of a task's own message that is logged."""


def log_fact(fact: Fact) -> None:  # noqa: C901 - one case for each fact
    """Log a fact; a listener of the bus."""
    match fact:
        case TaskStatusChanged(instance, update):
            _log.info(
                "task_status_changed",
                app_id=instance.app_id,
                task_id=update.task_id,
                state=update.state.value,
                source=update.source,
                reason=update.reason,
                message=update.message[:_MESSAGE_MAX],
                agent_id=update.agent_id,
            )
        case InstanceHealthChanged(instance, healthy):
            _log.info(
                "instance_health_changed",
                app_id=instance.app_id,
                instance_id=instance.id,
                healthy=healthy,
            )
        case UnhealthyKill(instance, task_id, reason):
            _log.warning(
                "unhealthy_task_killed", app_id=instance.app_id, task_id=task_id, reason=reason
            )
        case UnknownTask(update, ended_by_us):
            _log.warning(
                "unknown_task",
                task_id=update.task_id,
                state=update.state.value,
                agent_id=update.agent_id,
                ended_by_us=ended_by_us,
            )
        case DeploymentStarted(deployment):
            apps = [change.app_id for change in deployment.changes]
            _log.info("deployment_started", deployment_id=deployment.id, apps=apps[:20])
        case DeploymentStepDone(deployment):
            _log.info(
                "deployment_step_done",
                deployment_id=deployment.id,
                step=deployment.current_step,
                steps=len(deployment.steps),
            )
        case DeploymentDone(deployment):
            _log.info("deployment_done", deployment_id=deployment.id)
        case QueuedChangeFailed(queued, reason):
            _log.warning("queued_change_failed", deployment_id=queued.id, reason=reason)
        case DeploymentFailed(deployment, reason):
            _log.warning("deployment_failed", deployment_id=deployment.id, reason=reason)
        case AppTerminated(app_id):
            _log.info("app_terminated", app_id=app_id)
        case SchedulerRegistered(framework_id, master, again):
            _log.info("scheduler_registered", framework_id=framework_id, master=master, again=again)
        case SchedulerDisconnected():
            _log.warning("scheduler_disconnected")
