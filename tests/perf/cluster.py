"""Launch through the real scheduler, beside a client that only accepts and acknowledges.

Cluster, scheduler and client are processes of their own on the same machine, and the cluster's
tasks are virtual: they run as soon as they are launched. The ratio is what compares machines.
"""

import asyncio
import os
import tempfile
import threading
import time
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from tests.integration.scheduler.processes import Cluster, Scheduler, wait_for
from tests.perf import bare
from tests.perf.report import emit, percentile

AGENTS = 20


def app(app_id: str, instances: int) -> dict[str, Any]:
    return {
        "id": app_id,
        "cmd": "sleep 1000",
        "cpus": 0.1,
        "mem": 32,
        "instances": instances,
        "portDefinitions": [],
    }


def _running(scheduler: Scheduler, app_id: str) -> int:
    _, body = scheduler.ask("GET", f"/v2/apps?id={app_id}")
    return next((one["tasksRunning"] for one in body["apps"] if one["id"] == app_id), 0)


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _rate(scheduler: Scheduler, tasks: int) -> tuple[float, float]:
    """Seconds and CPU seconds from the request to the last RUNNING."""
    assert scheduler.process is not None
    pid = scheduler.process.pid
    started_s, cpu_s = time.perf_counter(), _cpu_s(pid)
    status, _ = scheduler.ask("POST", "/v2/apps", app("/many", tasks))
    assert status == 201, status
    while _running(scheduler, "/many") < tasks:
        time.sleep(0.02)
    elapsed_s = time.perf_counter() - started_s
    cpu_s = _cpu_s(pid) - cpu_s
    scheduler.ask("DELETE", "/v2/apps/many?force=true")
    wait_for(lambda: scheduler.ask("GET", "/v2/tasks")[1] == {"tasks": []}, "all are gone")
    wait_for(lambda: scheduler.ask("GET", "/v2/deployments")[1] == [], "all is done")
    return elapsed_s, cpu_s


def _latencies_s(scheduler: Scheduler, samples: int) -> list[float]:
    """From POST of a new app of one instance to its RUNNING, one at a time."""
    found: list[float] = []
    for number in range(samples):
        app_id = f"/one-{number}"
        started_s = time.perf_counter()
        assert scheduler.ask("POST", "/v2/apps", app(app_id, 1))[0] == 201
        while _running(scheduler, app_id) < 1:
            time.sleep(0.001)
        found.append(time.perf_counter() - started_s)
        scheduler.ask("DELETE", f"/v2/apps{app_id}?force=true")
    return found


def _get_apps(scheduler: Scheduler, apps: int, seconds: float) -> None:
    """GET /v2/apps from ten connections, with so many apps there."""
    group = {"id": "/g", "apps": [{**app(f"a{n}", 1), "id": f"a{n}"} for n in range(apps)]}
    assert scheduler.ask("POST", "/v2/groups", group)[0] == 201
    wait_for(lambda: scheduler.ask("GET", "/v2/deployments")[1] == [], "all apps run")
    times_s: list[float] = []
    refused: list[int] = []
    end_s = time.perf_counter() + seconds

    def client() -> None:
        connection = HTTPConnection("127.0.0.1", scheduler.port)
        while time.perf_counter() < end_s:
            begun_s = time.perf_counter()
            connection.request("GET", "/v2/apps")
            answer = connection.getresponse()
            answer.read()
            if answer.status == 200:
                times_s.append(time.perf_counter() - begun_s)
            else:
                refused.append(answer.status)
        connection.close()

    threads = [threading.Thread(target=client) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    where = {"apps": apps, "connections": 10, "refused": len(refused)}
    emit("api", "get_apps_rate", len(times_s) / seconds, "requests/s", **where)
    emit("api", "get_apps_p50", percentile(times_s, 0.5) * 1000, "ms", **where)
    emit("api", "get_apps_p99", percentile(times_s, 0.99) * 1000, "ms", **where)


def run(*, quick: bool) -> None:
    """Measure."""
    tasks, rounds = (500, 1) if quick else (5_000, 3)
    with tempfile.TemporaryDirectory(prefix="egret-perf-") as text:
        folder = Path(text)
        cluster = Cluster(
            folder, "--agents", str(AGENTS), "--virtual", "--cpus", "10000", "--mem", "1000000"
        )
        scheduler = Scheduler(folder, cluster.master)
        try:
            _against_bare(scheduler, cluster, tasks, rounds)
            latencies_s = _latencies_s(scheduler, 20 if quick else 200)
            emit("cluster", "submit_to_running_p50", percentile(latencies_s, 0.5) * 1000, "ms")
            emit("cluster", "submit_to_running_p99", percentile(latencies_s, 0.99) * 1000, "ms")
            _get_apps(scheduler, 100 if quick else 1_000, 2 if quick else 10)
        finally:
            scheduler.close()
            cluster.close()


def _against_bare(scheduler: Scheduler, cluster: Cluster, tasks: int, rounds: int) -> None:
    """Take the median round of each; the bare client's rounds come between ours."""
    ours: list[tuple[float, float]] = []
    bares: list[tuple[float, float]] = []
    for _ in range(rounds):
        bares.append(asyncio.run(bare.launched(cluster.master, tasks)))
        scheduler.start("--log-level", "warning")
        scheduler.until_leading()
        ours.append(_rate(scheduler, tasks))
        if len(ours) < rounds:
            scheduler.close()
    our_s, our_cpu_s = sorted(ours)[rounds // 2]
    bare_s, bare_cpu_s = sorted(bares)[rounds // 2]
    where = {"tasks": tasks, "agents": AGENTS}
    emit("cluster", "tasks_to_running", tasks / our_s, "tasks/s", **where)
    emit("cluster", "tasks_to_running_bare", tasks / bare_s, "tasks/s", **where)
    emit("cluster", "ratio", bare_s / our_s, "", **where)
    emit("cluster", "cpu_per_task", our_cpu_s / tasks * 1e6, "µs", **where)
    emit("cluster", "cpu_per_task_bare", bare_cpu_s / tasks * 1e6, "µs", **where)
