"""Start and end the processes of `egret local`: the scheduler and Consul.

Each runs in a session of its own, so that Ctrl-C reaches only us and we decide the order; the
kernel ends it should we die without a chance to. What it writes goes to a file in the work dir.
"""

import asyncio
import ctypes
import json
import os
import shutil
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import requests

from scheduler.cli.failures import ExitCode, Failure
from scheduler.cli.jsonvalues import fields

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)
_STOP_S = 10
_LOG_LINES = 15


class Child:
    """One process that lives as long as we do."""

    def __init__(self, name: str, log: Path) -> None:
        self.name = name
        self.log = log
        self._process: asyncio.subprocess.Process | None = None
        self._watch: asyncio.Task[None] | None = None

    async def start(
        self, command: Sequence[str], environment: Mapping[str, str], on_end: Callable[[str], None]
    ) -> None:
        """Start the process; `on_end` is told how it ended, should it end before `stop`.

        Raises:
            OSError: it cannot be started.
        """
        with self.log.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                *command,
                cwd=self.log.parent,
                env=dict(environment),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )
        self._watch = asyncio.create_task(self._tell_end(self._process, on_end))

    async def _tell_end(
        self, process: asyncio.subprocess.Process, on_end: Callable[[str], None]
    ) -> None:
        on_end(f"{self.name} ended with status {await process.wait()}")

    async def stop(self) -> None:
        """Ask the process to end, and kill its group if it has not after ten seconds."""
        if self._watch is not None:
            self._watch.cancel()
        if self._process is None or self._process.returncode is not None:
            return
        self._process.terminate()
        try:
            await asyncio.wait_for(self._process.wait(), _STOP_S)
        except TimeoutError:
            os.killpg(self._process.pid, signal.SIGKILL)
            await self._process.wait()

    def last_lines(self) -> list[str]:
        """Return the end of its log."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        lines = "\n".join(_readable(line) for line in text.splitlines()[-_LOG_LINES:])
        return lines.splitlines()[-_LOG_LINES:]


def _readable(line: str) -> str:
    """Write a line of JSON log the way people read one; any other line stays as it is."""
    try:
        told = fields(json.loads(line))
    except ValueError:
        return line
    exception = told.pop("exception", "")
    words = [str(told.pop(name, "")) for name in ("level", "event")]
    details = [f"{k}={v}" for k, v in told.items() if k not in {"logger", "timestamp"}]
    return " ".join([*words, *details]) + (f"\n{exception}" if exception else "")


def _die_with_parent() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def child_environment(work_dir: Path) -> dict[str, str]:
    """Return our environment without settings of Egret, and with temporary files in the work dir.

    A variable that is meant for another scheduler must not change this one.
    """
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("EGRET_", "CONSUL_"))}
    temporary = work_dir / "tmp"
    temporary.mkdir(exist_ok=True)
    return {**kept, "TMPDIR": str(temporary)}


def free_ports(count: int) -> list[int]:
    """Return ports of this machine that nobody uses at this moment, all different."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]


def is_free(port: int) -> bool:
    """Tell whether a port can be listened on."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


async def run_to_end(command: Sequence[str], environment: Mapping[str, str]) -> str:
    """Run a short command and return what it says.

    Raises:
        Failure: it failed.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        env=dict(environment),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        preexec_fn=_die_with_parent,
    )
    output, _ = await process.communicate()
    text = output.decode(errors="replace").strip()
    if process.returncode:
        raise Failure(ExitCode.FAILED, f"{' '.join(command)} failed.", *text.splitlines()[-5:])
    return text


# ------------------------------------------------------------------------- Consul


def find_consul() -> Path | None:
    """Return the Consul that `make tools` provided beside this environment, or the one on PATH."""
    own = Path(sys.prefix).parent / ".tools" / "bin" / "consul"
    if os.access(own, os.X_OK):
        return own
    found = shutil.which("consul")
    return Path(found) if found else None


async def start_consul(child: Child, binary: Path, on_end: Callable[[str], None]) -> str:
    """Start `consul agent -dev` on free ports, wait until it leads, and return its URL.

    Development mode keeps everything in memory: nothing is written.
    """
    environment = child_environment(child.log.parent)
    version = await run_to_end([str(binary), "version"], environment)
    http, server, serf_lan, serf_wan = free_ports(4)
    ports = {"http": http, "server": server, "serf_lan": serf_lan, "serf_wan": serf_wan}
    ports |= {"dns": -1, "grpc": -1}
    if _knows_grpc_tls(version):
        ports["grpc_tls"] = -1
    settings = json.dumps({"ports": ports, "disable_update_check": True})
    command = [str(binary), "agent", "-dev", "-bind=127.0.0.1", "-log-level=warn"]
    await child.start([*command, f"-hcl={settings}"], environment, on_end)
    url = f"http://127.0.0.1:{http}"
    while not await asyncio.to_thread(_has_leader, url):  # noqa: ASYNC110 - it is polled
        await asyncio.sleep(0.1)
    return url


def _knows_grpc_tls(version: str) -> bool:
    """Tell whether a Consul is 1.14 or newer; older ones refuse that port's name."""
    words = version.split()
    number = next((word for word in words if word.startswith("v")), "v0.0")
    major, minor = (int(part) for part in number.removeprefix("v").split(".")[:2])
    return (major, minor) >= (1, 14)


def _has_leader(url: str) -> bool:
    session = requests.Session()
    session.trust_env = False
    try:
        response = session.get(f"{url}/v1/status/leader", timeout=2)
    except requests.RequestException:
        return False
    return response.ok and bool(response.json())
