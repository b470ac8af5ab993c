"""Read what the Mesos agent says through the environment, once.

Source: Mesos's executor HTTP API document (environment variables of an executor). Our own
variables start with EGRET_EXECUTOR_ and are listed in docs/executor.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from executor.http import Address
from executor.mesos import parse_duration

TOKEN_VARIABLE = "MESOS_EXECUTOR_AUTHENTICATION_TOKEN"  # noqa: S105 (a name, not a secret)
OWN_PREFIX = "EGRET_EXECUTOR_"


class BadEnvironment(Exception):
    """The environment lacks a variable every agent sets, or one cannot be read."""


@dataclass(frozen=True)
class Settings:
    """How this executor talks to its agent, and its own limits. Durations are in seconds."""

    agent: Address
    framework_id: str
    executor_id: str
    sandbox: str
    checkpoint: bool
    recovery_timeout_s: float
    subscription_backoff_max_s: float
    shutdown_grace_s: float
    # What Mesos sends is one HEARTBEAT in 30 minutes; five missed ones mean a dead connection.
    heartbeat_deadline_s: float
    idle_timeout_s: float
    fetch_timeout_s: float
    fetch_max_mib: int
    max_tasks: int
    # Directories of ended tasks that stay; the agent clears up only after the executor's own end.
    kept_sandboxes: int
    token: str = field(default="", repr=False)


def read_settings(env: Mapping[str, str]) -> Settings:
    """Read the settings from an environment.

    Raises:
        BadEnvironment: naming the variable that is missing or cannot be read.
    """
    return Settings(
        agent=_agent_address(env),
        framework_id=_required(env, "MESOS_FRAMEWORK_ID"),
        executor_id=_required(env, "MESOS_EXECUTOR_ID"),
        sandbox=env.get("MESOS_SANDBOX") or _required(env, "MESOS_DIRECTORY"),
        # The agent always sets it, to "0" or "1": the text decides, not whether it is there.
        checkpoint=env.get("MESOS_CHECKPOINT") == "1",
        recovery_timeout_s=_duration(env, "MESOS_RECOVERY_TIMEOUT", "15mins"),
        subscription_backoff_max_s=_duration(env, "MESOS_SUBSCRIPTION_BACKOFF_MAX", "2secs"),
        shutdown_grace_s=_duration(env, "MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD", "5secs"),
        heartbeat_deadline_s=_duration(env, OWN_PREFIX + "HEARTBEAT_DEADLINE", "150mins"),
        idle_timeout_s=_duration(env, OWN_PREFIX + "IDLE_TIMEOUT", "5secs"),
        fetch_timeout_s=_duration(env, OWN_PREFIX + "FETCH_TIMEOUT", "10mins"),
        fetch_max_mib=_number(env, OWN_PREFIX + "FETCH_MAX_MIB", 4096),
        max_tasks=_number(env, OWN_PREFIX + "MAX_TASKS", 50),
        kept_sandboxes=_number(env, OWN_PREFIX + "KEPT_SANDBOXES", 50),
        token=env.get(TOKEN_VARIABLE, ""),
    )


def _required(env: Mapping[str, str], name: str) -> str:
    value = env.get(name, "")
    if not value:
        raise BadEnvironment(f"{name} is not set: the executor is started by a Mesos agent")
    return value


def _agent_address(env: Mapping[str, str]) -> Address:
    endpoint = _required(env, "MESOS_AGENT_ENDPOINT")
    host, colon, port = endpoint.rpartition(":")
    if not colon or not port.isdigit():
        raise BadEnvironment(f"MESOS_AGENT_ENDPOINT is not host:port: {endpoint}")
    return Address(host.strip("[]"), int(port), unix_path=env.get("MESOS_DOMAIN_SOCKET", ""))


def _duration(env: Mapping[str, str], name: str, default: str) -> float:
    text = env.get(name) or default
    try:
        return float(parse_duration(text))
    except (AssertionError, ValueError) as error:
        raise BadEnvironment(f"{name} is not a Mesos duration such as 5secs: {text}") from error


def _number(env: Mapping[str, str], name: str, default: int) -> int:
    text = env.get(name) or str(default)
    if not text.isdigit() or int(text) == 0:
        raise BadEnvironment(f"{name} is not a whole number above 0: {text}")
    return int(text)
