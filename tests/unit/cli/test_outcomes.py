"""Only a deployment that is done is a success; of every other it is said what became of it."""

from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result

from tests.unit.cli.conftest import Stub, an_app, an_outcome

Egret = Callable[..., Result]
ACCEPTED = {"deploymentId": "d1", "version": "v"}
PATH = "/v2/egret/deployments/d1"
HELD = "it made no progress"

ENDS: list[tuple[dict[str, Any], list[str]]] = [
    (
        an_outcome("reverted", reason="/hello made no progress", revertedBy="d2"),
        [
            "Deployment d1 has failed and is taken back: /hello made no progress.",
            "`egret deployment watch d2`",
        ],
    ),
    (
        an_outcome("cancelled", reason="cancelled by a forced change"),
        ["Deployment d1 was cancelled by a forced change."],
    ),
    (
        an_outcome("failed", reason="App '/hello' does not exist"),
        ["Deployment d1 has failed: App '/hello' does not exist."],
    ),
    (
        an_outcome("failed", reason=HELD, endedAt=None, paused=HELD),
        [
            f"Deployment d1 has failed: {HELD}.",
            "`egret deployment resume d1`",
            "`egret deployment cancel d1`",
        ],
    ),
]


@pytest.fixture
def known(stub: Stub) -> Stub:
    """A scheduler that accepts a change, and shows the app."""
    stub.on("PATCH", "/v2/apps/hello", 200, ACCEPTED)
    stub.on("GET", "/v2/apps/hello", 200, {"app": an_app(version="v")})
    return stub


@pytest.mark.parametrize(("found", "says"), ENDS)
@pytest.mark.parametrize(
    "command",
    [("app", "scale", "hello", "1", "--wait"), ("deployment", "watch", "d1")],
    ids=["wait", "watch"],
)
def test_what_is_not_done_is_exit_code_1_with_the_reason(
    egret: Egret, known: Stub, command: tuple[str, ...], found: dict[str, Any], says: list[str]
) -> None:
    known.on("GET", PATH, 200, an_outcome("running"))
    known.on("GET", PATH, 200, found)
    result = egret(*command)
    assert result.exit_code == 1
    assert "done" not in result.stdout
    for text in says:
        assert text in result.stderr


def test_what_is_done_is_exit_code_0(egret: Egret, known: Stub) -> None:
    known.on("GET", PATH, 200, an_outcome("done"))
    result = egret("deployment", "watch", "d1")
    assert (result.exit_code, result.stdout) == (0, "done\n")


def test_an_unknown_deployment_is_exit_code_6(egret: Egret, stub: Stub) -> None:
    stub.on("GET", PATH, 404, {"message": "Deployment d1 is not known"})
    result = egret("deployment", "watch", "d1")
    assert (result.exit_code, result.stdout) == (6, "")
    assert "Deployment d1 is not known." in result.stderr


def test_the_last_failure_of_a_version_that_is_taken_back_is_told(egret: Egret, stub: Stub) -> None:
    failure = {"state": "TASK_FAILED", "message": "exit 3", "version": "v"}
    stub.on("GET", "/v2/apps/hello", 200, {"app": an_app(version="u", lastTaskFailure=failure)})
    stub.on("GET", PATH, 200, an_outcome("reverted", reason="why", revertedBy="d2"))
    assert "/hello: last failure: TASK_FAILED exit 3" in egret("deployment", "watch", "d1").stderr


def test_a_queued_change_is_followed(egret: Egret, known: Stub) -> None:
    block = {"app": "/hello", "reason": "deployment", "message": "waits for deployment d0"}
    known.on("GET", PATH, 200, an_outcome("queued", blockedBy=[block]))
    result = egret("deployment", "watch", "d1", "--timeout", "0")
    assert result.exit_code == 5
    assert "queued" in result.stderr
    assert "/hello waits: for deployment d0" in result.stderr


def test_tasks_that_do_not_stay_up_are_no_success_and_the_failure_is_told(
    egret: Egret, stub: Stub
) -> None:
    """Without checks a deployment ends when the task runs, be it for a moment."""
    failure = {"state": "TASK_FAILED", "message": "exited with status 3", "version": "v"}
    app = an_app(version="v", tasksRunning=0, lastTaskFailure=failure)
    stub.on("PATCH", "/v2/apps/hello", 200, ACCEPTED)
    stub.on("GET", PATH, 200, an_outcome("done"))
    stub.on("GET", "/v2/apps/hello", 200, {"app": app})
    result = egret("app", "scale", "hello", "1", "--wait")
    assert result.exit_code == 1
    assert "The deployment of /hello was done, but now 0 of 1 instances run." in result.stderr
    assert "TASK_FAILED exited with status 3" in result.stderr


