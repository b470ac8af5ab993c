"""Health checks beside the task, and what the framework hears of them."""

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.integration.executor.fake_agent import FakeAgent, Json, data_of, grace, task_info

HEALTH = "REASON_TASK_HEALTH_CHECK_STATUS_UPDATED"


class Target:
    """An HTTP server on loopback whose answer can be changed."""

    def __init__(self) -> None:
        self.status = 200
        self.location = ""
        self.paths: list[str] = []
        self.port = 0
        self._server: asyncio.Server | None = None

    async def listen(self) -> None:
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()
            return
        path = head.split(" ")[1]
        self.paths.append(path)
        status = self.status if path != "/moved" else 200
        location = f"Location: {self.location}\r\n" if self.location and path != "/moved" else ""
        writer.write(f"HTTP/1.1 {status} X\r\n{location}Content-Length: 0\r\n\r\n".encode())
        writer.close()


@pytest.fixture
async def target() -> AsyncIterator[Target]:
    target = Target()
    await target.listen()
    yield target
    target.close()


def check(kind: str, target: Any, **fields: Any) -> Json:
    """A HealthCheckInfo, quick unless told otherwise."""
    return {
        "type": kind,
        kind.lower(): target,
        "delay_seconds": 0,
        "interval_seconds": 0.05,
        "timeout_seconds": 10,
        "grace_period_seconds": 0,
        **fields,
    }


def healths(agent: FakeAgent, task_id: str = "t1") -> list[bool]:
    """What was told about the task's health, in order."""
    told = [status for status in agent.statuses(task_id) if status.get("reason") == HEALTH]
    assert {status["state"] for status in told} <= {"TASK_RUNNING"}
    return [status["healthy"] for status in told]


async def test_success_is_told_once(agent: FakeAgent, target: Target) -> None:
    await agent.start_executor()
    await agent.launch("t1", health_check=check("HTTP", {"port": target.port, "path": "/up?x=1"}))
    await agent.poll(lambda: len(target.paths) >= 4)
    assert set(target.paths) == {"/up?x=1"}
    assert healths(agent) == [True]


async def test_every_failure_is_told_and_the_limit_kills(agent: FakeAgent, target: Target) -> None:
    await agent.start_executor()
    health = check("HTTP", {"port": target.port}, consecutive_failures=3)
    await agent.launch("t1", "exec sleep 1000", health_check=health, kill_policy=grace(600))
    await agent.until(lambda: healths(agent) == [True])
    target.status = 503
    end = await agent.state("t1", "TASK_KILLED")
    assert healths(agent) == [True, False, False, False]
    killing = await agent.state("t1", "TASK_KILLING")
    assert "healthy" not in killing
    assert end["healthy"] is False
    assert "reason" not in end
    assert end["message"] == "Command terminated with signal Terminated"


async def test_a_task_that_recovers_is_told_healthy_again(agent: FakeAgent, target: Target) -> None:
    await agent.start_executor()
    health = check("HTTP", {"port": target.port}, consecutive_failures=10_000)
    await agent.launch("t1", health_check=health)
    await agent.until(lambda: healths(agent) == [True])
    target.status = 500
    await agent.until(lambda: False in healths(agent))
    target.status = 200
    await agent.until(lambda: healths(agent)[-1])
    told = healths(agent)
    assert told == [True, *[False] * (len(told) - 2), True]


async def test_failures_in_the_grace_period_are_silent(agent: FakeAgent, target: Target) -> None:
    target.status = 503
    await agent.start_executor()
    health = check("HTTP", {"port": target.port}, grace_period_seconds=600, consecutive_failures=1)
    await agent.launch("t1", health_check=health)
    await agent.poll(lambda: len(target.paths) >= 4)
    assert healths(agent) == []
    target.status = 200
    await agent.until(lambda: healths(agent) == [True])
    target.status = 503  # The first success has ended the grace period.
    await agent.state("t1", "TASK_KILLED")
    assert healths(agent) == [True, False]


async def test_redirects_are_followed(agent: FakeAgent, target: Target) -> None:
    target.status, target.location = 302, "/moved"
    await agent.start_executor()
    await agent.launch("t1", health_check=check("HTTP", {"port": target.port}))
    await agent.until(lambda: healths(agent) == [True])
    assert target.paths[:2] == ["/", "/moved"]


async def test_a_tcp_check_asks_whether_the_port_is_open(agent: FakeAgent, target: Target) -> None:
    await agent.start_executor()
    health = check("TCP", {"port": target.port}, consecutive_failures=2)
    await agent.launch("t1", health_check=health)
    await agent.until(lambda: healths(agent) == [True])
    target.close()
    await agent.state("t1", "TASK_KILLED")
    assert healths(agent) == [True, False, False]


