"""Both sides of the executor API, with an executor that writes down what it hears: recording 05."""

import asyncio
import base64
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scheduler.local import Cluster
from tests.contract.mesos.client import Json, Scheduler, launch, scalar, task
from tests.contract.mesos.conftest import Subscribe

SCRIPT = Path(__file__).with_name("recording_executor.py")


def _executor(log: Path, **changes: Any) -> Json:
    return {
        "type": "CUSTOM",
        "executor_id": {"value": "x1"},
        "name": "recorder",
        "resources": [scalar("cpus", 0.1), scalar("mem", 64), scalar("disk", 16)],
        "command": {
            "value": f"exec {sys.executable} -u {SCRIPT} {log}",
            "environment": {"variables": [{"name": "FOO", "value": "bar"}]},
        },
        "shutdown_grace_period": {"nanoseconds": 2_000_000_000},
        **changes,
    }


async def _launch(scheduler: Scheduler, executor: Json, *names: str, since: int = 0) -> Json:
    offer = (await scheduler.new_offers(since))[0]
    infos = [task(n, offer["agent_id"], None, executor=executor) for n in names]
    await scheduler.call("ACCEPT", launch([offer], infos))
    for name in names:
        await scheduler.wait_state(name, "TASK_RUNNING")
    return offer["agent_id"]


def _heard(log: Path, kind: str) -> list[Json]:
    lines = (log / "events.jsonl").read_text().splitlines()
    return [e.get(kind.lower(), {}) for e in map(json.loads, lines) if e["type"] == kind]


async def _until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.02)


async def test_an_executor_gets_its_environment_and_its_events(
    subscribe: Subscribe, tmp_path: Path
) -> None:
    scheduler = await subscribe("custom")
    agent = await _launch(scheduler, _executor(tmp_path), "c1", "c2")
    env = json.loads((tmp_path / "env.json").read_text())
    assert env["MESOS_EXECUTOR_ID"] == "x1"
    assert env["MESOS_FRAMEWORK_ID"] == scheduler.framework_id
    assert env["MESOS_SLAVE_ID"] == agent["value"]
    assert env["MESOS_CHECKPOINT"] == "1"
    assert env["MESOS_RECOVERY_TIMEOUT"] == "15mins"
    assert env["MESOS_SUBSCRIPTION_BACKOFF_MAX"] == "2secs"
    assert env["MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD"] == "2secs"
    assert env["MESOS_DIRECTORY"] == env["MESOS_SANDBOX"] == env["PWD"]
    assert env["FOO"] == "bar"
    subscribed = _heard(tmp_path, "SUBSCRIBED")[0]
    assert {"executor_info", "framework_info", "agent_info", "container_id"} <= set(subscribed)
    assert [e["task"]["task_id"]["value"] for e in _heard(tmp_path, "LAUNCH")] == ["c1", "c2"]
    status = scheduler.statuses("c1")[0]
    assert (status["message"], base64.b64decode(status["data"])) == ("recorded", b"opaque")
    assert status["executor_id"] == {"value": "x1"}
    await _until(lambda: len(_heard(tmp_path, "ACKNOWLEDGED")) == 2)


async def test_messages_go_both_ways(subscribe: Subscribe, tmp_path: Path) -> None:
    scheduler = await subscribe("messages")
    agent = await _launch(scheduler, _executor(tmp_path), "m1")
    data = base64.b64encode(b"ping").decode()
    body = {"agent_id": agent, "executor_id": {"value": "x1"}, "data": data}
    assert (await scheduler.call("MESSAGE", body)).pair == (202, "")
    nobody = {**body, "executor_id": {"value": "nope"}}
    assert (await scheduler.call("MESSAGE", nobody)).pair == (202, "")
    message = (await scheduler.wait(lambda: scheduler.of("MESSAGE")))[0]
    assert base64.b64decode(message["data"]) == b"echo:ping"
    assert (message["agent_id"], message["executor_id"]) == (agent, {"value": "x1"})


async def test_a_kill_brings_its_policy_to_the_executor(
    subscribe: Subscribe, tmp_path: Path
) -> None:
    scheduler = await subscribe("policy")
    await _launch(scheduler, _executor(tmp_path), "k1", "k2")
    policy = {"grace_period": {"nanoseconds": 500_000_000}}
    await scheduler.call("KILL", {"task_id": {"value": "k1"}})
    await scheduler.call("KILL", {"task_id": {"value": "k2"}, "kill_policy": policy})
    await scheduler.wait_state("k1", "TASK_KILLED")
    await scheduler.wait_state("k2", "TASK_KILLED")
    kills = {k["task_id"]["value"]: k.get("kill_policy") for k in _heard(tmp_path, "KILL")}
    assert kills == {"k1": None, "k2": policy}


async def test_a_shutdown_ends_the_executor_with_a_failure_event(
    subscribe: Subscribe, tmp_path: Path
) -> None:
    scheduler = await subscribe("shutdown")
    agent = await _launch(scheduler, _executor(tmp_path), "s1")
    body = {"executor_id": {"value": "x1"}, "agent_id": agent}
    assert (await scheduler.call("SHUTDOWN", body)).pair == (202, "")
    failure = (await scheduler.wait(lambda: scheduler.of("FAILURE")))[0]
    assert failure == {"agent_id": agent, "executor_id": {"value": "x1"}, "status": 0}
    assert _heard(tmp_path, "SHUTDOWN")
    status = await scheduler.wait_state("s1", "TASK_FAILED")
    assert status["reason"] == "REASON_EXECUTOR_TERMINATED"


