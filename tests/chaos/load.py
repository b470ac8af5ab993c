"""Work for the scheduler: apps that come, change and go, and tasks that die."""

import contextlib
import os
import random
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

from tests.integration.system.site import SLEEP, Egret, pids_of

APPS = ("a", "b", "c", "d")
MOST = 5
"""Instances of one of the apps."""
State = tuple[int, str] | None
"""Instances and the value of a variable; None: there is no such app."""


def definition(state: tuple[int, str]) -> dict[str, Any]:
    """An app that is replaced by halves, and whose failed tasks come back soon."""
    instances, variable = state
    return {
        "cmd": SLEEP,
        "cpus": 0.05,
        "mem": 16,
        "instances": instances,
        "env": {"V": variable},
        "portDefinitions": [],
        "backoffSeconds": 1,
        "backoffFactor": 1.0,
        "upgradeStrategy": {"minimumHealthCapacity": 0.5, "maximumOverCapacity": 0.5},
    }


class Worker:
    """Does something again and again, in a thread of its own, except while it is paused."""

    def __init__(self, work: Callable[[], None], pause_s: float) -> None:
        self._work = work
        self._pause_s = pause_s
        self._may_work = threading.Lock()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._is_over.wait(self._pause_s):
            with self._may_work:
                self._work()

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Rest; what is under way is finished first."""
        with self._may_work:
            yield

    def stop(self) -> None:
        """End for good."""
        self._is_over.set()
        self._thread.join()


class Client:
    """Changes apps, and knows for each what may be true of it.

    An answer of 2xx leaves one truth. No answer leaves the one asked for as well as those before.
    """

    def __init__(self, egret: Egret, rng: random.Random) -> None:
        self.egret = egret
        self.rng = rng
        self.possible: dict[str, set[State]] = {app: {None} for app in APPS}
        self.answered = 0

    def change_one(self) -> None:
        """Put or remove one app."""
        app = self.rng.choice(APPS)
        wanted: State = None
        if self.rng.random() < 0.85:
            wanted = (self.rng.randint(0, MOST), self.rng.choice("xy"))
        status = self._ask(app, wanted)
        if status in {200, 201} or (status == 404 and wanted is None):
            self.possible[app] = {wanted}
            self.answered += 1
        else:
            self.possible[app].add(wanted)

    def _ask(self, app: str, wanted: State) -> int:
        path = f"/v2/apps/{app}?force=true"
        if wanted is None:
            return self.egret.ask("DELETE", path)[0]
        return self.egret.ask("PUT", path, definition(wanted))[0]

    def found(self) -> dict[str, State]:
        """What the scheduler says of the apps."""
        apps = {app["id"].strip("/"): app for app in self.egret.get("/v2/apps")["apps"]}
        return {
            name: (apps[name]["instances"], apps[name]["env"]["V"]) if name in apps else None
            for name in APPS
        }


class Reaper:
    """Kills a task's process now and then, as a crash of the task would end it."""

    def __init__(self, egret: Egret, rng: random.Random) -> None:
        self.egret = egret
        self.rng = rng
        self.killed = 0

    def kill_one(self) -> None:
        """Kill a task of one of the changing apps, if there is any."""
        running = {one for one in self.egret.running() if one.split(".")[0] in APPS}
        pids = pids_of(running, "sleep")
        if pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pids[self.rng.choice(sorted(pids))], signal.SIGKILL)
                self.killed += 1
