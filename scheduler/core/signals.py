"""Sort what Mesos says of a task, and what we want of an instance, into the table's columns.

The sorting is where "whose fault was it" is decided: a crash is the app's and costs back-off, a
lost offer or a drained agent is nobody's and costs nothing. Sources: Mesos documents "Task State
Reasons" and "High Availability Framework Guide".
"""

from enum import StrEnum

from attrs import frozen

from scheduler.core.events import StatusUpdate
from scheduler.core.executors import founded_by
from scheduler.core.instance import Condition, Goal, Instance, TaskState


class Signal(StrEnum):
    STAGING = "staging"
    STARTING = "starting"
    RUNNING = "running"
    KILLING = "killing"
    CRASHED = "crashed"
    """The task ended by itself, well or badly: its app is to blame."""
    KILLED = "killed"
    REFUSED = "refused"
    """Mesos would not run it: a mistake in the spec or in the permissions, mostly."""
    LOST = "lost"
    """It does not run, for sure, through no fault of the app."""
    UNREACHABLE = "unreachable"
    UNKNOWN = "unknown"
    KILL = "kill"
    """We want the task ended (and, with goal Running, launched again)."""
    DEREGISTERED = "deregistered"
    DEADLINE = "deadline"


@frozen
class Cause:
    """Why the life cycle moves: the signal, and what came with it."""

    signal: Signal
    update: StatusUpdate | None = None
    reason: str = ""
    goal: Goal | None = None
    """KILL only: the goal the instance takes on; None keeps it."""


_BLAMELESS_REASONS = frozenset(
    {
        "REASON_INVALID_OFFERS",
        "REASON_AGENT_DRAINING",
        "REASON_AGENT_REMOVED",
        "REASON_AGENT_REMOVED_BY_OPERATOR",
        "REASON_AGENT_DISCONNECTED",
        "REASON_AGENT_RESTARTED",
        "REASON_AGENT_UNKNOWN",
        "REASON_MASTER_DISCONNECTED",
        "REASON_SLAVE_REMOVED",
        "REASON_SLAVE_REMOVED_BY_OPERATOR",
        "REASON_SLAVE_DISCONNECTED",
        "REASON_SLAVE_RESTARTED",
        "REASON_SLAVE_UNKNOWN",
        "REASON_SLAVE_DRAINING",
    }
)

_BY_STATE = {
    TaskState.STAGING: Signal.STAGING,
    TaskState.STARTING: Signal.STARTING,
    TaskState.RUNNING: Signal.RUNNING,
    TaskState.KILLING: Signal.KILLING,
    TaskState.FINISHED: Signal.CRASHED,
    TaskState.FAILED: Signal.CRASHED,
    TaskState.KILLED: Signal.KILLED,
    TaskState.ERROR: Signal.REFUSED,
    TaskState.LOST: Signal.LOST,
    TaskState.DROPPED: Signal.CRASHED,
    TaskState.UNREACHABLE: Signal.UNREACHABLE,
    TaskState.GONE: Signal.LOST,
    TaskState.GONE_BY_OPERATOR: Signal.LOST,
    TaskState.UNKNOWN: Signal.UNKNOWN,
}


def is_draining(update: StatusUpdate) -> bool:
    """Whether an operator drains the agent (Mesos 1.9+, DRAIN_AGENT)."""
    return update.reason in {"REASON_AGENT_DRAINING", "REASON_SLAVE_DRAINING"}


def is_reconciled(update: StatusUpdate) -> bool:
    """Whether it answers a RECONCILE: the reason of what happened is not told any more."""
    return update.reason == "REASON_RECONCILIATION"


def is_executor_gone(update: StatusUpdate) -> bool:
    """Whether the task's executor has ended, or is about to."""
    return update.reason == "REASON_EXECUTOR_TERMINATED"


def came_too_late(instance: Instance) -> bool:
    """Whether a task whose executor has ended was sent to one that ran and was leaving.

    An executor without tasks leaves, and a task may cross it on the way: it never ran, and nobody
    is to blame. The task that founded an executor is to blame for one that cannot start.
    """
    executor = None if instance.placement is None else instance.placement.executor
    if executor is None or instance.task_id is None:
        return False
    never_ran = instance.condition in {Condition.PROVISIONED, Condition.STAGING}
    return never_ran and executor.id != founded_by(instance.task_id)


def classify(update: StatusUpdate) -> Signal:
    """Sort a status update into a column.

    A TASK_DROPPED is blameless only when its reason says so: dropped for a reason of the task
    itself (an agent without the isolator it needs) it would come back at once, without end.
    An answer to RECONCILE tells the latest state under a reason of its own: an end that is first
    heard of in this way is what its state says, a crash too. Why a task was dropped is lost then.
    """
    if update.state.is_terminal and update.reason.endswith("_UNAUTHORIZED"):
        return Signal.REFUSED
    if update.state.is_terminal and update.reason in _BLAMELESS_REASONS:
        return Signal.LOST
    if update.state is TaskState.DROPPED and (is_executor_gone(update) or is_reconciled(update)):
        return Signal.LOST
    if update.state is TaskState.KILLED and update.healthy is False:
        # Its executor gave it up as unhealthy (traces: 03-health-checks): that is a crash.
        return Signal.CRASHED
    return _BY_STATE[update.state]
