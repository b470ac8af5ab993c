"""Answer RECONCILE, and KILLs of tasks the master does not have, in Mesos's order of cases.

An agent of the registry that has not come back after a master's restart may hold any task: as long
as one is missing, unknown tasks get no answer at all (docs/reconciliation.md).
"""

from scheduler.local.describe import last_container
from scheduler.local.frameworks import Framework
from scheduler.local.master import Master
from scheduler.local.resources import JsonObject
from scheduler.local.tasks import Task, master_status

_REASON = "REASON_RECONCILIATION"


def reconcile_all(framework: Framework) -> None:
    """Send the state of every task that has not ended and is reachable."""
    for task in list(framework.tasks.values()):
        framework.send_status(_latest(task))


def reconcile_task(
    master: Master, framework: Framework, task_id: str, agent_id: str | None
) -> None:
    """Send the state of one task, known or not; silent while that cannot be known."""
    status = _find_status(master, framework, task_id, agent_id)
    if status is not None:
        framework.send_status(status)


def _find_status(
    master: Master, framework: Framework, task_id: str, agent_id: str | None
) -> JsonObject | None:
    task = framework.tasks.get(task_id)
    if task is not None:
        return _latest(task)
    if agent_id is not None and agent_id in master.recovering:
        return None
    if agent_id in master.agents:
        message = "Reconciliation: Task is unknown to the agent"
        return master_status(task_id, "TASK_GONE", message, _REASON, agent_id)
    known = framework.unreachable.get(task_id)
    silent = agent_id if agent_id is not None else (known.agent_id if known else None)
    if silent in master.unreachable:
        message = "Reconciliation: Task is unreachable"
        since = master.unreachable[silent]
        return master_status(
            task_id, "TASK_UNREACHABLE", message, _REASON, silent, unreachable_time=since
        )
    if agent_id in master.gone:
        message = "Reconciliation: Task is gone"
        return master_status(task_id, "TASK_GONE_BY_OPERATOR", message, _REASON, agent_id)
    if agent_id is None and master.recovering:
        return None
    message = "Reconciliation: Task is unknown"
    return master_status(task_id, "TASK_UNKNOWN", message, _REASON, agent_id)


def _latest(task: Task) -> JsonObject:
    more = last_container(task)
    healthy = task.statuses[-1].get("healthy") if task.statuses else None
    message = "Reconciliation: Latest task state"
    return master_status(
        task.id, task.state, message, _REASON, task.agent_id, healthy=healthy, **more
    )
