"""What the embedded cluster cannot look up is named; nothing starts without its secret."""

from collections.abc import AsyncIterator

import pytest

from scheduler.local import Cluster, Timing
from scheduler.local.secret_refs import find_secret_problem
from tests.contract.mesos.client import Json, Scheduler, framework_info, launch, task

SECRET = {"type": "REFERENCE", "reference": {"name": "vault/pw"}}
WITH_SECRET = {
    "value": "sleep 1000",
    "environment": {"variables": [{"name": "PW", "type": "SECRET", "secret": SECRET}]},
}
VOLUME = {
    "container_path": "/run/pw",
    "mode": "RO",
    "source": {"type": "SECRET", "secret": SECRET},
}
IMAGE = {"image": {"type": "DOCKER", "docker": {"name": "x", "config": SECRET}}}


@pytest.mark.parametrize(
    ("command", "container", "what"),
    [
        (WITH_SECRET, {}, "the environment variable PW"),
        ({}, {"type": "MESOS", "volumes": [VOLUME]}, "the volume /run/pw"),
        ({}, {"type": "MESOS", "mesos": IMAGE}, "pulling the image"),
    ],
)
def test_every_place_of_a_secret_is_found(command: Json, container: Json, what: str) -> None:
    assert find_secret_problem(command, container) == (
        "Failed to launch container: the embedded cluster has no secret resolver to look up"
        f" 'vault/pw' for {what}"
    )


def test_what_needs_no_secret_has_no_problem() -> None:
    variables = [{"name": "A", "type": "VALUE", "value": "b"}, {"name": "C", "value": "d"}]
    volume = {"container_path": "/d", "host_path": "/e", "mode": "RW"}
    container = {"volumes": [volume], "mesos": {"image": {"docker": {"name": "x"}}}}
    assert find_secret_problem({"environment": {"variables": variables}}, container) is None
    assert find_secret_problem({}, {}) is None


@pytest.fixture
async def scheduler() -> AsyncIterator[Scheduler]:
    async with Cluster(1, timing=Timing(allocation_interval_s=0.1)) as cluster:
        found = Scheduler(cluster.master_address)
        await found.subscribe(framework_info("secrets"))
        yield found
        await found.close()


async def test_neither_a_task_nor_an_executor_starts_without_its_secret(
    scheduler: Scheduler,
) -> None:
    offer = (await scheduler.new_offers(0))[-1]
    custom = {"type": "CUSTOM", "executor_id": {"value": "x1"}, "command": WITH_SECRET}
    tasks = [
        task("plain", offer["agent_id"], WITH_SECRET),
        task("custom", offer["agent_id"], None, executor=custom),
    ]
    await scheduler.call("ACCEPT", launch([offer], tasks))
    for name in ("plain", "custom"):
        failed = await scheduler.wait_state(name, "TASK_FAILED")
        assert failed["reason"] == "REASON_CONTAINER_LAUNCH_FAILED"
        assert "no secret resolver to look up 'vault/pw'" in failed["message"]
        assert scheduler.states(name) == ["TASK_FAILED"]
