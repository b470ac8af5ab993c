"""Tasks of Egret's own executor: launched together they share one, fetched from its address."""

from pathlib import Path

import pytest

from executor.build import write_archive
from scheduler.core.effects import Kill
from scheduler.core.instance import TaskState
from scheduler.local import Cluster
from scheduler.mesos import MesosDispatch, TaskSettings
from tests.integration.mesos.test_driver_on_a_cluster import Clients


async def test_tasks_launched_together_run_in_one_executor(
    clients: Clients, cluster: Cluster | None, tmp_path: Path
):
    if cluster is None:
        pytest.skip("agents elsewhere cannot fetch the archive from this disk")
    archive = tmp_path / "egret-executor.pyz"
    write_archive(archive)
    client = clients()
    client.dispatch = MesosDispatch(
        client.driver, client.take, TaskSettings(egret_executor_uri=str(archive))
    )
    beacon = tmp_path / "beacon"
    offer = await client.offer()
    tasks = client.launch_many(
        offer,
        [f'echo "$PPID $WHO" >> {beacon}; exec sleep 1000'] * 3,
        executor="egret",
        env=(("WHO", "me"),),
    )
    for task_id in tasks:
        await client.until_state(task_id, TaskState.RUNNING)
    said = [line.split() for line in beacon.read_text().splitlines()]
    assert [who for _, who in said] == ["me"] * 3
    assert len({parent for parent, _ in said}) == 1, "one process is the parent of all"
    client.dispatch.send(Kill(tasks[0], offer.agent.id, 1))
    await client.until_state(tasks[0], TaskState.KILLED)
    assert client.states(tasks[1])[-1] is TaskState.RUNNING
