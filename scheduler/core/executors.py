"""Choose the executor of Egret's own that a task runs in, and count what runs in each.

One executor serves tasks of one app and user on one agent. Mesos refuses a task that describes a
running executor otherwise than the task that started it (traces: 06-invalid-launches), so what
describes it is a value that is stored with each of its tasks and never changes: a later task joins
by copying it. An executor is named after the task that founded it, so no id is ever used twice.
"""

from typing import NewType

from attrs import evolve, frozen

from scheduler.core.app import AppSpec, Resources
from scheduler.core.ids import AgentId, AppId, TaskId
from scheduler.core.offer import Pool

ExecutorId = NewType("ExecutorId", str)

EGRET_EXECUTOR = "egret"
"""The app's ``executor`` that asks for ours."""
TASKS_MAX = 50
"""Tasks in one executor at a time: an agent's work for each launch grows with their number."""
OVERHEAD = Resources(cpus_milli=100, mem_mib=32)
"""What an executor takes for itself, once, beside its tasks."""


@frozen
class Executor:
    """All that distinguishes one executor of ours from another."""

    id: ExecutorId
    user: str | None
    """Whom it and its tasks run as; None for the framework's user."""
    role: str
    """Role its resources are allocated to: Mesos wants its tasks' to be the same."""
    uri: str
    """Where agents fetch it from."""
    pools: tuple[Pool, ...] = ()
    """What it takes for itself; empty until it has been placed."""

    @property
    def is_placed(self) -> bool:
        """Whether its own resources have been taken from an offer."""
        return bool(self.pools)


def founded_by(task_id: TaskId) -> ExecutorId:
    """Name the executor that a task starts when it can join none."""
    return ExecutorId(f"egret-{task_id}")


class Executors:
    """The executors that hold tasks which may be alive; kept by ``World.apply``.

    What has become of the executor itself is no stored state: that one has ended is remembered
    only while there are tasks that may make it look joinable.
    """

    def __init__(self) -> None:
        self.tasks: dict[tuple[AppId, AgentId], dict[ExecutorId, int]] = {}
        """App and agent → executor → its tasks."""
        self._known: dict[tuple[AgentId, ExecutorId], Executor] = {}
        self._closed: set[tuple[AgentId, ExecutorId]] = set()

    def count(self, app_id: AppId, agent_id: AgentId, executor: Executor, sign: int) -> None:
        """Count a task in (+1) or out (-1)."""
        of_app = self.tasks.setdefault((app_id, agent_id), {})
        key = (agent_id, executor.id)
        self._known[key] = executor
        of_app[executor.id] = of_app.get(executor.id, 0) + sign
        if of_app[executor.id] <= 0:
            del of_app[executor.id], self._known[key]
            self._closed.discard(key)
        if not of_app:
            del self.tasks[(app_id, agent_id)]

    def close(self, agent_id: AgentId, executor_id: str) -> None:
        """Let no task join an executor that has ended, though its tasks are still counted."""
        key = (agent_id, ExecutorId(executor_id))
        if key in self._known:
            self._closed.add(key)

    def choose(
        self, spec: AppSpec, task_id: TaskId, agent_id: AgentId, role: str, uri: str
    ) -> Executor | None:
        """Give the executor for a task that is being placed; None if it needs none of ours.

        The fullest that has room, or a new one, which has yet to be placed. One that was fetched
        from elsewhere is not joined: should it have ended unseen, it could not be started again.
        O(executors of the app on the agent).
        """
        if spec.executor != EGRET_EXECUTOR:
            return None
        new = Executor(founded_by(task_id), spec.user, role, uri)
        of_app = self.tasks.get((spec.id, agent_id), {})
        open_ones = [
            (tasks, executor_id)
            for executor_id, tasks in of_app.items()
            if tasks < TASKS_MAX and self._is_joinable((agent_id, executor_id), new)
        ]
        return self._known[(agent_id, max(open_ones)[1])] if open_ones else new

    def _is_joinable(self, key: tuple[AgentId, ExecutorId], new: Executor) -> bool:
        if key in self._closed:
            return False
        known = self._known[key]
        return evolve(known, id=new.id, pools=()) == new
