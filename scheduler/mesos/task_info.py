"""Build the TaskInfo that launches one task of an app.

What each field holds follows Marathon 1.11; the message is TaskInfo of mesos.proto, as the traces
02, 03 and 06 show it accepted by a real master. Which of an app's tasks share an executor is
decided here as well: see ``task_infos``.
"""

import base64
import shlex
from collections.abc import Iterator
from hashlib import sha256

import orjson
from attrs import frozen

from scheduler.core.app import UNLIMITED, AppSpec, ContainerType, Fetch
from scheduler.core.effects import Launch
from scheduler.core.instance import Placement
from scheduler.core.offer import Pool
from scheduler.mesos.framework import JsonObject, labels
from scheduler.mesos.task_checks import check_info, health_checks
from scheduler.mesos.task_container import container_info, discovery_info, reversed_path
from scheduler.mesos.task_env import environment

COMMAND_EXECUTORS = ("", "//cmd")
EGRET_EXECUTOR = "egret"
TASKS_PER_EXECUTOR = 50
"""An agent's work for an update grows with the tasks of its executor: more are not put in one."""

_NS_PER_S = 1_000_000_000


class TaskNotBuildable(Exception):
    """This task cannot be described to Mesos; the others can."""


@frozen
class TaskSettings:
    """What TaskInfos hold beside the app's own definition."""

    egret_executor_uri: str | None = None
    """Where agents fetch Egret's own executor from; None: it cannot be used."""


def task_infos(
    launches: tuple[Launch, ...], framework_id: str, settings: TaskSettings
) -> Iterator[JsonObject | TaskNotBuildable]:
    """Build a TaskInfo for each launch of one ACCEPT, in order, or say why it cannot be.

    Tasks of one app that are launched together in Egret's executor share one, at most
    ``TASKS_PER_EXECUTOR`` of them. An executor is named after the first of its tasks: no later
    launch can meet it again with other contents, which Mesos would refuse.
    """
    sharing: dict[str, tuple[str, int]] = {}
    for launch in launches:
        try:
            info = _task_info(launch)
            if launch.spec.executor == EGRET_EXECUTOR:
                _give_egret_executor(info, launch, framework_id, settings, sharing)
            yield info
        except (LookupError, ValueError, TaskNotBuildable) as problem:
            yield TaskNotBuildable(f"{launch.spec.id}: {problem or type(problem).__name__}")


def _task_info(launch: Launch) -> JsonObject:
    spec, instance = launch.spec, launch.instance
    if instance.placement is None or instance.task_id is None:
        raise TaskNotBuildable("the instance has no place to run")
    info: JsonObject = {
        "name": reversed_path(spec),
        "task_id": {"value": instance.task_id},
        "agent_id": {"value": instance.placement.agent_id},
        "resources": _resources(instance.placement),
        "command": _command(launch),
        "discovery": discovery_info(launch),
    }
    container = container_info(launch)
    checks = health_checks(launch)
    optional: JsonObject = {
        "container": container,
        "labels": labels(spec.labels) if spec.labels else None,
        "kill_policy": kill_policy(spec.kill_grace_s),
        "health_check": checks[0] if checks else None,
        "check": check_info(spec.check, launch) if spec.check else None,
        "limits": _limits(spec),
    }
    info.update({name: value for name, value in optional.items() if value is not None})
    if spec.executor not in (*COMMAND_EXECUTORS, EGRET_EXECUTOR):
        _give_path_executor(info, spec)
    return info


def kill_policy(grace_s: int | None) -> JsonObject | None:
    """Build a KillPolicy; None leaves the grace period to Mesos (3 s)."""
    if grace_s is None:
        return None
    return {"grace_period": {"nanoseconds": grace_s * _NS_PER_S}}


def _command(launch: Launch) -> JsonObject:
    """Build the CommandInfo.

    ``args`` go to the image's entry point where there is an image, and else are a program with
    its arguments. Neither cmd nor args: the image's own command.
    """
    spec = launch.spec
    command: JsonObject = {"environment": environment(launch)}
    if spec.cmd is not None:
        command |= {"shell": True, "value": spec.cmd}
    else:
        command["shell"] = False
        command["arguments"] = list(spec.args or ())
        has_image = spec.container is not None and spec.container.docker is not None
        if spec.args and not has_image:
            command["value"] = spec.args[0]
    if spec.fetch:
        command["uris"] = [_uri(fetch) for fetch in spec.fetch]
    if spec.user is not None:
        command["user"] = spec.user
    return command


def _uri(fetch: Fetch) -> JsonObject:
    uri: JsonObject = {
        "value": fetch.uri,
        "extract": fetch.extract,
        "executable": fetch.executable,
        "cache": fetch.cache,
    }
    if fetch.dest_path is not None:
        uri["output_file"] = fetch.dest_path
    return uri


