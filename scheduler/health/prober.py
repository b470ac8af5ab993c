"""Probe every watched task at its pace and report the verdicts that changed.

One heap holds the next moment of every check; there is no task, timer or connection for a check
that is not being probed right now. At most ``concurrency_max`` probes run at once: with more due,
the longest overdue go first and the lag shows it.

Decisions are not made here: whether failures kill, and whether so many fail at once that the
prober itself is suspect, is for the core to say.
"""

import asyncio
import heapq
from collections import Counter
from collections.abc import Awaitable, Callable
from importlib import metadata
from itertools import count
from random import Random
from typing import Protocol

import structlog
from attrs import define, evolve, field, frozen

from scheduler.core.events import ProbeResult
from scheduler.core.ids import TaskId
from scheduler.core.instance import CheckResult
from scheduler.health.probe import probe
from scheduler.health.target import ProbeCheck, ProbeTarget
from scheduler.health.verdict import Answer, Outcome, is_news, next_result

log = structlog.get_logger(__name__)

FIRST_PROBE_WITHIN_MS = 5_000
"""A new task is first probed within this time (Marathon: its first health check), or within one
interval if that is shorter."""
SLACK_S = 0.005
"""Probes due within this time are started together: fewer wake-ups of the loop."""


class Probe(Protocol):
    """Carries out one probe; see ``probe.probe``."""

    def __call__(self, check: ProbeCheck, *, user_agent: str) -> Awaitable[Outcome]:
        """Probe once; never raises but for cancellation."""
        ...


@frozen
class ProberStats:
    """What the prober has done since it began; for metrics."""

    checks: int
    in_flight: int
    lag_ms: int
    """How long the most overdue check has been waiting for a free slot; 0 when none waits."""
    probes: dict[Answer, int]
    reports: int


@define(eq=False)
class _Watched:
    """The state of one check. Identity matters: an entry of the heap is void when replaced."""

    task_id: TaskId
    started_at_ms: int
    check: ProbeCheck
    result: CheckResult
    told: CheckResult
    due_s: float = 0.0
    is_dropped: bool = False


@define
class _Tally:
    probes: Counter[Answer] = field(factory=Counter)
    reports: int = 0


