"""Run a whole cluster on this machine with apps on it: ``egret local``.

This process is the Mesos master and the agents; the scheduler and Consul are its children, started
as an operator would start them. Whatever ends it, nothing is left: tasks, children, the work dir,
the note for other terminals.
"""

import asyncio
import contextlib
import os
import pwd
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import click
import structlog
from attrs import frozen

from scheduler.cli.address import Server
from scheduler.cli.announcement import Announcement, announce, withdraw
from scheduler.cli.client import Client
from scheduler.cli.demo_children import (
    Child,
    child_environment,
    find_consul,
    free_ports,
    is_free,
    run_to_end,
    start_consul,
)
from scheduler.cli.demo_state import Snapshot, look
from scheduler.cli.demo_view import Places, Screen, hint_lines, places_lines
from scheduler.cli.deploy import FILES, put_apps, read_files
from scheduler.cli.failures import ExitCode, Failure
from scheduler.cli.manners import Manner
from scheduler.local import Cluster, make_agent_configs

_USUAL_PORT = 8080
_LOOK_S = 0.5
_AFTERMATH_S = 2
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@frozen
class Wish:
    """What the command line asked for."""

    apps: tuple[dict[str, Any], ...]
    agents: int
    is_once: bool
    timeout_s: float
    http_port: int
    mesos_port: int
    consul: str
    work_dir: Path | None

    @property
    def app_ids(self) -> list[str]:
        """The ids of the given apps."""
        return [app["id"] for app in self.apps]


@click.command(name="local")
@click.argument("files", metavar="[APP.json]...", nargs=-1, type=FILES)
@click.option("--agents", default=3, show_default=True, type=click.IntRange(1, 30), metavar="N")
@click.option("--once", "is_once", is_flag=True, help="End as soon as every given app is healthy.")
@click.option(
    "--timeout",
    default=60.0,
    show_default=True,
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="With --once: longest wait; after it the exit code is 5.",
)
@click.option(
    "--http-port",
    default=0,
    type=click.IntRange(0, 65535),
    metavar="PORT",
    help=f"Of the scheduler's API; default {_USUAL_PORT} if that is free, else any free one.",
)
@click.option(
    "--mesos-port",
    default=0,
    type=click.IntRange(0, 65535),
    metavar="PORT",
    help="Of the Mesos master; default: any free one.",
)
@click.option(
    "--consul",
    default="auto",
    show_default=True,
    metavar="URL|auto|off",
    help="Use the Consul at URL, start one if there is a binary, or do without.",
)
@click.option(
    "--work-dir",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="For state, logs and sandboxes, and keep it; default: a temporary one.",
)
def command(files: tuple[Path, ...], **options: Any) -> None:
    """Run a Mesos-compatible cluster, a Consul and the scheduler on this machine.

    The apps in the files are deployed, and a table shows them until Ctrl-C ends everything.
    """
    apps = tuple(read_files(files)) if files else ()
    if options["consul"] not in {"auto", "off"} and "://" not in options["consul"]:
        raise click.BadParameter("is neither a URL nor auto nor off", param_hint="--consul")
    options["timeout_s"] = options.pop("timeout")
    wish = Wish(apps=apps, **options)
    with _work_dir(wish.work_dir) as work_dir, (work_dir / "cluster.log").open("a") as log:
        structlog.configure(logger_factory=structlog.WriteLoggerFactory(log))
        code = asyncio.run(_Demo(wish, work_dir).run())
    sys.exit(code)


