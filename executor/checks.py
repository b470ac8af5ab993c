"""Run a task's checks beside it, and turn their results into what the framework hears.

Two kinds, as in Mesos: health checks, which judge the task and may have it killed
(`executor.health` decides), and a plain check, whose bare result is passed on when it changes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from executor.health import CheckState, Outcome, judge
from executor.messages import Check, Launch
from executor.probes import probe_network


@dataclass(frozen=True)
class Listener:
    """Who hears of results, and who can run a command in the task's place."""

    # Exit code of the check's command, None if it did not start, took too long or was killed.
    run_command: Callable[[Check], Awaitable[int | None]]
    tell_health: Callable[[bool], None]
    tell_result: Callable[[], None]
    condemn: Callable[[], None]


class Checks:
    """The checks of one task. They stop when their tasks are cancelled."""

    def __init__(self, launch: Launch, listener: Listener) -> None:
        self._launch = launch
        self._listener = listener
        self._states = [CheckState() for _ in launch.checks]
        self._told_healthy: bool | None = None
        self._result: int | None = None

    def start(self) -> list[asyncio.Task[None]]:
        """Begin; the task has just started."""
        started_at = time.monotonic()
        running = [
            self._watch(index, check, started_at) for index, check in enumerate(self._launch.checks)
        ]
        if self._launch.plain_check is not None:
            running.append(self._watch_plain(self._launch.plain_check))
        return [asyncio.ensure_future(watching) for watching in running]

    @property
    def verdicts(self) -> list[dict[str, bool | None]]:
        """What is known of each health check (StatusData.checks)."""
        return [{"healthy": state.healthy} for state in self._states]

    @property
    def status(self) -> dict[str, Any] | None:
        """The plain check's last result (TaskStatus.check_status), None without such a check.

        As Mesos has it: the type is always there, the result once there is one.
        """
        check, result = self._launch.plain_check, self._result
        if check is None:
            return None
        if check.command is not None:
            name, value = "exit_code", result
        elif check.is_http:
            name, value = "status_code", result
        else:
            name, value = "succeeded", None if result is None else bool(result)
        return {"type": check.kind, check.kind.lower(): {} if value is None else {name: value}}

    async def _watch(self, index: int, check: Check, started_at: float) -> None:
        await asyncio.sleep(check.delay_s)
        while True:
            succeeded = check.is_success(await self._probe(check))
            self._states[index], outcome = judge(
                self._states[index],
                succeeded=succeeded,
                in_grace=time.monotonic() - started_at < check.grace_s,
                failure_limit=check.failure_limit,
            )
            self._tell(outcome)
            await asyncio.sleep(check.interval_s)

    async def _watch_plain(self, check: Check) -> None:
        await asyncio.sleep(check.delay_s)
        while True:
            result = await self._probe(check)
            if result != self._result:
                self._result = result
                self._listener.tell_result()
            await asyncio.sleep(check.interval_s)

    async def _probe(self, check: Check) -> int | None:
        if check.command is None:
            return await probe_network(check)
        return await self._listener.run_command(check)

    def _tell(self, outcome: Outcome) -> None:
        if outcome is Outcome.SILENT:
            return
        healthy = outcome is Outcome.HEALTHY
        # With several checks the task is healthy when all of them say so.
        if healthy and (self._told_healthy or not all(state.healthy for state in self._states)):
            return
        self._told_healthy = healthy
        self._listener.tell_health(healthy)
        if outcome is Outcome.CONDEMNED:
            self._listener.condemn()
