"""What the master knows about a framework, and which FrameworkInfos it refuses.

The sentences are Mesos's own (docs/app-framework-development-guide.md for the rules).
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable

from attrs import define, field

from scheduler.local.httpserver import Stream
from scheduler.local.recordio import encode_chunk
from scheduler.local.resources import Bundle, JsonObject
from scheduler.local.tasks import PARTITION_STATES, Task

COMPLETED_TASKS_MAX = 1000


@define(eq=False)
class Filter:
    """What a framework declined of an agent, and until when (loop time) it stays declined."""

    resources: Bundle
    until: float


@define(eq=False)
class MasterExecutor:
    """A custom executor the master knows of; its resources count once for all its tasks."""

    info: JsonObject
    resources: Bundle


@define(eq=False)
class Framework:
    """One framework: its info, its event stream, its tasks."""

    id: str
    info: JsonObject
    send_hook: Callable[["Framework", JsonObject], None] | None = None
    stream: Stream | None = None
    stream_id: str = ""
    recovered: bool = False
    registered_at_s: float = field(factory=time.time)
    reregistered_at_s: float = field(factory=time.time)
    unregistered_at_s: float = 0.0
    suppressed: set[str] = field(factory=set[str])
    constraints: JsonObject = field(factory=dict)
    filters: dict[tuple[str, str], list[Filter]] = field(factory=dict)
    tasks: dict[str, Task] = field(factory=dict[str, Task])
    unreachable: dict[str, Task] = field(factory=dict[str, Task])
    completed: deque[Task] = field(factory=lambda: deque[Task](maxlen=COMPLETED_TASKS_MAX))
    executors: dict[tuple[str, str], MasterExecutor] = field(factory=dict)
    removal: asyncio.TimerHandle | None = None
    capabilities: frozenset[str] = frozenset()
    roles: tuple[str, ...] = ()

    def __attrs_post_init__(self) -> None:
        self.use_info(self.info)

    def use_info(self, info: JsonObject) -> None:
        """Take over a new FrameworkInfo."""
        self.info = {**info, "id": {"value": self.id}}
        self.capabilities = capabilities_of(info)
        self.roles = roles_of(info)
        self.suppressed &= set(self.roles)

    @property
    def is_connected(self) -> bool:
        """Whether its event stream is open."""
        return self.stream is not None

    @property
    def is_partition_aware(self) -> bool:
        """Whether it is told more than TASK_LOST."""
        return "PARTITION_AWARE" in self.capabilities

    @property
    def checkpoints(self) -> bool:
        """Whether its tasks survive the loss of the agent's process."""
        return bool(self.info.get("checkpoint", False))

    @property
    def failover_timeout_s(self) -> float:
        """How long it may stay away before it is removed."""
        return float(self.info.get("failover_timeout", 0.0))

    def send(self, event: JsonObject) -> None:
        """Send an event on the stream; lost when there is none, as in Mesos."""
        if self.send_hook is not None:
            self.send_hook(self, event)
        else:
            self.write(event)

    def write(self, event: JsonObject) -> None:
        """Write an event on the stream at once."""
        if self.stream is not None:
            self.stream.send(encode_chunk(event))

    def send_status(self, status: JsonObject) -> None:
        """Send an UPDATE, in the words this framework understands."""
        state = self.worded(status["state"])
        self.send({"type": "UPDATE", "update": {"status": {**status, "state": state}}})

    def worded(self, state: str) -> str:
        """Return the state as this framework is told it."""
        if state in PARTITION_STATES and not self.is_partition_aware:
            return "TASK_LOST"
        return state


def capabilities_of(info: JsonObject) -> frozenset[str]:
    """Return the capability names of a FrameworkInfo."""
    return frozenset(str(c.get("type", "")) for c in info.get("capabilities", []))


def roles_of(info: JsonObject) -> tuple[str, ...]:
    """Return the roles of a FrameworkInfo, of either form."""
    if "MULTI_ROLE" in capabilities_of(info):
        return tuple(info.get("roles", []))
    return (str(info.get("role", "*")),)


def find_framework_problem(info: JsonObject) -> str | None:
    """Return what is wrong with a FrameworkInfo, or None."""
    multi = "MULTI_ROLE" in capabilities_of(info)
    roles = list(info.get("roles", []))
    if roles and not multi:
        return "'FrameworkInfo.roles' must not be set when the framework is not MULTI_ROLE capable"
    if "role" in info and multi:
        return "'FrameworkInfo.role' must not be set when the framework is MULTI_ROLE capable"
    duplicates = sorted({r for r in roles if roles.count(r) > 1})
    if duplicates:
        joined = ", ".join(duplicates)
        return f"'FrameworkInfo.roles' contains duplicate items: {{ {joined} }}"
    for role in roles_of(info):
        problem = find_role_problem(role)
        if problem:
            name = "roles" if multi else "role"
            said = "contains invalid role" if multi else "is not a valid role"
            return f"'FrameworkInfo.{name}' {said}: {problem}"
    return None


def find_role_problem(role: str) -> str | None:
    """Return what is wrong with a role's name, or None."""
    if role == "*":
        return None
    if not role:
        return "Empty role name is invalid"
    if role.startswith("/"):
        return f"Role '{role}' cannot start with a slash"
    if role.endswith("/"):
        return f"Role '{role}' cannot end with a slash"
    for part in role.split("/"):
        if not part:
            return f"Role '{role}' cannot contain two adjacent slashes"
        if part in {".", ".."}:
            return f"Role component '{part}' is invalid"
        if part == "*":
            return "Role component '*' is invalid"
        if part.startswith("-"):
            return f"Role component '{part}' is invalid because it starts with a dash"
        if any(c.isspace() or c == "\b" for c in part):
            return f"Role component '{part}' is invalid because it contains backspace or whitespace"
    return None


def find_suppression_problem(info: JsonObject, suppressed: list[str]) -> str | None:
    """Return what is wrong with the suppressed roles, or None."""
    foreign = sorted(set(suppressed) - set(roles_of(info)))
    if foreign:
        joined = ", ".join(foreign)
        return f"Suppressed roles {{ {joined} }} are not contained in the set of roles"
    return None


def find_update_problem(old: JsonObject, new: JsonObject) -> str | None:
    """Return which field of FrameworkInfo UPDATE_FRAMEWORK may not change, or None."""
    if old.get("principal") != new.get("principal"):
        return "Changing framework's principal is not allowed."
    for name, default in (("user", ""), ("checkpoint", False)):
        before, after = old.get(name, default), new.get(name, default)
        if before != after:
            return (
                f"Updating 'FrameworkInfo.{name}' is unsupported; attempted to update "
                f"from '{_text(before)}' to '{_text(after)}'"
            )
    return None


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
