"""Health checks that run beside the task: recording 03."""

from pathlib import Path
from typing import Any

from tests.contract.mesos.client import Json, launch, task
from tests.contract.mesos.conftest import Subscribe

QUICK: Json = {
    "delay_seconds": 0,
    "interval_seconds": 0.2,
    "timeout_seconds": 5,
    "grace_period_seconds": 0,
    "consecutive_failures": 2,
}


def _check(command: str, **changes: Any) -> Json:
    return {"type": "COMMAND", "command": {"value": command}, **QUICK, **changes}


async def test_a_healthy_task_says_so_once(subscribe: Subscribe) -> None:
    scheduler = await subscribe("healthy")
    offer = (await scheduler.new_offers(0))[0]
    info = task("healthy", offer["agent_id"], health_check=_check("true"))
    await scheduler.call("ACCEPT", launch([offer], [info]))
    status = await scheduler.wait(
        lambda: next((s for s in scheduler.statuses("healthy") if "healthy" in s), None)
    )
    assert status["healthy"] is True
    assert status["state"] == "TASK_RUNNING"
    assert status["reason"] == "REASON_TASK_HEALTH_CHECK_STATUS_UPDATED"


async def test_a_task_that_fails_its_check_is_killed(subscribe: Subscribe) -> None:
    scheduler = await subscribe("ill")
    offer = (await scheduler.new_offers(0))[0]
    info = task("ill", offer["agent_id"], health_check=_check("false"))
    await scheduler.call("ACCEPT", launch([offer], [info]))
    killed = await scheduler.wait_state("ill", "TASK_KILLED")
    assert killed["healthy"] is False
    updates = scheduler.updates("ill")
    failing = [s for s in updates if s.get("healthy") is False]
    assert [s["state"] for s in failing] == ["TASK_RUNNING", "TASK_RUNNING", "TASK_KILLED"]
    assert "healthy" not in updates[-2]
    assert scheduler.states("ill")[-2:] == ["TASK_KILLING", "TASK_KILLED"]


async def test_health_goes_down_and_up_again(subscribe: Subscribe, tmp_path: Path) -> None:
    scheduler = await subscribe("flap")
    flag = tmp_path / "well"
    flag.touch()
    offer = (await scheduler.new_offers(0))[0]
    check = _check(f"test -e {flag}", consecutive_failures=1000)
    info = task("flap", offer["agent_id"], health_check=check)
    await scheduler.call("ACCEPT", launch([offer], [info]))

    def last() -> bool | None:
        told = [s["healthy"] for s in scheduler.statuses("flap") if "healthy" in s]
        return told[-1] if told else None

    await scheduler.wait(lambda: last() is True)
    flag.unlink()
    await scheduler.wait(lambda: last() is False)
    flag.touch()
    await scheduler.wait(lambda: last() is True)
