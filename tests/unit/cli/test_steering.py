"""What is said of a deployment that was steered is what has happened to it, no more."""

from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result

from tests.unit.cli.conftest import Stub, an_outcome

Egret = Callable[..., Result]
ACCEPTED = {"deploymentId": "d1", "version": "v"}
BACK = {"deploymentId": "d2", "version": "w"}
PATH = "/v2/egret/deployments/d1"
HAND = "paused by an operator"
FAILED = "/hello made no progress"


def running(**changes: Any) -> dict[str, Any]:
    plain = {"paused": None, "failed": False, "promoted": False}
    return an_outcome("running", **{**plain, **changes})


def failed(**changes: Any) -> dict[str, Any]:
    return {**running(reason=FAILED, paused=FAILED, failed=True), "outcome": "failed", **changes}


AWAITING = [{"app": "/hello", "reason": "promotion", "message": "the canaries serve and wait"}]


@pytest.mark.parametrize(
    ("verb", "before", "after", "says"),
    [
        ("pause", running(), running(paused=HAND), "d1 is paused; `egret deployment resume d1`"),
        ("pause", running(paused=HAND), running(paused=HAND), "d1 was paused already"),
        (
            "pause",
            failed(),
            failed(),
            f"d1 has failed and goes on by your word only, paused or not: {FAILED}",
        ),
        ("resume", running(paused=HAND), running(), "d1 goes on; its deadlines start afresh"),
        ("resume", failed(), running(), "d1 goes on; its deadlines start afresh"),
        ("resume", running(), running(), "d1 was not paused; its deadlines start afresh"),
        ("promote", running(blockedBy=AWAITING), running(), "d1 is promoted; the other instances"),
        (
            "promote",
            running(),
            running(),
            "d1 is promoted; the other instances do not wait for canaries",
        ),
    ],
)
def test_steering_is_told_as_it_was(
    egret: Egret,
    stub: Stub,
    verb: str,
    before: dict[str, Any],
    after: dict[str, Any],
    says: str,
) -> None:
    stub.on("GET", PATH, 200, before)
    stub.on("GET", PATH, 200, after)
    stub.on("POST", f"/v2/deployments/d1/{verb}", 200, ACCEPTED)
    result = egret("deployment", verb, "d1")
    assert result.exit_code == 0, result.stderr
    assert says in result.stdout
    assert [(one.method, one.body) for one in stub.asked if one.method != "GET"] == [("POST", None)]


@pytest.mark.parametrize("verb", ["cancel", "abort"])
def test_what_is_taken_back_names_what_takes_it_back(egret: Egret, stub: Stub, verb: str) -> None:
    stub.on("DELETE", "/v2/deployments/d1", 200, BACK)
    stub.on("POST", "/v2/deployments/d1/abort", 200, BACK)
    gone = an_outcome("cancelled", reason="cancelled", revertedBy="d2")
    stub.on("GET", PATH, 200, gone)
    stub.on("GET", "/v2/egret/deployments/d2", 200, running(id="d2"))
    assert egret("deployment", verb, "d1").stdout == (
        "d1 is cancelled; deployment d2 takes its changes back\n"
    )


@pytest.mark.parametrize("verb", ["cancel", "abort"])
def test_what_had_changed_nothing_leaves_nothing_to_take_back(
    egret: Egret, stub: Stub, verb: str
) -> None:
    stub.on("DELETE", "/v2/deployments/d1", 200, BACK)
    stub.on("POST", "/v2/deployments/d1/abort", 200, BACK)
    stub.on("GET", PATH, 200, an_outcome("cancelled", reason="cancelled", revertedBy="d2"))
    nothing = an_outcome("done", id="d2", changes=[])
    stub.on("GET", "/v2/egret/deployments/d2", 200, nothing)
    said = egret("deployment", verb, "d1").stdout
    assert said == "d1 is cancelled; there was nothing to take back\n"


@pytest.mark.parametrize("arguments", [["cancel"], ["cancel", "--force"], ["abort"]])
def test_what_never_began_has_changed_nothing(
    egret: Egret, stub: Stub, arguments: list[str]
) -> None:
    stub.on("DELETE", "/v2/deployments/d1", 200, ACCEPTED)
    stub.on("POST", "/v2/deployments/d1/abort", 200, ACCEPTED)
    never = an_outcome("cancelled", reason="cancelled", startedAt=None, changes=[])
    stub.on("GET", PATH, 200, never)
    said = egret("deployment", *arguments, "d1").stdout
    assert said == "d1 is cancelled; it had not begun and has changed nothing\n"


def test_what_is_stopped_by_force_keeps_what_it_has_changed(egret: Egret, stub: Stub) -> None:
    stub.on("DELETE", "/v2/deployments/d1", 202, ACCEPTED)
    stub.on("GET", PATH, 200, an_outcome("cancelled", reason="cancelled by force"))
    assert egret("deployment", "cancel", "--force", "d1").stdout == (
        "d1 is stopped; what it has changed stays\n"
    )


@pytest.mark.parametrize("verb", ["pause", "resume", "promote"])
def test_what_is_over_cannot_be_steered_and_it_is_said_how_it_ended(
    egret: Egret, stub: Stub, verb: str
) -> None:
    stub.on("GET", PATH, 200, an_outcome("done"))
    stub.on(
        "POST", f"/v2/deployments/d1/{verb}", 404, {"message": "DeploymentPlan d1 does not exist"}
    )
    result = egret("deployment", verb, "d1")
    assert result.exit_code == 6
    assert "DeploymentPlan d1 does not exist" in result.stderr
    assert "d1 is done" in result.stderr
