"""The cluster as a whole: it leaves nothing behind, it can be broken, it can pretend."""

import asyncio
import itertools
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from scheduler.local import Cluster, Timing, make_agent_configs
from scheduler.local.agent_api import describe_state
from tests.contract.mesos.client import Json, Scheduler, framework_info, launch, request, task
from tests.support import eventually

RECORDER = Path(__file__).parents[2] / "contract/mesos/recording_executor.py"
FAST = Timing(allocation_interval_s=0.1, update_retry_s=0.3)


@pytest.fixture
async def virtual() -> AsyncIterator[Cluster]:
    async with Cluster(make_agent_configs(2, is_virtual=True), timing=FAST) as cluster:
        yield cluster


async def _subscribe(cluster: Cluster, **changes: Any) -> Scheduler:
    scheduler = Scheduler(cluster.master_address)
    await scheduler.subscribe(framework_info("unit", **changes))
    await scheduler.wait(lambda: scheduler.of("SUBSCRIBED"))
    return scheduler


async def _launch(scheduler: Scheduler, *names: str, command: str = "sleep 1000") -> Json:
    offer = (await scheduler.new_offers(0))[-1]
    infos = [task(n, offer["agent_id"], command) for n in names]
    await scheduler.call("ACCEPT", launch([offer], infos))
    return offer


# A command that leaves its session, loses its parent and ignores signals: the worst to find.
RUNAWAY = (
    "trap '' TERM; setsid sh -c 'echo $$ > {0}/child; exec sleep 1000' & echo $$ > {0}/task; wait"
)


async def _pids(folder: Path) -> list[int]:
    def read() -> list[int]:
        files = [folder / "task", folder / "child"]
        texts = [f.read_text().strip() for f in files if f.exists()]
        return [int(t) for t in texts if t] if len([t for t in texts if t]) == 2 else []

    return await eventually(read, what="two processes")


def _alive(pids: list[int]) -> list[int]:
    found: list[int] = []
    for pid in pids:
        try:
            text = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            continue
        if text.rpartition(")")[2].split()[0] != "Z":
            found.append(pid)
    return found


async def test_a_stopped_cluster_leaves_no_process_and_no_file(tmp_path: Path) -> None:
    async with Cluster(1, timing=FAST) as cluster:
        scheduler = await _subscribe(cluster)
        await _launch(scheduler, "run", command=RUNAWAY.format(tmp_path))
        pids = await _pids(tmp_path)
        executor = next(iter(cluster.agents[0].executors.values()))
        assert executor.process is not None
        pids.append(executor.process.pid)
        assert _alive(pids) == pids
        work_dir = cluster.work_dir
    assert _alive(pids) == []
    assert not work_dir.exists()


async def test_what_a_killed_executor_leaves_is_killed_before_its_tasks_fail(
    tmp_path: Path,
) -> None:
    async with Cluster(1, timing=FAST) as cluster:
        scheduler = await _subscribe(cluster)
        await _launch(scheduler, "run", command=RUNAWAY.format(tmp_path))
        pids = await _pids(tmp_path)
        executor = next(iter(cluster.agents[0].executors.values()))
        assert executor.process is not None
        executor.process.kill()
        failed = await scheduler.wait_state("run", "TASK_FAILED")
        assert _alive(pids) == []
        assert failed["reason"] == "REASON_EXECUTOR_TERMINATED"
        log = (executor.directory / "executor.log").read_text()
        assert "task_started" in log
        assert not (executor.directory / "stderr").exists()


async def test_an_ended_task_is_shown_after_its_executor_has_left() -> None:
    """Who looks for what a crashed task wrote looks later than that."""
    async with Cluster(1, timing=FAST) as cluster:
        agent = cluster.agents[0]
        scheduler = await _subscribe(cluster)
        await _launch(scheduler, "run", command="exit 3")
        await scheduler.wait_state("run", "TASK_FAILED")
        await eventually(lambda: not agent.tasks, what="its end is acknowledged")
        executor = next(iter(agent.executors.values()))
        assert executor.process is not None
        executor.process.kill()
        await eventually(lambda: not agent.frameworks, what="the framework is gone from the agent")
        (framework,) = describe_state(agent)["completed_frameworks"]
        (shown,) = framework["completed_executors"]
        assert shown["tasks"][0]["id"] == "run"
        assert shown["directory"] == str(executor.directory / "tasks/run")


