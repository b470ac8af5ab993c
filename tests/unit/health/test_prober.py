"""The prober's pace, its bounds and what it reports, on a loop whose time is virtual."""

import asyncio
import selectors
from random import Random
from typing import Any

import pytest
from attrs import evolve

from scheduler.core.app import HealthProtocol
from scheduler.core.events import ProbeResult
from scheduler.core.ids import TaskId
from scheduler.core.instance import CheckResult
from scheduler.health.prober import FIRST_PROBE_WITHIN_MS, Prober
from scheduler.health.target import ProbeCheck, ProbeTarget
from scheduler.health.verdict import Answer, Outcome

TASK = TaskId("web.instance-1._app.1")
CHECK = ProbeCheck(
    index=0,
    address="10.0.0.1",
    port=80,
    protocol=HealthProtocol.HTTP,
    path="/",
    grace_ms=0,
    interval_ms=10_000,
    timeout_ms=5_000,
    max_consecutive_failures=3,
    ignore_http_1xx=False,
    result=CheckResult(),
)
ALIVE = Outcome(Answer.ALIVE)
DEAD = Outcome(Answer.DEAD, "no")


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop that jumps to the next timer instead of waiting for it."""

    def __init__(self):
        self.selector = JumpingSelector()
        super().__init__(self.selector)

    def time(self):
        return self.selector.now_s


class JumpingSelector(selectors.SelectSelector):
    now_s = 1000.0

    def select(self, timeout=None):
        self.now_s += timeout or 0.0
        return super().select(0)


class Script:
    """A probe that answers as told and remembers when it was asked."""

    def __init__(self, *answers, takes_s=0.0):
        self.answers: list[Any] = list(answers)
        self.takes_s = takes_s
        self.asked_s: list[float] = []
        self.running = 0
        self.most = 0

    async def __call__(self, check: ProbeCheck, *, user_agent: str) -> Outcome:
        self.asked_s.append(asyncio.get_running_loop().time())
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await asyncio.sleep(self.takes_s)
        finally:
            self.running -= 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if callable(answer):
            answer = answer(check)
        assert isinstance(answer, Outcome)
        return answer


def run(script, *, during, concurrency_max=256):
    """Run a prober in virtual time while ``during(prober)`` runs; give back its reports."""
    reports: list[ProbeResult] = []

    async def main():
        loop = asyncio.get_running_loop()
        prober = Prober(
            reports.append,
            lambda: round(loop.time() * 1000),
            Random(7),
            concurrency_max=concurrency_max,
            probe=script,
        )
        running = asyncio.create_task(prober.run())
        await asyncio.sleep(0)
        await during(prober)
        prober.stop()
        await running

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(main())
    return reports


def target(task_id=TASK, *checks, started_at_ms=0):
    return ProbeTarget(task_id=task_id, started_at_ms=started_at_ms, checks=checks or (CHECK,))


def test_probes_keep_their_interval_from_a_first_one_within_five_seconds():
    script = Script(ALIVE, takes_s=1.0)

    async def during(prober):
        prober.watch(target())
        await asyncio.sleep(60)

    run(script, during=during)
    first_s = script.asked_s[0] - 1000.0
    assert 0 <= first_s <= FIRST_PROBE_WITHIN_MS / 1000
    gaps = {
        round(after - before, 2)
        for before, after in zip(script.asked_s, script.asked_s[1:], strict=False)
    }
    assert gaps == {10.0}


def test_first_probes_of_many_tasks_are_spread():
    script = Script(ALIVE)

    async def during(prober):
        for number in range(500):
            prober.watch(target(TaskId(f"t{number}")))
        await asyncio.sleep(5.01)

    run(script, during=during)
    seconds = [int(at_s - 1000) for at_s in script.asked_s]
    assert len(seconds) == 500
    assert all(seconds.count(second) > 50 for second in range(5))


def test_after_a_restart_probes_are_spread_over_the_whole_interval():
    script = Script(ALIVE)
    known = evolve(CHECK, interval_ms=60_000, result=CheckResult(alive=True, first_success_ms=1))

    async def during(prober):
        for number in range(600):
            prober.watch(target(TaskId(f"t{number}"), known))
        await asyncio.sleep(60.01)

    reports = run(script, during=during)
    assert len(script.asked_s) == 600
    assert sum(at_s < 1010 for at_s in script.asked_s) < 200
    assert reports == []


def test_only_news_are_reported():
    script = Script(ALIVE, ALIVE, DEAD, DEAD, DEAD, DEAD, DEAD, ALIVE)

    async def during(prober):
        prober.watch(target())
        await asyncio.sleep(100)
        assert prober.stats().probes[Answer.DEAD] == 5

    reports = run(script, during=during)
    assert [(r.result.alive, r.result.consecutive_failures) for r in reports] == [
        (True, 0),
        (False, 1),
        (False, 2),
        (False, 3),
        (True, 0),
    ]
    assert {(r.task_id, r.check_index) for r in reports} == {(TASK, 0)}


def test_each_check_of_a_task_has_a_verdict_of_its_own():
    script = Script(lambda check: ALIVE if check.port == 80 else DEAD)

    async def during(prober):
        prober.watch(target(TASK, CHECK, evolve(CHECK, index=2, port=81)))
        await asyncio.sleep(11)

    reports = run(script, during=during)
    verdicts = {r.check_index: r.result.alive for r in reports}
    assert verdicts == {0: True, 2: False}


def test_grace_hides_failures_until_it_ends():
    script = Script(DEAD)
    grace = evolve(CHECK, grace_ms=30_000, interval_ms=1_000)

    async def during(prober):
        prober.watch(target(TASK, grace, started_at_ms=1_000_000))
        await asyncio.sleep(40)

    reports = run(script, during=during)
    assert (reports[0].result.last_failure_ms or 0) >= 1_030_000
    assert len(reports) == 3


def test_failures_go_on_counting_after_a_restart_without_new_grace():
    known = CheckResult(alive=False, consecutive_failures=2, first_success_ms=1, last_failure_ms=2)
    script = Script(DEAD)
    check = evolve(CHECK, grace_ms=10**9, result=known)

    async def during(prober):
        prober.watch(target(TASK, check, started_at_ms=1_000_000))
        await asyncio.sleep(30)

    reports = run(script, during=during)
    assert [r.result.consecutive_failures for r in reports] == [3]


def test_a_check_that_flaps_comes_back_later_and_its_recovery_is_told_once():
    script = Script(ALIVE, DEAD, ALIVE, DEAD, ALIVE, DEAD, ALIVE, ALIVE, ALIVE, ALIVE)

    async def during(prober):
        prober.watch(target())
        await asyncio.sleep(100)

    reports = run(script, during=during)
    assert [(r.result.alive, r.result.consecutive_failures) for r in reports] == [
        (True, 0),
        (False, 1),
        (True, 0),
        (False, 1),
        (False, 0),
        (False, 1),
        (False, 0),
        (True, 0),
    ]
    assert [r.result.relapses for r in reports] == [0, 1, 1, 2, 2, 2, 2, 2]


def test_a_recovery_goes_on_after_a_restart_where_it_was():
    known = CheckResult(
        alive=False, first_success_ms=1, last_failure_ms=2, relapses=3, consecutive_successes=1
    )
    script = Script(ALIVE)

    async def during(prober):
        prober.watch(target(TASK, evolve(CHECK, result=known)))
        while prober.stats().reports == 0:
            await asyncio.sleep(1)

    reports = run(script, during=during)
    assert [(r.result.alive, len(script.asked_s)) for r in reports] == [(True, 3)]


def test_no_more_probes_run_at_once_than_allowed_and_all_get_their_turn():
    script = Script(ALIVE, takes_s=0.5)
    lags: list[int] = []

    async def during(prober):
        for number in range(200):
            prober.watch(target(TaskId(f"t{number}"), evolve(CHECK, interval_ms=1_000)))
        await asyncio.sleep(1)
        lags.append(prober.stats().lag_ms)
        await asyncio.sleep(30)

    reports = run(script, during=during, concurrency_max=4)
    assert script.most == 4
    assert len(reports) == 200
    assert lags[0] > 0


def test_a_check_does_not_overlap_itself():
    script = Script(ALIVE, takes_s=3.0)

    async def during(prober):
        prober.watch(target(TASK, evolve(CHECK, interval_ms=1_000)))
        await asyncio.sleep(20)

    run(script, during=during)
    assert script.most == 1
    assert len(script.asked_s) >= 6


def test_a_forgotten_task_is_not_probed_and_reports_nothing():
    script = Script(ALIVE, takes_s=2.0)

    async def during(prober):
        prober.watch(target())
        while not script.asked_s:
            await asyncio.sleep(0.1)
        prober.forget(TASK)
        await asyncio.sleep(60)
        assert prober.stats().checks == 0
        prober.forget(TASK)

    assert run(script, during=during) == []
    assert len(script.asked_s) == 1


def test_to_watch_the_same_again_keeps_pace_and_state():
    script = Script(ALIVE)

    async def during(prober):
        prober.watch(target())
        await asyncio.sleep(5)
        stored = CheckResult(alive=True, first_success_ms=1, last_success_ms=1)
        for _ in range(45):
            prober.watch(target(TASK, evolve(CHECK, result=stored)))
            await asyncio.sleep(1)

    assert len(run(script, during=during)) == 1
    assert len(script.asked_s) == 5


@pytest.mark.parametrize("dropped", [1, 2, 3], ids="failures dropped: {}".format)
@pytest.mark.parametrize("max_failures", [0, 1, 3])
def test_a_verdict_that_was_dropped_is_reported_again(dropped, max_failures):
    """A task out of sight for one batch comes back with the results of before."""
    stored = CheckResult(alive=True, first_success_ms=1, last_success_ms=1)
    check = evolve(CHECK, result=stored, max_consecutive_failures=max_failures)
    reports_before = []

    async def during(prober):
        prober.watch(target(TASK, check))
        await asyncio.sleep(10 * dropped)
        reports_before.append(prober.stats().reports)
        prober.watch(target(TASK, check))
        await asyncio.sleep(10)

    reports = run(Script(DEAD), during=during)[reports_before[0] :]
    assert [report.result.consecutive_failures for report in reports] == [dropped + 1]


def test_a_new_address_is_probed_with_the_results_given():
    seen: list[str] = []
    script = Script(lambda check: (seen.append(check.address), ALIVE)[1])
    moved = evolve(CHECK, address="10.0.0.2", result=CheckResult(alive=True, first_success_ms=3))

    async def during(prober):
        prober.watch(target())
        await asyncio.sleep(15)
        seen.clear()
        prober.watch(target(TASK, moved))
        await asyncio.sleep(30)

    assert len(run(script, during=during)) == 1
    assert set(seen) == {"10.0.0.2"}


def test_what_is_watched_before_run_is_probed_and_stop_ends_it():
    script = Script(ALIVE, takes_s=100.0)
    reports: list[ProbeResult] = []

    async def main():
        prober = Prober(reports.append, lambda: 0, Random(1), probe=script)
        prober.watch(target())
        running = asyncio.create_task(prober.run())
        await asyncio.sleep(6)
        assert script.running == 1
        prober.stop()
        await running
        assert script.running == 0

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(main())
    assert reports == []


def test_a_fault_of_the_prober_ends_run_loudly():
    def broken(check):
        raise ZeroDivisionError

    async def during(prober):
        prober.watch(target())
        await asyncio.sleep(10)

    with pytest.raises(ZeroDivisionError):
        run(Script(broken), during=during)
