import stat
from pathlib import Path

import pytest

from scheduler.local import Cluster, make_agent_configs
from scheduler.local.docker import docker_task
from tests.contract.mesos.client import Json, Scheduler, framework_info, launch, task

DOCKER: Json = {
    "type": "DOCKER",
    "docker": {
        "image": "nginx:1",
        "network": "BRIDGE",
        "port_mappings": [{"host_port": 31000, "container_port": 80}],
        "parameters": [{"key": "hostname", "value": "a"}],
    },
    "volumes": [{"host_path": "/data", "container_path": "/d", "mode": "RO"}],
}


def _task(command: Json) -> Json:
    info = task("d", {"value": "S0"}, command, container=DOCKER)
    return docker_task("/bin/docker", info, "mesos-1", "abc")["command"]


def test_a_container_becomes_a_docker_run() -> None:
    environment = {"variables": [{"name": "A", "value": "b"}]}
    command = _task({"value": "echo hi", "environment": environment, "uris": [{"value": "/x"}]})
    assert command["value"] == "/bin/docker"
    assert command["shell"] is False
    assert command["uris"] == [{"value": "/x"}]
    assert command["arguments"] == [
        "/bin/docker",
        "run",
        "--rm",
        "--name",
        "mesos-1",
        "--label",
        "EGRET_LOCAL_CLUSTER=abc",
        "--cpu-shares",
        "102",
        "--memory",
        "32m",
        "-e",
        "A=b",
        "-v",
        "/data:/d:ro",
        "--network",
        "bridge",
        "-p",
        "31000:80/tcp",
        "--hostname=a",
        "--entrypoint",
        "/bin/sh",
        "nginx:1",
        "-c",
        "echo hi",
    ]


def test_without_a_shell_the_image_gets_the_arguments() -> None:
    command = _task({"shell": False, "arguments": ["-v"]})
    assert command["arguments"][-2:] == ["nginx:1", "-v"]


FAKE = """#!/bin/sh
# Stands in for the docker client: runs the command itself.
echo "$@" >> {log}
case "$1" in
ps) echo left-over;;
run) shift; while [ "$1" != busybox ]; do shift; done; shift 2; exec sh -c "$1";;
esac
"""


async def test_a_docker_task_runs_where_docker_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake, log = tmp_path / "bin" / "docker", tmp_path / "log"
    fake.parent.mkdir()
    fake.write_text(FAKE.format(log=log))
    fake.chmod(fake.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(fake.parent), prepend=":")
    async with Cluster(1, work_dir=tmp_path / "work") as cluster:
        assert cluster.docker_available
        scheduler = await Scheduler(cluster.master_address).subscribe(framework_info("docker"))
        offer = (await scheduler.new_offers(0))[0]
        attributes = {a["name"]: a["text"]["value"] for a in offer["attributes"]}
        assert attributes["containers"] == "docker"
        container = {"type": "DOCKER", "docker": {"image": "busybox"}}
        info = task("d", offer["agent_id"], "exit 3", container=container)
        await scheduler.call("ACCEPT", launch([offer], [info]))
        status = await scheduler.wait_state("d", "TASK_FAILED")
        assert status["message"] == "Command exited with status 3"
        await scheduler.close()
    calls = [line.split()[0] for line in log.read_text().splitlines()]
    assert calls == ["info", "run", "rm", "ps", "rm"]
    assert log.read_text().splitlines()[-1] == "rm -f left-over"


@pytest.mark.parametrize(
    ("container", "problem"),
    [
        ({"type": "DOCKER", "docker": {"image": "busybox"}}, "no working docker"),
        ({"type": "MESOS", "mesos": {"image": {"type": "DOCKER"}}}, "cannot run images"),
    ],
)
async def test_containers_that_cannot_run_fail_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, container: Json, problem: str
) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    async with Cluster(make_agent_configs(1), work_dir=tmp_path) as cluster:
        if cluster.docker_available:
            pytest.skip("this machine has a working docker")
        scheduler = await Scheduler(cluster.master_address).subscribe(framework_info("none"))
        offer = (await scheduler.new_offers(0))[0]
        info = task("c", offer["agent_id"], "true", container=container)
        await scheduler.call("ACCEPT", launch([offer], [info]))
        status = await scheduler.wait_state("c", "TASK_FAILED")
        assert problem in status["message"]
        assert status["reason"] == "REASON_CONTAINER_LAUNCH_FAILED"
        await scheduler.close()
