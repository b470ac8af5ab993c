"""Run an embedded cluster alone: ``python -m scheduler.local --agents 3``.

For tests and load generation; `egret local` is the command for people. Prints one JSON line when
everything is registered and ends on SIGTERM, SIGINT or the death of its parent.
"""

import argparse
import asyncio
import ctypes
import os
import shlex
import signal
import sys
from pathlib import Path

import orjson
import structlog

from scheduler.local.cluster import Cluster, make_agent_configs
from scheduler.local.control_api import ControlServer
from scheduler.local.timing import Timing

_PR_SET_PDEATHSIG = 1


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m scheduler.local", description=__doc__)
    parser.add_argument("--agents", type=int, default=1, help="how many agents")
    parser.add_argument("--port", type=int, default=0, help="the master's port; 0: a free one")
    parser.add_argument("--control-port", type=int, default=0, help="of the control endpoint")
    parser.add_argument("--work-dir", type=Path, help="for sandboxes; default: a temporary one")
    parser.add_argument("--virtual", action="store_true", help="pretend to run tasks")
    parser.add_argument("--cpus", type=float, default=4.0, help="of each agent")
    parser.add_argument("--mem", type=float, default=4096.0, help="MiB of each agent")
    parser.add_argument("--disk", type=float, default=20_000.0, help="MiB of each agent")
    parser.add_argument("--allocation-interval", type=float, default=1.0, help="seconds")
    parser.add_argument("--heartbeat-interval", type=float, default=15.0, help="seconds")
    parser.add_argument("--agent-timeout", type=float, default=75.0, help="seconds")
    parser.add_argument("--update-retry", type=float, default=10.0, help="seconds")
    parser.add_argument("--executor-timeout", type=float, default=2.0, help="seconds")
    parser.add_argument("--virtual-start-delay", type=float, default=0.0, help="seconds")
    parser.add_argument("--executor", help="command that starts the executor of command tasks")
    return parser.parse_args(arguments)


def _make_cluster(options: argparse.Namespace) -> Cluster:
    configs = make_agent_configs(
        options.agents,
        cpus=options.cpus,
        mem_mib=options.mem,
        disk_mib=options.disk,
        is_virtual=options.virtual,
    )
    command = shlex.split(options.executor) if options.executor else None
    return Cluster(
        configs,
        port=options.port,
        work_dir=options.work_dir,
        executor_command=command or (sys.executable, "-I", "-m", "executor"),
        timing=Timing(
            allocation_interval_s=options.allocation_interval,
            heartbeat_interval_s=options.heartbeat_interval,
            agent_timeout_s=options.agent_timeout,
            update_retry_s=options.update_retry,
            executor_reregistration_timeout_s=options.executor_timeout,
            virtual_start_delay_s=options.virtual_start_delay,
        ),
    )


async def _run(options: argparse.Namespace) -> None:
    cluster = _make_cluster(options)
    control = ControlServer(cluster)
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    try:
        await cluster.start()
        port = await control.start(options.control_port)
        ready = {
            "event": "ready",
            "master": cluster.master_address,
            "control": f"http://127.0.0.1:{port}/control",
            "agents": len(cluster.agents),
            "docker": cluster.docker_available,
            "work_dir": str(cluster.work_dir),
        }
        sys.stdout.write(orjson.dumps(ready).decode() + "\n")
        sys.stdout.flush()
        await stopped.wait()
    finally:
        control.stop()
        await cluster.stop()


def main() -> None:
    """Run until told to stop."""
    parent = os.getppid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        return  # The parent died before we could ask to be told.
    # Standard output is for the ready line alone.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    asyncio.run(_run(_parse(sys.argv[1:])))


if __name__ == "__main__":
    main()
