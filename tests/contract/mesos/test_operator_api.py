"""The operator's views, and the sandbox files: recording 14."""

import asyncio
import base64
import json
from pathlib import Path

from scheduler.local import Cluster
from tests.contract.mesos.client import (
    Connection,
    Json,
    Scheduler,
    launch,
    ports,
    request,
    scalar,
    task,
)
from tests.contract.mesos.conftest import Subscribe
from tests.support import eventually

TRACE = Path(__file__).parents[2] / "traces" / "14-operator-api.jsonl"


def _recorded(path: str) -> Json:
    """Return the recorded reply of a GET."""
    for line in TRACE.read_text().splitlines():
        record = json.loads(line)
        if record["k"] == "call" and record["path"] == path and record["method"] == "GET":
            reply = record["reply"]
            return json.loads(reply) if isinstance(reply, str) else reply
    raise AssertionError(path)


async def _run(scheduler: Scheduler) -> Json:
    offer = (await scheduler.new_offers(0))[0]
    first = next(r for r in offer["resources"] if r["name"] == "ports")["ranges"]["range"][0][
        "begin"
    ]
    resources = [scalar("cpus", 0.1), scalar("mem", 32), ports(first, first)]
    labels = {"labels": [{"key": "a", "value": "b"}]}
    infos = [
        task(
            "op.1", offer["agent_id"], "echo hello; sleep 1000", resources=resources, labels=labels
        ),
        task("op.2", offer["agent_id"], "true"),
    ]
    await scheduler.call("ACCEPT", launch([offer], infos))
    await scheduler.wait_state("op.1", "TASK_RUNNING")
    await scheduler.wait_state("op.2", "TASK_FINISHED")
    await scheduler.wait_acknowledged()
    return {**offer, "port": first}


async def test_state_tells_agents_frameworks_and_tasks(subscribe: Subscribe, address: str) -> None:
    scheduler = await subscribe("state")
    offer = await _run(scheduler)
    for path in ("/state", "/master/state"):
        state = (await request(address, "GET", path)).json
        mine = next(f for f in state["frameworks"] if f["id"] == scheduler.framework_id)
        running = {t["id"]: t for t in mine["tasks"]}
        assert list(running) == ["op.1"]
        assert running["op.1"]["state"] == "TASK_RUNNING"
        assert running["op.1"]["executor_id"] == ""
        assert running["op.1"]["labels"] == [{"key": "a", "value": "b"}]
        expected = f"[{offer['port']}-{offer['port']}]"
        assert running["op.1"]["resources"] == {
            "cpus": 0.1,
            "mem": 32.0,
            "disk": 0.0,
            "gpus": 0.0,
            "ports": expected,
        }
        assert [t["id"] for t in mine["completed_tasks"]] == ["op.2"]
        agent = next(a for a in state["slaves"] if a["id"] == offer["agent_id"]["value"])
        assert agent["used_resources"]["cpus"] == 0.1
        assert agent["active"] is True


async def test_views_have_the_fields_of_the_recording_that_tools_read(
    subscribe: Subscribe, address: str
) -> None:
    scheduler = await subscribe("fields")
    await _run(scheduler)
    recorded = _recorded("/frameworks")["frameworks"][0]
    mine = next(
        f
        for f in (await request(address, "GET", "/frameworks")).json["frameworks"]
        if f["id"] == scheduler.framework_id
    )
    not_shown = {"resources", "offers", "offer_constraints"}
    assert set(recorded) - set(mine) <= not_shown
    recorded_task = _recorded("/tasks")["tasks"][0]
    tasks = (await request(address, "GET", "/tasks")).json["tasks"]
    assert set(recorded_task) <= set(next(t for t in tasks if t["id"] == "op.1"))


