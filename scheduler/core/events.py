"""Define what may happen to the core: everything that enters through the inbox.

Events say "look again": they carry what was seen, never what to do. Commands of the API carry a
``request_id``; each is answered by exactly one ``effects.Reply`` with that id.
"""

from enum import StrEnum

from attrs import frozen

from scheduler.core.group import Group
from scheduler.core.ids import (
    AgentId,
    AppId,
    DeploymentId,
    FrameworkId,
    GroupId,
    OfferId,
    RequestId,
    TaskId,
)
from scheduler.core.instance import CheckResult, TaskState
from scheduler.core.offer import Offer
from scheduler.core.wishes import Removal, Upsert

# ---------------------------------------------------------------- from Mesos


@frozen
class Subscribed:
    """The master has taken our subscription; every earlier offer is void."""

    framework_id: FrameworkId
    master: str
    """``host:port`` of the leading master."""
    master_version: str = ""


@frozen
class Disconnected:
    """The subscription is lost; offers are void, tasks are not."""


@frozen
class OffersReceived:
    offers: tuple[Offer, ...]


@frozen
class OfferRescinded:
    offer_id: OfferId


@frozen
class StatusUpdate:
    """What Mesos says of a task. Delivered at least once, in order for one task only.

    ``uuid`` (base64 as received) is None for updates that the master made up itself, also for
    answers to reconciliation: those must not be acknowledged.
    """

    task_id: TaskId
    state: TaskState
    agent_id: AgentId | None = None
    uuid: str | None = None
    source: str = ""
    """SOURCE_MASTER, SOURCE_AGENT or SOURCE_EXECUTOR."""
    reason: str = ""
    """REASON_…; empty if none was given."""
    message: str = ""
    healthy: bool | None = None
    addresses: tuple[str, ...] = ()
    timestamp_ms: int | None = None
    unreachable_since_ms: int | None = None


@frozen
class AgentLost:
    """FAILURE with an agent alone. A hint only: decisions rest on task updates."""

    agent_id: AgentId


@frozen
class ExecutorLost:
    """FAILURE with an executor; ``status`` is the wait status (exit code 7 is 1792)."""

    agent_id: AgentId
    executor_id: str
    status: int | None


@frozen
class MesosError:
    """ERROR event: the subscription is void; ``removed`` says that our framework id is dead."""

    message: str
    removed: bool


@frozen
class LaunchRefused:
    """An ACCEPT did not reach the master, or the master refused the call as a whole.

    The tasks named were certainly not launched. A call whose fate is unknown raises no event:
    its tasks stay unconfirmed and are asked about in time.
    """

    task_ids: tuple[TaskId, ...]
    message: str
    is_invalid: bool = False
    """The master has read the call and will not have it: sent again as it was, it fails again."""


# ------------------------------------------------- from health and discovery


@frozen
class ProbeResult:
    """A verdict of one health check of a task that differs from the one before.

    ``results`` holds the whole state of that check, as kept by the prober.
    """

    task_id: TaskId
    check_index: int
    result: CheckResult


@frozen
class ReadinessResult:
    task_id: TaskId
    check_name: str
    ready: bool


@frozen
class Deregistered:
    """Discovery holds no entry of this task any more (or never held one)."""

    task_id: TaskId


# ------------------------------------------------------------------- time


@frozen
class Tick:
    """Time has passed: look at every deadline that is due."""

    late_ms: int = 0
    """How long the earliest of them has been due: nothing could be decided in that time, because
    the store was away, the process stood still, or the clock was set forward."""


# ------------------------------------------------------- commands of the API


@frozen
class ChangeApps:
    """Change any number of apps and groups in one deployment: all or nothing.

    Answered Accepted(version, deployment_id), or Rejected: STALE where an ``expect`` does not
    hold any more, EXISTS, NOT_FOUND, LOCKED (another deployment works on one of the apps and
    ``force`` is not given), TOO_MANY (running deployments), INVALID.
    """

    request_id: RequestId
    upserts: tuple[Upsert, ...] = ()
    removals: tuple[Removal, ...] = ()
    restarts: tuple[AppId, ...] = ()
    """Apps whose tasks are to be replaced though their definition stays."""
    groups: tuple[Group, ...] = ()
    """Groups to set; their ``version`` is overwritten with the deployment's."""
    removed_groups: tuple[GroupId, ...] = ()
    force: bool = False
    queue: bool = False
    """With other deployments in the way: wait for their end instead of being refused."""


@frozen
class CancelDeployment:
    """Take a deployment's changes back by a new one; with ``force``, stop it and leave all as
    it is. Answered Accepted or Rejected NOT_FOUND.
    """

    request_id: RequestId
    deployment_id: DeploymentId
    force: bool = False


@frozen
class KillTasks:
    """End tasks of known instances, each replaced by a new task, or (``scale``) not replaced and
    the app's instance count lowered by a deployment; ``wipe`` forgets the instances themselves.

    Answered Killed(instances as they were), Accepted with ``scale``, or Rejected NOT_FOUND or
    LOCKED.
    """

    request_id: RequestId
    task_ids: tuple[TaskId, ...]
    scale: bool = False
    wipe: bool = False
    force: bool = False


@frozen
class ResetDelay:
    """Forget the launch back-off of an app. Answered Accepted without deployment, or NOT_FOUND
    if nothing of the app waits to be launched.
    """

    request_id: RequestId
    app_id: AppId


class Steering(StrEnum):
    PAUSE = "pause"
    RESUME = "resume"
    PROMOTE = "promote"


@frozen
class SteerDeployment:
    """Pause a deployment, let it go on, or approve its canaries. Answered Accepted or NOT_FOUND."""

    request_id: RequestId
    deployment_id: DeploymentId
    verb: Steering


@frozen
class ReleaseBrake:
    """Override the disaster brake for a while: an operator knows that the failures are real.

    Answered Released. ``for_s`` 0 lets the brake hold again at once.
    """

    request_id: RequestId
    for_s: int


@frozen
class KillUnknown:
    """Kill tasks that Mesos reports for us and that we do not know, by an operator's word.

    Answered Released, or NOT_FOUND with the first id that is not listed as unknown.
    """

    request_id: RequestId
    task_ids: tuple[TaskId, ...]


Command = (
    ChangeApps
    | CancelDeployment
    | KillTasks
    | ResetDelay
    | SteerDeployment
    | ReleaseBrake
    | KillUnknown
)

Event = (
    Subscribed
    | Disconnected
    | OffersReceived
    | OfferRescinded
    | StatusUpdate
    | AgentLost
    | ExecutorLost
    | MesosError
    | LaunchRefused
    | ProbeResult
    | ReadinessResult
    | Deregistered
    | Tick
    | Command
)