def _resources(placement: Placement) -> list[JsonObject]:
    """List what the task takes, by reservation, allocated to the role of the offer."""
    allocated = {"allocation_info": {"role": placement.allocated_role}}
    return [
        {**resource, **allocated} for pool in placement.pools for resource in _pool_resources(pool)
    ]


def _pool_resources(pool: Pool) -> list[JsonObject]:
    reserved: JsonObject = (
        {"reservations": orjson.loads(pool.reservation)} if pool.reservation else {}
    )
    scalars = {
        "cpus": pool.cpus_milli / 1000,
        "mem": float(pool.mem_mib),
        "disk": float(pool.disk_mib),
        "gpus": float(pool.gpus),
    }
    resources: list[JsonObject] = [
        {"name": name, "type": "SCALAR", "scalar": {"value": value}, **reserved}
        for name, value in scalars.items()
        if value
    ]
    if pool.ports:
        ranges = [{"begin": ports.begin, "end": ports.end} for ports in pool.ports]
        resources.append(
            {"name": "ports", "type": "RANGES", "ranges": {"range": ranges}, **reserved}
        )
    return resources


def _limits(spec: AppSpec) -> JsonObject | None:
    """Build the limits map (Mesos 1.10+); JSON has no infinity, Mesos takes the word."""
    if spec.limits is None:
        return None
    limits: JsonObject = {}
    if spec.limits.cpus_milli is not None:
        limits["cpus"] = _limit(spec.limits.cpus_milli, spec.limits.cpus_milli / 1000)
    if spec.limits.mem_mib is not None:
        limits["mem"] = _limit(spec.limits.mem_mib, float(spec.limits.mem_mib))
    return limits


def _limit(stored: int, amount: float) -> JsonObject:
    return {"value": "Infinity" if stored == UNLIMITED else amount}


def _give_path_executor(info: JsonObject, spec: AppSpec) -> None:
    """Run the task in a custom executor of the user's own, named by its path on the agent."""
    path = shlex.quote(spec.executor)
    rest = spec.cmd or shlex.join(spec.args or ())
    command = info.pop("command")
    command |= {"shell": True, "value": f"chmod ug+rx {path} && exec {path} {rest}".rstrip()}
    command.pop("arguments", None)
    info["executor"] = {
        "type": "CUSTOM",
        "executor_id": {"value": f"marathon-{info['task_id']['value']}"},
        "command": command,
    }


def _give_egret_executor(
    info: JsonObject,
    launch: Launch,
    framework_id: str,
    settings: TaskSettings,
    sharing: dict[str, tuple[str, int]],
) -> None:
    """Put the command into the task's data and the task into an executor of ours."""
    container = launch.spec.container
    if settings.egret_executor_uri is None:
        raise TaskNotBuildable("Egret's executor has no address that agents can fetch it from")
    if container is not None and container.type is ContainerType.DOCKER:
        raise TaskNotBuildable("Egret's executor runs no Docker containers")
    own: JsonObject = {"command": info.pop("command")}
    extra_checks = health_checks(launch)[1:]
    if extra_checks:
        own["checks"] = extra_checks
    info["data"] = base64.b64encode(orjson.dumps({"egret": own})).decode("ascii")
    executor = _egret_executor(info, launch.spec, framework_id, settings.egret_executor_uri)
    # What Mesos compares between tasks of one executor is all of this.
    contents = sha256(orjson.dumps([launch.spec.id, executor])).hexdigest()
    name, tasks = sharing.get(contents, ("", TASKS_PER_EXECUTOR))
    if tasks >= TASKS_PER_EXECUTOR:
        name, tasks = f"egret-{info['task_id']['value']}", 0
    sharing[contents] = (name, tasks + 1)
    info["executor"] = {"executor_id": {"value": name}, **executor}


def _egret_executor(info: JsonObject, spec: AppSpec, framework_id: str, uri: str) -> JsonObject:
    """Build the ExecutorInfo but for its id; it takes no resources beyond those of its tasks."""
    command: JsonObject = {
        "shell": True,
        "value": f"exec python3 ./{uri.rpartition('/')[2]}",
        "uris": [{"value": uri, "extract": False, "executable": False, "cache": False}],
    }
    if spec.user is not None:
        command["user"] = spec.user
    executor: JsonObject = {
        "type": "CUSTOM",
        "framework_id": {"value": framework_id},
        "name": f"Egret executor of {spec.id}",
        "source": "egret",
        "command": command,
    }
    # A task inside a custom executor lives in the executor's container.
    container = info.pop("container", None)
    if container is not None:
        executor["container"] = container
    return executor
