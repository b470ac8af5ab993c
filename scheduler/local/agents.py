"""One agent: it runs the tasks the master sends, and tells what becomes of them.

Command tasks of a framework share executors of at most 50 tasks each (starting one costs as much as
a hundred tasks more in it), while everyone is shown one executor a task, as Mesos does. What a real
agent checkpoints to disk lives in this object, so an agent can die and come back.
"""

import asyncio
import uuid
from collections import deque
from collections.abc import Callable

import structlog

from scheduler.local import membership
from scheduler.local.agent_config import AgentConfig, AgentSettings
from scheduler.local.docker import container_name, docker_task, remove_container
from scheduler.local.executors import (
    AgentExecutor,
    AgentTask,
    argv_of,
    executor_environment,
    task_ids_of,
)
from scheduler.local.fetcher import FetchError, fetch_uris
from scheduler.local.httpserver import HttpServer, Reply, Request
from scheduler.local.link import Link, LinkedDoor
from scheduler.local.master import Master
from scheduler.local.resources import JsonObject, parse_resources
from scheduler.local.secret_refs import find_secret_problem
from scheduler.local.tasks import TERMINAL_STATES, Task, make_status, new_uuid
from scheduler.local.updates import StatusUpdates
from scheduler.local.virtual import VirtualTasks

TASKS_PER_EXECUTOR_MAX = 50
REGISTRATION_TIMEOUT_S = 60.0
COMPLETED_TASKS_MAX = 1000
END_TIMEOUT_S = 2.0

log = structlog.get_logger("egret.local.agent")


