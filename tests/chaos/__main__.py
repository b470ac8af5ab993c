"""Kill the real scheduler under load, again and again, and check after each time that all is well.

    python -m tests.chaos --rounds 100 [--seed 1]
    python -m tests.chaos --each 20

In every other round it dies at a random moment, up to three times in a row, in the others at the
named points of ``scheduler/runtime/crashpoints.py`` in turn; with ``--each`` it dies at those only,
so many times at each. Then it is started again and must

- be the same framework,
- hold every change that was answered (S7),
- never have used a task id twice (S3),
- have left alone the tasks of an app that nobody changed: same ids, same processes,
- come to rest with exactly the wanted tasks alive in the master's eyes (S4, L1).
"""

import argparse
import contextlib
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from tests.chaos.ids import TaskIds
from tests.chaos.load import MOST, SLEEP, Client, Reaper, Worker
from tests.integration.scheduler.processes import Cluster, wait_for
from tests.integration.system.site import Egret, Mesos, part_of, pids_of, sampled

POINTS = (
    "before_commit",
    "after_commit",
    "before_effects",
    "after_mesos_effect",
    "after_effects",
    "after_reply",
    "decided",
    "elected",
    "loaded",
)
ONCE = frozenset({"elected", "loaded"})
"""Passed once in a life."""
STEADY = 5
CEILING = MOST + MOST // 2
"""No app has more tasks alive at once: half as many again as the most while it is replaced. Those
of its life before count as well, where it was removed and made again."""
ALIVE = frozenset({"TASK_STAGING", "TASK_STARTING", "TASK_RUNNING", "TASK_KILLING"})


class Chaos:
    """One cluster, one scheduler, its load, and what must stay true."""

    def __init__(self, folder: Path, cluster: Cluster, seed: int) -> None:
        self.rng = random.Random(seed)
        self.mesos = Mesos(cluster.master, cluster)
        self.egret = Egret(folder, self.mesos)
        self.client = Client(self.egret, random.Random(seed + 1))
        self.reaper = Reaper(self.egret, random.Random(seed + 2))
        self.steady: dict[str, int] = {}
        self.ids = TaskIds()

    def begin(self) -> None:
        """Deploy the app that must never notice anything."""
        self.egret.up()
        app = {"id": "/steady", "cmd": SLEEP, "cpus": 0.05, "mem": 16, "instances": STEADY}
        self.egret.deploy({**app, "portDefinitions": []})
        self.egret.until_settled("/steady", STEADY)
        self.steady = self.egret.pids()
        self.egret.kill()

    def round(self, name: str | None, workers: list[Worker]) -> str:
        """Let the scheduler live for a while and die, at a named point or anywhere; returns how."""
        point = ""
        if name is not None:
            point = f"{name}:{1 if name in ONCE else self.rng.randint(1, 30)}"
        process = self.egret.start(crashpoint=point)
        if point:
            # It dies by itself when the load has brought it there, which takes what it takes.
            wait_for(lambda: process.poll() is not None, f"the scheduler dies at {point}")
        else:
            for life in range(self.rng.randint(1, 3)):  # One after another, without a rest.
                if life:
                    self.egret.start()
                if self.rng.random() < 0.8:  # Else it dies while it starts.
                    self.egret.until_leading()
                time.sleep(self.rng.uniform(0.0, 1.0))
                self.egret.kill()
        with contextlib.ExitStack() as stack:
            for worker in workers:
                stack.enter_context(worker.paused())
            self.check()
            self.egret.kill()
        return point or "a random moment"

    def check(self) -> None:
        """Start again, wait for rest, and look."""
        egret = self.egret
        egret.up()
        egret.until_quiet()
        found = egret.mesos.running(egret.framework_id, part_of("/steady"))
        states = self.client.found()
        for app, possible in self.client.possible.items():
            assert states[app] in possible, f"/{app} is {states[app]}, may be {possible}"
            self.client.possible[app] = {states[app]}
        assert pids_of(found, "sleep") == self.steady, "a task that nobody touched has changed"
        wanted = STEADY + sum(state[0] for state in states.values() if state is not None)
        egret.until_running(wanted)
        ids = [task["id"] for task in self.mesos.tasks(egret.framework_id)]
        self.ids.look(ids, self.mesos.metrics())

    def most_alive(self) -> int:
        """Tasks alive now of the app that has most of them."""
        tasks = self.mesos.tasks(self.egret.framework_id)
        alive = Counter(task["id"].split(".")[0] for task in tasks if task["state"] in ALIVE)
        return max(alive.values(), default=0)


@contextlib.contextmanager
def _load(chaos: Chaos) -> Iterator[list[Worker]]:
    workers = [Worker(chaos.client.change_one, 0.03), Worker(chaos.reaper.kill_one, 0.3)]
    try:
        yield workers
    finally:
        for worker in workers:
            worker.stop()


def mixed(rounds: int) -> list[str | None]:
    """Where to die in so many rounds: anywhere, and at the next named point, in turn."""
    return [POINTS[number // 2 % len(POINTS)] if number % 2 else None for number in range(rounds)]


def run(deaths: Sequence[str | None], seed: int) -> None:
    """Run one round for each death; AssertionError tells what went wrong."""
    with tempfile.TemporaryDirectory(prefix="egret-chaos-") as text:
        folder = Path(text)
        cluster = Cluster(folder, "--cpus", "8", "--update-retry", "2")
        chaos = Chaos(folder, cluster, seed)
        try:
            chaos.begin()
            with _load(chaos) as workers, sampled(chaos.most_alive) as most:
                for number, name in enumerate(deaths, start=1):
                    started_s = time.monotonic()
                    how = chaos.round(name, workers)
                    took_s = time.monotonic() - started_s
                    click.echo(f"round {number}: died at {how}, all well ({took_s:.1f} s)")
            assert max(most) <= CEILING, f"{max(most)} tasks of one app were alive at once"
            client, reaper = chaos.client, chaos.reaper
            click.echo(
                f"{len(deaths)} rounds, {client.answered} changes answered,"
                f" {reaper.killed} tasks killed by hand: all well"
            )
        except BaseException:
            click.echo(chaos.egret.log_text()[-4000:])
            raise
        finally:
            chaos.egret.close()
            cluster.close()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--each", type=int, metavar="N", help="die N times at each named point")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    try:
        each = None if options.each is None else list(POINTS) * options.each
        run(each or mixed(options.rounds), options.seed)
    except AssertionError as error:
        click.echo(f"violation (seed {options.seed}): {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
