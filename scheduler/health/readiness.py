"""Ask tasks that run whether they are ready, until they say so once.

A deployment counts a task only when it is healthy and ready (Marathon page "Readiness Checks").
Unlike a health check, readiness is settled for good by the first good answer, so nothing is asked
of a task that is ready; one that was not when the scheduler went away is asked on by the next.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

import structlog
from attrs import define, frozen

from scheduler.core.app import AppSpec
from scheduler.core.endpoints import endpoints_of
from scheduler.core.events import ReadinessResult
from scheduler.core.ids import TaskId
from scheduler.core.instance import Condition, Instance
from scheduler.health.fetch import Request, Response, fetch

log = structlog.get_logger(__name__)

CONCURRENCY_MAX = 64
KEPT_MAX = 1_000
"""Answers kept to be shown, of all tasks together; the oldest go first."""


@frozen
class ReadinessTarget:
    """One task that is not known to be ready, and how to ask it."""

    task_id: TaskId
    name: str
    request: Request
    interval_s: float
    ready_statuses: frozenset[int]
    is_answer_kept: bool


@frozen
class LastResponse:
    """What a task last answered; ``name`` is that of its check."""

    name: str
    response: Response


class Fetch(Protocol):
    """Sends one request; see ``fetch.fetch``."""

    def __call__(self, request: Request) -> Awaitable[Response]:
        """Ask once; never raises but for cancellation."""
        ...


@define
class _Asking:
    target: ReadinessTarget
    task: asyncio.Task[None]


def readiness_target_of(instance: Instance, spec: AppSpec) -> ReadinessTarget | None:
    """Say what to ask; None while there is nothing to ask, or nobody knows where.

    An app has at most one such check: the validation sees to it.
    """
    task_id = instance.task_id
    if instance.condition is not Condition.RUNNING or instance.ready or task_id is None:
        return None
    for check in spec.readiness_checks:
        for endpoint in endpoints_of(instance, spec):
            if endpoint.name != check.port_name:
                continue
            if endpoint.address is None or endpoint.port is None:
                return None
            request = Request(
                address=endpoint.address,
                port=endpoint.port,
                path=check.path,
                is_https=check.protocol == "HTTPS",
                timeout_s=check.timeout_s,
            )
            return ReadinessTarget(
                task_id=task_id,
                name=check.name,
                request=request,
                interval_s=check.interval_s,
                ready_statuses=frozenset(check.ready_statuses),
                is_answer_kept=check.preserve_last_response,
            )
    return None


class Readiness:
    """Asks every watched task at its pace; every method is to be called on the loop."""

    def __init__(
        self,
        report: Callable[[ReadinessResult], None],
        fail: Callable[[BaseException], None],
        *,
        fetch: Fetch = fetch,
    ) -> None:
        """Make an idle one.

        Args:
            report: told once of each task that is ready.
            fail: told of a fault of our own.
            fetch: sends one request.
        """
        self._report = report
        self._fail = fail
        self._fetch = fetch
        self._slots = asyncio.Semaphore(CONCURRENCY_MAX)
        self._asking: dict[TaskId, _Asking] = {}
        self._kept: dict[TaskId, LastResponse] = {}

    def watch(self, target: ReadinessTarget) -> None:
        """Ask from now on; to say so again changes nothing unless the target has changed."""
        known = self._asking.get(target.task_id)
        if known is not None:
            if known.target == target:
                return
            known.task.cancel()
        task = asyncio.create_task(self._ask(target), name="readiness")
        task.add_done_callback(self._on_done)
        self._asking[target.task_id] = _Asking(target, task)

    def settle(self, task_id: TaskId) -> None:
        """Ask no more, because the task is ready; its last answer is still shown."""
        known = self._asking.pop(task_id, None)
        if known is not None:
            known.task.cancel()

    def forget(self, task_id: TaskId) -> None:
        """Ask no more: the task does not run any longer."""
        self.settle(task_id)
        self._kept.pop(task_id, None)

    async def stop(self) -> None:
        """Forget every task, and return when none is asked any more."""
        tasks = [known.task for known in self._asking.values()]
        for task_id in list(self._asking):
            self.forget(task_id)
        self._kept.clear()
        await asyncio.gather(*tasks, return_exceptions=True)

    def last_response(self, task_id: TaskId) -> LastResponse | None:
        """Return what a task last answered, if its check asks to keep that."""
        return self._kept.get(task_id)

    async def _ask(self, target: ReadinessTarget) -> None:
        is_known = False
        while True:
            async with self._slots:
                response = await self._fetch(target.request)
            self._keep(target, response)
            if response.status in target.ready_statuses:
                if not is_known:
                    # Once: with the store away it is asked on for hours.
                    log.info("task_ready", task_id=target.task_id, check=target.name)
                is_known = True
                self._report(ReadinessResult(target.task_id, target.name, ready=True))
            # Asked on until the world has it that the task is ready: the report may be lost.
            await asyncio.sleep(target.interval_s)

    def _keep(self, target: ReadinessTarget, response: Response) -> None:
        if not target.is_answer_kept:
            return
        self._kept.pop(target.task_id, None)
        if len(self._kept) >= KEPT_MAX:
            del self._kept[next(iter(self._kept))]
        self._kept[target.task_id] = LastResponse(target.name, response)

    def _on_done(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error)
