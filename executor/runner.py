"""Hold the tasks of this executor: launch them, kill them, end the executor after the last.

This is the pymesos `Executor` that the driver calls. Its callbacks never block and never raise for
what a framework sends.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

from executor import logs
from executor.driver import AgentDriver, TaskExecutor
from executor.mesos import Json, MesosExecutorDriver
from executor.messages import BadTask, Launch, own_sandbox, read_grace, read_launch
from executor.processes import CannotStart, Processes, Program
from executor.pulse import Pulse
from executor.settings import Settings
from executor.task import Host, Task

# Of the time the agent gives for a shutdown: what the tasks get before KILL, and when we leave
# although updates were not acknowledged. The agent destroys us at 1.0.
_TASKS_SHARE = 0.6
_LEAVE_SHARE = 0.9
# An executor is started for a task that follows at once. If none comes, it was killed on its way.
_FIRST_TASK_S = 60.0


class TaskRunner(TaskExecutor):
    """The tasks of one executor. `attach` its driver before that runs."""

    def __init__(
        self, settings: Settings, processes: Processes, environment: Mapping[str, str]
    ) -> None:
        self._driver: AgentDriver
        self._settings = settings
        self._processes = processes
        self._environment = environment
        self._capabilities: set[str] = set()
        self._tasks: dict[str, Task] = {}
        self._old_sandboxes: deque[Path] = deque()
        self._running: set[asyncio.Task[None]] = set()
        self._ended = Pulse()
        self._idle_s = _FIRST_TASK_S
        self._idle_timer: asyncio.TimerHandle | None = None
        self._is_shutting_down = False

    def attach(self, driver: AgentDriver) -> None:
        """Name the driver whose calls come here."""
        self._driver = driver

    # -- what the driver calls ----------------------------------------------------------------

    def registered(
        self,
        driver: MesosExecutorDriver,
        executorInfo: Json,
        frameworkInfo: Json,
        slaveInfo: Json,
    ) -> None:
        """Note what the framework understands, and wait for the first task."""
        del driver, executorInfo, slaveInfo
        self._capabilities = {
            capability["type"] for capability in frameworkInfo.get("capabilities", [])
        }
        self._look_idle()

    def reregistered(self, driver: MesosExecutorDriver, slaveInfo: Json) -> None:
        """The agent is back: an executor without tasks may leave again."""
        del driver, slaveInfo
        self._look_idle()

    def disconnected(self, driver: MesosExecutorDriver) -> None:
        """The agent is away. Tasks go on."""
        del driver
        logs.warning("agent_away", tasks=len(self._tasks))

    def launchTask(self, driver: MesosExecutorDriver, task: Json) -> None:
        """Start a task, or say at once why not."""
        del driver
        self._cancel_idle()
        self._idle_s = self._settings.idle_timeout_s
        task_id = task["task_id"]["value"]
        try:
            launch = read_launch(task, self._settings.executor_id)
        except BadTask as error:
            self._refuse(task_id, "TASK_ERROR", str(error), "REASON_TASK_INVALID")
            return
        if self._is_shutting_down or len(self._tasks) >= self._settings.max_tasks:
            # It never ran: the framework is to place it elsewhere, and to blame nobody.
            state = "TASK_DROPPED" if "PARTITION_AWARE" in self._capabilities else "TASK_LOST"
            if self._is_shutting_down:
                reason = "REASON_EXECUTOR_TERMINATED"
                self._refuse(task_id, state, "The executor is shutting down", reason)
            else:
                self._refuse(task_id, state, "The executor holds its most tasks already")
            return
        if launch.is_alone:
            self._idle_s = 0.0
        self._run(launch)

    def launchTaskGroup(self, driver: MesosExecutorDriver, task_infos: Sequence[Json]) -> None:
        """Refuse: a group shares a fate that single tasks do not have."""
        del driver
        for task in task_infos:
            text = "This executor runs single tasks, not task groups"
            reason = "REASON_TASK_GROUP_INVALID"
            self._refuse(task["task_id"]["value"], "TASK_ERROR", text, reason)

    def killTask(
        self,
        driver: MesosExecutorDriver,
        taskId: Json,
        killPolicy: Json | None = None,
    ) -> None:
        """Kill a task. Of an unknown one the agent knows more than we do."""
        del driver
        task = self._tasks.get(taskId["value"])
        if task is None:
            logs.info("kill_of_unknown_task", task_id=taskId["value"])
        else:
            task.kill(read_grace(killPolicy))

    def acknowledged(self, driver: MesosExecutorDriver, task_id: str) -> None:
        """The agent has an update: perhaps it was the last one."""
        del driver, task_id
        self._ended.beat()
        self._look_idle()

    def frameworkMessage(self, driver: MesosExecutorDriver, message: str) -> None:
        """Nothing is said this way yet."""
        del driver
        logs.info("message_ignored", length=len(message))

    def error(self, driver: MesosExecutorDriver, message: str) -> None:
        """The agent calls something a fatal error."""
        logs.warning("agent_error", message=message)
        self.shutdown(driver)

    def shutdown(self, driver: MesosExecutorDriver) -> None:
        """Kill all tasks within the shutdown period, then stop the driver."""
        del driver
        if self._is_shutting_down:
            return
        self._is_shutting_down = True
        self._cancel_idle()
        period_s = self._settings.shutdown_grace_s
        for task in self._tasks.values():
            task.limit_grace(period_s * _TASKS_SHARE)
        self._keep(asyncio.ensure_future(self._leave(period_s * _LEAVE_SHARE)))

    # -- inside -------------------------------------------------------------------------------

    async def wait_until_empty(self) -> None:
        """Return when no task is left."""
        await self._ended.until(lambda: not self._tasks)

    async def _leave(self, limit_s: float) -> None:
        # An agent that is away cannot acknowledge: then the tasks' end is all there is to wait for.
        driver = self._driver
        await self._ended.until(
            lambda: not self._tasks and (driver.journal.is_empty or not driver.connected), limit_s
        )
        driver.stop()

    def _run(self, launch: Launch) -> None:
        host = Host(
            settings=self._settings,
            processes=self._processes,
            environment=self._environment,
            send=self._driver.sendStatusUpdate,
            reports_killing="TASK_KILLING_STATE" in self._capabilities,
        )
        task = Task(launch, host)
        self._tasks[launch.task_id] = task
        self._keep(asyncio.ensure_future(self._run_to_end(task)))

    async def _run_to_end(self, task: Task) -> None:
        task_id = task.launch.task_id
        try:
            await task.run()
        except Exception:  # noqa: BLE001 (a bug in one task must not end the other 49)
            logs.failure("task_lost_to_a_bug", task_id=task_id)
            task.abandon()
            self._refuse(task_id, "TASK_FAILED", "The executor failed; see its log")
        finally:
            logs.info("task_ended", task_id=task_id)
            del self._tasks[task_id]
            self._keep_sandbox(task.launch)
            self._ended.beat()
            self._look_idle()

    def _keep_sandbox(self, launch: Launch) -> None:
        """Keep an ended task's directory for a look, and remove the oldest beyond the limit.

        By a process: what there is may be large, and a thread beside a fork is not safe.
        """
        if launch.sandbox != own_sandbox(launch.task_id):
            return
        self._old_sandboxes.append(Path(self._settings.sandbox) / launch.sandbox)
        if len(self._old_sandboxes) <= self._settings.kept_sandboxes:
            return
        oldest = str(self._old_sandboxes.popleft())
        program = Program(
            ("rm", "-rf", "--", oldest), "", self._settings.sandbox, self._environment
        )
        try:
            with open(os.devnull, "wb") as sink:
                output = (sink.fileno(), sink.fileno())
                self._processes.start(
                    program, output, mark="", is_leader=False, on_exit=lambda: None
                )
        except (OSError, CannotStart) as error:
            logs.warning("sandbox_not_removed", path=oldest, error=str(error))

    def _keep(self, running: asyncio.Task[None]) -> None:
        # The loop holds tasks weakly.
        self._running.add(running)
        running.add_done_callback(self._running.discard)

    def _refuse(self, task_id: str, state: str, message: str, reason: str = "") -> None:
        logs.warning("task_refused", task_id=task_id, state=state, message=message)
        status = {"task_id": {"value": task_id}, "state": state, "message": message}
        if reason:
            status["reason"] = reason
        self._driver.sendStatusUpdate(status)

    def _look_idle(self) -> None:
        self._cancel_idle()
        if self._tasks or self._is_shutting_down or not self._driver.journal.is_empty:
            return
        loop = asyncio.get_running_loop()
        self._idle_timer = loop.call_later(self._idle_s, self._end_idle)

    def _end_idle(self) -> None:
        logs.info("idle")
        self._is_shutting_down = True
        self._driver.stop()

    def _cancel_idle(self) -> None:
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None
