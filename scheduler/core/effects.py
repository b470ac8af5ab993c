"""Define what the core asks the world to do, once its records are durable.

*Derivable* effects (Kill, Reconcile, Suppress, Revive) follow from the state and are asked for
again after a crash; *once* effects (Accept, Decline, Acknowledge, Reply, Publish) are lost in a
crash and nothing depends on them. What health checks and discovery must do is not spelled out
here: they follow the instances that changed in the batch (``World.take_changes``).
"""

from enum import StrEnum

from attrs import frozen

from scheduler.core.app import AppSpec
from scheduler.core.deployment import Deployment, Step
from scheduler.core.events import StatusUpdate
from scheduler.core.ids import AgentId, AppId, DeploymentId, OfferId, RequestId, TaskId, Version
from scheduler.core.instance import Instance
from scheduler.core.records import Queued

# ---------------------------------------------------------------- to Mesos


@frozen
class Launch:
    """One task to start: the instance says where and with what, the spec says what."""

    instance: Instance
    spec: AppSpec


@frozen
class Accept:
    """Use all the named offers of one agent to launch; what is left over is filtered for
    ``refuse_s`` seconds.
    """

    offer_ids: tuple[OfferId, ...]
    agent_id: AgentId
    launches: tuple[Launch, ...]
    refuse_s: float


@frozen
class Decline:
    offer_ids: tuple[OfferId, ...]
    refuse_s: float


@frozen
class Kill:
    """``grace_s`` None leaves the grace period to the task's own kill policy."""

    task_id: TaskId
    agent_id: AgentId | None
    grace_s: int | None


@frozen
class Reconcile:
    """Ask for the state of the named tasks; an empty tuple asks for all (implicit)."""

    tasks: tuple[tuple[TaskId, AgentId | None], ...]


@frozen
class Acknowledge:
    task_id: TaskId
    agent_id: AgentId
    uuid: str


@frozen
class Suppress:
    """No offers, please: nothing waits. For all our roles."""


@frozen
class Revive:
    """Offers, please, at once: clears every filter. For all our roles."""


# --------------------------------------------------------- to callers of the API


@frozen
class Accepted:
    version: Version
    deployment_id: DeploymentId | None


@frozen
class Killed:
    instances: tuple[Instance, ...]


class Refusal(StrEnum):
    EXISTS = "exists"
    NOT_FOUND = "not_found"
    LOCKED = "locked"
    STALE = "stale"
    TOO_MANY = "too_many"
    INVALID = "invalid"


@frozen
class Rejected:
    refusal: Refusal
    subject: str
    """The app, group, task or deployment that the refusal is about."""
    message: str
    deployment_ids: tuple[DeploymentId, ...] = ()
    """LOCKED only: the deployments in the way."""


@frozen
class Released:
    """An operator's override is in force."""


Answer = Accepted | Killed | Released | Rejected


@frozen
class Reply:
    request_id: RequestId
    answer: Answer


# ------------------------------------------------------------------ to the public


@frozen
class TaskStatusChanged:
    instance: Instance
    update: StatusUpdate


@frozen
class InstanceHealthChanged:
    instance: Instance
    healthy: bool


@frozen
class UnhealthyKill:
    instance: Instance
    task_id: TaskId
    reason: str


@frozen
class UnknownTask:
    """A task that Mesos reports for our framework and that we do not know."""

    update: StatusUpdate
    ended_by_us: bool


@frozen
class DeploymentStarted:
    deployment: Deployment


@frozen
class DeploymentStepDone:
    deployment: Deployment
    step: Step


@frozen
class DeploymentDone:
    deployment: Deployment


@frozen
class DeploymentFailed:
    deployment: Deployment
    reason: str


@frozen
class QueuedChangeFailed:
    """A change that waited for others will not be begun."""

    queued: Queued
    reason: str


@frozen
class AppTerminated:
    app_id: AppId


@frozen
class SchedulerRegistered:
    framework_id: str
    master: str
    again: bool


@frozen
class SchedulerDisconnected:
    pass


Fact = (
    TaskStatusChanged
    | InstanceHealthChanged
    | UnhealthyKill
    | UnknownTask
    | DeploymentStarted
    | DeploymentStepDone
    | DeploymentDone
    | DeploymentFailed
    | QueuedChangeFailed
    | AppTerminated
    | SchedulerRegistered
    | SchedulerDisconnected
)


@frozen
class Publish:
    """Tell the event bus (SSE, metrics, log) what has happened."""

    fact: Fact


MesosEffect = Accept | Decline | Kill | Reconcile | Acknowledge | Suppress | Revive
Effect = MesosEffect | Reply | Publish
