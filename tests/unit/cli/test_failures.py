"""What scripts rely on: the exit codes; and what people do: errors that say what to do."""

from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner, Result

from scheduler.cli import main
from tests.support import free_ports
from tests.unit.cli.conftest import Stub, an_app, an_outcome

Egret = Callable[..., Result]


def test_nobody_at_the_address_is_exit_code_3_and_says_where_it_looked() -> None:
    (port,) = free_ports(1)
    result = CliRunner().invoke(main, ["--server", f"http://127.0.0.1:{port}", "app", "list"])
    assert result.exit_code == 3
    assert f"No scheduler answers at http://127.0.0.1:{port} (given by --server)." in result.stderr
    assert "egret local" in result.stderr


def test_the_flag_may_stand_behind_the_command(stub: Stub) -> None:
    stub.on("GET", "/v2/leader", body={"leader": "h:1"})
    result = CliRunner().invoke(main, ["leader", "--server", stub.url])
    assert result.stdout == "h:1\n"


@pytest.mark.parametrize(
    ("status", "body", "code", "text"),
    [
        (404, {"message": "App '/hello' does not exist"}, 6, "App '/hello' does not exist."),
        (503, {"message": "Could not determine the current leader"}, 3, "egret doctor"),
        (500, {"message": "Internal error"}, 1, "The scheduler failed (500): Internal error"),
        (502, "<html>", 3, "cannot serve this now"),
        (403, {"message": "Not Authorized"}, 4, "Not Authorized"),
    ],
)
def test_every_kind_of_answer_has_its_exit_code(
    egret: Egret, stub: Stub, status: int, body: Any, code: int, text: str
) -> None:
    stub.on("GET", "/v2/apps/hello", status, body)
    result = egret("app", "show", "/hello")
    assert result.exit_code == code
    assert text in result.stderr
    assert not result.stdout


def test_a_locked_app_is_exit_code_4_and_names_the_lock_and_the_way_out(
    egret: Egret, stub: Stub
) -> None:
    message = "App is locked by one or more deployments. Override with the option '?force=true'."
    body = {"message": message, "deployments": [{"id": "d1"}]}
    stub.on("PATCH", "/v2/apps/hello", 409, body)
    result = egret("app", "scale", "hello", "5")
    assert result.exit_code == 4
    assert "locked by deployment d1" in result.stderr
    assert "--force" in result.stderr
    assert "?force" not in result.stderr


def test_problems_are_shown_with_their_paths(egret: Egret, stub: Stub) -> None:
    details = [{"path": "/cpus", "errors": ["must not be negative", "must be a number"]}]
    stub.on("PATCH", "/v2/apps/hello", 422, {"message": "Object is not valid", "details": details})
    result = egret("app", "scale", "hello", "5")
    assert result.exit_code == 4
    assert "  /cpus: must not be negative\n  /cpus: must be a number\n" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [["app", "scale", "hello"], ["app", "scale", "hello", "-1"], ["app", "nonsense"], ["--nope"]],
)
def test_wrong_usage_is_exit_code_2(egret: Egret, arguments: list[str]) -> None:
    assert egret(*arguments).exit_code == 2


def test_a_wait_that_takes_too_long_is_exit_code_5_and_says_why(egret: Egret, stub: Stub) -> None:
    stub.on("PATCH", "/v2/apps/hello", 200, {"deploymentId": "d1", "version": "v"})
    stub.on("GET", "/v2/egret/deployments/d1", 200, an_outcome("running"))
    stub.on("GET", "/v2/apps/hello", 200, {"app": an_app(instances=5)})
    stub.answers[("GET", "/v2/queue")] = [(200, {"queue": [a_queue_item()]}, {})]
    result = egret("app", "scale", "hello", "5", "--wait", "--timeout", "0")
    assert result.exit_code == 5
    assert "Deployment d1 is not done after 0 s." in result.stderr
    assert "/hello: 1 of 5 running" in result.stderr
    assert "not enough memory on any agent (closest: a1 offers 10, wanted 32)" in result.stderr


def a_queue_item() -> dict[str, Any]:
    refusals = [
        {"reason": "InsufficientCpus", "declined": 1, "processed": 4},
        {"reason": "InsufficientMemory", "declined": 3, "processed": 3},
    ]
    return {
        "app": an_app(),
        "count": 4,
        "since": "2026-01-01T00:00:00.000Z",
        "delay": {"timeLeftSeconds": 0, "overdue": True},
        "processedOffersSummary": {"rejectSummaryLastOffers": refusals},
        "nearestMiss": {"host": "a1", "wanted": "32", "offered": "10"},
    }
