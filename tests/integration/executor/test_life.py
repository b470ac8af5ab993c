"""A task's life, from launch to terminal update, seen from the agent."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.integration.executor.fake_agent import FakeAgent, data_of, grace, is_alive, task_info

STUBBORN = "trap '' TERM; echo ready; while :; do sleep 0.05; done"


async def started(agent: FakeAgent, task_id: str, text: str = "ready\n") -> Path:
    """Wait until the task has written its first words; return its sandbox."""
    sandbox = agent.sandbox / "tasks" / task_id
    await agent.poll(lambda: (sandbox / "stdout").exists() and
                     (sandbox / "stdout").read_text().startswith(text))  # fmt: skip
    return sandbox


async def test_a_command_that_succeeds_is_finished_and_its_output_kept(agent: FakeAgent) -> None:
    await agent.start_executor()
    await agent.launch("t1", "echo hello; echo oops >&2")
    end = await agent.state("t1", "TASK_FINISHED")
    assert agent.states("t1") == ["TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED"]
    assert end["message"] == "Command exited with status 0"
    assert end["source"] == "SOURCE_EXECUTOR"
    assert end["executor_id"] == {"value": "x1"}
    assert "reason" not in end
    assert "data" not in end
    assert (agent.sandbox / "tasks/t1/stdout").read_text() == "hello\n"
    assert (agent.sandbox / "tasks/t1/stderr").read_text() == "oops\n"


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("exit 3", "Command exited with status 3"),
        ("kill -9 $$", "Command terminated with signal Killed"),
        ("kill -TERM $$", "Command terminated with signal Terminated"),
        ({"shell": False, "value": "/bin/false"}, "Command exited with status 1"),
        ({"shell": False, "value": "/no/such/file"}, "Command exited with status 1"),
    ],
)
async def test_a_command_that_fails_says_how_in_mesos_words(
    agent: FakeAgent, command: Any, message: str
) -> None:
    await agent.start_executor()
    await agent.launch("t1", command)
    end = await agent.state("t1", "TASK_FAILED")
    assert agent.states("t1") == ["TASK_STARTING", "TASK_RUNNING", "TASK_FAILED"]
    assert end["message"] == message


async def test_a_program_that_is_missing_is_named_in_the_tasks_stderr(agent: FakeAgent) -> None:
    await agent.start_executor()
    await agent.launch("t1", {"shell": False, "value": "/no/such/file"})
    await agent.state("t1", "TASK_FAILED")
    assert "/no/such/file" in (agent.sandbox / "tasks/t1/stderr").read_text()


async def test_arguments_are_passed_as_they_are(agent: FakeAgent) -> None:
    await agent.start_executor()
    arguments = ["printf", "%s|", "a b", "$HOME", ""]
    command = {"shell": False, "value": "/usr/bin/printf", "arguments": arguments}
    await agent.launch("t1", command)
    await agent.state("t1", "TASK_FINISHED")
    assert (agent.sandbox / "tasks/t1/stdout").read_text() == "a b|$HOME||"


async def test_a_task_sees_its_own_environment_and_no_secret_of_the_executor(
    agent: FakeAgent,
) -> None:
    await agent.start_executor(MESOS_EXECUTOR_AUTHENTICATION_TOKEN="secret-token")
    variables = [
        {"name": "GREETING", "value": "hi there"},
        {"name": "SECRET", "type": "SECRET", "secret": {"value": {"data": "czNjcmV0"}}},
    ]
    dump = f"{sys.executable} -c 'import json, os; print(json.dumps(dict(os.environ)))'"
    await agent.launch("t1", {"value": dump, "environment": {"variables": variables}})
    await agent.state("t1", "TASK_FINISHED")
    text = (agent.sandbox / "tasks/t1/stdout").read_text()
    env = json.loads(text)
    assert env["GREETING"] == "hi there"
    assert env["SECRET"] == "s3cret"
    assert env["MESOS_TASK_ID"] == "t1"
    assert env["MESOS_SANDBOX"] == env["PWD"] == str(agent.sandbox / "tasks/t1")
    assert "secret-token" not in text
    assert not [name for name in env if name.startswith("EGRET_EXECUTOR_")]


async def test_an_executor_of_one_task_behaves_as_mesoss_command_executor(agent: FakeAgent) -> None:
    """The agent starts it under the task's id: sandbox, fetching and end are as Mesos does them."""
    await agent.start_executor("t1")
    uris = [{"value": "/no/such/file/because/the/agent/fetched"}]
    await agent.launch("t1", {"value": "pwd; env", "uris": uris})
    await agent.state("t1", "TASK_FINISHED")
    assert await agent.executor_exit() == 0
    lines = (agent.sandbox / "stdout").read_text().splitlines()
    assert lines[0] == str(agent.sandbox)
    assert not [line for line in lines if line.startswith("MESOS_TASK_ID=")]


