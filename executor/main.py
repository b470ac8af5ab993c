"""Put the executor together and run it until it is no longer needed."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import NoReturn

from executor import lineage, logs
from executor.driver import AgentDriver
from executor.processes import Processes
from executor.runner import TaskRunner
from executor.settings import BadEnvironment, Settings, read_settings

# Processes may fork while they are killed; what hangs in the kernel must not hold us for ever.
_LAST_KILLS = 100


def main() -> NoReturn:
    """Run the executor that the environment describes; exit 0 when its work is done."""
    logs.set_up()
    try:
        settings = read_settings(os.environ)
    except BadEnvironment as error:
        logs.warning("bad_environment", error=str(error))
        sys.exit(2)
    asyncio.run(run_executor(settings))
    sys.exit(0)


async def run_executor(settings: Settings) -> None:
    """Serve one agent until shut down, idle, or abandoned. Leaves no process behind."""
    loop = asyncio.get_running_loop()
    processes = Processes()
    runner = TaskRunner(settings, processes, dict(os.environ))
    driver = AgentDriver(runner, settings)
    runner.attach(driver)
    lineage.become_subreaper()
    loop.add_signal_handler(signal.SIGCHLD, processes.reap)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, driver.on_shutdown)
    try:
        await driver.run_until_stopped()
        await runner.wait_until_empty()
    finally:
        for _ in range(_LAST_KILLS):
            if not lineage.kill_descendants():
                break
            await asyncio.sleep(0.01)
    logs.info("executor_ends")
