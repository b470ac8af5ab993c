"""Pretend to run tasks: no process, RUNNING after a while, killed at once.

For load tests and for schedulers that must see thousands of agents; everything else, updates that
are repeated until acknowledged among it, is as with real tasks.
"""

import asyncio
from collections.abc import Callable

from scheduler.local.executors import AgentTask
from scheduler.local.resources import JsonObject
from scheduler.local.tasks import make_status, new_uuid

_CONTAINER_STATUS: JsonObject = {
    "network_infos": [{"ip_addresses": [{"protocol": "IPv4", "ip_address": "127.0.0.1"}]}]
}


class VirtualTasks:
    """The pretended tasks of one agent."""

    def __init__(
        self, on_status: Callable[[AgentTask, JsonObject], None], start_delay_s: float
    ) -> None:
        """Start with none.

        Args:
            on_status: called with each status, as if an executor had sent it.
            start_delay_s: how long a task takes to RUNNING.
        """
        self._on_status = on_status
        self._start_delay_s = start_delay_s

    def launch(self, task: AgentTask) -> None:
        """Start a task."""
        loop = asyncio.get_running_loop()
        if self._start_delay_s > 0:
            loop.call_later(self._start_delay_s, self._run, task)
        else:
            loop.call_soon(self._run, task)

    def _run(self, task: AgentTask) -> None:
        if task.state == "TASK_STAGING":
            self.report(task, "TASK_RUNNING")

    def report(self, task: AgentTask, state: str, message: str | None = None) -> None:
        """Send a status of a task."""
        status = make_status(
            task.id,
            state,
            message,
            source="SOURCE_EXECUTOR",
            executor_id=task.shown_executor_id,
            uuid=new_uuid(),
            container_status=_CONTAINER_STATUS,
        )
        self._on_status(task, status)