async def test_a_command_and_a_sandbox_may_come_in_egrets_own_data(agent: FakeAgent) -> None:
    await agent.start_executor()
    data = data_of(command={"value": "echo $0; exit 7"}, sandbox="apps/web")
    await agent.launch_info(task_info("t1", data=data, executor={}))
    end = await agent.state("t1", "TASK_FAILED")
    assert (agent.sandbox / "apps/web/stdout").read_text() == "sh\n"
    assert data_of(exit_code=7) == end["data"]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"data": data_of(command={"value": "true"}, sandbox="../elsewhere")},
        {"data": data_of(command={"value": "true"}, sandbox="/tmp")},
        {"command": {"value": "true", "uris": 5}},
        {"command": {"value": "true"}, "health_check": {"type": "HTTP", "http": {}}},
    ],
)
async def test_a_task_that_cannot_be_run_is_an_error(agent: FakeAgent, fields: Any) -> None:
    await agent.start_executor()
    await agent.launch_info(task_info("t1", **fields))
    end = await agent.state("t1", "TASK_ERROR")
    assert end["reason"] == "REASON_TASK_INVALID"
    assert agent.states("t1") == ["TASK_ERROR"]


async def test_a_task_group_is_refused(agent: FakeAgent) -> None:
    await agent.start_executor()
    await agent.subscribed()
    group = {"tasks": [task_info("g1", command={"value": "true"})]}
    agent.send({"type": "LAUNCH_GROUP", "launch_group": {"task_group": group}})
    end = await agent.state("g1", "TASK_ERROR")
    assert end["reason"] == "REASON_TASK_GROUP_INVALID"


async def test_a_kill_is_announced_and_obeyed(agent: FakeAgent) -> None:
    await agent.start_executor()
    await agent.launch("t1", "exec sleep 1000", kill_policy=grace(600))
    await agent.state("t1", "TASK_RUNNING")
    agent.kill("t1")
    end = await agent.state("t1", "TASK_KILLED")
    assert agent.states("t1")[-2:] == ["TASK_KILLING", "TASK_KILLED"]
    assert end["message"] == "Command terminated with signal Terminated"
    assert "healthy" not in end


async def test_killing_is_not_announced_to_a_framework_that_did_not_ask(agent: FakeAgent) -> None:
    agent.capabilities = []
    await agent.start_executor()
    await agent.launch("t1")
    await agent.state("t1", "TASK_RUNNING")
    agent.kill("t1")
    await agent.state("t1", "TASK_KILLED")
    assert agent.states("t1") == ["TASK_STARTING", "TASK_RUNNING", "TASK_KILLED"]


async def test_a_task_that_exits_0_on_a_kill_was_killed_all_the_same(agent: FakeAgent) -> None:
    await agent.start_executor()
    await agent.launch(
        "t1", "trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done", kill_policy=grace(600)
    )
    await started(agent, "t1")
    agent.kill("t1")
    end = await agent.state("t1", "TASK_KILLED")
    assert end["message"] == "Command exited with status 0"


async def test_a_task_that_ignores_TERM_is_killed_after_its_grace(agent: FakeAgent) -> None:
    await agent.start_executor()
    await agent.launch("t1", STUBBORN, kill_policy=grace(0.2))
    await started(agent, "t1")
    agent.kill("t1")
    end = await agent.state("t1", "TASK_KILLED")
    assert end["message"] == "Command terminated with signal Killed"


async def test_the_policy_of_a_kill_overrides_the_tasks_own(agent: FakeAgent) -> None:
    await agent.start_executor()
    await agent.launch("t1", STUBBORN, kill_policy=grace(600))
    await started(agent, "t1")
    agent.kill("t1", grace_ns=100_000_000)
    end = await agent.state("t1", "TASK_KILLED")
    assert end["message"] == "Command terminated with signal Killed"


async def test_a_second_kill_shortens_the_grace_of_the_first(agent: FakeAgent) -> None:
    await agent.start_executor()
    await agent.launch("t1", STUBBORN, kill_policy=grace(600))
    await started(agent, "t1")
    agent.kill("t1")
    await agent.state("t1", "TASK_KILLING")
    agent.kill("t1", grace_ns=0)
    await agent.state("t1", "TASK_KILLED")
    assert agent.states("t1").count("TASK_KILLING") == 1


