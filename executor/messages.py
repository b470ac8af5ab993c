"""Read a TaskInfo: what to run, and Egret's own additions in its data.

Mesos allows a task either a command or an executor. A task for the command executor therefore has
its CommandInfo in place; a task of Egret's executor brings it in `TaskInfo.data`, as the message
that protos/executor.proto defines, in JSON.
"""

from __future__ import annotations

import binascii
import json
import math
from dataclasses import dataclass
from typing import Any, Callable, TypeVar, cast

from executor.mesos import Json, decode_data

_T = TypeVar("_T")

# Mesos's defaults (mesos.proto: KillPolicy, HealthCheck).
_DEFAULT_GRACE_S = 3.0
_NANOSECONDS = 1e9


class BadTask(Exception):
    """A TaskInfo that cannot be run; the text goes into the task's TASK_ERROR."""


@dataclass(frozen=True)
class Uri:
    """Something to fetch into the sandbox (CommandInfo.URI)."""

    value: str
    executable: bool = False
    extract: bool = True
    output_file: str = ""


@dataclass(frozen=True)
class Command:
    """A CommandInfo: a shell line, or a program with its arguments."""

    value: str
    shell: bool = True
    arguments: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    user: str = ""
    uris: tuple[Uri, ...] = ()

    @property
    def argv(self) -> tuple[str, ...]:
        """The arguments of the process, its name first."""
        return ("sh", "-c", self.value) if self.shell else self.arguments or (self.value,)

    @property
    def executable(self) -> str:
        """The program to start."""
        return "/bin/sh" if self.shell else self.value


@dataclass(frozen=True)
class Check:
    """A HealthCheck or a CheckInfo of a kind that can run; its target is a command or a port."""

    command: Command | None = None
    port: int = 0
    is_http: bool = False
    scheme: str = "http"
    path: str = "/"
    host: str = "127.0.0.1"
    delay_s: float = 15.0
    interval_s: float = 10.0
    timeout_s: float = 20.0
    grace_s: float = 10.0
    failure_limit: int = 3

    @property
    def kind(self) -> str:
        """Mesos's name for it."""
        return "COMMAND" if self.command is not None else "HTTP" if self.is_http else "TCP"

    def is_success(self, result: int | None) -> bool:
        """Whether an exit code, an HTTP status or a connection (1) is a success; None never is."""
        if result is None:
            return False
        if self.command is not None:
            return result == 0
        return 200 <= result < 400 if self.is_http else result == 1


@dataclass(frozen=True)
class Launch:
    """All that is needed to run one task."""

    task_id: str
    command: Command
    # The executor is this task's alone, as Mesos's command executor is: it lives in the sandbox
    # itself, into which the agent has fetched the URIs already.
    is_alone: bool
    is_egret: bool
    sandbox: str
    is_fetched: bool
    grace_s: float
    drain_s: float
    completion_limit_s: float | None
    checks: tuple[Check, ...]
    plain_check: Check | None


def read_launch(task_info: Json, executor_id: str) -> Launch:
    """Decode a TaskInfo.

    Raises:
        BadTask: it has no command, or a field is of the wrong kind.
    """
    task_id = task_info["task_id"]["value"]
    egret = _own_data(task_info)
    command: Json | None = task_info.get("command") or (egret or {}).get("command")
    if not command:
        raise BadTask("The task has no command, neither of its own nor in its data")
    return _convert("task", lambda: _launch(task_id, task_info, command, egret, executor_id))


def _launch(
    task_id: str, task_info: Json, command: Json, egret: Json | None, executor_id: str
) -> Launch:
    own: Json = egret or {}
    is_alone = "command" in task_info and task_id == executor_id
    limit = task_info.get("max_completion_time")
    grace_s = read_grace(task_info.get("kill_policy"))
    health = [task_info["health_check"]] if task_info.get("health_check") else []
    checks = [_check(check) for check in [*health, *own.get("checks", [])]]
    return Launch(
        task_id=task_id,
        command=_command(command),
        is_alone=is_alone,
        is_egret=egret is not None,
        sandbox=_sandbox(own.get("sandbox"), task_id, is_alone=is_alone),
        is_fetched=bool(own.get("fetched", is_alone)),
        grace_s=_DEFAULT_GRACE_S if grace_s is None else grace_s,
        drain_s=_seconds(own, "drain_seconds", 0),
        completion_limit_s=None if limit is None else _duration(limit),
        checks=tuple(check for check in checks if check is not None),
        plain_check=_plain_check(_object(task_info, "check")),
    )