class Agent:
    """One agent process, as far as anyone outside can tell."""

    def __init__(self, config: AgentConfig, settings: AgentSettings) -> None:
        self.config = config
        self.settings = settings
        self.id = ""
        self.master: Master | None = None
        self.link = Link()
        self.frameworks: dict[str, JsonObject] = {}
        self.executors: dict[tuple[str, str], AgentExecutor] = {}
        self.tasks: dict[tuple[str, str], AgentTask] = {}
        self.completed: deque[AgentTask] = deque(maxlen=COMPLETED_TASKS_MAX)
        self.updates = StatusUpdates(self._send_update, settings.timing.update_retry_s)
        self.virtual = VirtualTasks(self.on_status, settings.timing.virtual_start_delay_s)
        self.draining: JsonObject | None = None
        self.port = config.port
        self._server: HttpServer | None = None
        self._background: set[asyncio.Task[None]] = set()

    # Life

    @property
    def is_alive(self) -> bool:
        """Whether the agent's process lives."""
        return self.link.has_agent

    async def start(self, serve: Callable[["Agent", Request], Reply]) -> None:
        """Open the agent's own API (a virtual agent has none)."""
        self.link.has_agent = True
        if not self.config.is_virtual:
            self._server = HttpServer(lambda request: serve(self, request))
            self.port = await self._server.start("127.0.0.1", self.port)

    def join(self, master: Master) -> None:
        """Register with a master, or register again with all that runs here."""
        self.master = master
        info = self.config.info(self.port)
        total = self.config.resources()
        door = LinkedDoor(self, self.link)
        if not self.id:
            self.id = membership.register_agent(master, info, total, door)
            return
        info["id"] = {"value": self.id}
        tasks = [self._as_master_task(t) for t in self.tasks.values()]
        executors = [
            (e.framework_id, e.info)
            for e in self.executors.values()
            if e.is_alive and not e.is_shared
        ]
        frameworks = list(self.frameworks.values())
        running = membership.Running(tasks, executors, frameworks)
        membership.reregister_agent(master, info, total, door, running)
        self.updates.resume()

    def _as_master_task(self, task: AgentTask) -> Task:
        allocated = task.info["resources"]
        role = allocated[0]["allocation_info"]["role"] if allocated else "*"
        return Task(
            task.info,
            task.framework_id,
            self.id,
            role,
            parse_resources(allocated, role),
            task.shown_executor_id if "executor" in task.info else None,
            task.state,
            list(task.statuses),
        )

    def die(self) -> None:
        """Lose the agent's process: its API is gone, its executors live on."""
        self.link.has_agent = False
        self.master = None
        for framework_id, info in list(self.frameworks.items()):
            if not info.get("checkpoint", False):
                self._forget_framework(framework_id)
        self.updates.pause()
        if self._server is not None:
            self._server.stop()

    def _forget_framework(self, framework_id: str) -> None:
        """Lose all of a framework that does not checkpoint; its executors end by themselves."""
        self.updates.drop(framework_id)
        for key in [k for k in self.executors if k[0] == framework_id]:
            executor = self.executors.pop(key)
            executor.disarm()
            executor.kill()
        for key in [k for k in self.tasks if k[0] == framework_id]:
            del self.tasks[key]
        del self.frameworks[framework_id]

    def leave(self) -> None:
        """Stop for good: everything here is killed and forgotten, the next start is a new agent."""
        self.die()
        self.kill_all()
        for framework_id in list(self.frameworks):
            self.updates.drop(framework_id)
        self.frameworks.clear()
        self.executors.clear()
        self.tasks.clear()
        self.id = ""
        self.draining = None

    async def recover(self) -> None:
        """After a new start: let the executors come back, and give those up that do not."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.settings.timing.executor_reregistration_timeout_s
        while loop.time() < deadline and self._misses_executors():  # noqa: ASYNC110 (a rare wait)
            await asyncio.sleep(0.02)
        for executor in list(self.executors.values()):
            if executor.is_alive and executor.stream is None:
                executor.kill()
                executor.exit_status = 9
            if executor.exit_status is not None:
                await executor.end_orphans(self.settings.mark)
                self.on_executor_exit(executor, executor.exit_status)

    def _misses_executors(self) -> bool:
        return any(e.is_alive and e.stream is None for e in self.executors.values())

    def kill_all(self) -> None:
        """Kill every executor's process group."""
        for executor in self.executors.values():
            executor.disarm()
            executor.is_ending = True
            executor.kill()

    async def wait_until_ended(self) -> None:
        """Wait for killed executors to be gone; fetches and the like are given up."""
        if self._background:
            await asyncio.wait(self._background, timeout=END_TIMEOUT_S)
        for work in self._background:
            work.cancel()

    def _spawn(self, work: "asyncio.Task[None]") -> None:
        self._background.add(work)
        work.add_done_callback(self._background.discard)

    # Messages from the master

    def launch(
        self, framework: JsonObject, tasks: list[JsonObject], executor: JsonObject | None
    ) -> None:
        """Run tasks; with `executor` they are one group for it."""
        framework_id = framework["id"]["value"]
        self.frameworks[framework_id] = framework
        self.draining = None  # Or nothing would be launched here.
        records = [AgentTask(info, framework_id) for info in tasks]
        for task in records:
            self.tasks[(framework_id, task.id)] = task
        if self.config.is_virtual:
            for task in records:
                self.virtual.launch(task)
        elif executor is not None:
            event = {"type": "LAUNCH_GROUP", "launch_group": {"task_group": {"tasks": tasks}}}
            self._run_in_custom(executor, records, event)
        else:
            for task in records:
                self._launch_one(task)

    def _launch_one(self, task: AgentTask) -> None:
        custom = task.info.get("executor")
        if custom is not None:
            self._run_in_custom(custom, [task], {"type": "LAUNCH", "launch": {"task": task.info}})
            return
        problem = self._find_container_problem(task.info)
        if problem is not None:
            reason = "REASON_CONTAINER_LAUNCH_FAILED"
            self.report(task, "TASK_FAILED", problem, reason)
            return
        executor = self._shared_executor(task.framework_id)
        info = task.info
        container = info.get("container", {})
        if container.get("type") == "DOCKER":
            assert self.settings.docker is not None
            task.container = container_name(str(uuid.uuid4()))
            info = docker_task(self.settings.docker, info, task.container, self.settings.mark)
        self._run_in(executor, [task], {"type": "LAUNCH", "launch": {"task": info}})

    def _find_container_problem(self, info: JsonObject) -> str | None:
        container = info.get("container", {})
        problem = find_secret_problem(info.get("command", {}), container)
        if problem is not None:
            return problem
        if container.get("type") == "DOCKER" and self.settings.docker is None:
            return "This agent has no working docker, so it cannot run Docker containers"
        if container.get("type") == "MESOS" and "image" in container.get("mesos", {}):
            return "The embedded cluster cannot run images in the Mesos containerizer"
        return None

    def _run_in_custom(self, info: JsonObject, tasks: list[AgentTask], event: JsonObject) -> None:
        framework_id, executor_id = tasks[0].framework_id, info["executor_id"]["value"]
        executor = self.executors.get((framework_id, executor_id))
        if executor is None:
            executor = self._new_executor(executor_id, framework_id, info, is_shared=False)
        if executor.is_alive and not executor.is_ending:
            self._run_in(executor, tasks, event)
            return
        how = "terminating" if executor.is_alive else "terminated"
        for task in tasks:
            reason = "REASON_EXECUTOR_TERMINATED"
            self.report(task, "TASK_DROPPED", f"Executor {how}", reason)

    def _shared_executor(self, framework_id: str) -> AgentExecutor:
        for executor in self.executors.values():
            if (
                executor.framework_id == framework_id
                and executor.is_shared
                and executor.is_alive
                and not executor.is_ending
                and len(executor.tasks) < TASKS_PER_EXECUTOR_MAX
            ):
                return executor
        executor_id = f"command-{uuid.uuid4().hex[:12]}"
        info = {
            "executor_id": {"value": executor_id},
            "framework_id": {"value": framework_id},
            "type": "CUSTOM",
            "command": {"shell": False, "value": self.settings.executor_command[0]},
        }
        return self._new_executor(executor_id, framework_id, info, is_shared=True)

    def _new_executor(
        self, executor_id: str, framework_id: str, info: JsonObject, *, is_shared: bool
    ) -> AgentExecutor:
        container_id = str(uuid.uuid4())
        base = self.settings.work_dir / "slaves" / self.id / "frameworks" / framework_id
        directory = base / "executors" / executor_id / "runs" / container_id
        directory.mkdir(parents=True, exist_ok=True)
        executor = AgentExecutor(
            executor_id, framework_id, info, is_shared, directory, container_id
        )
        self.executors[(framework_id, executor_id)] = executor
        self._spawn(asyncio.ensure_future(self._run_executor(executor)))
        return executor

    def _run_in(self, executor: AgentExecutor, tasks: list[AgentTask], event: JsonObject) -> None:
        for task in tasks:
            task.executor = executor
            executor.tasks[task.id] = task
        if executor.stream is not None:
            executor.send(event)
        else:
            executor.queued.append(event)

    async def _run_executor(self, executor: AgentExecutor) -> None:
        """Fetch, start, wait for the end."""
        command = executor.info.get("command", {})
        argv = list(self.settings.executor_command)
        if not executor.is_shared:
            if executor.info.get("type") == "DEFAULT":
                text = "The embedded cluster has no default executor"
                self._fail_start(executor, text)
                return
            problem = find_secret_problem(command, executor.info.get("container", {}))
            if problem is not None:
                self._fail_start(executor, problem)
                return
            argv = argv_of(command)
        loop = asyncio.get_running_loop()
        framework = self.frameworks[executor.framework_id]
        environment = executor_environment(
            executor,
            self.id,
            self.port,
            checkpoint=bool(framework.get("checkpoint", False)),
            mark=self.settings.mark,
        )
        try:
            if not executor.is_shared and command.get("uris"):
                await asyncio.to_thread(fetch_uris, command["uris"], executor.directory)
            await executor.start(argv, environment)
        except (FetchError, OSError) as error:
            log.warning("executor_not_started", executor_id=executor.id, error=str(error))
            self._fail_start(executor, f"Failed to launch container: {error}")
            return
        assert executor.process is not None
        if not executor.has_subscribed:
            executor.timer = loop.call_later(
                REGISTRATION_TIMEOUT_S, self._give_up_registration, executor
            )
        if executor.is_ending:
            executor.kill()
        code = await executor.process.wait()
        # The wait status as the kernel has it: exit code 7 is 1792.
        executor.exit_status = -code if code < 0 else code << 8
        executor.disarm()
        if self.is_alive:
            await executor.end_orphans(self.settings.mark)
        if self.is_alive:
            self.on_executor_exit(executor, executor.exit_status)

    def _fail_start(self, executor: AgentExecutor, message: str) -> None:
        executor.exit_status = 0
        self.executors.pop((executor.framework_id, executor.id), None)
        for task in executor.live_tasks:
            self.report(task, "TASK_FAILED", message, "REASON_CONTAINER_LAUNCH_FAILED")
        self._tell_exit(executor, 0)

    def _give_up_registration(self, executor: AgentExecutor) -> None:
        if not executor.has_subscribed:
            for task in executor.live_tasks:
                message = "Executor did not register within 1mins"
                reason = "REASON_EXECUTOR_REGISTRATION_TIMEOUT"
                self.report(task, "TASK_FAILED", message, reason)
            executor.kill()

    def on_executor_exit(self, executor: AgentExecutor, status: int) -> None:
        """An executor ended: its tasks fail, its framework hears of a custom one."""
        if self.executors.pop((executor.framework_id, executor.id), None) is None:
            return
        if executor.stream is not None:
            stream, executor.stream = executor.stream, None
            stream.on_close = None
            stream.abort()
        self._tell_exit(executor, status)
        for task in executor.live_tasks:
            if executor.is_shared and status == 0 and task.state == "TASK_STAGING":
                # It left as idle while this task was on its way.
                self._launch_one(task)
                continue
            self.report(task, "TASK_FAILED", "Executor terminated", "REASON_EXECUTOR_TERMINATED")
        self._forget_idle(executor.framework_id)

    def _tell_exit(self, executor: AgentExecutor, status: int) -> None:
        if not executor.is_shared:
            agent_id, key = self.id, (executor.framework_id, executor.id)
            self._tell(lambda master: master.on_executor_exited(agent_id, *key, status))

    def kill(self, framework_id: str, task_id: str, policy: JsonObject | None) -> None:
        """Kill a task."""
        task = self.tasks.get((framework_id, task_id))
        if task is None:
            self._report_unknown(framework_id, task_id)
        elif task.is_terminal:
            return
        elif self.config.is_virtual:
            self.virtual.report(task, "TASK_KILLED", "Command terminated with signal Terminated")
        elif task.executor is not None and task.executor.stream is not None:
            kill: JsonObject = {"task_id": {"value": task_id}}
            if policy is not None:
                kill["kill_policy"] = policy
            task.executor.send({"type": "KILL", "kill": kill})
        elif task.executor is not None and not task.executor.has_subscribed:
            self._kill_queued(task, task.executor)

    def _kill_queued(self, task: AgentTask, executor: AgentExecutor) -> None:
        executor.queued = [e for e in executor.queued if task.id not in task_ids_of(e)]
        message = "Killed before delivery to the executor"
        self.report(task, "TASK_KILLED", message, "REASON_TASK_KILLED_DURING_LAUNCH")
        if not executor.live_tasks and not executor.is_shared:
            executor.is_ending = True
            executor.kill()

    def _report_unknown(self, framework_id: str, task_id: str) -> None:
        status = make_status(
            task_id,
            "TASK_DROPPED",
            "Cannot find executor",
            source="SOURCE_AGENT",
            reason="REASON_EXECUTOR_TERMINATED",
            agent_id=self.id,
            uuid=new_uuid(),
        )
        self.updates.add(framework_id, status)

    def acknowledge(self, framework_id: str, task_id: str, uid: str) -> None:
        """The framework has an update; the end of a task being acknowledged, it is forgotten."""
        done = self.updates.acknowledge(framework_id, task_id, uid)
        if done is not None and done["state"] in TERMINAL_STATES:
            task = self.tasks.pop((framework_id, task_id), None)
            if task is not None:
                self.completed.append(task)
                if task.executor is not None:
                    task.executor.tasks.pop(task_id, None)

    def resend(self, framework_id: str) -> None:
        """The framework has a new stream."""
        self.updates.resend(framework_id)

    def shutdown_executor(self, framework_id: str, executor_id: str) -> None:
        """Shut an executor down: an event, then its grace period, then a kill."""
        executor = self.executors.get((framework_id, executor_id))
        if executor is None:
            return
        executor.is_ending = True
        executor.send({"type": "SHUTDOWN"})
        executor.disarm()
        if executor.stream is None:
            executor.kill()
        else:
            loop = asyncio.get_running_loop()
            executor.timer = loop.call_later(executor.shutdown_grace_s, executor.kill)

    def message(self, framework_id: str, executor_id: str, data: str) -> None:
        """Pass a message on, where there is such an executor."""
        executor = self.executors.get((framework_id, executor_id))
        if executor is not None:
            executor.send({"type": "MESSAGE", "message": {"data": data}})

    def shutdown_framework(self, framework_id: str) -> None:
        """Kill all of a framework, and forget its updates."""
        for key in [k for k in self.executors if k[0] == framework_id]:
            self.shutdown_executor(*key)
        for key in [k for k in self.tasks if k[0] == framework_id]:
            task = self.tasks.pop(key)
            if not task.is_terminal:
                task.state = "TASK_KILLED"
                self._clean(task)
        self.updates.drop(framework_id)
        self._forget_idle(framework_id)

    def _forget_idle(self, framework_id: str) -> None:
        """Forget a framework that has nothing here any more."""
        if not any(key[0] == framework_id for key in (*self.executors, *self.tasks)):
            self.frameworks.pop(framework_id, None)

    def drain(self, max_grace_ns: int | None, *, mark_gone: bool) -> None:
        """Kill every task, its kill policy bounded by the operator's."""
        self.draining = {"mark_gone": mark_gone}
        for task in [t for t in self.tasks.values() if not t.is_terminal]:
            own = task.info.get("kill_policy", {}).get("grace_period", {})
            grace_ns = int(own.get("nanoseconds", 3_000_000_000))
            if max_grace_ns is not None:
                grace_ns = min(grace_ns, max_grace_ns)
            policy = {"grace_period": {"nanoseconds": grace_ns}}
            self.kill(task.framework_id, task.id, policy)

    def shutdown(self, reason: str) -> None:
        """The master sends the agent away."""
        log.info("agent_asked_to_shut_down", agent_id=self.id, reason=reason)
        self.die()
        self.kill_all()

    # Status updates

    def on_status(self, task: AgentTask, status: JsonObject) -> None:
        """Take a status of an executor: complete it, keep it, send it until acknowledged."""
        if task.is_terminal:
            return
        status = {**status, "agent_id": {"value": self.id}}
        status["executor_id"] = {"value": task.shown_executor_id}
        if task.executor is not None and status.get("source") != "SOURCE_AGENT":
            status["container_status"] = task.executor.container_status()
        if self.draining is not None and status["state"] in {"TASK_KILLING", "TASK_KILLED"}:
            status["reason"] = "REASON_AGENT_DRAINING"
            if self.draining["mark_gone"]:
                status["state"] = "TASK_GONE_BY_OPERATOR"
        task.state = status["state"]
        kept = [s for s in task.statuses if s["state"] != task.state]
        task.statuses = [*kept, status]
        if task.is_terminal:
            self._clean(task)
        self.updates.add(task.framework_id, status)

    def report(self, task: AgentTask, state: str, message: str, reason: str) -> None:
        """Send a status of the agent's own."""
        status = make_status(
            task.id, state, message, source="SOURCE_AGENT", reason=reason, uuid=new_uuid()
        )
        self.on_status(task, status)

    def _send_update(self, framework_id: str, status: JsonObject) -> None:
        agent_id = self.id
        task = self.tasks.get((framework_id, status["task_id"]["value"]))
        latest = task.state if task is not None else status["state"]
        executor_id = ""
        if task is not None and "executor" in task.info:
            executor_id = task.shown_executor_id
        self._tell(
            lambda master: master.on_update(agent_id, framework_id, status, latest, executor_id)
        )

    def _tell(self, action: Callable[[Master], None]) -> None:
        master = self.master
        if master is not None:
            self.link.post(lambda: action(master))

    def _clean(self, task: AgentTask) -> None:
        """Remove the container of a Docker task that has ended, should its client have died."""
        if task.container is not None and self.settings.docker is not None:
            remove = remove_container(self.settings.docker, task.container)
            self._spawn(asyncio.ensure_future(remove))

    # Messages from executors

    def on_message(self, executor: AgentExecutor, data: str) -> None:
        """Pass an executor's message to its framework."""
        agent_id = self.id
        self._tell(
            lambda master: master.on_executor_message(
                agent_id, executor.framework_id, executor.id, data
            )
        )
