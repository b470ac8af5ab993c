"""The executor and an agent that restarts, hangs, refuses, or says goodbye."""

import asyncio
import os
from pathlib import Path

from tests.integration.executor.fake_agent import (
    FakeAgent,
    data_of,
    grace,
    is_alive,
    pid_of,
    task_info,
)


async def test_unacknowledged_updates_and_tasks_come_again_after_an_agent_restart(
    agent: FakeAgent,
) -> None:
    agent.acknowledges = False
    await agent.start_executor()
    await agent.launch("t1", "exit 1")
    await agent.state("t1", "TASK_FAILED")
    sent = agent.statuses("t1")
    await agent.go_away()
    await agent.listen()
    await agent.until(lambda: len(agent.subscriptions) == 2)
    again = agent.subscriptions[1]
    assert [update["status"] for update in again["unacknowledged_updates"]] == sent
    assert [task["task_id"]["value"] for task in again["unacknowledged_tasks"]] == ["t1"]


async def test_what_was_acknowledged_does_not_come_again(agent: FakeAgent) -> None:
    await agent.start_executor()
    await agent.launch("t1")
    await agent.state("t1", "TASK_RUNNING")
    await agent.round_trip()
    await agent.go_away()
    await agent.listen()
    await agent.until(lambda: len(agent.subscriptions) == 2)
    assert agent.subscriptions[1] == {"unacknowledged_updates": [], "unacknowledged_tasks": []}


async def test_a_task_that_ends_while_the_agent_is_away_is_reported_when_it_returns(
    agent: FakeAgent, tmp_path: Path
) -> None:
    await agent.start_executor()
    gate = tmp_path / "gate"
    await agent.launch("t1", f"while ! test -e {gate}; do sleep 0.02; done; exit 4")
    await agent.state("t1", "TASK_RUNNING")
    pid = await pid_of(agent, "t1")
    await agent.go_away()
    gate.touch()
    await agent.poll(lambda: not is_alive(pid))
    await agent.listen()
    await agent.until(lambda: len(agent.subscriptions) == 2)
    # It may have been in the SUBSCRIBE, or made just after it.
    await agent.until(lambda: "TASK_FAILED" in agent.all_states("t1"))


async def test_an_update_is_never_sent_out_of_order_or_twice_on_one_stream(
    agent: FakeAgent,
) -> None:
    await agent.start_executor()
    for number in range(20):
        await agent.launch(f"t{number}", "true")
    for number in range(20):
        await agent.state(f"t{number}", "TASK_FINISHED")
        states = agent.states(f"t{number}")
        assert states == ["TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED"]


async def test_an_agent_that_is_still_recovering_is_asked_again(agent: FakeAgent) -> None:
    agent.refusals = [503, 503, 401]
    await agent.start_executor()
    await agent.launch("t1", "true")
    await agent.state("t1", "TASK_FINISHED")


async def test_an_update_that_is_refused_comes_again(agent: FakeAgent) -> None:
    await agent.start_executor()
    await agent.subscribed()
    agent.refusals = [500]
    await agent.launch("t1", "true")
    await agent.until(lambda: "TASK_FINISHED" in agent.all_states("t1"))
    assert agent.all_states("t1") == ["TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED"]


async def test_without_checkpointing_a_lost_agent_is_the_end(agent: FakeAgent) -> None:
    await agent.start_executor(MESOS_CHECKPOINT="0")
    await agent.launch("t1", "exec sleep 1000")
    await agent.state("t1", "TASK_RUNNING")
    pid = await pid_of(agent, "t1")
    await agent.go_away()
    assert await agent.executor_exit() == 0
    assert not is_alive(pid)


async def test_an_agent_that_does_not_return_in_time_is_the_end(agent: FakeAgent) -> None:
    await agent.start_executor(MESOS_RECOVERY_TIMEOUT="300ms")
    await agent.launch("t1", "exec sleep 1000")
    await agent.state("t1", "TASK_RUNNING")
    pid = await pid_of(agent, "t1")
    await agent.go_away()
    assert await agent.executor_exit() == 0
    assert not is_alive(pid)


async def test_an_agent_that_says_nothing_is_subscribed_to_again(agent: FakeAgent) -> None:
    await agent.start_executor(EGRET_EXECUTOR_HEARTBEAT_DEADLINE="200ms")
    await agent.until(lambda: len(agent.subscriptions) >= 3)


async def test_shutdown_kills_the_tasks_reports_them_and_ends_the_executor(
    agent: FakeAgent,
) -> None:
    await agent.start_executor()
    for name in ("t1", "t2"):
        await agent.launch(name, "exec sleep 1000", kill_policy=grace(600))
        await agent.state(name, "TASK_RUNNING")
    agent.send({"type": "SHUTDOWN"})
    assert await agent.executor_exit() == 0
    assert agent.states("t1")[-1] == agent.states("t2")[-1] == "TASK_KILLED"


async def test_shutdown_leaves_a_stubborn_task_no_more_than_the_period(agent: FakeAgent) -> None:
    await agent.start_executor(MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD="1secs")
    command = "trap '' TERM; echo ready; while :; do sleep 0.05; done"
    await agent.launch("t1", command, kill_policy=grace(600))
    await agent.poll((agent.sandbox / "tasks/t1/stdout").exists)
    pid = await pid_of(agent, "t1")
    agent.send({"type": "SHUTDOWN"})
    assert await agent.executor_exit() == 0
    assert not is_alive(pid)