async def test_executors_hear_heartbeats_and_one_that_is_leaving_gets_no_task(
    tmp_path: Path,
) -> None:
    command = {"value": f"exec {sys.executable} {RECORDER} {tmp_path}"}
    custom = {"type": "CUSTOM", "executor_id": {"value": "x1"}, "command": command}
    timing = Timing(allocation_interval_s=0.1, executor_heartbeat_interval_s=0.05)
    async with Cluster(1, timing=timing) as cluster:
        scheduler = await _subscribe(cluster)
        offer = (await scheduler.new_offers(0))[-1]
        first = task("first", offer["agent_id"], None, executor=custom)
        await scheduler.call("ACCEPT", launch([offer], [first]))
        await scheduler.wait_state("first", "TASK_RUNNING")
        heard = tmp_path / "events.jsonl"
        await eventually(lambda: heard.read_text().count("HEARTBEAT") > 1, what="heartbeats")
        next(iter(cluster.agents[0].executors.values())).is_ending = True
        offer = (await scheduler.new_offers(1))[-1]
        second = task("second", offer["agent_id"], None, executor=custom)
        await scheduler.call("ACCEPT", launch([offer], [second]))
        dropped = await scheduler.wait_state("second", "TASK_DROPPED")
        assert dropped["reason"] == "REASON_EXECUTOR_TERMINATED"


async def _start_alone(*arguments: str) -> tuple[asyncio.subprocess.Process, Json]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "scheduler.local",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    async with asyncio.timeout(30):
        return process, json.loads(await process.stdout.readline())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_a_cluster_that_is_killed_leaves_no_process_and_no_file(
    tmp_path: Path, number: signal.Signals
) -> None:
    process, ready = await _start_alone()
    assert Path(ready["work_dir"]).is_dir()
    scheduler = Scheduler(ready["master"])
    await scheduler.subscribe(framework_info("killed"))
    await _launch(scheduler, "run", command=RUNAWAY.format(tmp_path))
    pids = await _pids(tmp_path)
    process.send_signal(number)
    await process.wait()
    await eventually(lambda: not _alive(pids), what="everything to be gone")
    await eventually(lambda: not Path(ready["work_dir"]).exists(), what="its files to be gone")
    await scheduler.close()


