"""Define what is stored: one record is one entity's whole value, never a delta.

``World.apply`` is the only reader: the code that applies a record live is the code that loads it
after a restart. A store sees kinds, keys and encoded values, nothing else.
"""

from collections.abc import Callable
from enum import StrEnum
from operator import attrgetter
from typing import Any

from attrs import frozen

from scheduler.core.app import AppSpec
from scheduler.core.deployment import Change, Deployment
from scheduler.core.group import Group
from scheduler.core.ids import (
    AgentId,
    AppId,
    DeploymentId,
    FrameworkId,
    GroupId,
    InstanceId,
    TaskId,
    Version,
)
from scheduler.core.instance import Instance, TaskState
from scheduler.core.offer import Agent
from scheduler.core.wishes import Removal, Upsert, app_ids_of


class Kind(StrEnum):
    FRAMEWORK = "framework"
    GROUP = "group"
    VERSION = "version"
    APP = "app"
    AGENT = "agent"
    DEPLOYMENT = "deployment"
    INSTANCE = "instance"
    DELAY = "delay"
    FAILURE = "failure"
    ENDED = "ended"
    ROLLOUT = "rollout"
    ROLLED_BACK = "rolled_back"
    QUEUED = "queued"
    FINISHED = "finished"


@frozen
class Framework:
    """Our identity at the Mesos master: stored before the first launch, never replaced."""

    id: FrameworkId
    registered_at_ms: int


@frozen
class AppVersion:
    """One immutable version of an app. Scaling makes a version, too, but keeps
    ``config_version``: instances point at that one and are not outdated by scaling.
    """

    spec: AppSpec
    version: Version
    config_version: Version
    last_scaling_at: Version

    @property
    def app_id(self) -> AppId:
        return self.spec.id


@frozen
class App:
    """Which version of an app is wanted. A removed app stays until its last task has ended,
    invisible to the API.
    """

    id: AppId
    version: Version
    removed: bool = False


@frozen
class Delay:
    """Launch back-off of one config version of an app (Marathon page "Applications": backoff)."""

    app_id: AppId
    version: Version
    delay_ms: int
    until_ms: int
    last_failure_ms: int


@frozen
class Failure:
    """The last failed task of an app: ``lastTaskFailure`` in the API."""

    app_id: AppId
    task_id: TaskId
    state: TaskState
    message: str
    host: str
    agent_id: AgentId | None
    version: Version
    at_ms: int


@frozen
class Ended:
    """Tombstone of a forgotten instance: the proof that its tasks are ours and have ended."""

    instance_id: InstanceId
    app_id: AppId
    incarnation: int
    at_ms: int


@frozen
class Rollout:
    """How far one app of a deployment has come; kept only where a deadline runs (``update``)."""

    app_id: AppId
    deployment_id: DeploymentId
    serving: int
    """Most instances of the new version that served at once."""
    progressed_at_ms: int
    """When ``serving`` last grew, or the step began."""


@frozen
class RolledBack:
    """Why a version of an app was taken back."""

    app_id: AppId
    version: Version
    at_ms: int
    reason: str


@frozen
class Queued:
    """A change that waits for the deployments in its way; ``id`` becomes its deployment's."""

    id: DeploymentId
    queued_at_ms: int
    upserts: tuple[Upsert, ...] = ()
    removals: tuple[Removal, ...] = ()
    restarts: tuple[AppId, ...] = ()
    groups: tuple[Group, ...] = ()
    removed_groups: tuple[GroupId, ...] = ()

    @property
    def app_ids(self) -> list[AppId]:
        """The apps it will change."""
        return app_ids_of(self.upserts, self.removals, self.restarts)


class Outcome(StrEnum):
    """What became of a deployment that is over."""

    DONE = "done"
    FAILED = "failed"
    """It failed and ended all the same, since there was nothing left to do; or it waited for others
    and could not begin when its turn came."""
    REVERTED = "reverted"
    """It failed, and a deployment of its own takes it back (``update.autoRevert``)."""
    CANCELLED = "cancelled"


@frozen
class Finished:
    """What became of a deployment or a queued change; kept for the latest ones only."""

    id: DeploymentId
    outcome: Outcome
    version: Version
    ended_at_ms: int
    started_at_ms: int | None = None
    """None: it waited for others and never began."""
    changes: tuple[Change, ...] = ()
    reason: str | None = None
    reverts: DeploymentId | None = None
    reverted_by: DeploymentId | None = None
    """The deployment that takes back what this one changed."""


Entity = (
    Framework
    | Group
    | AppVersion
    | App
    | Agent
    | Deployment
    | Instance
    | Delay
    | Failure
    | Ended
    | Rollout
    | RolledBack
    | Queued
    | Finished
)


@frozen
class Put:
    """Set the record ``key`` of ``kind`` to the whole of ``value``."""

    kind: Kind
    key: str
    value: Entity


@frozen
class Delete:
    kind: Kind
    key: str


Record = Put | Delete

FRAMEWORK_KEY = "self"


def put(entity: Entity) -> Put:
    """Wrap an entity as the record that stores it; the key is derived from the entity alone."""
    kind, key_of = _KEYS[type(entity)]
    return Put(kind, key_of(entity), entity)


def version_key(app_id: AppId, version: Version) -> str:
    """Key of what belongs to one version of an app; ``@`` occurs in no app id."""
    return f"{app_id}@{version}"


def _app_version_key(entity: AppVersion | Delay | RolledBack) -> str:
    return version_key(entity.app_id, entity.version)


_KEYS: dict[type, tuple[Kind, Callable[[Any], str]]] = {
    Framework: (Kind.FRAMEWORK, lambda _: FRAMEWORK_KEY),
    Group: (Kind.GROUP, attrgetter("id")),
    AppVersion: (Kind.VERSION, _app_version_key),
    App: (Kind.APP, attrgetter("id")),
    Agent: (Kind.AGENT, attrgetter("id")),
    Deployment: (Kind.DEPLOYMENT, attrgetter("id")),
    Instance: (Kind.INSTANCE, attrgetter("id")),
    Delay: (Kind.DELAY, _app_version_key),
    Failure: (Kind.FAILURE, attrgetter("app_id")),
    Ended: (Kind.ENDED, attrgetter("instance_id")),
    Rollout: (Kind.ROLLOUT, attrgetter("app_id")),
    RolledBack: (Kind.ROLLED_BACK, _app_version_key),
    Queued: (Kind.QUEUED, attrgetter("id")),
    Finished: (Kind.FINISHED, attrgetter("id")),
}
"""Where each entity is stored: its kind, and its key read from the entity."""
