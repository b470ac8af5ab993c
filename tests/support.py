"""Helpers that tests import: waiting for a condition, free ports, a real Consul."""

import asyncio
import contextlib
import inspect
import itertools
import json
import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scheduler.local.port_blocks import PortBlocks


async def eventually(probe: Callable[[], Any], *, what: str, deadline_s: float = 30) -> Any:
    """Call `probe`, plain or async, until its result is true; return that, or fail at the deadline.

    The deadline is generous on purpose: it ends a test that hangs, it measures nothing.
    """
    give_up_at = time.monotonic() + deadline_s
    while True:
        result = probe()
        if inspect.isawaitable(result):
            result = await result
        if result:
            return result
        if time.monotonic() > give_up_at:
            pytest.fail(f"not within {deadline_s:g} s: {what}")
        await asyncio.sleep(0.02)


def free_ports(count: int) -> list[int]:
    """Return ports that stay free until somebody who was told of them takes them, all different.

    They come from blocks that this process has claimed as clusters claim theirs, below the ports
    that Linux gives to outgoing connections; none is given twice. A port that is merely free at
    the moment may be taken before it is used, or while its server restarts.
    """
    return list(itertools.islice(filter(_is_free, _ports), count))


def _claim_ports() -> Iterator[int]:
    blocks = PortBlocks()
    while True:
        first, last = blocks.claim(1)
        yield from range(first, last + 1)


_ports = _claim_ports()


def _is_free(port: int) -> bool:
    """Tell whether nobody listens there who claims no ports."""
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@contextlib.contextmanager
def running_consul(
    binary: Path, work_dir: Path, http_port: int | None = None, **config: Any
) -> Iterator[str]:
    """Run `consul agent -dev` on free ports, `http_port` if given, and yield its base URL.

    `config` is further configuration as Consul's own, `acl={...}`.
    """
    http, server, serf_lan, serf_wan = free_ports(4)
    http = http_port or http
    ports = {"http": http, "server": server, "serf_lan": serf_lan, "serf_wan": serf_wan}
    ports |= {"dns": -1, "grpc": -1, "grpc_tls": -1}
    if "v1.8." in subprocess.check_output([binary, "version"], text=True):
        del ports["grpc_tls"]  # Consul 1.14 split it off; older ones refuse the name.
    command = [str(binary), "agent", "-dev", "-bind=127.0.0.1", "-log-level=warn"]
    command.append("-hcl=" + json.dumps({"ports": ports} | config))
    log = work_dir / "consul.log"
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, cwd=work_dir)
    try:
        url = f"http://127.0.0.1:{http}"
        _await_leader(process, url, log)
        yield url
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def suspended_consul(work_dir: Path) -> Iterator[None]:
    """Let the Consul that runs in `work_dir` hang: its connections stay, no answer comes.

    A signal takes effect when the kernel comes to it: a busy machine's Consul answers a few more
    requests after `kill` has returned. The hang begins when its last thread stands still.
    """
    (process,) = (each for each in Path("/proc").glob("[0-9]*") if _works_in(each, work_dir))
    os.kill(int(process.name), signal.SIGSTOP)
    try:
        give_up_at = time.monotonic() + 30
        while not all(_is_stopped(thread) for thread in (process / "task").iterdir()):
            assert time.monotonic() < give_up_at, "Consul does not stop"
            time.sleep(0.001)
        yield
    finally:
        os.kill(int(process.name), signal.SIGCONT)


def _works_in(process: Path, folder: Path) -> bool:
    # Processes end meanwhile, and some are not ours to look at.
    with contextlib.suppress(OSError):
        return (process / "cwd").readlink() == folder
    return False


def _is_stopped(thread: Path) -> bool:
    try:
        stat = (thread / "stat").read_text()
    except OSError:
        return True  # It ended.
    # "pid (name) state …"; the name may hold anything.
    return stat.rpartition(") ")[2].startswith("T")


def _await_leader(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    give_up_at = time.monotonic() + 60
    while time.monotonic() < give_up_at and process.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/v1/status/leader") as it:
            if json.load(it):
                return
        time.sleep(0.05)
    pytest.fail(f"Consul did not start: {log.read_text()[-2000:]}")