def read_grace(kill_policy: Json | None) -> float | None:
    """The grace period of a KillPolicy in seconds, None if it names none."""
    grace: Json | None = None if kill_policy is None else kill_policy.get("grace_period")
    return None if grace is None else _duration(grace)


def _own_data(task_info: Json) -> Json | None:
    """Egret's message, None where the data is absent or somebody else's."""
    try:
        data: Any = json.loads(decode_data(task_info.get("data", "")))
    except (ValueError, binascii.Error):
        return None
    own: Any = cast("Json", data).get("egret") if isinstance(data, dict) else None
    if own is None:
        return None
    if not isinstance(own, dict):
        raise BadTask("The task's data: 'egret' is not an object")
    return cast("Json", own)


def own_sandbox(task_id: str) -> str:
    """The directory of a task among others, below the executor's, that nobody else uses."""
    return f"tasks/{task_id}"


def _sandbox(own: str | None, task_id: str, *, is_alone: bool) -> str:
    relative = own if own is not None else "" if is_alone else own_sandbox(task_id)
    if relative.startswith("/") or ".." in relative.split("/"):
        raise BadTask(f"The task's sandbox would be outside the executor's: {relative}")
    return relative


def _command(info: Json) -> Command:
    variables: list[Json] = _object(info, "environment").get("variables", [])
    return Command(
        value=str(info.get("value", "")),
        shell=bool(info.get("shell", True)),
        arguments=tuple(str(argument) for argument in info.get("arguments", [])),
        environment=tuple(_variable(variable) for variable in variables),
        user=str(info.get("user", "")),
        uris=tuple(_uri(uri) for uri in info.get("uris", [])),
    )


def _variable(variable: Json) -> tuple[str, str]:
    name = str(variable["name"])
    if variable.get("type", "VALUE") == "SECRET":
        data: str | None = _object(_object(variable, "secret"), "value").get("data")
        if data is None:
            raise BadTask(f"The secret of variable {name} was not resolved by the agent")
        return name, decode_data(data).decode()
    return name, str(variable.get("value", ""))


def _uri(info: Json) -> Uri:
    return Uri(
        value=str(info["value"]),
        executable=bool(info.get("executable", False)),
        extract=bool(info.get("extract", True)),
        output_file=str(info.get("output_file", "")),
    )


def _check(info: Json) -> Check | None:
    """A check that can run. Mesos takes one without a type, and never runs it."""
    kind = info.get("type")
    if kind not in ("COMMAND", "HTTP", "TCP"):
        return None
    target = _object(info, kind.lower())
    is_command = kind == "COMMAND"
    port = int(target.get("port", 0))
    if not is_command and not 0 < port < 65536:
        raise BadTask(f"The {kind} health check has no port")
    limit = int(info.get("consecutive_failures", 3))
    return Check(
        command=_command(target) if is_command else None,
        port=port,
        is_http=kind == "HTTP",
        scheme=str(target.get("scheme", "http")),
        path=str(target.get("path") or "/"),
        host="::1" if target.get("protocol") == "IPv6" else "127.0.0.1",
        delay_s=_seconds(info, "delay_seconds", 15),
        interval_s=_seconds(info, "interval_seconds", 10),
        timeout_s=_seconds(info, "timeout_seconds", 20),
        grace_s=_seconds(info, "grace_period_seconds", 10),
        failure_limit=max(1, limit),
    )


def _plain_check(info: Json) -> Check | None:
    """A CheckInfo: a health check's fields without judgement, its command one level deeper."""
    if info.get("type") != "COMMAND":
        return _check(info)
    return _check({**info, "command": _object(_object(info, "command"), "command")})


def _object(info: Json, name: str) -> Json:
    """A field that is an object; an empty one where it is absent."""
    return info.get(name) or {}


def _seconds(info: Json, name: str, default: float) -> float:
    """A field in seconds, which must be able to pass."""
    seconds = float(info.get(name, default))
    if not 0 <= seconds < math.inf:
        raise BadTask(f"{name} is not a number of seconds: {seconds}")
    return seconds


def _duration(info: Json) -> float:
    return float(info["nanoseconds"]) / _NANOSECONDS


def _convert(what: str, read: Callable[[], _T]) -> _T:
    """Turn any wrong JSON type into a BadTask: what is read comes from a user's hands."""
    try:
        return read()
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise BadTask(f"The {what} cannot be read: {error!r}") from error
