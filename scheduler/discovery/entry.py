"""Define what one registration is, the same for what should be and for what Consul holds."""

from typing import Any

from attrs import field, frozen

from scheduler.core.ids import TaskId

META_PREFIX = "egret-"
"""Meta keys with this prefix are ours alone."""
META_OWNER = "egret-owner"
META_APP = "egret-app"
META_VERSION = "egret-version"
META_TASK = "egret-task"
META_AGENT = "egret-agent"
META_HOST = "egret-host"

CHECK_OUTPUT = "Egret keeps this entry while the task is healthy."
"""Constant: watchers such as fabio rebuild all they have when the text of a check changes."""


@frozen
class AgentCheck:
    """The check that a Consul agent runs itself (mode ``agent``)."""

    url: str | None
    """None: a TCP connection to the entry's address and port is the check."""
    interval_s: int
    timeout_s: int


@frozen
class ServiceEntry:
    """One port of one task as a Consul service instance."""

    id: str
    """Consul's ServiceID: task id and port, so it is never used for anything else."""
    task_id: TaskId
    name: str
    address: str
    port: int
    tags: tuple[str, ...]
    meta: tuple[tuple[str, str], ...]
    """Sorted by key; the owner mark is among them."""
    node: str
    """Synthetic node of the Mesos agent (mode ``catalog``)."""
    host: str
    """Host name of the Mesos agent: where the Consul agent is found (mode ``agent``)."""
    node_address: str = field(default="", eq=False)
    """Not compared: Consul does not keep it with the entry."""
    check: AgentCheck | None = field(default=None, eq=False)
    """None for a port that takes no TCP connections. Not compared: it follows from the task."""


def service_id(task_id: TaskId, port: str) -> str:
    """Name the entry of one port of a task."""
    return f"{task_id}:{port}"


def text(value: Any) -> str:
    """Give a string of Consul's answer; raises TypeError for whatever else stands there."""
    if not isinstance(value, str):
        raise TypeError(f"{value!r} where a string is due")
    return value


def entry_of(service: dict[str, Any], node: str) -> ServiceEntry:
    """Read an entry back out of Consul's description of a service (catalog or agent).

    Raises:
        KeyError, TypeError, AttributeError: it is no such description.
    """
    meta: dict[str, str] = service.get("Meta") or {}
    return ServiceEntry(
        id=text(service["ID"]),
        task_id=TaskId(text(meta.get(META_TASK, ""))),
        name=text(service["Service"]),
        address=service["Address"],
        port=service["Port"],
        tags=tuple(service.get("Tags") or ()),
        meta=tuple(sorted(meta.items())),
        node=node,
        host=text(meta.get(META_HOST, "")),
    )