@contextlib.contextmanager
def _work_dir(wanted: Path | None) -> Generator[Path]:
    if wanted is not None:
        wanted.mkdir(parents=True, exist_ok=True)
        yield wanted.resolve()
        return
    # Not TemporaryDirectory: a file that a dying task still writes must not end in a traceback.
    path = Path(tempfile.mkdtemp(prefix="egret-local-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


class _Demo:
    """One run, from the first port to the last process."""

    def __init__(self, wish: Wish, work_dir: Path) -> None:
        self._wish = wish
        self._dir = work_dir
        self._children: list[Child] = []
        self._last: Snapshot | None = None

    async def run(self) -> int:
        """Run until it is ready (--once), interrupted, or something fails."""
        loop = asyncio.get_running_loop()
        self._end: asyncio.Future[int] = loop.create_future()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self._on_signal)
        async with contextlib.AsyncExitStack() as stack:
            if not self._wish.is_once:
                stack.callback(lambda: click.echo("ending …", err=True))
            work = asyncio.create_task(self._work(stack))
            limit_s = self._wish.timeout_s if self._wish.is_once else None
            await asyncio.wait(
                {work, self._end}, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED
            )
            if self._end.done():
                await _cancelled(work)
                return self._end.result()
            if not work.done():
                await _cancelled(work)
                raise self._overdue()
            if work.exception() is not None:
                # A scheduler that cannot be reached may be one that is ending: its log says why.
                await asyncio.wait({self._end}, timeout=_AFTERMATH_S)
                if self._end.done():
                    return self._end.result()
            self._end.cancel()
            return work.result()

    def _on_signal(self) -> None:
        if not self._end.done():
            # Ctrl-C is how a demo ends; with --once it means that nobody waited for the end.
            self._end.set_result(ExitCode.FAILED if self._wish.is_once else ExitCode.OK)

    def _on_child_end(self, child_message: str) -> None:
        if self._end.done():
            return
        lines = [
            f"{child.name}: {line}"
            for child in self._children
            if child_message.startswith(child.name)
            for line in child.last_lines()
        ]
        self._end.set_exception(Failure(ExitCode.FAILED, f"{child_message}.", *lines))

    def _overdue(self) -> Failure:
        wish = self._wish
        reasons = ["The cluster had not started."]
        if self._last is not None:
            reasons = self._last.lacks(wish.app_ids)
        return Failure(ExitCode.TIMEOUT, f"Not ready after {wish.timeout_s:g} s.", *reasons)

    # Starting

    async def _work(self, stack: contextlib.AsyncExitStack) -> int:
        environment = child_environment(self._dir)
        archive = self._dir / "executor.pyz"
        await run_to_end([sys.executable, "-m", "executor.build", str(archive)], environment)
        cluster = await self._start_cluster(archive, stack)
        mesos = f"http://{cluster.master_address}"
        click.echo(f"Mesos master with {self._wish.agents} agents at {mesos}")
        consul = await self._start_consul(stack)
        server = await self._start_scheduler(cluster, consul, stack)
        client = Client(Server(server, "started by `egret local`"))
        await self._until_registered(client)
        click.echo(f"scheduler at {server}")
        places = self._announce(Places(server, mesos, consul, self._dir, is_announced=False), stack)
        if self._wish.apps:
            await asyncio.to_thread(put_apps, client, list(self._wish.apps), Manner())
        return await self._watch(client, places, stack)

    async def _start_cluster(self, archive: Path, stack: contextlib.AsyncExitStack) -> Cluster:
        wish = self._wish
        cluster = Cluster(
            make_agent_configs(wish.agents),
            port=wish.mesos_port,
            work_dir=self._dir / "agents",
            executor_command=(sys.executable, "-I", str(archive)),
        )
        stack.push_async_callback(cluster.stop)
        try:
            await cluster.start()
        except OSError as error:
            raise Failure(
                ExitCode.FAILED,
                f"The Mesos master cannot listen on port {wish.mesos_port}: {error.strerror}.",
                "Leave --mesos-port out to use a free one.",
            ) from None
        return cluster

    async def _start_consul(self, stack: contextlib.AsyncExitStack) -> str | None:
        if self._wish.consul == "off":
            click.echo("discovery is off, as asked for")
            return None
        if self._wish.consul != "auto":
            return self._wish.consul.rstrip("/")
        binary = find_consul()
        if binary is None:
            click.echo("discovery is off: no consul binary here; `make tools` provides one")
            return None
        child = self._child("Consul", stack)
        url = await start_consul(child, binary, self._on_child_end)
        click.echo(f"Consul at {url}")
        return url

    async def _start_scheduler(
        self, cluster: Cluster, consul: str | None, stack: contextlib.AsyncExitStack
    ) -> str:
        port = self._wish.http_port
        if port == 0:
            port = _USUAL_PORT if is_free(_USUAL_PORT) else free_ports(1)[0]
        elif not is_free(port):
            raise Failure(
                ExitCode.FAILED,
                f"Port {port} is taken.",
                "Leave --http-port out to use a free one.",
            )
        command = [sys.executable, "-m", "scheduler.cli", "scheduler"]
        command += ["--master", cluster.master_address, "--http", f"127.0.0.1:{port}"]
        command += ["--store", f"sqlite://{self._dir / 'egret.db'}"]
        command += ["--consul", consul or "off", "--mesos-user", _own_user()]
        command += ["--containerizers", "mesos,docker" if cluster.docker_available else "mesos"]
        child = self._child("scheduler", stack)
        await child.start(command, child_environment(self._dir), self._on_child_end)
        return f"http://127.0.0.1:{port}"

    def _child(self, name: str, stack: contextlib.AsyncExitStack) -> Child:
        child = Child(name, self._dir / f"{name.lower()}.log")
        self._children.append(child)
        stack.push_async_callback(child.stop)
        return child

    async def _until_registered(self, client: Client) -> None:
        while True:
            try:
                info = await asyncio.to_thread(client.get, "/v2/info")
                if info.get("frameworkId") and info.get("elected"):
                    return
            except Failure:
                pass  # Not listening yet; a scheduler that ends is noticed elsewhere.
            await asyncio.sleep(0.1)

    def _announce(self, places: Places, stack: contextlib.AsyncExitStack) -> Places:
        """Let other terminals find us; the commands shown name the server where they do not."""
        if self._wish.is_once:
            return places
        pid = os.getpid()
        told = Announcement(places.server, places.mesos, places.consul, str(self._dir), pid)
        try:
            is_announced = announce(told)
        except OSError:
            return places
        if not is_announced:
            return places
        stack.callback(withdraw, pid)
        return Places(
            places.server, places.mesos, places.consul, places.work_dir, is_announced=True
        )

    # Watching

    async def _watch(self, client: Client, places: Places, stack: contextlib.AsyncExitStack) -> int:
        wish = self._wish
        screen = Screen(places, wish.app_ids, is_plain=wish.is_once)
        stack.callback(screen.close)
        is_told = False
        while True:
            started_s = time.monotonic()
            try:
                snapshot = self._last = await asyncio.to_thread(look, client, places.consul)
            except Failure:
                # Busy or ending; that it has ended is noticed elsewhere.
                await asyncio.sleep(_LOOK_S)
                continue
            screen.show(snapshot)
            is_ready = snapshot.ready(wish.app_ids)
            if is_ready and wish.is_once:
                return ExitCode.OK
            if is_ready and not is_told and not screen.is_live:
                is_told = True
                hints = hint_lines(places, snapshot, wish.app_ids)
                click.echo("\n".join([*places_lines(places), *hints]))
            await asyncio.sleep(max(_LOOK_S, 2 * (time.monotonic() - started_s)))


async def _cancelled(task: asyncio.Task[int]) -> None:
    task.cancel()
    await asyncio.wait({task})


def _own_user() -> str:
    """Return who we are: only root can run tasks as somebody else."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
