"""What the demo says about apps, and when it calls them ready."""

import sys
from pathlib import Path

import pytest
from attrs import evolve

from scheduler.cli.demo_children import _knows_grpc_tls, _readable, find_consul
from scheduler.cli.demo_state import AppView, Snapshot, TaskView
from scheduler.cli.demo_view import Places, _cap, hint_lines, plain_line

TASK = TaskView("t1", "running", "healthy", "S0", "h1", (31000,), 42, is_registered=True)
APP = AppView("/a", 1, 1, 1, is_deploying=False, tasks=(TASK,), failure=None)
PLACES = Places("http://s", "http://m", None, Path("/w"), is_announced=False)


def test_an_app_is_ready_when_nothing_is_left_to_wait_for() -> None:
    assert APP.is_ready
    assert plain_line(APP) == "/a: ready, 1 of 1 running and healthy (h1:31000)"


@pytest.mark.parametrize(
    ("app", "lack"),
    [
        (evolve(APP, running=0), "0 of 1 running"),
        (evolve(APP, healthy=0), "0 of 1 healthy"),
        (evolve(APP, is_deploying=True), "being deployed"),
        (evolve(APP, tasks=(TASK, TASK)), "being deployed"),
        (evolve(APP, tasks=(evolve(TASK, is_registered=False),)), "1 not registered in Consul yet"),
    ],
)
def test_what_an_app_lacks_is_named(app: AppView, lack: str) -> None:
    assert app.lack == lack
    assert not Snapshot((app,), ()).ready(["/a"])


def test_an_app_without_checks_needs_no_health() -> None:
    assert evolve(APP, healthy=None).is_ready


def test_a_job_that_has_done_its_work_is_ready() -> None:
    job = evolve(APP, running=0, healthy=0, tasks=(), done=1)
    assert plain_line(job) == "/a: ready, 0 of 1 running, 1 done"


def test_an_app_that_is_gone_is_not_ready() -> None:
    snapshot = Snapshot((APP,), ())
    assert snapshot.ready(["/a"])
    assert snapshot.lacks(["/a", "/b"]) == ["/b: is gone"]


def test_the_last_failure_and_the_reason_for_waiting_are_told() -> None:
    app = evolve(APP, running=0, failure="exited with 1")
    snapshot = Snapshot((app,), ("/a: 1 to launch, no offers from Mesos yet",))
    assert snapshot.lacks(["/a"]) == [
        "/a: 0 of 1 running; last failure: exited with 1",
        "/a: 1 to launch, no offers from Mesos yet",
    ]


def test_one_large_app_does_not_hide_the_others() -> None:
    assert _cap([60, 2, 1], room=20) == 16  # 16 and a line "… more", 2, 1
    assert _cap([3, 2], room=20) == 3
    assert _cap([], room=20) == 1
    assert _cap([9, 9, 9], room=2) == 1


def test_hints_name_what_runs_and_the_server_where_it_cannot_be_found() -> None:
    lines = "\n".join(hint_lines(PLACES, Snapshot((APP,), ()), ["/a"]))
    assert "curl http://h1:31000/" in lines
    assert "kill -9 42" in lines
    assert "egret --server http://s app scale /a 5" in lines
    found = hint_lines(evolve(PLACES, is_announced=True), Snapshot((APP,), ()), ["/a"])
    assert "--server" not in "\n".join(found)


@pytest.mark.parametrize(
    ("version", "knows"), [("Consul v1.8.7\n", False), ("Consul v1.14.0\n", True), ("?", False)]
)
def test_old_consuls_are_spared_a_port_they_do_not_know(version: str, knows: bool) -> None:
    assert _knows_grpc_tls(version) is knows


def test_consul_is_the_one_beside_the_environment_else_the_one_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path / ".venv"))
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    assert find_consul() is None
    for name in ("path/consul", ".tools/bin/consul"):
        binary = tmp_path / name
        binary.parent.mkdir(parents=True)
        binary.touch(0o755)
        assert find_consul() == binary


def test_a_log_is_shown_the_way_people_read_one() -> None:
    line = '{"event": "scheduler_failed", "level": "critical", "code": 3, "exception": "Boom"}'
    assert _readable(line) == "critical scheduler_failed code=3\nBoom"
    assert _readable("no JSON") == "no JSON"
