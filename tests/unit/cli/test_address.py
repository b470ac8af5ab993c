"""Where the command line looks for the scheduler."""

import os
from pathlib import Path

import pytest

from scheduler.cli.address import find_server
from scheduler.cli.announcement import (
    Announcement,
    announce,
    announcement_path,
    find_announcement,
    withdraw,
)
from scheduler.cli.failures import ExitCode, Failure


def a_demo(pid: int) -> Announcement:
    return Announcement("http://127.0.0.1:1234", "http://127.0.0.1:5050", None, "/tmp/x", pid)


def configure(home: Path, text: str) -> Path:
    path = home / ".config/egret/config.toml"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return path


def test_the_flag_wins_over_everything(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EGRET_SERVER", "http://variable")
    configure(home, 'server = "http://file"')
    announce(a_demo(os.getpid()))
    assert find_server("http://flag/").url == "http://flag"
    assert find_server(None).url == "http://variable"
    monkeypatch.delenv("EGRET_SERVER")
    assert find_server(None).url == "http://file"


def test_a_running_demo_is_found_without_any_setting() -> None:
    announce(a_demo(os.getpid()))
    server = find_server(None)
    assert server.url == "http://127.0.0.1:1234"
    assert "egret local" in server.origin


def test_without_any_setting_and_demo_it_is_the_usual_port() -> None:
    assert find_server(None).url == "http://127.0.0.1:8080"


def test_a_host_and_port_will_do() -> None:
    assert find_server("host:8080").url == "http://host:8080"


def test_the_note_of_a_demo_that_was_killed_is_not_believed() -> None:
    """Its process id may belong to another program by now: the start time tells."""
    announce(a_demo(os.getpid()))
    path = announcement_path()
    note = path.read_text()
    path.write_text(note.replace(f'"pid":{os.getpid()}', '"pid":1'))
    assert find_announcement() is None
    assert find_server(None).url == "http://127.0.0.1:8080"


def test_a_second_cluster_does_not_hide_the_one_that_runs() -> None:
    """When the second ends, the first must still be found."""
    assert announce(a_demo(os.getppid()))
    assert not announce(a_demo(os.getpid()))
    withdraw(os.getpid())
    found = find_announcement()
    assert found is not None
    assert found.pid == os.getppid()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"server": 1}', "\xff"])
def test_a_broken_note_is_no_demo(text: str) -> None:
    announcement_path().parent.mkdir()
    announcement_path().write_text(text)
    assert find_announcement() is None


def test_withdrawing_leaves_no_file_and_no_folder() -> None:
    announce(a_demo(os.getpid()))
    withdraw(os.getpid())
    assert not announcement_path().parent.exists()


def test_only_the_demo_that_announced_itself_last_withdraws() -> None:
    announce(a_demo(os.getpid()))
    withdraw(os.getppid())
    assert find_announcement() is not None


def test_an_unknown_setting_is_named(home: Path) -> None:
    configure(home, 'srever = "http://file"')
    with pytest.raises(Failure, match="srever") as caught:
        find_server(None)
    assert caught.value.code == ExitCode.USAGE


def test_a_file_that_a_variable_names_must_exist(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EGRET_CLI_CONFIG", str(home / "none.toml"))
    with pytest.raises(Failure, match="does not exist"):
        find_server(None)
