"""The life of command tasks: states, updates, kills, reconciliation: recordings 02 and 08."""

import asyncio
from pathlib import Path

import pytest

from tests.contract.mesos.client import Json, Scheduler, launch, task
from tests.contract.mesos.conftest import Subscribe
from tests.support import eventually

UNKNOWN_UUID = "AAAAAAAAAAAAAAAAAAAAAA=="


async def _run(scheduler: Scheduler, *tasks: tuple[str, str], **changes: object) -> Json:
    """Launch (id, command) tasks on the first agent offered and return its agent id."""
    offer = (await scheduler.new_offers(0))[0]
    agent = offer["agent_id"]
    infos = [task(name, agent, command, **changes) for name, command in tasks]
    await scheduler.call("ACCEPT", launch([offer], infos))
    return agent


async def test_ends_are_told_as_mesos_tells_them(subscribe: Subscribe) -> None:
    scheduler = await subscribe("ends")
    await _run(
        scheduler,
        ("zero", "exit 0"),
        ("one", "exit 1"),
        ("signal", "kill -KILL $$"),
        ("nofile", "exec /no/such/file"),
    )
    expected = {
        "zero": ("TASK_FINISHED", "Command exited with status 0"),
        "one": ("TASK_FAILED", "Command exited with status 1"),
        "signal": ("TASK_FAILED", "Command terminated with signal Killed"),
        "nofile": ("TASK_FAILED", "Command exited with status 127"),
    }
    for name, (state, message) in expected.items():
        status = await scheduler.wait_state(name, state)
        assert status["message"] == message
        assert scheduler.states(name)[:2] == ["TASK_STARTING", "TASK_RUNNING"]
        assert "reason" not in status


async def test_a_program_that_does_not_exist_ends_with_status_1(subscribe: Subscribe) -> None:
    scheduler = await subscribe("nofile")
    offer = (await scheduler.new_offers(0))[0]
    command = {"shell": False, "value": "/no/such/file", "arguments": ["file"]}
    await scheduler.call("ACCEPT", launch([offer], [task("nofile", offer["agent_id"], command)]))
    status = await scheduler.wait_state("nofile", "TASK_FAILED")
    assert status["message"] == "Command exited with status 1"


async def test_an_update_of_a_command_task_has_the_fields_of_a_real_one(
    subscribe: Subscribe,
) -> None:
    scheduler = await subscribe("fields")
    agent = await _run(scheduler, ("fields.1", "sleep 1000"))
    status = await scheduler.wait_state("fields.1", "TASK_RUNNING")
    assert status["source"] == "SOURCE_EXECUTOR"
    assert status["agent_id"] == agent
    assert status["executor_id"] == {"value": "fields.1"}
    assert status["timestamp"] > 0
    container = status["container_status"]
    assert container["container_id"]["value"]
    assert container["executor_pid"] > 0
    addresses = container["network_infos"][0]["ip_addresses"]
    assert addresses == [{"protocol": "IPv4", "ip_address": "127.0.0.1"}]


async def test_an_unacknowledged_update_comes_again_and_holds_the_next_back(
    subscribe: Subscribe, mesos_master: str | None
) -> None:
    scheduler = await subscribe("again", acknowledges=False)
    await _run(scheduler, ("again.1", "sleep 1000"))
    await scheduler.wait(lambda: len(scheduler.statuses("again.1")) >= 2, "the same update twice")
    first, second = scheduler.statuses("again.1")[:2]
    assert first == second
    assert first["state"] == "TASK_STARTING"
    scheduler.acknowledge(first)
    await scheduler.wait_state("again.1", "TASK_RUNNING")


async def test_acknowledging_twice_is_harmless_and_a_zero_uuid_is_none(
    subscribe: Subscribe,
) -> None:
    scheduler = await subscribe("ack")
    await _run(scheduler, ("ack.1", "true"))
    status = await scheduler.wait_state("ack.1", "TASK_FINISHED")
    body = {k: status[k] for k in ("agent_id", "task_id", "uuid")}
    assert (await scheduler.call("ACKNOWLEDGE", body)).pair == (202, "")
    reply = await scheduler.call("ACKNOWLEDGE", {**body, "uuid": UNKNOWN_UUID})
    assert reply.pair == (400, "Failed to validate scheduler::Call: Not a valid UUID")


