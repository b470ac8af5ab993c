"""What the master knows about a task, and the status updates it makes itself.

Updates that the master makes carry no uuid and are not acknowledged. Frameworks without
PARTITION_AWARE are told TASK_LOST where others learn what really happened
(docs/high-availability-framework-guide.md).
"""

import base64
import time
import uuid
from typing import Any

from attrs import define, field

from scheduler.local.resources import EMPTY, Bundle, JsonObject

TERMINAL_STATES = frozenset(
    {
        "TASK_FINISHED",
        "TASK_FAILED",
        "TASK_KILLED",
        "TASK_ERROR",
        "TASK_LOST",
        "TASK_DROPPED",
        "TASK_GONE",
        "TASK_GONE_BY_OPERATOR",
    }
)
PARTITION_STATES = frozenset(
    {"TASK_UNREACHABLE", "TASK_DROPPED", "TASK_GONE", "TASK_GONE_BY_OPERATOR", "TASK_UNKNOWN"}
)


@define(eq=False)
class Task:
    """One task in the master's books.

    `state` is the latest known to the master, which may be ahead of what the framework has
    acknowledged; `released` says that its resources were given back.
    """

    info: JsonObject
    framework_id: str
    agent_id: str
    role: str
    resources: Bundle
    executor_id: str | None = None
    state: str = "TASK_STAGING"
    statuses: list[JsonObject] = field(factory=list[JsonObject])
    released: bool = False

    @property
    def id(self) -> str:
        """The task id."""
        return self.info["task_id"]["value"]

    @property
    def is_terminal(self) -> bool:
        """Whether it has ended."""
        return self.state in TERMINAL_STATES

    def note_status(self, status: JsonObject) -> None:
        """Keep a status for /state: the last one of each state, as Mesos does."""
        kept = [s for s in self.statuses if s["state"] != status["state"]]
        self.statuses = [*kept, status]


def new_uuid() -> str:
    """Return a fresh uuid the way JSON carries bytes."""
    return base64.b64encode(uuid.uuid4().bytes).decode()


def is_uuid(text: str) -> bool:
    """Return whether base64 text holds a uuid (16 bytes of a known version)."""
    raw = base64.b64decode(text)
    return len(raw) == 16 and 1 <= raw[6] >> 4 <= 5


def make_status(task_id: str, state: str, message: str | None = None, **more: Any) -> JsonObject:
    """Return a TaskStatus; `agent_id` and `executor_id` may be given as plain strings."""
    status: JsonObject = {"task_id": {"value": task_id}, "state": state}
    if message is not None:
        status["message"] = message
    for name, value in more.items():
        if value is None:
            continue
        status[name] = {"value": value} if name in {"agent_id", "executor_id"} else value
    status.setdefault("timestamp", time.time())
    return status


def master_status(
    task_id: str, state: str, message: str, reason: str, agent_id: str | None = None, **more: Any
) -> JsonObject:
    """Return a TaskStatus made by the master."""
    more.update(source="SOURCE_MASTER", reason=reason, agent_id=agent_id)
    return make_status(task_id, state, message, **more)


def task_bundle(task: Task | None) -> Bundle:
    """Return what a task holds on its agent; nothing once released."""
    return EMPTY if task is None or task.released else task.resources