async def test_a_cluster_dies_with_its_parent() -> None:
    script = (
        "import subprocess, sys, os\n"
        "p = subprocess.Popen([sys.executable, '-m', 'scheduler.local', '--virtual'],"
        " stdout=subprocess.PIPE)\n"
        "p.stdout.readline()\n"
        "print(p.pid, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    pid = int(await parent.stdout.readline())
    await parent.wait()
    await eventually(lambda: not _alive([pid]), what="the cluster to be gone")


async def test_the_control_endpoint_breaks_and_tells(tmp_path: Path) -> None:
    process, ready = await _start_alone("--virtual", "--agents", "3", "--agent-timeout", "0.2")
    control = ready["control"].removeprefix("http://").partition("/")[0]

    async def post(what: str, body: Json | None = None) -> Any:
        reply = await request(control, "POST", f"/control/{what}", body or {})
        return reply.json if reply.status == 200 else reply.pair

    scheduler = Scheduler(ready["master"])
    await scheduler.subscribe(framework_info("control"))
    await scheduler.new_offers(0, 3)
    assert await post("rescind-offers") == {"rescinded": 3}
    await scheduler.wait(lambda: len(scheduler.of("RESCIND")) == 3)
    assert (await post("faults", {"drop_updates": 2, "delay_s": 0.01}))["drop_updates"] == 2
    assert (await post("faults", {"nonsense": 1}))[0] == 400
    assert await post("kill-agent", {"agent": 1}) == {}
    await scheduler.wait(lambda: scheduler.of("FAILURE"), "the agent to be given up")
    state = (await request(control, "GET", "/control/state")).json
    assert [a["is_alive"] for a in state["agents"]] == [True, False, True]
    assert state["faults"]["delay_s"] == 0.01
    assert await post("return-agent", {"agent": 1}) == {}
    assert await post("partition-agent", {"agent": 0}) == {}
    assert await post("heal-agent", {"agent": 0}) == {}
    assert (await post("kill-agent", {"agent": 99}))[0] == 400
    assert (await post("nothing"))[0] == 404
    assert await post("cut-connections") == {}
    await scheduler.wait_closed()
    assert (await post("restart-master", {"with_memory": False}))["master"] == ready["master"]
    process.terminate()
    assert await process.wait() == 0
    await scheduler.close()


async def test_virtual_tasks_run_and_are_killed_without_a_process(virtual: Cluster) -> None:
    scheduler = await _subscribe(virtual)
    names = [f"v{i}" for i in range(200)]
    infos_offer = (await scheduler.new_offers(0))[0]
    little = [{"name": "cpus", "type": "SCALAR", "scalar": {"value": 0.001}}]
    infos = [task(n, infos_offer["agent_id"], resources=little) for n in names]
    await scheduler.call("ACCEPT", launch([infos_offer], infos))
    for name in names:
        await scheduler.wait_state(name, "TASK_RUNNING")
    await scheduler.call("KILL", {"task_id": {"value": "v0"}})
    await scheduler.wait_state("v0", "TASK_KILLED")
    assert virtual.end_virtual_task("v1", "TASK_FAILED", "by hand")
    assert (await scheduler.wait_state("v1", "TASK_FAILED"))["message"] == "by hand"
    assert not virtual.end_virtual_task("nobody", "TASK_FAILED")
    assert all(not a.executors for a in virtual.agents)
    await scheduler.close()


async def test_a_dropped_update_comes_again_and_a_duplicate_is_the_same(virtual: Cluster) -> None:
    scheduler = await _subscribe(virtual)
    virtual.faults.drop_updates = 1
    await _launch(scheduler, "dropped")
    await scheduler.wait_state("dropped", "TASK_RUNNING")
    assert virtual.faults.drop_updates == 0
    virtual.faults.duplicate_updates = 1
    await scheduler.call("KILL", {"task_id": {"value": "dropped"}})

    def killed() -> list[Json]:
        return [s for s in scheduler.statuses("dropped") if s["state"] == "TASK_KILLED"]

    await scheduler.wait(lambda: len(killed()) == 2)
    first, second = killed()
    assert first == second
    await scheduler.close()


async def test_an_accept_may_be_lost_before_it_is_applied_or_after(virtual: Cluster) -> None:
    scheduler = await _subscribe(virtual)
    virtual.faults.lose_accepts_before = 1
    offer = (await scheduler.new_offers(0))[0]
    body = launch([offer], [task("accept", offer["agent_id"])])
    with pytest.raises((OSError, asyncio.IncompleteReadError)):
        await scheduler.call("ACCEPT", body)
    assert scheduler.states("accept") == []
    virtual.faults.lose_accepts_after = 1
    with pytest.raises((OSError, asyncio.IncompleteReadError)):
        await scheduler.call("ACCEPT", body)
    await scheduler.wait_state("accept", "TASK_RUNNING")
    await scheduler.close()


async def test_a_refused_subscribe_is_a_503_for_so_many_times(virtual: Cluster) -> None:
    virtual.faults.refuse_subscribes = 1
    call = {"type": "SUBSCRIBE", "subscribe": {"framework_info": framework_info("refused")}}
    reply = await request(virtual.master_address, "POST", "/api/v1/scheduler", call)
    assert reply.pair == (503, "Master has not finished recovery")
    await (await _subscribe(virtual)).close()


async def test_a_silent_master_keeps_the_stream_open_and_says_nothing(tmp_path: Path) -> None:
    timing = Timing(heartbeat_interval_s=0.05, allocation_interval_s=0.1)
    async with Cluster(make_agent_configs(1, is_virtual=True), timing=timing) as cluster:
        scheduler = await _subscribe(cluster)
        await scheduler.wait(lambda: len(scheduler.of("HEARTBEAT")) >= 3, "heartbeats")
        cluster.faults.is_silent = True
        await asyncio.sleep(0.1)
        heard = len(scheduler.events)
        await asyncio.sleep(0.3)
        assert len(scheduler.events) == heard
        assert not scheduler.is_closed
        cluster.faults.is_silent = False
        await scheduler.wait(lambda: len(scheduler.events) > heard)
        await scheduler.close()


async def test_agents_may_be_added_and_taken_away(virtual: Cluster) -> None:
    scheduler = await _subscribe(virtual)
    await scheduler.new_offers(0, 2)
    index = await virtual.add_agent(make_agent_configs(1, is_virtual=True)[0])
    await scheduler.new_offers(2)
    await virtual.stop_agent(index)
    await scheduler.wait(lambda: scheduler.of("FAILURE"))
    await scheduler.close()


def _ports(cluster: Cluster) -> list[tuple[int, int]]:
    return [span for a in cluster.agents for span in a.config.ports or ()]


async def test_no_two_agents_on_a_machine_share_ports(tmp_path: Path) -> None:
    async with Cluster(2) as one, Cluster(2) as other:
        spans = sorted(_ports(one) + _ports(other))
        assert all(last - first == 999 for first, last in spans)
        assert all(a[1] < b[0] for a, b in itertools.pairwise(spans))
        taken = _ports(one)
    async with Cluster(1) as again:
        assert _ports(again)[0] >= min(taken)


async def test_a_cluster_that_cannot_start_leaves_nothing_behind(tmp_path: Path) -> None:
    async with Cluster(0) as one:
        port = int(one.master_address.rpartition(":")[2])
        other = Cluster(1, port=port, work_dir=tmp_path)
        with pytest.raises(OSError, match=str(port)):
            await other.start()
        assert _ports(other) == []
    async with Cluster(1, port=port, work_dir=tmp_path) as again:
        assert again.master_address.endswith(str(port))


async def test_virtual_agents_all_have_the_same_ports() -> None:
    async with Cluster(make_agent_configs(300, is_virtual=True)) as cluster:
        assert set(_ports(cluster)) == {(31_000, 31_999)}


def test_this_process_is_alive() -> None:
    assert _alive([os.getpid()])
