"""The way between an agent and the master, which can be cut."""

import asyncio
from collections.abc import Callable

from attrs import define

from scheduler.local.registry import AgentDoor
from scheduler.local.resources import JsonObject


@define(eq=False)
class Link:
    """Delivers in order, and loses what is posted while the network or the agent is down."""

    is_up: bool = True
    """The network between the two works."""
    has_agent: bool = False
    """The agent's process lives."""

    def post(self, action: Callable[[], None]) -> None:
        """Deliver after what is being handled."""
        if self.is_up and self.has_agent:
            asyncio.get_running_loop().call_soon(self._deliver, action)

    def _deliver(self, action: Callable[[], None]) -> None:
        if self.has_agent:
            action()


class LinkedDoor:
    """The agent as the master reaches it (see AgentDoor): every message goes over the link."""

    def __init__(self, agent: AgentDoor, link: Link) -> None:
        self._agent = agent
        self._link = link

    def launch(
        self, framework: JsonObject, tasks: list[JsonObject], executor: JsonObject | None
    ) -> None:
        self._link.post(lambda: self._agent.launch(framework, tasks, executor))

    def kill(self, framework_id: str, task_id: str, policy: JsonObject | None) -> None:
        self._link.post(lambda: self._agent.kill(framework_id, task_id, policy))

    def acknowledge(self, framework_id: str, task_id: str, uid: str) -> None:
        self._link.post(lambda: self._agent.acknowledge(framework_id, task_id, uid))

    def resend(self, framework_id: str) -> None:
        self._link.post(lambda: self._agent.resend(framework_id))

    def shutdown_executor(self, framework_id: str, executor_id: str) -> None:
        self._link.post(lambda: self._agent.shutdown_executor(framework_id, executor_id))

    def message(self, framework_id: str, executor_id: str, data: str) -> None:
        self._link.post(lambda: self._agent.message(framework_id, executor_id, data))

    def shutdown_framework(self, framework_id: str) -> None:
        self._link.post(lambda: self._agent.shutdown_framework(framework_id))

    def drain(self, max_grace_ns: int | None, *, mark_gone: bool) -> None:
        self._link.post(lambda: self._agent.drain(max_grace_ns, mark_gone=mark_gone))

    def shutdown(self, reason: str) -> None:
        self._link.post(lambda: self._agent.shutdown(reason))