async def test_kill_is_term_then_kill_after_the_tasks_grace_period(
    subscribe: Subscribe, tmp_path: Path
) -> None:
    scheduler = await subscribe("kill")
    offer = (await scheduler.new_offers(0))[0]
    agent = offer["agent_id"]
    policy = {"grace_period": {"nanoseconds": 500_000_000}}
    ready = [tmp_path / "stubborn", tmp_path / "clean"]
    stubborn = f"trap '' TERM; touch {ready[0]}; while true; do sleep 0.1; done"
    clean = f"trap 'exit 0' TERM; touch {ready[1]}; while true; do sleep 0.1; done"
    tasks = [
        task("plain", agent),
        task("stubborn", agent, stubborn, kill_policy=policy),
        task("clean", agent, clean),
    ]
    await scheduler.call("ACCEPT", launch([offer], tasks))
    for name in ("plain", "stubborn", "clean"):
        await scheduler.wait_state(name, "TASK_RUNNING")
    await eventually(lambda: all(one.exists() for one in ready), what="the traps are set")
    await scheduler.call("KILL", {"task_id": {"value": "plain"}, "agent_id": agent})
    await scheduler.call("KILL", {"task_id": {"value": "stubborn"}})
    await scheduler.call("KILL", {"task_id": {"value": "clean"}})
    expected = {
        "plain": "Command terminated with signal Terminated",
        "stubborn": "Command terminated with signal Killed",
        "clean": "Command exited with status 0",
    }
    for name, message in expected.items():
        status = await scheduler.wait_state(name, "TASK_KILLED")
        assert status["message"] == message
        assert scheduler.states(name)[2:] == ["TASK_KILLING", "TASK_KILLED"]


async def test_killing_is_told_only_to_those_who_know_the_state(subscribe: Subscribe) -> None:
    capabilities = [{"type": c} for c in ("MULTI_ROLE", "PARTITION_AWARE")]
    scheduler = await subscribe("unaware", capabilities=capabilities)
    await _run(scheduler, ("unaware.1", "sleep 1000"))
    await scheduler.wait_state("unaware.1", "TASK_RUNNING")
    await scheduler.call("KILL", {"task_id": {"value": "unaware.1"}})
    await scheduler.wait_state("unaware.1", "TASK_KILLED")
    assert "TASK_KILLING" not in scheduler.states("unaware.1")


@pytest.mark.parametrize(
    ("capabilities", "gone", "unknown"),
    [
        (["MULTI_ROLE", "PARTITION_AWARE"], "TASK_GONE", "TASK_UNKNOWN"),
        (["MULTI_ROLE"], "TASK_LOST", "TASK_LOST"),
    ],
)
async def test_a_kill_of_a_task_that_is_not_there_is_answered(
    subscribe: Subscribe, capabilities: list[str], gone: str, unknown: str
) -> None:
    scheduler = await subscribe("absent", capabilities=[{"type": c} for c in capabilities])
    agent = (await scheduler.new_offers(0))[0]["agent_id"]
    await scheduler.call("KILL", {"task_id": {"value": "never.1"}, "agent_id": agent})
    await scheduler.call("KILL", {"task_id": {"value": "never.2"}})
    status = await scheduler.wait_state("never.1", gone)
    assert status["message"] == "Reconciliation: Task is unknown to the agent"
    assert (status["reason"], status["agent_id"]) == ("REASON_RECONCILIATION", agent)
    status = await scheduler.wait_state("never.2", unknown)
    assert status["message"] == "Reconciliation: Task is unknown"
    assert "agent_id" not in status


def _answers(scheduler: Scheduler) -> list[Json]:
    statuses = [b["status"] for b in scheduler.of("UPDATE")]
    return [s for s in statuses if s.get("reason") == "REASON_RECONCILIATION"]