async def test_shutdown_waits_for_no_drain(agent: FakeAgent) -> None:
    await agent.start_executor()
    for name in ("t1", "t2"):
        data = data_of(command={"value": "exec sleep 1000"}, drain_seconds=600)
        await agent.launch_info(task_info(name, data=data))
        await agent.state(name, "TASK_RUNNING")
    agent.kill("t1")
    await agent.state("t1", "TASK_KILLING")
    agent.send({"type": "SHUTDOWN"})
    assert await agent.executor_exit() == 0
    assert agent.states("t1")[-1] == agent.states("t2")[-1] == "TASK_KILLED"


async def test_a_task_killed_in_the_same_breath_never_runs(agent: FakeAgent) -> None:
    await agent.start_executor()
    await agent.subscribed()
    task = task_info("t1", command={"value": "touch ran"})
    agent.send(
        {"type": "LAUNCH", "launch": {"task": task}},
        {"type": "KILL", "kill": {"task_id": {"value": "t1"}}},
    )
    await agent.state("t1", "TASK_KILLED")
    assert agent.states("t1") == ["TASK_STARTING", "TASK_KILLED"]
    assert not (agent.sandbox / "tasks/t1/ran").exists()


async def test_a_term_signal_is_a_shutdown(agent: FakeAgent) -> None:
    await agent.start_executor()
    await agent.launch("t1", "exec sleep 1000")
    await agent.state("t1", "TASK_RUNNING")
    assert agent.executor is not None
    agent.executor.terminate()
    assert await agent.executor_exit() == 0
    assert agent.states("t1")[-1] == "TASK_KILLED"


async def test_a_killed_executor_takes_its_tasks_along(agent: FakeAgent) -> None:
    await agent.start_executor()
    await agent.launch("t1", "exec sleep 1000")
    await agent.state("t1", "TASK_RUNNING")
    pid = await pid_of(agent, "t1")
    assert agent.executor is not None
    agent.executor.kill()
    await agent.poll(lambda: not is_alive(pid))


async def test_an_idle_executor_waits_for_the_acknowledgement_then_leaves(
    agent: FakeAgent,
) -> None:
    agent.acknowledges = False
    await agent.start_executor(EGRET_EXECUTOR_IDLE_TIMEOUT="1ms")
    await agent.launch("t1", "true")
    await agent.state("t1", "TASK_FINISHED")
    await agent.round_trip()
    assert agent.executor is not None
    assert agent.executor.returncode is None
    agent.acknowledge_all()
    assert await agent.executor_exit() == 0


async def test_every_call_carries_the_token_that_the_agent_gave(agent: FakeAgent) -> None:
    await agent.start_executor(MESOS_EXECUTOR_AUTHENTICATION_TOKEN="t0ken")
    await agent.launch("t1", "true")
    await agent.state("t1", "TASK_FINISHED")
    assert {headers["authorization"] for headers in agent.headers} == {"Bearer t0ken"}


async def test_a_domain_socket_is_preferred(agent: FakeAgent, tmp_path: Path) -> None:
    path = str(tmp_path / "agent.sock")
    await agent.listen_on_socket(path)
    await agent.start_executor(MESOS_DOMAIN_SOCKET=path, MESOS_AGENT_ENDPOINT="127.0.0.1:1")
    await agent.launch("t1", "true")
    await agent.state("t1", "TASK_FINISHED")


async def test_nonsense_from_the_agent_does_not_end_the_tasks(agent: FakeAgent) -> None:
    await agent.start_executor()
    await agent.launch("t1", "exec sleep 1000")
    await agent.state("t1", "TASK_RUNNING")
    agent.send({"type": "LAUNCH", "launch": {"task": {}}})
    agent.send({"type": "NEVER_HEARD_OF"})
    agent.send({"no": "type"})
    agent.send(
        {"type": "ACKNOWLEDGED", "acknowledged": {"task_id": {"value": "t1"}, "uuid": "AA=="}}
    )
    await agent.launch("t2", "true")
    await agent.state("t2", "TASK_FINISHED")
    assert agent.states("t1") == ["TASK_STARTING", "TASK_RUNNING"]


async def test_without_an_agents_environment_it_says_so(agent: FakeAgent) -> None:
    await agent.start_executor(MESOS_FRAMEWORK_ID="")
    assert await agent.executor_exit() == 2
    assert "MESOS_FRAMEWORK_ID" in (agent.sandbox / "stderr").read_text()


async def test_an_executor_with_nothing_to_do_uses_no_cpu(agent: FakeAgent) -> None:
    """A loop that spins would show: two seconds of idling must cost well under half a second."""
    await agent.start_executor()
    await agent.launch("t1", "exec sleep 1000")
    await agent.state("t1", "TASK_RUNNING")
    assert agent.executor is not None
    before = cpu_ticks(agent.executor.pid)
    await asyncio.sleep(2)
    assert cpu_ticks(agent.executor.pid) - before < os.sysconf("SC_CLK_TCK") / 2


def cpu_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