async def test_a_drain_time_keeps_the_task_running_before_TERM(agent: FakeAgent) -> None:
    await agent.start_executor()
    command = {"value": "trap 'echo term; exit 0' TERM; echo ready; while :; do sleep 0.05; done"}
    data = data_of(command=command, drain_seconds=600)
    await agent.launch_info(task_info("t1", data=data, kill_policy=grace(600)))
    sandbox = await started(agent, "t1")
    agent.kill("t1")
    await agent.state("t1", "TASK_KILLING")
    assert (sandbox / "stdout").read_text() == "ready\n"
    agent.kill("t1", grace_ns=600_000_000_000)  # Ends the drain, not the grace.
    await agent.state("t1", "TASK_KILLED")
    assert (sandbox / "stdout").read_text() == "ready\nterm\n"


async def test_a_kill_of_an_unknown_task_changes_nothing(agent: FakeAgent) -> None:
    await agent.start_executor()
    await agent.subscribed()
    agent.kill("never")
    await agent.launch("t1", "true")
    await agent.state("t1", "TASK_FINISHED")
    assert agent.states("never") == []


FAMILY = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    if "own-session" in sys.argv: os.setsid()
    if os.fork() == 0:
        if "orphan" in sys.argv: time.sleep(0.1)
    elif "orphan" in sys.argv: os._exit(0)
