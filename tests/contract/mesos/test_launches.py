"""ACCEPT: what runs, what is refused and in which words: recordings 02 and 06."""

from typing import Any

import pytest

from scheduler.local import Cluster
from tests.contract.mesos.client import Json, Scheduler, launch, ports, request, scalar, task
from tests.contract.mesos.conftest import Subscribe

Offer = Json


async def _accept(scheduler: Scheduler, offers: list[Offer], tasks: list[Json]) -> None:
    reply = await scheduler.call("ACCEPT", launch(offers, tasks))
    assert reply.pair == (202, "")


async def _two_agents(scheduler: Scheduler) -> tuple[Offer, Offer]:
    offers = await scheduler.new_offers(0, 2)
    assert offers[0]["agent_id"] != offers[1]["agent_id"]
    return offers[0], offers[1]


async def _expect_dropped(scheduler: Scheduler, task_id: str, state: str, problem: str) -> None:
    status = await scheduler.wait_state(task_id, state)
    assert status["message"] == f"Task launched with invalid offers: {problem}"
    assert (status["source"], status["reason"]) == ("SOURCE_MASTER", "REASON_INVALID_OFFERS")
    assert "uuid" not in status


@pytest.mark.parametrize(
    ("capabilities", "state"),
    [(["MULTI_ROLE", "PARTITION_AWARE"], "TASK_DROPPED"), (["MULTI_ROLE"], "TASK_LOST")],
)
async def test_wrong_offers_drop_every_task(
    subscribe: Subscribe, capabilities: list[str], state: str
) -> None:
    scheduler = await subscribe("drop", capabilities=[{"type": c} for c in capabilities])
    one, other = await _two_agents(scheduler)
    agent = one["agent_id"]
    unknown = {"id": {"value": one["id"]["value"].rpartition("-")[0] + "-O99999"}}

    await _accept(scheduler, [unknown], [task("unknown", agent)])
    gone = f"Offer {unknown['id']['value']} is no longer valid"
    await _expect_dropped(scheduler, "unknown", state, gone)

    await _accept(scheduler, [one, other], [task("two", agent)])
    problem = (
        f"Aggregated offers must belong to one single agent. Offer {other['id']['value']} uses "
        f"agent {other['agent_id']['value']} and agent {agent['value']}"
    )
    await _expect_dropped(scheduler, "two", state, problem)

    # Both are void now: they were named in a refused ACCEPT.
    await _accept(scheduler, [one], [task("stale", agent)])
    await _expect_dropped(
        scheduler, "stale", state, f"Offer {one['id']['value']} is no longer valid"
    )

    await _accept(scheduler, [], [task("none", agent)])
    await _expect_dropped(scheduler, "none", state, "No offers specified")

    fresh = await scheduler.wait(
        lambda: [o for o in scheduler.offers()[2:] if o["agent_id"] == agent]
    )
    await _accept(scheduler, [fresh[-1], fresh[-1]], [task("double", agent)])
    problem = f"Duplicate offer {fresh[-1]['id']['value']} in offer list"
    await _expect_dropped(scheduler, "double", state, problem)


async def test_a_foreign_offer_drops_the_tasks(subscribe: Subscribe) -> None:
    one = await subscribe("owner")
    offer = (await one.new_offers(0))[0]
    other = await subscribe("thief")
    await _accept(other, [offer], [task("stolen", offer["agent_id"])])
    status = await other.wait_state("stolen", "TASK_DROPPED")
    assert status["reason"] == "REASON_INVALID_OFFERS"


def _available(offer: Offer, role: str = "web") -> str:
    parts: list[str] = []
    for resource in offer["resources"]:
        name = f"{resource['name']}(allocated: {role})"
        if "ranges" in resource:
            spans = resource["ranges"]["range"]
            parts.append(f"{name}:[" + ", ".join(f"{s['begin']}-{s['end']}" for s in spans) + "]")
        else:
            parts.append(f"{name}:{resource['scalar']['value']:g}")
    return "; ".join(parts)


