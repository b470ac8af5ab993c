"""Build the ExecutorInfo of an executor of Egret's own, and say where one cannot be.

It follows from ``core.executors.Executor``, the app's id and the framework's alone: every task of
one executor describes it with the same words, or Mesos refuses it (traces: 06-invalid-launches).
"""

import ipaddress
import re
import socket
from functools import lru_cache
from urllib.parse import urlsplit

from scheduler.core.executors import Executor
from scheduler.core.ids import AppId
from scheduler.mesos.framework import JsonObject
from scheduler.mesos.task_resources import resources

_ARCHIVE = re.compile(r"egret-executor-([0-9a-f]{64})\.pyz")


def archive_name(checksum: str) -> str:
    """Name the executor's archive after its SHA-256 in hexadecimal: other contents, other name."""
    return f"egret-executor-{checksum}.pyz"


def executor_info(executor: Executor, app_id: AppId, framework_id: str) -> JsonObject:
    """Build it. An agent runs the archive only if its contents are what its name promises.

    Raises:
        ValueError: the executor's URI does not end in the name of an archive.
    """
    name = executor.uri.rpartition("/")[2]
    match = _ARCHIVE.fullmatch(name)
    if match is None:
        raise ValueError(f"{executor.uri!r} is no address of Egret's executor")
    command: JsonObject = {
        "shell": True,
        # -I keeps Python from taking what lies in the sandbox for its own modules.
        "value": f"echo '{match[1]}  {name}' | sha256sum -c - >&2 && exec python3 -I {name}",
        "uris": [{"value": executor.uri, "extract": False, "executable": False, "cache": False}],
    }
    if executor.user is not None:
        command["user"] = executor.user
    return {
        "type": "CUSTOM",
        "executor_id": {"value": executor.id},
        "framework_id": {"value": framework_id},
        "name": f"Egret executor of {app_id}",
        "source": "egret",
        "command": command,
        "resources": resources(executor.pools, executor.role),
    }


def is_fetchable(uri: str, agent_address: str) -> bool:
    """Whether an agent can reach where the executor is served.

    Only one thing is known to fail: an address of this machine alone, and an agent on another.
    """
    return not _is_loopback(urlsplit(uri).hostname or "") or _is_here(agent_address)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@lru_cache(maxsize=1024)
def _is_here(address: str) -> bool:
    """Whether an IP address is one of this machine's; true if there is none to tell by."""
    if not address:
        return True
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True