with open("pids", "a") as file: file.write(f"{os.getpid()}\\n")
time.sleep(1000)
"""


def family(*arguments: str) -> str:
    """A task of three generations that all ignore TERM; each writes its pid to `pids`."""
    return f"exec {sys.executable} -c '{FAMILY}' {' '.join(arguments)}"


@pytest.mark.parametrize(
    "arguments", [(), ("own-session",), ("orphan",), ("own-session", "orphan")]
)
async def test_a_kill_reaches_grandchildren_wherever_they_went(
    agent: FakeAgent, arguments: tuple[str, ...]
) -> None:
    await agent.start_executor()
    await agent.launch("t1", family(*arguments), kill_policy=grace(0.1))
    pids = agent.sandbox / "tasks/t1/pids"
    expected = 2 if "orphan" in arguments else 3
    await agent.poll(lambda: pids.exists() and pids.read_text().count("\n") == expected)
    agent.kill("t1")
    await agent.state("t1", "TASK_KILLED")
    left = [pid for pid in map(int, pids.read_text().split()) if is_alive(pid)]
    assert left == []


async def test_what_a_task_leaves_behind_ends_with_it(agent: FakeAgent) -> None:
    await agent.start_executor()
    left_behind = "(trap '' TERM; echo ready; exec setsid sleep 1000) &"
    wait = "while ! grep -q ready stdout; do sleep 0.02; done"
    await agent.launch("t1", f"{left_behind} {wait}; echo $! > pid")
    await agent.state("t1", "TASK_FINISHED")
    assert not is_alive(int((agent.sandbox / "tasks/t1/pid").read_text()))


async def test_the_children_of_a_shell_get_the_rest_of_the_grace(agent: FakeAgent) -> None:
    """The shell dies of TERM at once; what it started may still be finishing its work."""
    await agent.start_executor()
    worker = "trap 'sleep 0.3; echo done >> stdout; exit 0' TERM; while :; do sleep 0.05; done"
    await agent.launch("t1", f'sh -c "{worker}" & echo ready; wait', kill_policy=grace(600))
    sandbox = await started(agent, "t1")
    agent.kill("t1")
    await agent.state("t1", "TASK_KILLED")
    assert (sandbox / "stdout").read_text() == "ready\ndone\n"


async def test_a_task_over_its_completion_time_fails(agent: FakeAgent) -> None:
    await agent.start_executor()
    limit = {"nanoseconds": 100_000_000}
    await agent.launch("t1", "exec sleep 1000", max_completion_time=limit, kill_policy=grace(600))
    end = await agent.state("t1", "TASK_FAILED")
    assert end["reason"] == "REASON_MAX_COMPLETION_TIME_REACHED"
    assert end["message"] == "Command terminated with signal Terminated"
    assert "TASK_KILLING" not in agent.states("t1")


async def test_a_repeated_launch_is_ignored(agent: FakeAgent) -> None:
    await agent.start_executor()
    for _ in range(3):
        await agent.launch("t1", "echo once")
    await agent.state("t1", "TASK_FINISHED")
    await agent.launch("t1", "echo twice")
    await agent.launch("t2", "true")
    await agent.state("t2", "TASK_FINISHED")
    assert agent.states("t1") == ["TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED"]
    assert (agent.sandbox / "tasks/t1/stdout").read_text() == "once\n"


async def test_fifty_tasks_run_side_by_side_and_no_more(agent: FakeAgent) -> None:
    await agent.start_executor()
    names = [f"t{number}" for number in range(50)]
    for name in names:
        await agent.launch(name, "exec sleep 1000", kill_policy=grace(600))
    for name in names:
        await agent.state(name, "TASK_RUNNING")
    await agent.launch("one-too-many")
    await agent.state("one-too-many", "TASK_DROPPED")
    for name in names:
        agent.kill(name)
    for name in names:
        await agent.state(name, "TASK_KILLED")
    await agent.launch("after", "true")
    await agent.state("after", "TASK_FINISHED")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
async def test_a_task_runs_as_the_user_it_names(agent: FakeAgent) -> None:
    agent.open_to_all()
    await agent.start_executor()
    await agent.launch("t1", {"value": "id -un; id -Gn; touch mine", "user": "nobody"})
    await agent.state("t1", "TASK_FINISHED")
    sandbox = agent.sandbox / "tasks/t1"
    user, groups = (sandbox / "stdout").read_text().splitlines()
    assert user == "nobody"
    assert "root" not in groups.split()
    assert (sandbox / "mine").owner() == sandbox.owner() == "nobody"


async def test_an_unknown_user_fails_the_task(agent: FakeAgent) -> None:
    await agent.start_executor()
    await agent.launch("t1", {"value": "true", "user": "no-such-user"})
    end = await agent.state("t1", "TASK_FAILED")
    assert "no-such-user" in end["message"]


async def test_uris_are_fetched_into_the_tasks_own_directory(
    agent: FakeAgent, tmp_path: Path
) -> None:
    (tmp_path / "run.sh").write_text("#!/bin/sh\necho fetched\n")
    uris = [{"value": str(tmp_path / "run.sh"), "executable": True, "output_file": "bin/go"}]
    await agent.start_executor()
    await agent.launch("t1", {"value": "bin/go", "uris": uris})
    await agent.state("t1", "TASK_FINISHED")
    assert (agent.sandbox / "tasks/t1/stdout").read_text() == "fetched\n"


async def test_a_module_in_the_sandbox_does_not_disturb_the_fetcher(
    agent: FakeAgent, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("fetched\n")
    await agent.start_executor()
    trap = data_of(command={"value": "echo 'raise SystemExit(9)' > json.py"}, sandbox="shared")
    await agent.launch_info(task_info("t1", data=trap))
    await agent.state("t1", "TASK_FINISHED")
    command = {"value": "cat file", "uris": [{"value": str(tmp_path / "file")}]}
    await agent.launch_info(task_info("t2", data=data_of(command=command, sandbox="shared")))
    await agent.state("t2", "TASK_FINISHED")
    assert (agent.sandbox / "shared/stdout").read_text() == "fetched\n"


async def test_a_uri_that_cannot_be_fetched_fails_the_task_before_it_runs(agent: FakeAgent) -> None:
    await agent.start_executor()
    await agent.launch("t1", {"value": "true", "uris": [{"value": "/no/such/file.tgz"}]})
    end = await agent.state("t1", "TASK_FAILED")
    assert end["reason"] == "REASON_CONTAINER_LAUNCH_FAILED"
    assert agent.states("t1") == ["TASK_STARTING", "TASK_FAILED"]
    assert "/no/such/file.tgz" in (agent.sandbox / "tasks/t1/stderr").read_text()


async def test_a_fetch_that_hangs_can_be_killed(agent: FakeAgent, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "never")
    await agent.start_executor()
    await agent.launch("t1", {"value": "true", "uris": [{"value": str(tmp_path / "never")}]})
    await agent.state("t1", "TASK_STARTING")
    agent.kill("t1")
    await agent.state("t1", "TASK_KILLED")
    assert "TASK_RUNNING" not in agent.states("t1")


async def test_a_fetch_that_hangs_fails_after_its_time(agent: FakeAgent, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "never")
    await agent.start_executor(EGRET_EXECUTOR_FETCH_TIMEOUT="100ms")
    await agent.launch("t1", {"value": "true", "uris": [{"value": str(tmp_path / "never")}]})
    end = await agent.state("t1", "TASK_FAILED")
    assert end["reason"] == "REASON_CONTAINER_LAUNCH_FAILED"


async def test_the_oldest_directories_of_ended_tasks_are_removed(agent: FakeAgent) -> None:
    """An executor may live for months, and nobody else clears up before it ends."""
    await agent.start_executor(EGRET_EXECUTOR_KEPT_SANDBOXES="2")
    await agent.launch("alive")
    await agent.state("alive", "TASK_RUNNING")
    for name in ("t1", "t2", "t3"):
        await agent.launch(name, "mkdir deep && touch deep/file")
        await agent.state(name, "TASK_FINISHED")
    tasks = agent.sandbox / "tasks"
    await agent.poll(lambda: not (tasks / "t1").exists())
    assert {path.name for path in tasks.iterdir()} == {"alive", "t2", "t3"}
