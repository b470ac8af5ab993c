"""Run a task with a Docker container through the `docker` binary, where one works.

The task becomes a plain command: `docker run` passes SIGTERM on, so the kill policy holds; a
container that outlives its client is removed by name when the task ends.
"""

import asyncio
import contextlib
import shutil

from scheduler.local.executors import CLUSTER_MARK
from scheduler.local.resources import JsonObject

PROBE_TIMEOUT_S = 3.0


async def find_docker() -> str | None:
    """Return the path of a `docker` that reaches a daemon, else None."""
    path = shutil.which("docker")
    if path is None:
        return None
    process = await asyncio.create_subprocess_exec(
        path,
        "info",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        status = await asyncio.wait_for(process.wait(), PROBE_TIMEOUT_S)
    except TimeoutError:
        process.kill()
        await process.wait()
        return None
    return path if status == 0 else None


def container_name(container_id: str) -> str:
    """Return the name a container runs under, Mesos's way."""
    return f"mesos-{container_id}"


def docker_task(docker: str, info: JsonObject, name: str, mark: str) -> JsonObject:
    """Return the task with its container replaced by the command that runs it.

    Args:
        docker: the binary.
        info: a TaskInfo with a container of type DOCKER.
        name: the container's name.
        mark: the cluster's, by which its containers are found at the end.
    """
    container = info["container"]
    command = info.get("command", {})
    arguments = [docker, "run", "--rm", "--name", name, "--label", f"{CLUSTER_MARK}={mark}"]
    arguments += _limits(info)
    for variable in command.get("environment", {}).get("variables", []):
        arguments += ["-e", f"{variable['name']}={variable.get('value', '')}"]
    for volume in container.get("volumes", []):
        if "host_path" in volume:
            mode = "ro" if volume.get("mode") == "RO" else "rw"
            arguments += ["-v", f"{volume['host_path']}:{volume['container_path']}:{mode}"]
    arguments += _network(container["docker"])
    if command.get("shell", True) and "value" in command:
        arguments += ["--entrypoint", "/bin/sh", container["docker"]["image"], "-c"]
        arguments.append(command["value"])
    else:
        arguments.append(container["docker"]["image"])
        arguments += ([command["value"]] if "value" in command else []) + command.get(
            "arguments", []
        )
    plain = {k: v for k, v in info.items() if k != "container"}
    keep = {k: command[k] for k in ("uris", "user") if k in command}
    plain["command"] = {**keep, "shell": False, "value": docker, "arguments": arguments}
    return plain


def _limits(info: JsonObject) -> list[str]:
    arguments: list[str] = []
    for resource in info.get("resources", []):
        value = float(resource.get("scalar", {}).get("value", 0))
        if resource["name"] == "mem" and value:
            arguments += ["--memory", f"{max(4, int(value))}m"]
        if resource["name"] == "cpus" and value:
            arguments += ["--cpu-shares", str(max(2, int(value * 1024)))]
    return arguments


def _network(docker: JsonObject) -> list[str]:
    network = str(docker.get("network", "HOST")).lower()
    arguments = [] if network == "user" else ["--network", network]
    for mapping in docker.get("port_mappings", []):
        protocol = mapping.get("protocol", "tcp")
        arguments += ["-p", f"{mapping['host_port']}:{mapping['container_port']}/{protocol}"]
    for parameter in docker.get("parameters", []):
        arguments.append(f"--{parameter['key']}={parameter['value']}")
    if docker.get("privileged"):
        arguments.append("--privileged")
    return arguments


async def remove_container(docker: str, name: str) -> None:
    """Remove a container, if it is still there."""
    with contextlib.suppress(OSError):
        process = await asyncio.create_subprocess_exec(
            docker,
            "rm",
            "-f",
            name,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        await process.wait()
