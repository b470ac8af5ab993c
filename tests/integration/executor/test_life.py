"""A task's life, from launch to terminal update, seen from the agent."""

from tests.integration.executor.fake_agent import FakeAgent, grace


async def test_a_command_that_succeeds_is_finished(agent: FakeAgent) -> None:
    await agent.start_executor()
    await agent.launch("t1", "echo hello; echo oops >&2")
    end = await agent.state("t1", "TASK_FINISHED")
    assert agent.states("t1") == ["TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED"]
    assert end["message"] == "Command exited with status 0"
    assert end["source"] == "SOURCE_EXECUTOR"
    assert "reason" not in end
    assert (agent.sandbox / "tasks/t1/stdout").read_text() == "hello\n"
    assert (agent.sandbox / "tasks/t1/stderr").read_text() == "oops\n"


async def test_a_kill_is_announced_and_obeyed(agent: FakeAgent) -> None:
    await agent.start_executor()
    await agent.launch("t1", "exec sleep 1000", kill_policy=grace(60))
    await agent.state("t1", "TASK_RUNNING")
    agent.kill("t1")
    end = await agent.state("t1", "TASK_KILLED")
    assert agent.states("t1")[-2:] == ["TASK_KILLING", "TASK_KILLED"]
    assert end["message"] == "Command terminated with signal Terminated"
