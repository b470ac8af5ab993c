"""One form of line for everything that is logged."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from scheduler.telemetry import LogFormat, set_up_logs


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def leave_no_trace() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def test_our_lines_and_those_of_libraries_are_json_objects():
    stream = io.StringIO()
    set_up_logs(LogFormat.AUTO, "info", stream)
    structlog.get_logger("runtime").info("world_loaded", apps=3, odd=object())
    logging.getLogger("uvicorn.error").warning("shutting down %s", "now")
    ours, theirs = map(json.loads, stream.getvalue().splitlines())
    assert (ours["event"], ours["level"], ours["logger"]) == ("world_loaded", "info", "runtime")
    assert ours["apps"] == 3
    assert ours["timestamp"].endswith("Z")
    assert (theirs["event"], theirs["level"]) == ("shutting down now", "warning")


def test_an_error_carries_its_traceback_on_one_line():
    stream = io.StringIO()
    set_up_logs(LogFormat.JSON, "info", stream)
    try:
        raise ValueError("boom")
    except ValueError:
        structlog.get_logger("x").exception("failed")
    [line] = stream.getvalue().splitlines()
    assert "ValueError: boom" in json.loads(line)["exception"]


def test_lines_below_the_level_are_dropped():
    stream = io.StringIO()
    set_up_logs(LogFormat.JSON, "warning", stream)
    structlog.get_logger("x").info("small")
    logging.getLogger("y").info("small")
    structlog.get_logger("x").warning("large")
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["large"]


def test_a_person_at_a_terminal_gets_text():
    stream = Terminal()
    set_up_logs(LogFormat.AUTO, "info", stream)
    structlog.get_logger("x").info("world_loaded", apps=3)
    assert not stream.getvalue().startswith("{")
    assert "world_loaded" in stream.getvalue()


def test_a_stream_that_fails_loses_lines_and_nothing_else():
    """A full disk under the log must not end the scheduler."""
    stream = io.StringIO()
    set_up_logs(LogFormat.JSON, "info", stream)
    stream.close()
    structlog.get_logger("x").info("lost")
    set_up_logs(LogFormat.JSON, "info", again := io.StringIO())
    structlog.get_logger("x").info("kept")
    assert json.loads(again.getvalue())["event"] == "kept"


def test_a_line_that_begins_nothing_and_carries_arguments_is_told_whole():
    stream = io.StringIO()
    set_up_logs(LogFormat.JSON, "debug", stream)
    with structlog.contextvars.bound_contextvars(epoch=3):
        structlog.get_logger("x").bind(app="/web").debug("told", lines="one\ntwo")
    [line] = stream.getvalue().splitlines()
    told = json.loads(line)
    assert (told["epoch"], told["app"], told["lines"]) == (3, "/web", "one\ntwo")
