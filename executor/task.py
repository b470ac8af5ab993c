"""Run one task from its launch to its terminal update.

Theory of operation. A task is one coroutine that goes straight through its life: sandbox, fetching,
start, waiting for the first of {it ends, it is to be killed, its time is over}, stopping, clearing
up what it left behind, the terminal update. `kill` only notes what is wanted and wakes it. The
terminal update is the last thing: whoever sees it can rely on every process being gone.

States and messages are those of Mesos's command executor.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from executor import lineage, logs
from executor.checks import Checks, Listener
from executor.exits import Exit
from executor.fetch import fetch_argv
from executor.mesos import encode_data
from executor.messages import Check, Command, Launch
from executor.processes import CannotStart, Child, Processes, Program
from executor.pulse import Pulse
from executor.sandbox import make_sandbox, open_output, task_environment
from executor.settings import Settings

Status = dict[str, Any]

_POLL_S = 0.05
# A process that SIGKILL does not end hangs in the kernel; the task is over all the same.
_GIVE_UP_S = 10.0


@dataclass(frozen=True)
class Host:
    """What a task needs of its executor."""

    settings: Settings
    processes: Processes
    environment: Mapping[str, str]
    send: Callable[[Status], None]
    reports_killing: bool


@dataclass(frozen=True)
class _Kill:
    """Why and how the task is being stopped. The grace counts from the first demand."""

    asked_at: float
    grace_s: float
    drain_s: float
    is_unhealthy: bool = False
    is_timeout: bool = False


class _Over(Exception):
    """The task ended before it ran; carries the fields of its terminal update."""

    def __init__(self, state: str, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.state = state
        self.reason = reason


class Task:
    """One task. Construct, then run `run()` to its end; `kill` may be called at any time."""

    def __init__(self, launch: Launch, host: Host) -> None:
        self.launch = launch
        self._host = host
        self._pulse = Pulse()
        self._is_running = False
        self._kill: _Kill | None = None
        self._sandbox = Path()
        self._environment: dict[str, str] = {}
        self._checks = Checks(
            launch,
            Listener(self._run_check, self._tell_health, self._tell_result, self._condemn),
        )

    async def run(self) -> None:
        """Run the task. Returns when its terminal update is journaled."""
        self._report("TASK_STARTING")
        try:
            await self._prepare()
            exit_ = await self._run_command()
        except _Over as over:
            self._report(over.state, message=str(over), reason=over.reason)
        else:
            self._report_end(exit_)
        self._census.forget_task(self.launch.task_id)

    def kill(self, grace_s: float | None = None) -> None:
        """Stop the task: TERM, after the grace period KILL.

        Args:
            grace_s: in place of the task's own grace period. Given again, it replaces the one of
                the kill that is going on, counted from that kill's start, and ends a drain.
        """
        if self._kill is None:
            grace_s = self.launch.grace_s if grace_s is None else grace_s
            self._begin_kill(_Kill(time.monotonic(), grace_s, self.launch.drain_s))
        elif grace_s is not None:
            self._kill = replace(self._kill, grace_s=grace_s, drain_s=0.0)
            self._pulse.beat()

    def abandon(self) -> None:
        """Kill its processes at once, without a word."""
        self._signal(signal.SIGKILL)

    def limit_grace(self, grace_s: float) -> None:
        """Stop the task without a drain, granting it at most grace_s from now."""
        now, kill = time.monotonic(), self._kill
        if kill is None:
            self._begin_kill(_Kill(now, min(self.launch.grace_s, grace_s), 0.0))
            return
        left_s = kill.asked_at + kill.drain_s + kill.grace_s - now
        whole_s = now - kill.asked_at + min(left_s, grace_s)
        self._kill = replace(kill, grace_s=whole_s, drain_s=0.0)
        self._pulse.beat()

    def _begin_kill(self, kill: _Kill) -> None:
        self._kill = kill
        logs.info("task_killing", task_id=self.launch.task_id, grace_s=kill.grace_s)
        if self._is_running and self._host.reports_killing and not kill.is_timeout:
            self._report("TASK_KILLING")
        self._pulse.beat()

    # -- before it runs -----------------------------------------------------------------------

    async def _prepare(self) -> None:
        command = self.launch.command
        try:
            self._sandbox = make_sandbox(Path(self._host.settings.sandbox), self.launch)
        except (OSError, CannotStart) as error:
            raise _Over(
                "TASK_FAILED",
                f"Failed to make the sandbox: {error}",
                "REASON_CONTAINER_LAUNCH_FAILED",
            ) from error
        self._environment = task_environment(self._host.environment, self.launch, self._sandbox)
        if command.uris and not self.launch.is_fetched:
            await self._fetch(command)

    async def _fetch(self, command: Command) -> None:
        settings = self._host.settings
        argv = fetch_argv(command.uris, settings.fetch_max_mib)
        child = self._start(Command(argv[0], shell=False, arguments=argv), is_leader=True)
        limit_s = settings.fetch_timeout_s
        await self._pulse.until(lambda: child.exit is not None or self._kill is not None, limit_s)
        exit_ = child.exit
        await self._kill_members()
        if self._kill is not None:
            raise _Over("TASK_KILLED", "Killed while its URIs were fetched")
        if exit_ is None or not exit_.is_success:
            how = f"not done in {limit_s:g} s" if exit_ is None else exit_.message.split(" ", 1)[1]
            raise _Over(
                "TASK_FAILED",
                f"Failed to fetch all URIs for task '{self.launch.task_id}': {how}",
                "REASON_CONTAINER_LAUNCH_FAILED",
            )

    # -- while it runs ------------------------------------------------------------------------

    async def _run_command(self) -> Exit:
        """Run the command to its end."""
        if self._kill is not None:
            raise _Over("TASK_KILLED", "Killed before it was started")
        command = self.launch.command
        try:
            child = self._start(command, is_leader=True)
        except _Over as over:
            # Mesos's launcher is running by then, and exits with 1.
            self._report("TASK_RUNNING")
            self._tell_in_stderr(str(over))
            return Exit(code=1)
        logs.info("task_started", task_id=self.launch.task_id, pid=child.pid)
        self._is_running = True
        self._report("TASK_RUNNING")
        watchers = self._checks.start()
        for watcher in watchers:
            watcher.add_done_callback(lambda _: self._pulse.beat())
        try:
            await self._await_end(child, watchers)
        finally:
            for watcher in watchers:
                watcher.cancel()
            await asyncio.gather(*watchers, return_exceptions=True)
        await self._kill_members()
        # The kernel may have shown us its end before it told us of it.
        await self._pulse.until(lambda: child.exit is not None, _GIVE_UP_S)
        return child.exit or Exit(signal=signal.SIGKILL)

    async def _await_end(self, child: Child, watchers: list[asyncio.Task[None]]) -> None:
        over = await self._pulse.until(
            lambda: child.exit is not None or self._kill is not None or _any_failed(watchers),
            self.launch.completion_limit_s,
        )
        if not over:
            self._begin_kill(_Kill(time.monotonic(), self.launch.grace_s, 0.0, is_timeout=True))
        elif child.exit is None and self._kill is None:
            # A check must not stop unnoticed, not even for a bug of ours.
            for watcher in watchers:
                if watcher.done():
                    watcher.result()
        if child.exit is None:
            await self._stop(child)

    async def _stop(self, child: Child) -> None:
        """Drain, TERM, and wait until everything is gone or the grace is over."""
        kill = self._kill
        assert kill is not None
        await self._pulse.until(
            lambda: child.exit is not None or self._kill is not kill, kill.drain_s
        )
        self._signal(signal.SIGTERM, child)
        while True:
            kill, was_running = self._kill, child.exit is None
            assert kill is not None
            left_s = kill.asked_at + kill.drain_s + kill.grace_s - time.monotonic()
            if left_s <= 0 or (not was_running and not self._census.members(self.launch.task_id)):
                return
            # The end of what is not our child has no signal: it can only be looked for.
            await self._pulse.until(
                lambda: (child.exit is None) != was_running or self._kill is not kill,  # noqa: B023 (awaited within the round)
                left_s if was_running else min(left_s, _POLL_S),
            )

    async def _kill_members(self) -> None:
        """Kill what is left of the task, again and again: processes may fork meanwhile."""
        deadline = time.monotonic() + _GIVE_UP_S
        while self._signal(signal.SIGKILL):
            if time.monotonic() > deadline:
                logs.warning("task_leaves_processes", task_id=self.launch.task_id)
                return
            await asyncio.sleep(_POLL_S / 5)

    def _signal(self, number: int, leader: Child | None = None) -> int:
        group = leader.pid if leader is not None and leader.exit is None else 0
        return self._census.send_signal(self.launch.task_id, number, group=group)

    @property
    def _census(self) -> lineage.Census:
        return self._host.processes.census

    def _start(self, command: Command, *, is_leader: bool) -> Child:
        own_user = self.launch.command.user
        program = Program(
            command.argv,
            command.executable,
            str(self._sandbox),
            {**self._environment, **dict(command.environment)},
            command.user or own_user,
        )
        try:
            with open_output(self._sandbox, own_user) as output:
                return self._host.processes.start(
                    program,
                    output,
                    mark=self.launch.task_id,
                    is_leader=is_leader,
                    on_exit=self._pulse.beat,
                )
        except (OSError, CannotStart) as error:
            raise _Over("TASK_FAILED", f"Failed to start: {error}") from error

    def _tell_in_stderr(self, text: str) -> None:
        with open_output(self._sandbox) as (_, stderr):
            os.write(stderr, f"{text}\n".encode())

    # -- checks -------------------------------------------------------------------------------

    async def _run_check(self, check: Check) -> int | None:
        assert check.command is not None
        try:
            child = self._start(check.command, is_leader=False)
        except _Over as over:
            logs.warning("check_not_started", task_id=self.launch.task_id, error=str(over))
            return None
        await self._pulse.until(lambda: child.exit is not None, check.timeout_s or None)
        if child.exit is None:
            lineage.signal_group(child.pid, signal.SIGKILL)
            return None
        return child.exit.code

    def _tell_health(self, healthy: bool) -> None:  # noqa: FBT001 (a callback's argument)
        if self._kill is None:
            reason = "REASON_TASK_HEALTH_CHECK_STATUS_UPDATED"
            own = {"checks": self._checks.verdicts}
            self._report("TASK_RUNNING", reason=reason, healthy=healthy, own=own)

    def _tell_result(self) -> None:
        if self._kill is None:
            self._report("TASK_RUNNING", reason="REASON_TASK_CHECK_STATUS_UPDATED")

    def _condemn(self) -> None:
        if self._kill is None:
            logs.info("task_unhealthy", task_id=self.launch.task_id)
            kill = _Kill(time.monotonic(), self.launch.grace_s, self.launch.drain_s)
            self._begin_kill(replace(kill, is_unhealthy=True))

    # -- updates ------------------------------------------------------------------------------

    def _report_end(self, exit_: Exit) -> None:
        own: Status = {"signal": exit_.signal}
        if exit_.signal is None:
            own = {"exit_code": exit_.code}
        kill, reason, healthy = self._kill, "", None
        if kill is None:
            state = "TASK_FINISHED" if exit_.is_success else "TASK_FAILED"
        elif kill.is_timeout:
            state, reason = "TASK_FAILED", "REASON_MAX_COMPLETION_TIME_REACHED"
        else:
            state, healthy = "TASK_KILLED", False if kill.is_unhealthy else None
        self._report(state, message=exit_.message, reason=reason, healthy=healthy, own=own)

    def _report(
        self,
        state: str,
        *,
        message: str = "",
        reason: str = "",
        healthy: bool | None = None,
        own: Status | None = None,
    ) -> None:
        status: Status = {"task_id": {"value": self.launch.task_id}, "state": state}
        if message:
            status["message"] = message
        if reason:
            status["reason"] = reason
        if healthy is not None:
            status["healthy"] = healthy
        if self._checks.status is not None:
            status["check_status"] = self._checks.status
        if own is not None and self.launch.is_egret:
            status["data"] = encode_data(json.dumps({"egret": own}).encode())
        self._host.send(status)


def _any_failed(watchers: list[asyncio.Task[None]]) -> bool:
    return any(watcher.done() and watcher.exception() is not None for watcher in watchers)