class Prober:
    """Runs on one asyncio loop; every method is to be called on it."""

    def __init__(
        self,
        report: Callable[[ProbeResult], None],
        clock: Callable[[], int],
        rng: Random,
        *,
        concurrency_max: int = 256,
        probe: Probe = probe,
    ) -> None:
        """Make an idle prober.

        Args:
            report: takes each changed verdict; must not block.
            clock: tells epoch ms. Pace is kept by the loop's own monotonic clock.
            rng: spreads the first probes.
            concurrency_max: most probes at once (Marathon: max_concurrent_marathon_health_checks).
            probe: carries out one probe.
        """
        self._report = report
        self._clock = clock
        self._rng = rng
        self._concurrency_max = concurrency_max
        self._probe = probe
        self._user_agent = f"Egret/{metadata.version('egret')}"
        self._watched: dict[TaskId, dict[int, _Watched]] = {}
        self._heap: list[tuple[float, int, _Watched]] = []
        self._sequence = count()
        self._in_flight: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._ended: asyncio.Future[None] | None = None
        """Set while ``run`` runs; it ends with this, well or with the fault that is in it."""
        self._tally = _Tally()

    def watch(self, target: ProbeTarget) -> None:
        """Probe this target from now on.

        To say so again keeps pace and state of a check that stayed as it was; one whose address or
        definition changed starts over with the results given. Either way those are what is known:
        a verdict that was reported and is not among them was dropped, and is reported again.
        """
        before = self._watched.get(target.task_id, {})
        after: dict[int, _Watched] = {}
        for check in target.checks:
            known = before.pop(check.index, None)
            if known is not None and _is_same(known.check, check):
                known.told = check.result
                after[check.index] = known
                continue
            if known is not None:
                known.is_dropped = True
            after[check.index] = self._begin(target, check)
        for known in before.values():
            known.is_dropped = True
        self._watched[target.task_id] = after
        self._arm()

    def forget(self, task_id: TaskId) -> None:
        """Probe this task no more; a probe under way reports nothing."""
        for known in self._watched.pop(task_id, {}).values():
            known.is_dropped = True

    def forget_all(self) -> None:
        """Forget every task: leadership is lost, or the world is loaded anew."""
        for task_id in list(self._watched):
            self.forget(task_id)

    def stats(self) -> ProberStats:
        """Count what there is to do and what was done."""
        lag_ms = 0
        if self._heap and self._ended is not None:
            lag_ms = max(0, round((self._now_s() - self._heap[0][0]) * 1000))
        return ProberStats(
            checks=sum(len(checks) for checks in self._watched.values()),
            in_flight=len(self._in_flight),
            lag_ms=lag_ms,
            probes={answer: self._tally.probes[answer] for answer in Answer},
            reports=self._tally.reports,
        )

    async def run(self) -> None:
        """Probe until ``stop`` is called or this is cancelled."""
        self._ended = asyncio.get_running_loop().create_future()
        self._start_due()
        try:
            await self._ended
        finally:
            self._ended = None
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            under_way = list(self._in_flight)
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)

    def stop(self) -> None:
        """End ``run``; what is watched stays."""
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(None)

    def _begin(self, target: ProbeTarget, check: ProbeCheck) -> _Watched:
        known = _Watched(
            task_id=target.task_id,
            started_at_ms=target.started_at_ms,
            check=check,
            result=check.result,
            told=check.result,
        )
        spread_ms = check.interval_ms
        if check.result == CheckResult():
            spread_ms = min(spread_ms, FIRST_PROBE_WITHIN_MS)
        self._push(known, self._now_s() + self._rng.random() * spread_ms / 1000)
        return known

    def _push(self, known: _Watched, due_s: float) -> None:
        known.due_s = due_s
        heapq.heappush(self._heap, (due_s, next(self._sequence), known))

    def _arm(self) -> None:
        """Set the timer to the next due check. With all slots taken, the end of a probe will."""
        if self._ended is None or not self._heap:
            return
        if len(self._in_flight) >= self._concurrency_max:
            return
        due_s = self._heap[0][0]
        if self._timer is not None:
            if self._timer.when() <= due_s:
                return
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(due_s, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._start_due()

    def _start_due(self) -> None:
        until_s = self._now_s() + SLACK_S
        while (
            self._heap
            and self._heap[0][0] <= until_s
            and len(self._in_flight) < self._concurrency_max
        ):
            known = heapq.heappop(self._heap)[2]
            if known.is_dropped:
                continue
            task = asyncio.create_task(self._probe_once(known))
            self._in_flight.add(task)
            task.add_done_callback(self._on_probed)
        self._arm()

    def _on_probed(self, task: asyncio.Task[None]) -> None:
        was_full = len(self._in_flight) >= self._concurrency_max
        self._in_flight.discard(task)
        if self._ended is None or self._ended.done():
            return
        if not task.cancelled() and (error := task.exception()) is not None:
            # A fault of ours must not end the watch over a task in silence.
            self._ended.set_exception(error)
            return
        if was_full:
            self._start_due()
        else:
            self._arm()

    async def _probe_once(self, known: _Watched) -> None:
        outcome = await self._probe(known.check, user_agent=self._user_agent)
        if known.is_dropped:
            return
        self._tally.probes[outcome.answer] += 1
        interval_s = known.check.interval_ms / 1000
        # A fixed pace; but what is overdue by more than an interval is not made up for.
        self._push(known, max(known.due_s + interval_s, self._now_s()))
        self._take(known, outcome)

    def _take(self, known: _Watched, outcome: Outcome) -> None:
        known.result = next_result(
            known.result,
            outcome,
            known.check,
            started_at_ms=known.started_at_ms,
            now_ms=self._clock(),
        )
        if not is_news(known.told, known.result, known.check):
            return
        if known.told.alive is not known.result.alive:
            # The core's own event says what it means for the instance.
            log.debug(
                "check_verdict_changed",
                task_id=known.task_id,
                check_index=known.check.index,
                alive=known.result.alive,
                cause=outcome.cause,
            )
        known.told = known.result
        self._tally.reports += 1
        self._report(ProbeResult(known.task_id, known.check.index, known.result))

    @staticmethod
    def _now_s() -> float:
        return asyncio.get_running_loop().time()


def _is_same(before: ProbeCheck, after: ProbeCheck) -> bool:
    """Whether two say to probe the same thing in the same way, whatever the results so far."""
    return evolve(before, result=after.result) == after
