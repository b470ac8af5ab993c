"""What the master knows about its agents and the offers it has made.

Free resources are counted as they move: an offer takes them out, a decline, a rescind or the end of
a task puts them back. What is offered or used is never free, so it can never be given twice.
"""

import time
from typing import Protocol

from attrs import define, field, frozen

from scheduler.local.resources import Bundle, JsonObject


class AgentDoor(Protocol):
    """What the master tells an agent; messages may be lost on the way, never reordered."""

    def launch(
        self, framework: JsonObject, tasks: list[JsonObject], executor: JsonObject | None
    ) -> None:
        """Launch tasks; with `executor` they are one task group."""
        ...

    def kill(self, framework_id: str, task_id: str, policy: JsonObject | None) -> None:
        """Kill a task, with the kill policy of the call where it had one."""
        ...

    def acknowledge(self, framework_id: str, task_id: str, uid: str) -> None:
        """Pass on the framework's acknowledgement."""
        ...

    def resend(self, framework_id: str) -> None:
        """Send what the framework has not acknowledged again: it has a new stream."""
        ...

    def shutdown_executor(self, framework_id: str, executor_id: str) -> None:
        """Shut a custom executor down."""
        ...

    def message(self, framework_id: str, executor_id: str, data: str) -> None:
        """Pass a framework message to an executor."""
        ...

    def shutdown_framework(self, framework_id: str) -> None:
        """Kill everything of a framework that is gone."""
        ...

    def drain(self, max_grace_ns: int | None, *, mark_gone: bool) -> None:
        """Kill all tasks, with at most this grace period."""
        ...

    def shutdown(self, reason: str) -> None:
        """Stop the agent: the operator says that it is gone."""
        ...


@frozen
class Offer:
    """One outstanding offer."""

    id: str
    framework_id: str
    agent_id: str
    role: str
    resources: Bundle


@define(eq=False)
class AgentRecord:
    """One agent in the master's books."""

    id: str
    info: JsonObject
    total: Bundle
    free: Bundle
    door: AgentDoor
    registered_at_s: float = field(factory=time.time)
    is_connected: bool = True
    is_deactivated: bool = False
    drain: JsonObject | None = None
    offers: set[str] = field(factory=set[str])
    tasks: set[tuple[str, str]] = field(factory=set[tuple[str, str]])

    @property
    def hostname(self) -> str:
        """The agent's host name."""
        return self.info["hostname"]

    @property
    def is_offerable(self) -> bool:
        """Whether its resources may be offered."""
        return self.is_connected and not self.is_deactivated and self.free.is_allocatable

    @property
    def pid(self) -> str:
        """The agent's libprocess name, as Mesos prints it."""
        return f"slave(1)@127.0.0.1:{self.info['port']}"
