"""What a TaskInfo is understood to say."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.messages import BadTask, Check, Command, Uri, read_launch


def info(**fields: Any) -> dict[str, Any]:
    return {"task_id": {"value": "t1"}, **fields}


def data(**egret: Any) -> str:
    return base64.b64encode(json.dumps({"egret": egret}).encode()).decode()


def test_a_bare_command_gets_mesoss_defaults() -> None:
    launch = read_launch(info(command={"value": "true"}), "x1")
    assert launch.command == Command("true")
    assert launch.command.argv == ("sh", "-c", "true")
    assert launch.grace_s == 3.0
    assert launch.sandbox == "tasks/t1"
    assert launch.completion_limit_s is None
    assert not launch.is_alone
    assert not launch.is_fetched
    assert launch.checks == ()


def test_an_executor_named_as_its_task_is_the_tasks_alone() -> None:
    launch = read_launch(info(command={"value": "true"}), "t1")
    assert launch.is_alone
    assert launch.is_fetched
    assert launch.sandbox == ""


def test_a_command_in_egrets_data_is_never_alone() -> None:
    """There the agent fetched nothing: it knows no command."""
    launch = read_launch(info(data=data(command={"value": "true"})), "t1")
    assert not launch.is_alone
    assert not launch.is_fetched


def test_a_task_without_health_check_defaults_gets_them() -> None:
    check = {"type": "COMMAND", "command": {"value": "true"}}
    launch = read_launch(info(command={"value": "true"}, health_check=check), "x1")
    assert launch.checks == (Check(command=Command("true")),)
    assert (launch.checks[0].delay_s, launch.checks[0].interval_s) == (15, 10)
    assert (launch.checks[0].timeout_s, launch.checks[0].grace_s) == (20, 10)
    assert launch.checks[0].failure_limit == 3


def test_everything_is_read() -> None:
    launch = read_launch(
        info(
            data=data(
                command={
                    "shell": False,
                    "value": "/bin/x",
                    "arguments": ["x", "1"],
                    "user": "web",
                    "environment": {"variables": [{"name": "A", "value": "b"}]},
                    "uris": [{"value": "http://h/x.tgz", "extract": False, "output_file": "y"}],
                },
                sandbox="apps/web",
                fetched=True,
                drain_seconds=2.5,
                checks=[{"type": "HTTP", "http": {"port": 80, "protocol": "IPv6", "path": "/h"}}],
            ),
            kill_policy={"grace_period": {"nanoseconds": 0}},
            max_completion_time={"nanoseconds": 1_500_000_000},
            health_check={"type": "TCP", "tcp": {"port": 81}, "consecutive_failures": 0},
        ),
        "x1",
    )
    uri = Uri("http://h/x.tgz", extract=False, output_file="y")
    assert launch.command == Command("/bin/x", False, ("x", "1"), (("A", "b"),), "web", (uri,))
    assert launch.sandbox == "apps/web"
    assert launch.is_fetched
    assert launch.is_egret
    assert (launch.grace_s, launch.drain_s, launch.completion_limit_s) == (0, 2.5, 1.5)
    assert launch.checks == (
        Check(port=81, failure_limit=1),
        Check(port=80, is_http=True, path="/h", host="::1"),
    )


def test_a_plain_check_has_its_command_one_level_deeper() -> None:
    check = {"type": "COMMAND", "command": {"command": {"value": "up"}}, "interval_seconds": 1}
    launch = read_launch(info(command={"value": "true"}, check=check), "x1")
    assert launch.plain_check == Check(command=Command("up"), interval_s=1)
    assert launch.checks == ()


@pytest.mark.parametrize("foreign", ["aGVhbHRoeQ==", "bnVsbA==", "W10=", "!", "eyJhIjoxfQ=="])
def test_data_of_somebody_else_is_left_alone(foreign: str) -> None:
    launch = read_launch(info(command={"value": "true"}, data=foreign), "x1")
    assert not launch.is_egret


@pytest.mark.parametrize("sandbox", ["/etc", "..", "a/../../b"])
def test_a_sandbox_outside_of_the_executors_is_refused(sandbox: str) -> None:
    with pytest.raises(BadTask, match="outside"):
        read_launch(info(data=data(command={"value": "true"}, sandbox=sandbox)), "x1")


def test_a_task_id_cannot_lead_out_of_the_sandbox() -> None:
    with pytest.raises(BadTask, match="outside"):
        read_launch({"task_id": {"value": "../x"}, "command": {"value": "true"}}, "x1")


def test_a_secret_that_nobody_resolved_is_refused() -> None:
    variables = [{"name": "PW", "type": "SECRET", "secret": {"reference": {"name": "x"}}}]
    with pytest.raises(BadTask, match="PW"):
        read_launch(info(command={"value": "x", "environment": {"variables": variables}}), "x1")


@pytest.mark.parametrize("seconds", [-1, float("inf"), float("nan")])
def test_a_check_needs_times_that_pass(seconds: float) -> None:
    check = {"type": "TCP", "tcp": {"port": 1}, "interval_seconds": seconds}
    with pytest.raises(BadTask, match="seconds"):
        read_launch(info(command={"value": "true"}, health_check=check), "x1")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
FIELDS = st.sampled_from(["value", "shell", "arguments", "environment", "uris", "user"])


@given(st.dictionaries(FIELDS, JSON), JSON, JSON, JSON, JSON)
def test_no_json_makes_it_fail_otherwise_than_with_bad_task(
    command: Any, check: Any, policy: Any, limit: Any, egret: Any
) -> None:
    task = info(
        command=command,
        health_check=check,
        check=check,
        kill_policy=policy,
        max_completion_time=limit,
        data=base64.b64encode(json.dumps({"egret": egret}).encode()).decode(),
    )
    try:
        read_launch(task, "x1")
    except BadTask:
        return