async def test_an_executor_that_dies_fails_its_tasks_and_tells_its_wait_status(
    subscribe: Subscribe, tmp_path: Path
) -> None:
    scheduler = await subscribe("dies")
    agent = await _launch(scheduler, _executor(tmp_path), "d1", "d2")
    data = base64.b64encode(b"exit:7").decode()
    body = {"agent_id": agent, "executor_id": {"value": "x1"}, "data": data}
    await scheduler.call("MESSAGE", body)
    for name in ("d1", "d2"):
        status = await scheduler.wait_state(name, "TASK_FAILED")
        assert (status["message"], status["source"]) == ("Executor terminated", "SOURCE_AGENT")
        assert status["reason"] == "REASON_EXECUTOR_TERMINATED"
    assert scheduler.of("FAILURE")[0]["status"] == 7 << 8


async def test_another_executor_of_the_same_id_is_refused(
    subscribe: Subscribe, tmp_path: Path
) -> None:
    scheduler = await subscribe("other")
    agent = await _launch(scheduler, _executor(tmp_path), "o1")
    offers = await scheduler.wait(
        lambda: [o for o in scheduler.offers()[1:] if o["agent_id"] == agent]
    )
    other = _executor(tmp_path, resources=[scalar("cpus", 0.2), scalar("mem", 64)])
    infos = [task("o2", agent, None, executor=other)]
    await scheduler.call("ACCEPT", launch([offers[-1]], infos))
    status = await scheduler.wait_state("o2", "TASK_ERROR")
    expected = "ExecutorInfo is not compatible with existing ExecutorInfo with same ExecutorID."
    assert status["message"].startswith(expected)


async def test_a_group_reaches_the_executor_as_one(subscribe: Subscribe, tmp_path: Path) -> None:
    scheduler = await subscribe("group")
    offer = (await scheduler.new_offers(0))[0]
    tasks = [task(name, offer["agent_id"]) for name in ("g1", "g2")]
    executor = {**_executor(tmp_path), "framework_id": {"value": scheduler.framework_id}}
    operation = {
        "type": "LAUNCH_GROUP",
        "launch_group": {"executor": executor, "task_group": {"tasks": tasks}},
    }
    await scheduler.call("ACCEPT", {"offer_ids": [offer["id"]], "operations": [operation]})
    for name in ("g1", "g2"):
        await scheduler.wait_state(name, "TASK_RUNNING")
    group = _heard(tmp_path, "LAUNCH_GROUP")[0]["task_group"]["tasks"]
    assert [t["task_id"]["value"] for t in group] == ["g1", "g2"]


async def test_an_executor_survives_its_agent_and_sends_again_what_was_lost(
    subscribe: Subscribe, tmp_path: Path, cluster: Cluster
) -> None:
    scheduler = await subscribe("survives")
    agent = await _launch(scheduler, _executor(tmp_path), "a1")
    index = next(i for i, a in enumerate(cluster.agents) if a.id == agent["value"])
    await cluster.kill_agent(index)
    await asyncio.sleep(0.3)
    await cluster.return_agent(index)
    await _until(lambda: len(_heard(tmp_path, "SUBSCRIBED")) == 2)
    await scheduler.call("KILL", {"task_id": {"value": "a1"}})
    await scheduler.wait_state("a1", "TASK_KILLED")


async def test_an_executor_that_died_with_its_agent_fails_its_task(
    subscribe: Subscribe, tmp_path: Path, cluster: Cluster
) -> None:
    scheduler = await subscribe("both")
    agent = await _launch(scheduler, _executor(tmp_path), "b1")
    index = next(i for i, a in enumerate(cluster.agents) if a.id == agent["value"])
    await cluster.kill_agent(index, with_executors=True)
    await cluster.return_agent(index)
    status = await scheduler.wait_state("b1", "TASK_FAILED")
    assert status["reason"] == "REASON_EXECUTOR_TERMINATED"


@pytest.mark.parametrize(
    ("identity", "problem"),
    [
        ({"framework_id": {"value": "none"}}, "Framework cannot be found"),
        ({"executor_id": {"value": "none"}}, "Executor cannot be found"),
    ],
)
async def test_a_stranger_may_not_subscribe_as_an_executor(
    subscribe: Subscribe, tmp_path: Path, cluster: Cluster, identity: Json, problem: str
) -> None:
    from tests.contract.mesos.client import request

    scheduler = await subscribe("strangers")
    agent = await _launch(scheduler, _executor(tmp_path), "x")
    port = next(a.port for a in cluster.agents if a.id == agent["value"])
    call = {
        "type": "SUBSCRIBE",
        "framework_id": {"value": scheduler.framework_id},
        "executor_id": {"value": "x1"},
        "subscribe": {},
        **identity,
    }
    reply = await request(f"127.0.0.1:{port}", "POST", "/api/v1/executor", call)
    assert reply.pair == (400, problem)