TOO_MUCH: dict[str, tuple[list[Json], str]] = {
    "cpus": (
        [scalar("cpus", 999), scalar("mem", 32)],
        "cpus(allocated: web):999; mem(allocated: web):32",
    ),
    "role": (
        [scalar("cpus", 0.1, allocation_info={"role": "other"})],
        "cpus(allocated: other):0.1",
    ),
    "reserved": (
        [
            scalar(
                "cpus",
                0.1,
                reservations=[{"type": "DYNAMIC", "role": "web", "principal": "trace"}],
            )
        ],
        "cpus(allocated: web)(reservations: [(DYNAMIC,web,trace)]):0.1",
    ),
    "port": (
        [scalar("cpus", 0.1), ports(80, 80)],
        "cpus(allocated: web):0.1; ports(allocated: web):[80-80]",
    ),
    "bogus": (
        [scalar("cpus", 0.1), scalar("bogus", 1)],
        "cpus(allocated: web):0.1; bogus(allocated: web):1",
    ),
}


@pytest.mark.parametrize("case", TOO_MUCH)
async def test_what_the_offer_does_not_hold_is_an_error(subscribe: Subscribe, case: str) -> None:
    resources, wanted = TOO_MUCH[case]
    scheduler = await subscribe("much")
    offer = (await scheduler.new_offers(0))[0]
    big = task("big", offer["agent_id"], resources=resources)
    await _accept(scheduler, [offer], [big, task("fits", offer["agent_id"])])
    status = await scheduler.wait_state("big", "TASK_ERROR")
    assert status["message"] == (
        f"Total resources {wanted} required by task and its executor is more than available "
        f"{_available(offer)}"
    )
    assert (status["source"], status["reason"]) == ("SOURCE_MASTER", "REASON_TASK_INVALID")
    await scheduler.wait_state("fits", "TASK_RUNNING")


async def test_a_task_may_not_use_what_an_earlier_one_took(subscribe: Subscribe) -> None:
    scheduler = await subscribe("half")
    offer = (await scheduler.new_offers(0))[0]
    cpus = next(r for r in offer["resources"] if r["name"] == "cpus")["scalar"]["value"]
    half = [scalar("cpus", cpus * 0.6), scalar("mem", 32)]
    tasks = [task(name, offer["agent_id"], resources=half) for name in ("half.1", "half.2")]
    await _accept(scheduler, [offer], tasks)
    await scheduler.wait_state("half.2", "TASK_ERROR")
    await scheduler.wait_state("half.1", "TASK_RUNNING")


INVALID: dict[str, tuple[Json, str]] = {
    "no-resources": ({"resources": []}, "Task uses no resources"),
    "other-agent": ({"agent_id": {"value": "none-S9"}}, "Task uses invalid agent none-S9 while"),
    "no-command": (
        {"command": None},
        "Task should have at least one (but not both) of CommandInfo or ExecutorInfo present",
    ),
    "both": (
        {
            "executor": {
                "type": "CUSTOM",
                "executor_id": {"value": "e"},
                "command": {"value": "sleep 1"},
            }
        },
        "Task should have at least one (but not both) of CommandInfo or ExecutorInfo present",
    ),
    "slash": ({"task_id": {"value": "a/b"}}, "'a/b' contains invalid characters"),
    "empty": ({"task_id": {"value": ""}}, "ID must not be empty"),
    "long": ({"task_id": {"value": "x" * 300}}, "ID must not be greater than 255 characters"),
    "kill-policy": (
        {"kill_policy": {"grace_period": {"nanoseconds": -5}}},
        "Task's 'kill_policy.grace_period' must be non-negative",
    ),
    "variable": (
        {"command": {"value": "true", "environment": {"variables": [{"name": "X"}]}}},
        (
            "Task's `CommandInfo` is invalid: Environment variable 'X' of type 'VALUE' must have a "
            "value set"
        ),
    ),
    "http": (
        {"health_check": {"type": "HTTP"}},
        "Task uses invalid health check: Expecting 'http' to be set for HTTP health check",
    ),
    "interval": (
        {
            "health_check": {
                "type": "COMMAND",
                "command": {"value": "true"},
                "interval_seconds": -1,
            }
        },
        "Task uses invalid health check: Expecting 'interval_seconds' to be non-negative",
    ),
    "executor": (
        {
            "command": None,
            "executor": {
                "type": "CUSTOM",
                "executor_id": {"value": "e2"},
                "framework_id": {"value": "other"},
                "command": {"value": "sleep 1"},
            },
        },
        "ExecutorInfo has an invalid FrameworkID (Actual: other vs Expected: ",
    ),
}


