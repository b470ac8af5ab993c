"""How much a thousand probes a second disturb the loop that everything else runs on."""

import asyncio
import logging
import subprocess
import sys
import time
from random import Random

import structlog

from scheduler.core.app import HealthProtocol
from scheduler.core.ids import TaskId
from scheduler.core.instance import CheckResult
from scheduler.health import ProbeCheck, Prober, ProbeTarget
from tests.perf.report import emit, percentile

TASKS = 1_000
INTERVAL_MS = 1_000
TICK_S = 0.005

_SERVER = """
import asyncio
async def serve(reader, writer):
    while await reader.readuntil(b"\\r\\n\\r\\n"):
        writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\nConnection: close\\r\\n\\r\\nok")
        break
    writer.close()
async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=1000)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""


def _target(number: int, port: int) -> ProbeTarget:
    check = ProbeCheck(
        index=0,
        address="127.0.0.1",
        port=port,
        protocol=HealthProtocol.HTTP,
        path="/",
        grace_ms=0,
        interval_ms=INTERVAL_MS,
        timeout_ms=5_000,
        max_consecutive_failures=3,
        ignore_http_1xx=False,
        result=CheckResult(),
    )
    return ProbeTarget(TaskId(f"task-{number}"), 0, (check,))


async def _lags_s(port: int, seconds: float) -> tuple[list[float], float, float]:
    """Lags of a tick on the loop while all are probed; probes and CPU seconds, each a second."""
    prober = Prober(lambda _: None, lambda: time.time_ns() // 1_000_000, Random(1))
    for number in range(TASKS):
        prober.watch(_target(number, port))
    running = asyncio.create_task(prober.run())
    await asyncio.sleep(INTERVAL_MS / 1000 + 0.5)
    probes, cpu_s, begun_s = _probes(prober), time.process_time(), time.perf_counter()
    lags_s: list[float] = []
    while (now_s := time.perf_counter()) - begun_s < seconds:
        await asyncio.sleep(TICK_S)
        lags_s.append(max(0.0, time.perf_counter() - now_s - TICK_S))
    elapsed_s = time.perf_counter() - begun_s
    cpu_share = (time.process_time() - cpu_s) / elapsed_s
    rate = (_probes(prober) - probes) / elapsed_s
    prober.stop()
    await running
    return lags_s, rate, cpu_share


def _probes(prober: Prober) -> int:
    return sum(prober.stats().probes.values())


def run(*, quick: bool) -> None:
    """Measure."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
    server = subprocess.Popen([sys.executable, "-c", _SERVER], stdout=subprocess.PIPE)
    try:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        lags_s, rate, cpu = asyncio.run(_lags_s(port, 2 if quick else 10))
    finally:
        server.kill()
        server.wait()
    where = {"probes_per_s": round(rate)}
    emit("probes", "loop_lag_p50", percentile(lags_s, 0.5) * 1000, "ms", **where)
    emit("probes", "loop_lag_p99", percentile(lags_s, 0.99) * 1000, "ms", **where)
    emit("probes", "cpu", cpu, "cores", **where)
