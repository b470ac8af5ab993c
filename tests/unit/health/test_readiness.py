"""Whom readiness asks, how often, when it stops, and what it keeps."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from attrs import evolve
from structlog.testing import capture_logs

from scheduler.core.app import AppSpec, PortDefinition, ReadinessCheck
from scheduler.core.events import ReadinessResult
from scheduler.core.ids import AppId, InstanceId, TaskId, Version
from scheduler.core.instance import Condition, Instance, Placement
from scheduler.health import readiness
from scheduler.health.fetch import Request, Response
from scheduler.health.readiness import Readiness, ReadinessTarget, readiness_target_of
from tests.support import eventually
from tests.unit.store.samples import FULL_INSTANCE

PLACE = FULL_INSTANCE.placement
assert isinstance(PLACE, Placement)
CHECK = ReadinessCheck(
    name="warm",
    protocol="HTTPS",
    path="/ready",
    port_name="admin",
    interval_s=30,
    timeout_s=10,
    ready_statuses=(200, 302),
    preserve_last_response=True,
)
SPEC = AppSpec(
    AppId("/web"),
    cmd="x",
    port_definitions=(PortDefinition(name="http"), PortDefinition(name="admin")),
    readiness_checks=(CHECK,),
)
RUNNING = Instance(
    InstanceId("web.instance-1"),
    AppId("/web"),
    Version("2026-11-24T22:17:03.000Z"),
    condition=Condition.RUNNING,
    incarnation=1,
    placement=evolve(PLACE, address="10.0.0.1", host_ports=(31000, 31001)),
)
TASK = TaskId("t1")
TARGET = ReadinessTarget(
    task_id=TASK,
    name="warm",
    request=Request("10.0.0.1", 31001, "/ready", is_https=True, timeout_s=10),
    interval_s=0.0,
    ready_statuses=frozenset({200}),
    is_answer_kept=True,
)
BUSY, GOOD = Response(503, "text/plain", "warming up"), Response(200, "text/plain", "go")


def test_a_running_task_is_asked_at_the_port_its_check_names():
    assert readiness_target_of(RUNNING, SPEC) == ReadinessTarget(
        task_id=TaskId(str(RUNNING.task_id)),
        name="warm",
        request=Request("10.0.0.1", 31001, "/ready", is_https=True, timeout_s=10),
        interval_s=30,
        ready_statuses=frozenset({200, 302}),
        is_answer_kept=True,
    )


@pytest.mark.parametrize(
    ("instance", "spec"),
    [
        (evolve(RUNNING, ready=True), SPEC),
        (evolve(RUNNING, condition=Condition.STARTING), SPEC),
        (evolve(RUNNING, condition=Condition.DRAINING), SPEC),
        (RUNNING, evolve(SPEC, readiness_checks=())),
        (evolve(RUNNING, placement=evolve(RUNNING.placement or PLACE, host_ports=())), SPEC),
    ],
    ids=["ready", "not yet running", "ending", "no check", "no port known"],
)
def test_nothing_is_asked_of_a_task(instance: Instance, spec: AppSpec):
    assert readiness_target_of(instance, spec) is None


class Script:
    """Answers as told, the last answer for ever; ``asked`` is what came."""

    def __init__(self, *answers: Response) -> None:
        self.answers = list(answers)
        self.asked: list[Request] = []
        self.held: asyncio.Event | None = None
        self.most = self.now = 0

    async def __call__(self, request: Request) -> Response:
        self.asked.append(request)
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            if self.held is not None:
                await self.held.wait()
        finally:
            self.now -= 1
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture
def reports() -> list[ReadinessResult]:
    return []


@pytest.fixture
def failures() -> list[BaseException]:
    return []


@pytest.fixture
def script() -> Script:
    return Script(BUSY, BUSY, GOOD)


@pytest.fixture
async def asking(
    script: Script, reports: list[ReadinessResult], failures: list[BaseException]
) -> AsyncIterator[Readiness]:
    found = Readiness(reports.append, failures.append, fetch=script)
    yield found
    await found.stop()


async def test_a_task_is_asked_until_it_is_ready_and_its_answer_is_kept(
    asking: Readiness, reports: list[ReadinessResult], script: Script
):
    asking.watch(TARGET)
    await eventually(lambda: reports, what="a report")
    assert reports[0] == ReadinessResult(TASK, "warm", ready=True)
    assert len(script.asked) >= 3
    asking.settle(TASK)
    count = len(script.asked)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(script.asked) == count
    last = asking.last_response(TASK)
    assert last is not None
    assert (last.name, last.response) == ("warm", GOOD)
    asking.forget(TASK)
    assert asking.last_response(TASK) is None


async def test_a_report_that_was_lost_is_made_again(
    asking: Readiness, reports: list[ReadinessResult]
):
    with capture_logs() as logs:
        asking.watch(TARGET)
        await eventually(lambda: len(reports) >= 2, what="a second report")
    assert [entry["event"] for entry in logs] == ["task_ready"]


async def test_to_watch_again_starts_nothing_anew_and_a_changed_target_does(
    asking: Readiness, script: Script
):
    script.held = asyncio.Event()
    asking.watch(TARGET)
    await asyncio.sleep(0)
    asking.watch(TARGET)
    await asyncio.sleep(0)
    assert len(script.asked) == 1
    moved = evolve(TARGET, request=evolve(TARGET.request, port=31002))
    asking.watch(moved)
    await eventually(lambda: script.now == 1 and len(script.asked) == 2, what="the change")
    assert script.asked[1].port == 31002


async def test_many_tasks_are_asked_a_few_at_a_time(asking: Readiness, script: Script):
    script.held = asyncio.Event()
    for number in range(200):
        asking.watch(evolve(TARGET, task_id=TaskId(f"t{number}"), interval_s=3600))
    await eventually(lambda: script.now == readiness.CONCURRENCY_MAX, what="all slots taken")
    script.held.set()
    await eventually(lambda: len(script.asked) == 200, what="everybody asked")
    assert script.most == readiness.CONCURRENCY_MAX


async def test_an_answer_nobody_wants_is_not_kept_and_the_kept_ones_are_bounded(
    asking: Readiness, script: Script, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(readiness, "KEPT_MAX", 2)
    quiet = evolve(TARGET, task_id=TaskId("quiet"), is_answer_kept=False, interval_s=3600)
    asking.watch(quiet)
    await eventually(lambda: len(script.asked) == 1, what="the first")
    for number in range(3):
        asking.watch(evolve(TARGET, task_id=TaskId(f"t{number}"), interval_s=3600))
        await eventually(
            lambda task_id=TaskId(f"t{number}"): asking.last_response(task_id), what="an answer"
        )
    kept = [asking.last_response(TaskId(name)) is not None for name in ("quiet", "t0", "t1", "t2")]
    assert kept == [False, False, True, True]


async def test_a_fault_of_our_own_is_told(failures: list[BaseException]):
    async def broken(request: Request) -> Any:
        del request
        raise ValueError("boom")

    found = Readiness(lambda _: None, failures.append, fetch=broken)
    found.watch(TARGET)
    await eventually(lambda: failures, what="the failure")
    assert [str(failure) for failure in failures] == ["boom"]
    await found.stop()