async def test_a_command_check_runs_in_the_tasks_sandbox_and_environment(agent: FakeAgent) -> None:
    await agent.start_executor()
    command = {
        "value": 'touch "$MINE"; exec sleep 1000',
        "environment": {"variables": [{"name": "MINE", "value": "it works"}]},
    }
    health = check("COMMAND", {"value": 'test -e "$MINE"'}, consecutive_failures=1)
    health["grace_period_seconds"] = 600
    await agent.launch("t1", command, health_check=health)
    await agent.until(lambda: healths(agent) == [True])
    (agent.sandbox / "tasks/t1/it works").unlink()
    await agent.state("t1", "TASK_KILLED")
    assert healths(agent) == [True, False]


async def test_a_command_check_that_takes_too_long_fails(agent: FakeAgent) -> None:
    await agent.start_executor()
    health = check("COMMAND", {"value": "sleep 1000"}, timeout_seconds=0.1, consecutive_failures=1)
    await agent.launch("t1", health_check=health)
    await agent.state("t1", "TASK_KILLED")
    assert healths(agent) == [False]


async def test_an_http_check_that_takes_too_long_fails(agent: FakeAgent) -> None:
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    await agent.start_executor()
    health = check("HTTP", {"port": port}, timeout_seconds=0.1, consecutive_failures=1)
    await agent.launch("t1", health_check=health)
    await agent.state("t1", "TASK_KILLED")
    assert healths(agent) == [False]
    server.close()


async def test_a_limit_of_0_acts_as_1(agent: FakeAgent) -> None:
    await agent.start_executor()
    health = check("COMMAND", {"value": "false"}, consecutive_failures=0)
    await agent.launch("t1", health_check=health)
    await agent.state("t1", "TASK_KILLED")
    assert healths(agent) == [False]


async def test_a_check_without_a_type_never_runs(agent: FakeAgent) -> None:
    await agent.start_executor()
    await agent.launch("t1", "sleep 0.3", health_check={"command": {"value": "touch ran"}})
    await agent.state("t1", "TASK_FINISHED")
    assert not (agent.sandbox / "tasks/t1/ran").exists()


async def test_with_several_checks_a_task_is_healthy_when_all_are(
    agent: FakeAgent, target: Target
) -> None:
    target.status = 503
    await agent.start_executor()
    many = {"grace_period_seconds": 600, "consecutive_failures": 10_000}
    data = data_of(
        command={"value": f"exec {sys.executable} -c 'import time; time.sleep(1000)'"},
        checks=[
            check("COMMAND", {"value": "true"}, **many),
            check("HTTP", {"port": target.port}, **many),
        ],
    )
    await agent.launch_info(task_info("t1", data=data))
    await agent.poll(lambda: len(target.paths) >= 3)
    assert healths(agent) == []
    target.status = 200
    await agent.until(lambda: healths(agent) == [True])
    healthy = [status for status in agent.statuses("t1") if "healthy" in status]
    assert healthy[0]["data"] == data_of(checks=[{"healthy": True}, {"healthy": True}])


def results(agent: FakeAgent) -> list[Any]:
    return [status["check_status"] for status in agent.statuses("t1")]


async def test_a_plain_check_tells_changes_and_judges_nothing(
    agent: FakeAgent, target: Target
) -> None:
    await agent.start_executor()
    plain = {"type": "HTTP", "http": {"port": target.port, "path": "/"}}
    await agent.launch("t1", check={**plain, "delay_seconds": 0, "interval_seconds": 0.05})
    await agent.until(lambda: len(results(agent)) == 3)
    target.status = 503
    await agent.until(lambda: len(results(agent)) == 4)
    codes = [result["http"].get("status_code") for result in results(agent)]
    assert codes == [None, None, 200, 503]
    assert agent.statuses("t1")[-1]["reason"] == "REASON_TASK_CHECK_STATUS_UPDATED"
    assert agent.states("t1")[1:] == ["TASK_RUNNING"] * 3


async def test_a_plain_tcp_check_tells_whether_the_port_accepts(
    agent: FakeAgent, target: Target
) -> None:
    await agent.start_executor()
    plain = {"type": "TCP", "tcp": {"port": target.port}}
    await agent.launch("t1", check={**plain, "delay_seconds": 0, "interval_seconds": 0.05})
    await agent.until(lambda: len(results(agent)) == 3)
    target.close()
    await agent.until(lambda: len(results(agent)) == 4)
    told = [result["tcp"].get("succeeded") for result in results(agent)]
    assert told == [None, None, True, False]
