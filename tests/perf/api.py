"""Ask for a thousand apps with their tasks from ten connections, and see what scheduling notices.

The clients are processes of their own. Once they poll every second, as dashboards and load
balancers do; once each asks again as soon as it has its answer.
"""

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import httpx2

from tests.live_egret import LiveEgret, live_egret
from tests.perf.report import emit, percentile

CLIENTS = 10
PATH = "/v2/apps?embed=apps.tasks"
_CLIENT = """
import http.client, sys, time
address, path, pause_s, until_s = sys.argv[1], sys.argv[2], float(sys.argv[3]), float(sys.argv[4])
connection = http.client.HTTPConnection(address, timeout=60)
while time.time() < until_s:
    began_s = time.perf_counter()
    connection.request("GET", path)
    connection.getresponse().read()
    print(time.perf_counter() - began_s)
    time.sleep(pause_s)
"""


def _apps(count: int) -> Iterator[dict[str, object]]:
    for number in range(count):
        yield {
            "id": f"/bench/app-{number}",
            "cmd": "exec ./serve --port $PORT0",
            "instances": 5,
            "env": {f"KEY_{index}": "v" * 60 for index in range(20)},
            "labels": {f"HAPROXY_{index}": "x" * 60 for index in range(20)},
            "portDefinitions": [{"port": 0, "name": "http"}, {"port": 0, "name": "admin"}],
        }


def _poll(egret: LiveEgret, pause_s: float, seconds: float) -> list[float]:
    address = egret.url.removeprefix("http://")
    until_s = str(time.time() + seconds)
    command = [sys.executable, "-c", _CLIENT, address, PATH, str(pause_s), until_s]
    clients = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(CLIENTS)]
    return [float(line) for client in clients for line in client.communicate()[0].split()]


def _lags_s(loop: asyncio.AbstractEventLoop, over: threading.Event, found: list[float]) -> None:
    while not over.wait(0.01):
        began_s = time.perf_counter()
        turned = threading.Event()
        loop.call_soon_threadsafe(turned.set)
        turned.wait()
        found.append(time.perf_counter() - began_s)


def _measure(egret: LiveEgret, load: str, pause_s: float | None, seconds: float, apps: int) -> None:
    over, lags_s = threading.Event(), list[float]()
    watching = threading.Thread(target=_lags_s, args=(egret.loop, over, lags_s))
    watching.start()
    if pause_s is None:
        time.sleep(seconds)
    else:
        times_s = _poll(egret, pause_s, seconds)
        where = {"load": load, "apps": apps, "connections": CLIENTS}
        emit("api", "list_rate", len(times_s) / seconds, "requests/s", **where)
        emit("api", "list_p50", percentile(times_s, 0.5) * 1000, "ms", **where)
        emit("api", "list_p99", percentile(times_s, 0.99) * 1000, "ms", **where)
    over.set()
    watching.join()
    emit("api", "loop_lag_p50", percentile(lags_s, 0.5) * 1000, "ms", load=load)
    emit("api", "loop_lag_p99", percentile(lags_s, 0.99) * 1000, "ms", load=load)


def run(*, quick: bool) -> None:
    """Print rate and latency of the list, and the lag of the loop without and with its readers."""
    apps, seconds = (50, 1) if quick else (1_000, 10)
    with live_egret() as egret:
        put = httpx2.put(f"{egret.url}/v2/apps", json=list(_apps(apps)), timeout=120)
        put.raise_for_status()
        while httpx2.get(f"{egret.url}/v2/deployments", timeout=60).json():
            time.sleep(0.2)
        size = len(httpx2.get(egret.url + PATH, timeout=60).content)
        emit("api", "list_size", size / 1e6, "MB", apps=apps)
        _measure(egret, "none", None, seconds, apps)
        _measure(egret, "polling", 1.0, seconds, apps)
        _measure(egret, "saturated", 0.0, seconds, apps)
