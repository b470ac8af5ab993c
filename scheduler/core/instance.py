"""Describe an instance: one wanted copy of an app, and the task that runs it now."""

from enum import StrEnum

from attrs import frozen

from scheduler.core.executors import Executor
from scheduler.core.ids import AgentId, AppId, InstanceId, TaskId, Version, task_id_of
from scheduler.core.offer import Pool
from scheduler.core.tally import Age


class Goal(StrEnum):
    """What an instance is for. Decommissioned ones are killed and then forgotten."""

    RUNNING = "Running"
    STOPPED = "Stopped"
    DECOMMISSIONED = "Decommissioned"


class Condition(StrEnum):
    """Where an instance is in its life; see ``lifecycle`` for the ways between them."""

    SCHEDULED = "Scheduled"
    PROVISIONED = "Provisioned"
    STAGING = "Staging"
    STARTING = "Starting"
    RUNNING = "Running"
    DRAINING = "Draining"
    KILLING = "Killing"
    UNREACHABLE = "Unreachable"
    UNREACHABLE_INACTIVE = "UnreachableInactive"

    @property
    def has_task(self) -> bool:
        """Whether a task may be alive: everything but waiting to be launched."""
        return self is not Condition.SCHEDULED


class TaskState(StrEnum):
    """Mesos's task states (``TaskState`` in mesos.proto)."""

    STAGING = "TASK_STAGING"
    STARTING = "TASK_STARTING"
    RUNNING = "TASK_RUNNING"
    KILLING = "TASK_KILLING"
    FINISHED = "TASK_FINISHED"
    FAILED = "TASK_FAILED"
    KILLED = "TASK_KILLED"
    ERROR = "TASK_ERROR"
    LOST = "TASK_LOST"
    DROPPED = "TASK_DROPPED"
    UNREACHABLE = "TASK_UNREACHABLE"
    GONE = "TASK_GONE"
    GONE_BY_OPERATOR = "TASK_GONE_BY_OPERATOR"
    UNKNOWN = "TASK_UNKNOWN"

    @property
    def is_terminal(self) -> bool:
        """Whether the task has ended for sure, or is certain never to run."""
        return self in _TERMINAL


_TERMINAL = frozenset(
    {
        TaskState.FINISHED,
        TaskState.FAILED,
        TaskState.KILLED,
        TaskState.ERROR,
        TaskState.LOST,
        TaskState.DROPPED,
        TaskState.GONE,
        TaskState.GONE_BY_OPERATOR,
    }
)


@frozen
class CheckResult:
    """Last verdict of one health check of a task; times in epoch ms, None for never."""

    alive: bool | None = None
    """None until the first verdict counts: before it, grace hides failures."""
    consecutive_failures: int = 0
    first_success_ms: int | None = None
    last_success_ms: int | None = None
    last_failure_ms: int | None = None
    last_failure_cause: str | None = None
    relapses: int = 0
    """How often it has failed after being alive without having been steady in between."""
    consecutive_successes: int = 0
    """While it counts as dead only: successes since the last failure."""


@frozen
class Placement:
    """Where a task was put and what it was given; set when the launch is decided."""

    agent_id: AgentId
    host: str
    pools: tuple[Pool, ...]
    """What the task takes, by reservation role; echoed to Mesos in TaskInfo.resources."""
    allocated_role: str
    host_ports: tuple[int, ...]
    """One for each of ``app.port_requests(spec)``, in that order."""
    address: str = ""
    """IP of the agent, empty when the offer told none: then ``host`` is what is probed."""
    region: str | None = None
    zone: str | None = None
    executor: Executor | None = None
    """Executor of ours that runs the task; None for Mesos's and others."""


@frozen
class Instance:
    """One wanted copy of an app. Its id outlives its tasks; ``incarnation`` counts them."""

    id: InstanceId
    app_id: AppId
    version: Version
    """Config version (``AppVersion.config_version``) this instance runs."""
    goal: Goal = Goal.RUNNING
    condition: Condition = Condition.SCHEDULED
    incarnation: int = 0
    """Number of the latest task; 0 before the first launch."""
    since_ms: int = 0
    """When the present condition began."""
    created_at_ms: int = 0
    placement: Placement | None = None
    staged_at_ms: int | None = None
    """When the launch of the present task was decided."""
    started_at_ms: int | None = None
    """When the present task was first seen RUNNING."""
    healthy_since_ms: int | None = None
    """Since when all checks have been alive (or RUNNING, without checks); None otherwise."""
    task_state: TaskState | None = None
    """What Mesos last said of the present task; None before its first update."""
    checks: tuple[CheckResult, ...] = ()
    """One for each of the spec's health checks."""
    mesos_healthy: bool | None = None
    """``healthy`` of the last RUNNING update: checks that run beside the task."""
    addresses: tuple[str, ...] = ()
    """IP addresses from the container status; empty for the agent's own network."""
    kill_reason: str | None = None
    """Why the present task is being ended; None while it is not."""
    kill_attempts: int = 0
    deregistered: bool = False
    """Draining only: Consul has confirmed that the task's entries are gone."""
    unconfirmed_asks: int = 0
    """Provisioned only: how often Mesos was asked about a task it never mentioned."""
    last_message: str | None = None
    solo: bool = False
    """Scheduled only: Mesos refused the task beside others, so it is tried once in an ACCEPT of
    its own before the app is blamed."""
    ready: bool = False
    """All readiness checks have passed for the present task (true when there are none)."""
    proven: bool = False
    """Healthy for as long as ``update.minHealthySeconds`` asks; true when nothing is asked."""
    unproven_since_ms: int | None = None
    """When the first task was launched, or came back, that had to be healthy in time
    (``update.healthyDeadlineSeconds``), if none has proved itself since."""
    spare_until_ms: int | None = None
    """Until when this task, come back after it was replaced, may run beside its replacement."""
    attempts: int = 0
    """Restarts counted against ``restartPolicy.attempts``."""
    attempts_since_ms: int = 0
    """When the present interval of ``restartPolicy`` began."""

    @property
    def was_healthy(self) -> bool:
        """Whether a health check of the present task has succeeded once."""
        return any(check.first_success_ms is not None for check in self.checks)

    @property
    def age(self) -> Age:
        """What "youngest" and "oldest" go by: when the task began to run, else when the instance
        was made; of one moment the id decides.
        """
        since_ms = self.created_at_ms if self.started_at_ms is None else self.started_at_ms
        return since_ms, self.id

    @property
    def task_id(self) -> TaskId | None:
        """Id of the present task; None while waiting to be launched."""
        if not self.condition.has_task:
            return None
        return task_id_of(self.id, self.incarnation)
