"""Start the real scheduler and the embedded cluster as processes, and talk to them."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from tests.support import free_ports

DEADLINE_S = 60.0
"""Far longer than anything takes: a slow machine must not fail a test."""


def wait_for(condition: Callable[[], Any], what: str) -> Any:
    """Return the first true value of ``condition``."""
    end_s = time.monotonic() + DEADLINE_S
    while time.monotonic() < end_s:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"not within {DEADLINE_S} s: {what}")


class Cluster:
    """An embedded cluster; it dies with the test."""

    def __init__(self, folder: Path, *flags: str) -> None:
        self.log = (folder / "cluster.log").open("wb")
        command = [
            sys.executable, "-m", "scheduler.local", "--agents", "2", "--port", str(*free_ports(1)),
            "--work-dir", str(folder / "cluster"), "--allocation-interval", "0.2", *flags,
        ]  # fmt: skip
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log)
        assert self.process.stdout is not None
        ready = json.loads(self.process.stdout.readline())
        self.master: str = ready["master"]
        self.control: str = ready["control"]

    def tasks(self) -> list[dict[str, Any]]:
        """Every task the master knows, of all frameworks, alive or not."""
        with urlopen(f"http://{self.master}/master/state", timeout=DEADLINE_S) as answer:
            state = json.load(answer)
        frameworks = state["frameworks"] + state.get("completed_frameworks", [])
        return [
            task
            for framework in frameworks
            for task in framework["tasks"] + framework.get("completed_tasks", [])
        ]

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(DEADLINE_S)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.log.close()


class Scheduler:
    """One scheduler, started and ended as often as the test wants; its store stays."""

    def __init__(self, folder: Path, master: str) -> None:
        self.folder = folder
        self.master = master
        (self.port,) = free_ports(1)
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def store(self) -> Path:
        return self.folder / "egret.db"

    def start(self, *flags: str, crashpoint: str = "") -> subprocess.Popen[bytes]:
        command = [
            sys.executable, "-m", "scheduler.cli", "scheduler", "--master", self.master,
            "--store", f"sqlite://{self.store}", "--http", f"127.0.0.1:{self.port}", *flags,
        ]  # fmt: skip
        environment = {**os.environ, "EGRET_CRASHPOINT": crashpoint}
        with (self.folder / "scheduler.log").open("ab") as log:
            self.process = subprocess.Popen(command, stderr=log, env=environment)
        return self.process

    def log_text(self) -> str:
        return (self.folder / "scheduler.log").read_text()

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Make a request; status 0 when nobody answers."""
        request = Request(
            f"http://127.0.0.1:{self.port}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with urlopen(request, timeout=DEADLINE_S) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except HTTPError as error:
            return error.code, None
        except (OSError, HTTPException):
            return 0, None

    def is_leading(self) -> bool:
        status, info = self.ask("GET", "/v2/info?embed=egret")
        return status == 200 and info["elected"] and info["egret"]["mesosConnected"]

    def until_leading(self) -> None:
        wait_for(self.is_leading, "the scheduler leads")

    def tasks_of(self, app_id: str) -> list[dict[str, Any]]:
        _, body = self.ask("GET", f"/v2/apps/{app_id}/tasks")
        return body["tasks"] if body else []

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(DEADLINE_S)