@pytest.mark.parametrize("case", INVALID)
async def test_an_invalid_task_is_an_error_of_its_own(subscribe: Subscribe, case: str) -> None:
    changes, message = INVALID[case]
    scheduler = await subscribe("invalid")
    offer = (await scheduler.new_offers(0))[0]
    bad = task("bad", offer["agent_id"], **changes)
    await _accept(scheduler, [offer], [bad, task("good", offer["agent_id"])])
    status = await scheduler.wait_state(bad["task_id"]["value"], "TASK_ERROR")
    assert status["message"].startswith(message)
    assert (status["source"], status["reason"]) == ("SOURCE_MASTER", "REASON_TASK_INVALID")
    assert "uuid" not in status
    await scheduler.wait_state("good", "TASK_RUNNING")


async def test_a_task_id_in_use_is_an_error(subscribe: Subscribe, address: str) -> None:
    counter = "master/task_error/source_master/reason_task_invalid"
    before = (await request(address, "GET", "/metrics/snapshot")).json.get(counter, 0)
    scheduler = await subscribe("duplicate")
    offer = (await scheduler.new_offers(0))[0]
    twice = [task("dup", offer["agent_id"]), task("dup", offer["agent_id"])]
    await _accept(scheduler, [offer], twice)
    status = await scheduler.wait_state("dup", "TASK_ERROR")
    assert status["message"] == "Task has duplicate ID: dup"
    assert (await request(address, "GET", "/metrics/snapshot")).json[counter] == before + 1
    await scheduler.wait_state("dup", "TASK_RUNNING")


async def test_one_invalid_resource_spoils_the_whole_accept(subscribe: Subscribe) -> None:
    scheduler = await subscribe("negative")
    offer = (await scheduler.new_offers(0))[0]
    bad = task("bad", offer["agent_id"], resources=[scalar("cpus", -1), scalar("mem", 32)])
    await _accept(scheduler, [offer], [task("good", offer["agent_id"]), bad])
    for name in ("good", "bad"):
        status = await scheduler.wait_state(name, "TASK_ERROR")
        expected = "Resource 'cpus:-1' is invalid: Invalid scalar resource: value <= 0"
        assert status["message"] == expected


@pytest.mark.parametrize(
    ("changes", "path"), [({"agent_id": None}, "agent_id"), ({"name": None}, "name")]
)
async def test_a_missing_required_field_refuses_the_call_and_keeps_the_offer(
    subscribe: Subscribe, changes: Json, path: str
) -> None:
    scheduler = await subscribe("missing")
    offer = (await scheduler.new_offers(0))[0]
    good = task("good", offer["agent_id"])
    bad = task("bad", offer["agent_id"], **changes)
    reply = await scheduler.call("ACCEPT", launch([offer], [good, bad]))
    assert reply.pair == (
        400,
        (
            "Failed to convert JSON into Call protobuf: Missing required fields: "
            f"accept.operations[0].launch.task_infos[1].{path}"
        ),
    )
    await _accept(scheduler, [offer], [good])
    await scheduler.wait_state("good", "TASK_RUNNING")


@pytest.mark.parametrize(
    "resources",
    [
        [scalar("cpus", 0), scalar("mem", 32)],
        [scalar("cpus", 0.1)],
        [scalar("mem", 32)],
        [scalar("cpus", 0.001), scalar("mem", 1)],
    ],
)
async def test_very_little_is_enough_to_run(subscribe: Subscribe, resources: list[Json]) -> None:
    scheduler = await subscribe("little")
    offer = (await scheduler.new_offers(0))[0]
    await _accept(
        scheduler, [offer], [task("little", offer["agent_id"], "true", resources=resources)]
    )
    await scheduler.wait_state("little", "TASK_FINISHED")
    assert scheduler.states("little") == ["TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED"]


