"""Build the TaskInfo that launches one task of an app.

What each field holds follows Marathon 1.11; the message is TaskInfo of mesos.proto, as the traces
02, 03 and 06 show it accepted by a real master.
"""

import base64
import shlex
from collections.abc import Iterator

import orjson

from scheduler.core.app import UNLIMITED, AppSpec, Fetch
from scheduler.core.effects import Launch
from scheduler.core.executors import EGRET_EXECUTOR
from scheduler.mesos.executor_info import executor_info, is_fetchable
from scheduler.mesos.framework import JsonObject, labels
from scheduler.mesos.task_checks import check_info, health_checks
from scheduler.mesos.task_container import container_info, discovery_info, reversed_path
from scheduler.mesos.task_env import environment
from scheduler.mesos.task_resources import resources

COMMAND_EXECUTORS = ("", "//cmd")

_NS_PER_S = 1_000_000_000


class TaskNotBuildable(Exception):
    """This task cannot be described to Mesos; the others can."""


def task_infos(
    launches: tuple[Launch, ...], framework_id: str
) -> Iterator[JsonObject | TaskNotBuildable]:
    """Build a TaskInfo for each launch of one ACCEPT, in order, or say why it cannot be."""
    for launch in launches:
        try:
            info = _task_info(launch)
            if launch.spec.executor == EGRET_EXECUTOR:
                _give_egret_executor(info, launch, framework_id)
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
        "resources": resources(instance.placement.pools, instance.placement.allocated_role),
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


def _give_egret_executor(info: JsonObject, launch: Launch, framework_id: str) -> None:
    """Put the command into the task's data and the task into an executor of ours."""
    placement = launch.instance.placement
    executor = placement.executor if placement is not None else None
    if placement is None or executor is None or not executor.uri:
        raise TaskNotBuildable("Egret's executor has no address that agents can fetch it from")
    if not is_fetchable(executor.uri, placement.address):
        raise TaskNotBuildable(
            f"Egret's executor is served at {executor.uri}, which agent {placement.host}"
            f" ({placement.address}) cannot reach: give the scheduler an --http address or a"
            " --webui-url that agents can"
        )
    if "container" in info:
        # A container would be the executor's, and hold every task that shares it.
        raise TaskNotBuildable("Egret's executor runs no containers")
    own: JsonObject = {"command": info.pop("command")}
    extra_checks = health_checks(launch)[1:]
    if extra_checks:
        own["checks"] = extra_checks
    info["data"] = base64.b64encode(orjson.dumps({"egret": own})).decode("ascii")
    info["executor"] = executor_info(executor, launch.spec.id, framework_id)