async def test_calls_of_the_operator_api(subscribe: Subscribe, address: str) -> None:
    scheduler = await subscribe("calls")
    await _run(scheduler)

    async def ask(kind: str) -> Json:
        call: Json = {"type": kind}
        if kind == "GET_METRICS":
            call["get_metrics"] = {"timeout": {"nanoseconds": 1_000_000_000}}
        reply = await request(address, "POST", "/api/v1", call)
        assert (reply.status, reply.json["type"]) == (200, kind)
        return reply.json[kind.lower()]

    assert (await ask("GET_HEALTH")) == {"healthy": True}
    assert (await ask("GET_VERSION"))["version_info"]["version"]
    tasks = await ask("GET_TASKS")
    assert "op.1" in {t["task_id"]["value"] for t in tasks["tasks"]}
    assert "op.2" in {t["task_id"]["value"] for t in tasks["completed_tasks"]}
    agents = (await ask("GET_AGENTS"))["agents"]
    assert {a["active"] for a in agents} == {True}
    frameworks = (await ask("GET_FRAMEWORKS"))["frameworks"]
    ids = {f["framework_info"]["id"]["value"] for f in frameworks}
    assert scheduler.framework_id in ids
    state = await ask("GET_STATE")
    assert {"get_tasks", "get_executors", "get_frameworks", "get_agents"} <= set(state)
    names = {m["name"] for m in (await ask("GET_METRICS"))["metrics"]}
    assert {"master/tasks_running", "master/frameworks_active", "master/cpus_total"} <= names
    reply = await request(address, "POST", "/api/v1", {"type": "NOPE"})
    problem = "Failed to validate master::Call: Expecting 'type' to be present"
    assert reply.pair == (400, problem)


async def test_health_version_and_metrics_are_plain_gets(address: str) -> None:
    assert (await request(address, "GET", "/health")).pair == (200, "")
    assert "version" in (await request(address, "GET", "/version")).json
    metrics = (await request(address, "GET", "/metrics/snapshot")).json
    assert metrics["master/slaves_active"] >= 1


async def test_an_operators_teardown_just_ends_the_stream(
    subscribe: Subscribe, address: str
) -> None:
    scheduler = await subscribe("teardown")
    body = {"framework_id": {"value": scheduler.framework_id}}
    reply = await request(address, "POST", "/api/v1", {"type": "TEARDOWN", "teardown": body})
    assert reply.status == 200
    await scheduler.wait_closed()
    assert scheduler.of("ERROR") == []
    again = await request(address, "POST", "/api/v1", {"type": "TEARDOWN", "teardown": body})
    assert again.pair == (400, "No framework found with specified ID")


async def test_the_operators_stream_tells_of_tasks(subscribe: Subscribe, address: str) -> None:
    stream = await Connection.open(address)
    headers: dict[str, str | None] = {
        "Content-Type": "application/json",
        "Accept": "application/json",
    }
    stream.write("POST", "/api/v1", headers, b'{"type":"SUBSCRIBE"}')
    status, _ = await stream.read_head()
    assert status == 200
    scheduler = await subscribe("stream")
    await _run(scheduler)
    kinds: list[str] = []
    async with asyncio.timeout(20):
        while "TASK_UPDATED" not in kinds:
            record = (await stream.read_chunk()).partition(b"\n")[2]
            kinds.append(json.loads(record)["type"])
    stream.close()
    assert kinds[:2] == ["SUBSCRIBED", "HEARTBEAT"]
    assert {"FRAMEWORK_ADDED", "TASK_ADDED"} <= set(kinds)


async def test_a_tasks_output_can_be_read_on_its_agent(
    subscribe: Subscribe, cluster: Cluster
) -> None:
    scheduler = await subscribe("output")
    offer = await _run(scheduler)
    agent = f"127.0.0.1:{offer['url']['address']['port']}"
    state = (await request(agent, "GET", "/state")).json
    executors = [e for f in state["frameworks"] for e in f["executors"]]
    directory = next(e for e in executors if e["id"] == "op.1")["directory"]
    browsed = (await request(agent, "GET", f"/files/browse?path={directory}")).json
    assert {Path(f["path"]).name for f in browsed} >= {"stdout", "stderr"}
    path = f"/files/read?path={directory}/stdout&offset=0&length=100"

    async def output() -> Json | None:
        read = (await request(agent, "GET", path)).json
        return read if read["data"] else None

    # A task counts as running a moment before its shell has written anything.
    assert (await eventually(output, what="output")) == {"data": "hello\n", "offset": 0}
    size = (await request(agent, "GET", f"/files/read?path={directory}/stdout")).json
    assert size == {"data": "", "offset": 6}
    call = {"type": "READ_FILE", "read_file": {"path": f"{directory}/stdout", "offset": 1}}
    read = (await request(agent, "POST", "/api/v1", call)).json["read_file"]
    assert (read["size"], base64.b64decode(read["data"])) == (6, b"ello\n")
    for outside in ("/etc/passwd", f"{directory}/../../../../../../../../../../../etc/passwd"):
        reply = await request(agent, "GET", f"/files/read?path={outside}&offset=0")
        assert reply.status == 404