async def test_an_operation_id_on_a_launch_is_an_error(subscribe: Subscribe) -> None:
    scheduler = await subscribe("operation")
    offer = (await scheduler.new_offers(0))[0]
    body = launch([offer], [task("withid", offer["agent_id"])])
    body["operations"][0]["id"] = {"value": "op"}
    await scheduler.call("ACCEPT", body)
    status = await scheduler.wait_state("withid", "TASK_ERROR")
    assert status["message"] == "The `id` field cannot be set on LAUNCH operations"


async def test_operations_on_reservations_and_volumes_are_refused_with_their_id(
    subscribe: Subscribe, cluster: Cluster
) -> None:
    scheduler = await subscribe("reserve")
    offer = (await scheduler.new_offers(0))[0]
    reserved = [{**scalar("cpus", 1), "reservations": [{"type": "DYNAMIC", "role": "web"}]}]
    operation = {"type": "RESERVE", "reserve": {"resources": reserved}}
    body = {
        "offer_ids": [offer["id"]],
        "operations": [operation, {**operation, "id": {"value": "op1"}}],
    }
    assert (await scheduler.call("ACCEPT", body)).status == 202
    (update,) = await scheduler.wait(lambda: scheduler.of("UPDATE_OPERATION_STATUS"))
    assert update["status"]["operation_id"] == {"value": "op1"}
    assert update["status"]["state"] == "OPERATION_ERROR"
    assert "uuid" not in update["status"]


async def test_an_unknown_operation_is_skipped(subscribe: Subscribe) -> None:
    scheduler = await subscribe("unknown")
    offer = (await scheduler.new_offers(0))[0]
    body = launch([offer], [task("after", offer["agent_id"])])
    body["operations"].insert(0, {"type": "NONSENSE"})
    await scheduler.call("ACCEPT", body)
    await scheduler.wait_state("after", "TASK_RUNNING")


async def test_a_group_is_refused_as_a_whole(subscribe: Subscribe) -> None:
    scheduler = await subscribe("group")
    offer = (await scheduler.new_offers(0))[0]
    executor: dict[str, Any] = {
        "type": "CUSTOM",
        "framework_id": {"value": scheduler.framework_id},
        "executor_id": {"value": "x"},
        "command": {"value": "sleep 1"},
        "resources": [scalar("cpus", 0.1), scalar("mem", 32)],
    }
    tasks = [task(name, offer["agent_id"]) for name in ("group.a", "group.b")]
    operation = {
        "type": "LAUNCH_GROUP",
        "launch_group": {"executor": executor, "task_group": {"tasks": tasks}},
    }
    body = {"offer_ids": [offer["id"]], "operations": [operation]}
    await scheduler.call("ACCEPT", body)
    for name in ("group.a", "group.b"):
        status = await scheduler.wait_state(name, "TASK_ERROR")
        assert status["message"] == "Executor 'x' uses no disk"
        assert status["reason"] == "REASON_TASK_GROUP_INVALID"


async def test_a_group_names_the_framework_of_its_executor(subscribe: Subscribe) -> None:
    scheduler = await subscribe("group")
    offer = (await scheduler.new_offers(0))[0]
    executor = {"type": "DEFAULT", "executor_id": {"value": "x"}}
    group = {"tasks": [task("nameless", offer["agent_id"])]}
    operation = {
        "type": "LAUNCH_GROUP",
        "launch_group": {"executor": executor, "task_group": group},
    }
    await scheduler.call("ACCEPT", {"offer_ids": [offer["id"]], "operations": [operation]})
    status = await scheduler.wait_state("nameless", "TASK_ERROR")
    assert status["message"] == "'ExecutorInfo.framework_id' must be set"
