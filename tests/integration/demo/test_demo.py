"""The newcomer's first minute: `egret local` with the examples, to its end and beyond."""

import json
import os
import re
import signal
from pathlib import Path

import pytest
import requests

from tests.integration.demo.running_demo import (
    EXAMPLES,
    Demo,
    await_nothing_left,
    egret,
    files_below,
)
from tests.support import eventually, free_ports

HELLO = str(EXAMPLES / "hello.json")
SHOP = str(EXAMPLES / "shop.json")


def write_app(folder: Path, **app: object) -> str:
    path = folder / "app.json"
    path.write_text(json.dumps(app))
    return str(path)


def port() -> str:
    return str(free_ports(1)[0])


def test_once_ends_well_when_all_examples_are_healthy_and_registered(
    tmp_path: Path, consul_binary: Path
) -> None:
    result = egret(tmp_path, "local", "--once", "--http-port", port(), HELLO, SHOP)
    assert result.returncode == 0, result.stdout + result.stderr
    for line in (
        "/hello: ready, 3 of 3 running and healthy",
        "/shop/cart: ready, 2 of 2 running and healthy",
        "/shop/clock: ready, 1 of 1 running",
        "/shop/web: ready, 2 of 2 running and healthy",
        "Consul at http://127.0.0.1:",
    ):
        assert line in result.stdout
    await_nothing_left(tmp_path)
    assert files_below(tmp_path) == []


def test_once_says_what_an_app_waits_for_when_the_time_is_over(tmp_path: Path) -> None:
    app = write_app(tmp_path, id="/big", cmd="sleep 1000", mem=1_000_000)
    options = ["--once", "--timeout", "30", "--consul", "off", "--http-port", port()]
    result = egret(tmp_path, "local", *options, app)
    assert result.returncode == 5
    assert "/big: 0 of 1 running" in result.stderr
    assert "not enough memory on any agent" in result.stderr
    await_nothing_left(tmp_path)
    assert files_below(tmp_path) == []


def test_once_says_why_an_app_is_refused(tmp_path: Path) -> None:
    app = write_app(tmp_path, id="/bad", cmd="sleep 1000", cpu=1)
    result = egret(tmp_path, "local", "--once", "--consul", "off", "--http-port", port(), app)
    assert result.returncode == 4
    assert "/cpu: " in result.stderr
    await_nothing_left(tmp_path)


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with Demo(tmp_path, "--consul", "off", "--http-port", taken := port()) as demo:
        demo.wait_for("scheduler at")
        other = tmp_path / "other"
        other.mkdir()
        result = egret(other, "local", "--once", "--consul", "off", "--http-port", taken, HELLO)
    assert result.returncode == 1
    assert f"Port {taken} is taken." in result.stderr


async def test_a_second_terminal_finds_it_and_a_task_killed_by_hand_comes_back(
    tmp_path: Path,
) -> None:
    with Demo(tmp_path, "--consul", "off", "--http-port", port(), HELLO) as demo:
        shown = demo.wait_for("Ctrl-C here ends everything.")
        curl = re.search(r"curl (http://127\.0\.0\.1:\d+/)", shown)
        assert curl is not None
        assert requests.get(curl.group(1), timeout=60).text.startswith("hello from hello.instance-")

        scaled = egret(tmp_path, "app", "scale", "/hello", "4", "--wait")
        assert scaled.returncode == 0, scaled.stderr
        demo.wait_for("/hello: ready, 4 of 4 running and healthy")

        kill = re.search(r"kill -9 (\d+)", shown)
        assert kill is not None
        before = running(tmp_path)
        os.kill(int(kill.group(1)), signal.SIGKILL)
        await eventually(lambda: len(running(tmp_path) - before) == 1, what="a new task")

        assert demo.end(signal.SIGINT) == 0
    await_nothing_left(tmp_path)
    assert files_below(tmp_path) == []


def running(home: Path) -> set[str]:
    tasks = json.loads(egret(home, "task", "list", "--json").stdout)
    return {task["id"] for task in tasks if task["state"] == "TASK_RUNNING"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_other_ways_to_end_it_leave_nothing_either(tmp_path: Path, number: signal.Signals) -> None:
    with Demo(tmp_path, "--http-port", port(), HELLO) as demo:
        demo.wait_for("/hello: ready")
        assert demo.end(number) == 0
    await_nothing_left(tmp_path)
    assert files_below(tmp_path) == []


def test_even_when_it_is_killed_no_process_stays(tmp_path: Path) -> None:
    with Demo(tmp_path, "--http-port", port(), HELLO) as demo:
        demo.wait_for("/hello: ready")
        demo.end(signal.SIGKILL)
    await_nothing_left(tmp_path)
    findings = json.loads(egret(tmp_path, "doctor", "--json").stdout)
    assert any("left by an `egret local` that is gone" in one["says"] for one in findings)


def test_a_scheduler_that_dies_ends_it_with_the_tail_of_its_log(tmp_path: Path) -> None:
    options = ["--consul", "off", "--http-port", port(), "--work-dir", str(tmp_path / "kept")]
    with Demo(tmp_path, *options, HELLO) as demo:
        demo.wait_for("/hello: ready")
        (pid,) = scheduler_pids(tmp_path)
        os.kill(pid, signal.SIGKILL)
        assert demo.process.wait(60) == 1
        shown = demo.text()
    assert "scheduler ended with status -9" in shown
    assert "scheduler: " in shown
    await_nothing_left(tmp_path / "kept")


def scheduler_pids(home: Path) -> list[int]:
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_text().split("\0")
        except OSError:
            continue
        if "scheduler.cli" in words and any(str(home) in word for word in words):
            found.append(int(entry.name))
    return found


def test_a_named_work_dir_is_kept_with_the_logs(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    options = ["--once", "--consul", "off", "--http-port", port(), "--work-dir", str(kept)]
    assert egret(tmp_path, "local", *options, HELLO).returncode == 0
    assert {path.name for path in kept.iterdir()} >= {"scheduler.log", "cluster.log", "egret.db"}
    again = egret(tmp_path, "local", *options, HELLO)
    assert again.returncode == 0, again.stderr