def test_tasks_that_have_done_their_work_need_not_run(egret: Egret, stub: Stub) -> None:
    end = {"state": "TASK_FINISHED", "message": "", "version": "v"}
    ended = {"finished": 1, "failed": 0}
    app = an_app(version="v", tasksRunning=0, lastTaskFailure=end, ended=ended)
    stub.on("GET", PATH, 200, an_outcome("done"))
    stub.on("GET", "/v2/apps/hello", 200, {"app": app})
    result = egret("deployment", "watch", "d1")
    assert (result.exit_code, result.stdout) == (0, "done\n")


def test_an_app_that_another_deployment_has_changed_since_is_not_judged(
    egret: Egret, stub: Stub
) -> None:
    stub.on("GET", PATH, 200, an_outcome("done"))
    stub.on("GET", "/v2/apps/hello", 200, {"app": an_app(version="w", tasksRunning=0)})
    assert egret("deployment", "watch", "d1").exit_code == 0


def test_a_scheduler_that_is_away_for_a_while_is_waited_for(egret: Egret, known: Stub) -> None:
    """Its successor knows what became of the deployment."""
    known.on("GET", PATH, 200, an_outcome("running"))
    known.on("GET", PATH, 503, {"message": "Could not determine the current leader"})
    known.on("GET", PATH, 200, an_outcome("done"))
    result = egret("deployment", "watch", "d1")
    assert (result.exit_code, result.stdout) == (0, "done\n")
    assert "waiting for the scheduler" in result.stderr
    assert "\n\n" not in result.stderr


def test_a_scheduler_that_was_never_there_is_not(egret: Egret, stub: Stub) -> None:
    stub.on("GET", PATH, 503, {"message": "Could not determine the current leader"})
    assert egret("deployment", "watch", "d1").exit_code == 3


# ------------------------------------------------------------------ watching all


def listed(deployment_id: str, **egret: Any) -> dict[str, Any]:
    return {
        "id": deployment_id,
        "currentStep": 1,
        "totalSteps": 2,
        "affectedApps": ["/hello"],
        "egret": {"failed": False, "blockedBy": [], **egret},
    }


def test_watching_all_tells_which_were_not_done(egret: Egret, stub: Stub) -> None:
    stub.on("GET", "/v2/apps", 200, {"apps": [an_app()]})
    stub.on("GET", "/v2/deployments", 200, [listed("d1"), listed("d2")])
    stub.on("GET", "/v2/deployments", 200, [])
    stub.on("GET", PATH, 200, an_outcome("cancelled", reason="cancelled"))
    stub.on("GET", "/v2/egret/deployments/d2", 200, an_outcome("done", id="d2"))
    result = egret("deployment", "watch")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "Deployment d1 was cancelled." in result.stderr


def test_watching_all_does_not_wait_for_what_has_failed_nor_for_what_is_queued_behind(
    egret: Egret, stub: Stub
) -> None:
    queued = listed("d2", queuedAt="2026-01-01T00:00:00.000Z")
    stub.on("GET", "/v2/deployments", 200, [listed("d1", failed=True), queued])
    stub.on("GET", PATH, 200, an_outcome("failed", reason=HELD, endedAt=None))
    stub.on("GET", "/v2/egret/deployments/d2", 200, an_outcome("queued", id="d2"))
    result = egret("deployment", "watch")
    assert result.exit_code == 1
    assert "Of 2 deployments 2 did not come about." in result.stderr
    assert f"d1 has failed: {HELD}" in result.stderr
    assert "d2 is queued" in result.stderr


def test_where_nothing_is_under_way_nothing_was_done(egret: Egret, stub: Stub) -> None:
    stub.on("GET", "/v2/deployments", 200, [])
    result = egret("deployment", "watch")
    assert (result.exit_code, result.stdout) == (0, "No deployment is under way.\n")


def test_what_has_failed_is_listed_as_that(egret: Egret, stub: Stub) -> None:
    blocks = [{"app": "/hello", "reason": "paused", "message": HELD}]
    one = listed("d1", failed=True, paused=HELD, blockedBy=blocks)
    stub.on("GET", "/v2/deployments", 200, [one])
    shown = egret("deployment", "list").stdout
    assert f"has failed: {HELD}" in shown
    assert "waits" not in shown