async def test_explicit_reconciliation_answers_for_each_task(subscribe: Subscribe) -> None:
    scheduler = await subscribe("explicit")
    agent = await _run(scheduler, ("run", "sleep 1000"), ("fin", "true"))
    await scheduler.wait_state("run", "TASK_RUNNING")
    await scheduler.wait_state("fin", "TASK_FINISHED")
    await scheduler.wait_acknowledged()
    asked = [
        ("run", None),
        ("run", agent["value"]),
        ("fin", None),
        ("fin", agent["value"]),
        ("never", None),
        ("never", agent["value"]),
        ("never", "none-S77"),
    ]
    tasks = [
        {"task_id": {"value": t}, **({"agent_id": {"value": a}} if a else {})} for t, a in asked
    ]
    await scheduler.call("RECONCILE", {"tasks": tasks})
    await scheduler.wait(lambda: len(_answers(scheduler)) >= len(asked))
    statuses = _answers(scheduler)
    told = [
        (s["task_id"]["value"], s["state"], s.get("agent_id", {}).get("value")) for s in statuses
    ]
    known = agent["value"]
    assert told == [
        ("run", "TASK_RUNNING", known),
        ("run", "TASK_RUNNING", known),
        ("fin", "TASK_UNKNOWN", None),
        ("fin", "TASK_GONE", known),
        ("never", "TASK_UNKNOWN", None),
        ("never", "TASK_GONE", known),
        ("never", "TASK_UNKNOWN", "none-S77"),
    ]
    assert all("uuid" not in s for s in statuses)
    assert statuses[0]["message"] == "Reconciliation: Latest task state"
    assert statuses[0]["container_status"]["container_id"]


async def test_implicit_reconciliation_tells_every_live_task(subscribe: Subscribe) -> None:
    scheduler = await subscribe("implicit")
    await _run(scheduler, ("a", "sleep 1000"), ("b", "sleep 1000"), ("c", "true"))
    await scheduler.wait_state("a", "TASK_RUNNING")
    await scheduler.wait_state("b", "TASK_RUNNING")
    await scheduler.wait_state("c", "TASK_FINISHED")
    await scheduler.wait_acknowledged()
    # What is answered last was asked last.
    for body in ({"tasks": []}, {}, {"tasks": [{"task_id": {"value": "last"}}]}):
        await scheduler.call("RECONCILE", body)
    await scheduler.wait_state("last", "TASK_UNKNOWN")
    told = [s["task_id"]["value"] for s in _answers(scheduler)]
    assert sorted(told) == ["a", "a", "b", "b", "last"]


async def test_what_a_scheduler_missed_comes_when_it_is_back(subscribe: Subscribe) -> None:
    first = await subscribe("back", acknowledges=False, failover_timeout=60.0)
    await _run(first, ("short", "sleep 0.5"))
    await first.wait_state("short", "TASK_STARTING")
    first.close_stream()
    await asyncio.sleep(1.5)
    second = await subscribe("back", failover_timeout=60.0, id={"value": first.framework_id})
    await second.wait_state("short", "TASK_FINISHED")
    assert second.states("short") == ["TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED"]


async def test_tasks_run_in_a_sandbox_with_their_environment(
    subscribe: Subscribe, tmp_path: Path
) -> None:
    scheduler = await subscribe("sandbox")
    fetched = tmp_path / "given.txt"
    fetched.write_text("hello")
    command = {
        "value": 'test "$GREETING" = hi && test "$PWD" = "$MESOS_SANDBOX" && grep hello given.txt',
        "uris": [{"value": str(fetched)}],
        "environment": {"variables": [{"name": "GREETING", "value": "hi"}]},
    }
    offer = (await scheduler.new_offers(0))[0]
    await scheduler.call("ACCEPT", launch([offer], [task("box", offer["agent_id"], command)]))
    await scheduler.wait_state("box", "TASK_FINISHED")


async def test_a_uri_that_cannot_be_fetched_fails_the_task(subscribe: Subscribe) -> None:
    scheduler = await subscribe("uri")
    command = {"value": "true", "uris": [{"value": "/no/such/file"}]}
    offer = (await scheduler.new_offers(0))[0]
    await scheduler.call("ACCEPT", launch([offer], [task("uri", offer["agent_id"], command)]))
    status = await scheduler.wait_state("uri", "TASK_FAILED")
    assert status["reason"] == "REASON_CONTAINER_LAUNCH_FAILED"


async def test_a_teardown_kills_the_tasks_silently(subscribe: Subscribe, tmp_path: Path) -> None:
    scheduler = await subscribe("torn")
    pid_file = tmp_path / "pid"
    await _run(scheduler, ("torn.1", f"echo $$ > {pid_file}; exec sleep 1000"))
    await scheduler.wait_state("torn.1", "TASK_RUNNING")
    async with asyncio.timeout(10):
        while not (pid_file.exists() and pid_file.read_text().strip()):
            await asyncio.sleep(0.05)
        process = Path("/proc") / pid_file.read_text().strip()
        await scheduler.call("TEARDOWN")
        await scheduler.wait_closed()
        while process.exists():
            await asyncio.sleep(0.05)
    assert "TASK_KILLED" not in scheduler.states("torn.1")
