"""Reading of Mesos messages, first by hand, then on everything a real Mesos 1.12 said."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.core.events import AgentLost, ExecutorLost, StatusUpdate
from scheduler.core.ids import AgentId, OfferId, TaskId
from scheduler.core.instance import TaskState
from scheduler.core.offer import Agent, Offer, Pool, PortRange
from scheduler.mesos.parse import (
    ParseError,
    attribute_text,
    parse_failure,
    parse_offer,
    parse_offer_id,
    parse_status,
)

TRACES = Path(__file__).parents[2] / "traces"
SCHEDULER_EVENTS = {"OFFERS", "UPDATE", "FAILURE", "RESCIND"}


def trace_events() -> list[tuple[str, dict[str, Any]]]:
    """Every event of a scheduler's stream; executors' and operators' streams are others."""
    found: list[tuple[str, dict[str, Any]]] = []
    for file in sorted(TRACES.glob("*.jsonl")):
        for line in file.read_text().splitlines():
            entry = json.loads(line)
            if entry["k"] == "event" and entry["event"].get("type") in SCHEDULER_EVENTS:
                found.append((f"{file.name} t={entry['t']}", entry["event"]))
    return found


def scalar(name: str, value: Any, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": "SCALAR", "scalar": {"value": value}, **more}


def ports(*ranges: tuple[int, int], **more: Any) -> dict[str, Any]:
    pairs = [{"begin": begin, "end": end} for begin, end in ranges]
    return {"name": "ports", "type": "RANGES", "ranges": {"range": pairs}, **more}


def offer(**more: Any) -> dict[str, Any]:
    return {
        "id": {"value": "O1"},
        "framework_id": {"value": "F"},
        "agent_id": {"value": "S1"},
        "hostname": "agent1.test",
        "allocation_info": {"role": "web"},
        "resources": [],
        **more,
    }


RESERVED = {
    "reservations": [
        {"type": "STATIC", "role": "web"},
        {"type": "DYNAMIC", "role": "web/shop", "principal": "p"},
    ]
}


def test_reads_an_offer_whole():
    raw = offer(
        url={"scheme": "http", "address": {"hostname": "h", "ip": "10.0.0.1", "port": 5051}},
        domain={"fault_domain": {"region": {"name": "eu"}, "zone": {"name": "eu-a"}}},
        attributes=[
            {"name": "rack", "type": "TEXT", "text": {"value": "r1"}},
            {"name": "level", "type": "SCALAR", "scalar": {"value": 10.0}},
        ],
        resources=[
            ports((31000, 31005), (8080, 8080)),
            scalar("cpus", 7.9),
            scalar("mem", 16000.0),
            scalar("disk", 20000.5),
            scalar("gpus", 2.0),
            scalar("cpus", 0.1),
            scalar("cpus", 1.0, **RESERVED),
            ports((9000, 9000), **RESERVED),
        ],
        unavailability={
            "start": {"nanoseconds": 1_795_495_023_369_305_600},
            "duration": {"nanoseconds": 3_600_000_000_000},
        },
    )
    reservation = json.dumps(RESERVED["reservations"], sort_keys=True, separators=(",", ":"))
    assert parse_offer(raw) == Offer(
        id=OfferId("O1"),
        agent=Agent(AgentId("S1"), "agent1.test", (("rack", "r1"), ("level", "10")), "eu", "eu-a"),
        role="web",
        pools=(
            Pool(
                cpus_milli=8000,
                mem_mib=16000,
                disk_mib=20000,
                gpus=2,
                ports=(PortRange(8080, 8080), PortRange(31000, 31005)),
            ),
            Pool("web/shop", 1000, ports=(PortRange(9000, 9000),), reservation=reservation),
        ),
        unavailable_from_ms=1_795_495_023_369,
        unavailable_for_ms=3_600_000,
        address="10.0.0.1",
    )
    assert parse_offer(raw).address == "10.0.0.1"


def test_maintenance_without_an_end_has_no_duration():
    read = parse_offer(offer(unavailability={"start": {"nanoseconds": 5_000_000}}))
    assert (read.unavailable_from_ms, read.unavailable_for_ms) == (5, None)


@pytest.mark.parametrize(
    "special",
    [
        {"revocable": {}},
        {"shared": {}},
        {"provider_id": {"value": "csi"}},
        {"disk": {"persistence": {"id": "v"}, "volume": {"container_path": "d", "mode": "RW"}}},
        {"disk": {"source": {"type": "MOUNT", "mount": {"root": "/mnt"}}}},
    ],
)
def test_resources_that_are_not_for_plain_tasks_are_left_out(special: dict[str, Any]):
    raw = offer(resources=[scalar("disk", 100.0, **special), scalar("disk", 7.0)])
    assert parse_offer(raw).pools == (Pool(disk_mib=7),)


def test_the_old_form_of_reservations_is_read_into_the_new_one():
    raw = offer(
        resources=[
            scalar("cpus", 1.0, role="*"),
            scalar("cpus", 2.0, role="web"),
            scalar("cpus", 3.0, role="web", reservation={"principal": "p"}),
        ]
    )
    assert parse_offer(raw).pools == (
        Pool(cpus_milli=1000),
        Pool("web", 2000, reservation='[{"role":"web","type":"STATIC"}]'),
        Pool("web", 3000, reservation='[{"principal":"p","role":"web","type":"DYNAMIC"}]'),
    )


def test_unknown_resources_are_ignored():
    raw = offer(
        resources=[
            {"name": "fpgas", "type": "SET", "set": {"item": ["a"]}},
            scalar("network_bandwidth", 5.0),
        ]
    )
    assert parse_offer(raw).pools == (Pool(),)


@given(st.integers(min_value=0, max_value=10**9))
def test_milli_cpus_are_exact_whatever_the_double_says(milli: int):
    read = parse_offer(offer(resources=[scalar("cpus", milli / 1000)]))
    assert read.pools[0].cpus_milli == milli


@pytest.mark.parametrize(
    ("attribute", "text"),
    [
        ({"type": "TEXT", "text": {"value": "a b"}}, "a b"),
        ({"type": "SCALAR", "scalar": {"value": 10.0}}, "10"),
        ({"type": "SCALAR", "scalar": {"value": 0.5}}, "0.5"),
        ({"type": "SCALAR", "scalar": {"value": 1.0005}}, "1"),
        ({"type": "SCALAR", "scalar": {"value": 1.0015}}, "1.002"),
        ({"type": "SCALAR", "scalar": {"value": 1e7}}, "10000000"),
        ({"type": "SCALAR", "scalar": {"value": -0.0001}}, "0"),
        (
            {
                "type": "RANGES",
                "ranges": {"range": [{"begin": 8, "end": 9}, {"begin": 1, "end": 5}]},
            },
            "[1-5,8-9]",
        ),
        ({"type": "SET", "set": {"item": ["b", "a"]}}, "{a,b}"),
    ],
)
def test_attributes_are_spelled_as_constraints_compare_them(attribute: dict[str, Any], text: str):
    assert attribute_text(attribute) == text


def test_reads_a_status_update_whole():
    raw = {
        "task_id": {"value": "t"},
        "state": "TASK_RUNNING",
        "agent_id": {"value": "S1"},
        "uuid": "syEvX7DIRXeaz1w/o+rd9g==",
        "source": "SOURCE_EXECUTOR",
        "reason": "REASON_TASK_HEALTH_CHECK_STATUS_UPDATED",
        "message": "m",
        "healthy": False,
        "timestamp": 1795494743.196625,
        "unreachable_time": {"nanoseconds": 1_795_494_743_000_000_000},
        "container_status": {
            "network_infos": [
                {"ip_addresses": [{"ip_address": "10.1.0.1"}, {"ip_address": "fd00::1"}]},
                {"ip_addresses": [{"ip_address": "10.1.0.1"}, {"protocol": "IPv4"}]},
                {},
            ]
        },
    }
    assert parse_status(raw) == StatusUpdate(
        task_id=TaskId("t"),
        state=TaskState.RUNNING,
        agent_id=AgentId("S1"),
        uuid="syEvX7DIRXeaz1w/o+rd9g==",
        source="SOURCE_EXECUTOR",
        reason="REASON_TASK_HEALTH_CHECK_STATUS_UPDATED",
        message="m",
        healthy=False,
        addresses=("10.1.0.1", "fd00::1"),
        timestamp_ms=1_795_494_743_197,
        unreachable_since_ms=1_795_494_743_000,
    )


def test_absence_in_an_update_is_not_a_value():
    read = parse_status({"task_id": {"value": "t"}, "state": "TASK_UNKNOWN"})
    assert read == StatusUpdate(TaskId("t"), TaskState.UNKNOWN)
    assert read.healthy is None
    assert read.uuid is None


def test_failures_of_agents_and_of_executors_are_told_apart():
    assert parse_failure({"agent_id": {"value": "S1"}}) == AgentLost(AgentId("S1"))
    assert parse_failure(
        {"agent_id": {"value": "S1"}, "executor_id": {"value": "x"}, "status": 1792}
    ) == ExecutorLost(AgentId("S1"), "x", 1792)
    assert parse_failure(
        {"agent_id": {"value": "S1"}, "executor_id": {"value": "x"}, "status": None}
    ) == ExecutorLost(AgentId("S1"), "x", None)


@pytest.mark.parametrize(
    ("parse", "raw"),
    [
        (parse_offer, {}),
        (parse_offer, offer(hostname=7)),
        (parse_offer, offer(agent_id={})),
        (parse_offer, offer(resources=[scalar("cpus", "many")])),
        (parse_offer, offer(resources=[scalar("cpus", float("nan"))])),
        (parse_offer, offer(resources=[scalar("cpus", float("inf"))])),
        (parse_offer, offer(resources=[{"name": "ports"}])),
        (parse_offer, offer(attributes=[{"name": "x", "type": "TEXT"}])),
        (parse_offer, offer(attributes=7)),
        (parse_status, {"task_id": {"value": "t"}}),
        (parse_status, {"task_id": {"value": "t"}, "state": "TASK_DANCING"}),
        (parse_status, {"task_id": {"value": "t"}, "state": "TASK_RUNNING", "healthy": "yes"}),
        (parse_status, {"task_id": {"value": "t"}, "state": "TASK_RUNNING", "uuid": {}}),
        (parse_status, {"task_id": "t", "state": "TASK_RUNNING"}),
        (parse_failure, {}),
        (parse_failure, {"agent_id": {"value": "S1"}, "executor_id": {}}),
        (parse_offer_id, {}),
        (parse_offer_id, {"value": None}),
    ],
)
def test_a_message_that_is_not_what_it_should_be_is_a_parse_error(parse: Any, raw: Any):
    with pytest.raises(ParseError):
        parse(raw)


def test_every_event_a_real_mesos_sent_is_read():
    read: Counter[str] = Counter()
    for where, event in trace_events():
        kind = event["type"]
        message = event[kind.lower()]
        try:
            match kind:
                case "OFFERS":
                    for raw in message["offers"]:
                        assert parse_offer(raw).agent.host == raw["hostname"]
                case "UPDATE":
                    status = parse_status(message["status"])
                    assert status.state.value == message["status"]["state"]
                    assert (status.uuid is None) == ("uuid" not in message["status"])
                case "FAILURE":
                    parse_failure(message)
                case _:
                    parse_offer_id(message["offer_id"])
        except ParseError as problem:
            pytest.fail(f"{where}: {problem}")
        read[kind] += 1
    assert read == {"UPDATE": 502, "OFFERS": 210, "FAILURE": 26, "RESCIND": 18}


def test_the_first_offer_of_the_traces_is_read_to_the_last_field():
    raw = next(
        raw
        for _, event in trace_events()
        if event["type"] == "OFFERS"
        for raw in event["offers"]["offers"]
    )
    assert parse_offer(raw) == Offer(
        id=OfferId("50b3accf-c5ea-4640-89b6-5326fd3be54f-O0"),
        agent=Agent(
            AgentId("50b3accf-c5ea-4640-89b6-5326fd3be54f-S2"),
            "127.0.0.1",
            (("rack", "r1"), ("disk", "ssd"), ("level", "10"), ("slots", "[1-5]")),
            "eu-1",
            "eu-1a",
        ),
        role="web",
        pools=(
            Pool(cpus_milli=8000, mem_mib=16000, disk_mib=20000, ports=(PortRange(31000, 31999),)),
        ),
        address="127.0.0.1",
    )


def test_volumes_of_the_traces_are_never_offered_as_plain_disk():
    for where, event in trace_events():
        if event["type"] != "OFFERS":
            continue
        for raw in event["offers"]["offers"]:
            volumes = sum(
                resource["scalar"]["value"]
                for resource in raw["resources"]
                if "persistence" in resource.get("disk", {})
            )
            told = sum(
                resource["scalar"]["value"]
                for resource in raw["resources"]
                if resource["name"] == "disk"
            )
            assert sum(pool.disk_mib for pool in parse_offer(raw).pools) == told - volumes, where
