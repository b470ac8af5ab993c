"""Our events have exactly the fields that recorded ones have, in every depth."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scheduler.local import AgentConfig, Cluster
from tests.contract.mesos.client import Json, Scheduler, framework_info, launch, task

TRACES = Path(__file__).parents[2] / "traces"


def _paths(value: Any, path: str = "") -> Iterator[str]:
    """Yield the path and type of every leaf; list elements share a path."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _paths(item, f"{path}.{name}")
    elif isinstance(value, list):
        for item in value:
            yield from _paths(item, f"{path}[]")
    else:
        yield f"{path}:{type(value).__name__}"


def _recorded(file: str, kind: str, state: str = "") -> set[str]:
    """Return the paths of all recorded events of a kind (and task state) together."""
    found: set[str] = set()
    for line in (TRACES / file).read_text().splitlines():
        record = json.loads(line)
        event = record.get("event", {})
        if record["k"] != "event" or record["s"].startswith(("executor", "op")):
            continue
        told = event.get("update", {}).get("status", {}).get("state", "")
        if event["type"] == kind and told == state:
            found |= set(_paths(event))
    assert found
    return found


def _ours(events: list[Json], kind: str, state: str = "") -> set[str]:
    chosen = [
        e
        for e in events
        if e["type"] == kind and e.get("update", {}).get("status", {}).get("state", "") == state
    ]
    assert chosen
    return {path for event in chosen for path in _paths(event)}


@pytest.fixture(scope="module")
def config() -> AgentConfig:
    """An agent like those of recording 01."""
    return AgentConfig(
        attributes={"rack": "r1", "level": 10.0, "slots": ((1, 5),)}, region="eu-1", zone="eu-1a"
    )


async def test_events_have_the_fields_of_recorded_ones(config: AgentConfig, tmp_path: Path) -> None:
    domain = ("eu-1", "eu-1a")
    async with Cluster([config], work_dir=tmp_path, domain=domain) as cluster:
        scheduler = await Scheduler(cluster.master_address).subscribe(framework_info("shapes"))
        offer = (await scheduler.new_offers(0))[0]
        little = task("little", offer["agent_id"], "true")
        big = task("big", offer["agent_id"], "exit 1")
        sleeping = task("sleeping", offer["agent_id"])
        await scheduler.call("ACCEPT", launch([offer], [little, big, sleeping]))
        await scheduler.wait_state("little", "TASK_FINISHED")
        await scheduler.wait_state("big", "TASK_FAILED")
        await scheduler.wait_state("sleeping", "TASK_RUNNING")
        await scheduler.call("KILL", {"task_id": {"value": "sleeping"}})
        await scheduler.wait_state("sleeping", "TASK_KILLED")
        await scheduler.call("RECONCILE", {"tasks": [{"task_id": {"value": "none"}}]})
        await scheduler.wait_state("none", "TASK_UNKNOWN")
        await scheduler.new_offers(1)
        cluster.rescind_offers()
        await scheduler.wait(lambda: scheduler.of("RESCIND"))
        events = list(scheduler.events)
        await scheduler.close()
    for kind in ("SUBSCRIBED", "HEARTBEAT", "OFFERS", "RESCIND"):
        recorded = _recorded("01-subscribe-offers.jsonl", kind)
        # The recording also has a framework that sees the old format of resources.
        old_format = {p for p in recorded if p.endswith(".role:str") and "allocation" not in p}
        assert _ours(events, kind) == recorded - old_format
    for state in ("TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED", "TASK_KILLING", "TASK_KILLED"):
        ours = _ours(events, "UPDATE", state)
        recorded = _recorded("02-command-executor.jsonl", "UPDATE", state)
        # One recorded task was killed before its executor was there, with a reason.
        assert ours == recorded - {".update.status.reason:str"}
    unknown = _recorded("02-command-executor.jsonl", "UPDATE", "TASK_UNKNOWN")
    assert _ours(events, "UPDATE", "TASK_UNKNOWN") == unknown
