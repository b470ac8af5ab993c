"""The executor against what Mesos's own command executor was recorded to say.

Each task of the recordings is launched as it was there, and killed as it was there. The framework
must hear the same: states, messages, reasons and health, in the same order.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.integration.executor.fake_agent import FakeAgent, pid_of

Json = dict[str, Any]

TRACES = Path(__file__).parents[2] / "traces"
COMMANDS = TRACES / "02-command-executor.jsonl"
CHECKS = TRACES / "03-health-checks.jsonl"
TOLD = ("state", "message", "reason", "healthy", "check_status")
SIGTERM_BIT = 1 << 14


def lines(trace: Path) -> list[Json]:
    return [json.loads(line) for line in trace.read_text().splitlines()]


def recorded_calls(trace: Path, kind: str) -> list[Json]:
    bodies = [line["body"] for line in lines(trace) if line["k"] == "call"]
    return [body for body in bodies if isinstance(body, dict) and body.get("type") == kind]


def recorded_task(trace: Path, name: str) -> Json:
    for call in recorded_calls(trace, "ACCEPT"):
        for operation in call["accept"]["operations"]:
            for task in operation.get("launch", {}).get("task_infos", []):
                if task["name"] == name:
                    return task
    raise AssertionError(f"{name} is not in {trace}")


def recorded_kills(trace: Path, name: str) -> list[Json]:
    kills = [call["kill"] for call in recorded_calls(trace, "KILL")]
    return [kill for kill in kills if kill["task_id"]["value"] == name]


def recorded_words(trace: Path, name: str) -> list[Json]:
    events = [line["event"] for line in lines(trace) if line["k"] == "event"]
    statuses = [event["update"]["status"] for event in events if event["type"] == "UPDATE"]
    own = [status for status in statuses if status["source"] == "SOURCE_EXECUTOR"]
    return words([status for status in own if status["task_id"]["value"] == name])


def words(statuses: list[Json]) -> list[Json]:
    return [{key: status[key] for key in TOLD if key in status} for status in statuses]


def minds_term(pid: int) -> bool:
    """Whether a process has set up its own way with TERM."""
    status = Path(f"/proc/{pid}/status").read_text()
    masks = [
        line.split()[1] for line in status.splitlines() if line.startswith(("SigCgt", "SigIgn"))
    ]
    return any(int(mask, 16) & SIGTERM_BIT for mask in masks)


async def replay(agent: FakeAgent, trace: Path, name: str) -> None:
    task, expected = recorded_task(trace, name), recorded_words(trace, name)
    await agent.start_executor()
    await agent.launch_info(task)
    kills = recorded_kills(trace, name)
    if kills:
        await agent.state(name, "TASK_RUNNING")
        if "trap" in task["command"]["value"]:
            pid = await pid_of(agent, name)
            await agent.poll(lambda: minds_term(pid))
    for kill in kills:
        agent.send({"type": "KILL", "kill": {k: v for k, v in kill.items() if k != "agent_id"}})
    await agent.state(name, expected[-1]["state"])
    assert words(agent.statuses(name)) == expected


@pytest.mark.parametrize(
    "name",
    [
        "ok.1", "exit1.1", "argv.1", "signal.1", "nofile.1", "maxtime.1", "env.1",
        "kill.1", "stubborn.1", "clean.1", "override.2", "twice.2",
    ],
)  # fmt: skip
async def test_a_task_tells_what_mesoss_command_executor_told(agent: FakeAgent, name: str) -> None:
    await replay(agent, COMMANDS, name)


@pytest.mark.parametrize(
    "name", ["http-nevergood.1", "tcp-fails.1", "cmd-fails.1", "cmd-timeout.1", "cmd-zero.1"]
)
async def test_a_failing_check_tells_what_mesoss_own_told(agent: FakeAgent, name: str) -> None:
    await replay(agent, CHECKS, name)


@pytest.mark.parametrize("name", ["check-cmd.1", "both.1"])
async def test_a_check_tells_what_mesoss_own_told(agent: FakeAgent, name: str) -> None:
    """Those run on and on: up to the last word that was recorded."""
    task, expected = recorded_task(CHECKS, name), recorded_words(CHECKS, name)
    await agent.start_executor()
    await agent.launch_info(task)
    await agent.until(lambda: len(agent.statuses(name)) >= len(expected))
    assert words(agent.statuses(name))[: len(expected)] == expected


async def test_calls_have_the_shape_of_a_recorded_executors(agent: FakeAgent) -> None:
    """A real agent took those: the same names at every level, nothing else."""
    trace = lines(TRACES / "05-custom-executor.jsonl")
    bodies = [line["body"] for line in trace if line["k"] == "call" and line["s"] == "executor:x1"]
    await agent.start_executor()
    await agent.launch("t1", "true")
    await agent.state("t1", "TASK_FINISHED")
    for kind in ("SUBSCRIBE", "UPDATE"):
        recorded = next(body for body in bodies if body["type"] == kind)
        ours = next(call for call in agent.calls if call["type"] == kind)
        assert shape(ours) <= shape(recorded)
        assert shape(recorded) - shape(ours) <= {"update.status.message", "update.status.data"}


def shape(value: Json, path: str = "") -> set[str]:
    """The dotted names of all fields that are no objects."""
    found: set[str] = set()
    for key, inner in value.items():
        here = f"{path}.{key}" if path else key
        found |= shape(inner, here) if isinstance(inner, dict) else {here}
    return found
