"""The table of what a probe's answer does to a check, before and after grace and success."""

from itertools import pairwise

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from scheduler.core.app import HealthProtocol
from scheduler.core.instance import CheckResult
from scheduler.health.target import ProbeCheck
from scheduler.health.verdict import (
    STEADY_INTERVALS,
    Answer,
    Outcome,
    is_news,
    next_result,
    successes_wanted,
)

CHECK = ProbeCheck(
    index=0,
    address="127.0.0.1",
    port=80,
    protocol=HealthProtocol.HTTP,
    path="/",
    grace_ms=10_000,
    interval_ms=1_000,
    timeout_ms=1_000,
    max_consecutive_failures=3,
    ignore_http_1xx=True,
    result=CheckResult(),
)
STARTED_MS = 1_000_000
IN_GRACE_MS = STARTED_MS + 9_999
AFTER_GRACE_MS = STARTED_MS + 10_000

NEW = CheckResult()
ALIVE = CheckResult(alive=True, first_success_ms=5, last_success_ms=7)
FAILED_ONCE = CheckResult(
    alive=False,
    consecutive_failures=1,
    first_success_ms=5,
    last_success_ms=7,
    last_failure_ms=8,
    last_failure_cause="old",
)
NEVER_ALIVE = CheckResult(
    alive=False, consecutive_failures=2, last_failure_ms=8, last_failure_cause="old"
)
STEADY_MS = 10 * CHECK.interval_ms
FLAPPING = CheckResult(
    alive=True,
    first_success_ms=5,
    last_success_ms=7,
    last_failure_ms=AFTER_GRACE_MS - STEADY_MS + 1,
    last_failure_cause="old",
    relapses=2,
)
STEADY_AGAIN = evolve(FLAPPING, last_failure_ms=IN_GRACE_MS - STEADY_MS)
RELAPSED = evolve(FAILED_ONCE, relapses=3)
RECOVERING = evolve(RELAPSED, consecutive_failures=0, consecutive_successes=1)
ALMOST_ALIVE = evolve(RECOVERING, consecutive_successes=3)


def after(before, answer, now_ms):
    return next_result(
        before, Outcome(answer, "why"), CHECK, started_at_ms=STARTED_MS, now_ms=now_ms
    )


def dead(before, failures, now_ms, relapses=0):
    return evolve(
        before,
        alive=False,
        consecutive_failures=failures,
        last_failure_ms=now_ms,
        last_failure_cause="why",
        relapses=relapses,
        consecutive_successes=0,
    )


def alive(before, first_ms, now_ms):
    return evolve(
        before,
        alive=True,
        consecutive_failures=0,
        first_success_ms=first_ms,
        last_success_ms=now_ms,
        consecutive_successes=0,
    )


def recovering(before, successes, now_ms):
    return evolve(
        before,
        consecutive_failures=0,
        last_success_ms=now_ms,
        consecutive_successes=successes,
    )


IN, OUT = IN_GRACE_MS, AFTER_GRACE_MS
TABLE = [
    # state before, answer, time, state after
    (NEW, Answer.DEAD, IN, NEW),
    (NEW, Answer.DEAD, OUT, dead(NEW, 1, OUT)),
    (NEW, Answer.ALIVE, IN, alive(NEW, IN, IN)),
    (NEW, Answer.ALIVE, OUT, alive(NEW, OUT, OUT)),
    (NEW, Answer.IGNORED, IN, NEW),
    (NEW, Answer.IGNORED, OUT, NEW),
    # The first success ends the grace period for good.
    (ALIVE, Answer.DEAD, IN, dead(ALIVE, 1, IN, relapses=1)),
    (ALIVE, Answer.DEAD, OUT, dead(ALIVE, 1, OUT, relapses=1)),
    (ALIVE, Answer.ALIVE, IN, alive(ALIVE, 5, IN)),
    (ALIVE, Answer.ALIVE, OUT, alive(ALIVE, 5, OUT)),
    (ALIVE, Answer.IGNORED, IN, ALIVE),
    (ALIVE, Answer.IGNORED, OUT, ALIVE),
    (FAILED_ONCE, Answer.DEAD, IN, dead(FAILED_ONCE, 2, IN)),
    (FAILED_ONCE, Answer.DEAD, OUT, dead(FAILED_ONCE, 2, OUT)),
    (FAILED_ONCE, Answer.ALIVE, IN, alive(FAILED_ONCE, 5, IN)),
    (FAILED_ONCE, Answer.ALIVE, OUT, alive(FAILED_ONCE, 5, OUT)),
    (FAILED_ONCE, Answer.IGNORED, IN, FAILED_ONCE),
    (FAILED_ONCE, Answer.IGNORED, OUT, FAILED_ONCE),
    # Known failures without a success: only after the grace period, also over a restart.
    (NEVER_ALIVE, Answer.DEAD, IN, NEVER_ALIVE),
    (NEVER_ALIVE, Answer.DEAD, OUT, dead(NEVER_ALIVE, 3, OUT)),
    (NEVER_ALIVE, Answer.ALIVE, IN, alive(NEVER_ALIVE, IN, IN)),
    (NEVER_ALIVE, Answer.ALIVE, OUT, alive(NEVER_ALIVE, OUT, OUT)),
    (NEVER_ALIVE, Answer.IGNORED, IN, NEVER_ALIVE),
    (NEVER_ALIVE, Answer.IGNORED, OUT, NEVER_ALIVE),
    # Alive, but it failed a short while ago: one more failure is one more relapse.
    (FLAPPING, Answer.DEAD, IN, dead(FLAPPING, 1, IN, relapses=3)),
    (FLAPPING, Answer.DEAD, OUT, dead(FLAPPING, 1, OUT, relapses=3)),
    (FLAPPING, Answer.ALIVE, IN, alive(FLAPPING, 5, IN)),
    (FLAPPING, Answer.ALIVE, OUT, alive(FLAPPING, 5, OUT)),
    (FLAPPING, Answer.IGNORED, IN, FLAPPING),
    (FLAPPING, Answer.IGNORED, OUT, FLAPPING),
    # Steady since then: what was is forgotten with the next failure.
    (STEADY_AGAIN, Answer.DEAD, IN, dead(STEADY_AGAIN, 1, IN, relapses=1)),
    (STEADY_AGAIN, Answer.DEAD, OUT, dead(STEADY_AGAIN, 1, OUT, relapses=1)),
    (STEADY_AGAIN, Answer.ALIVE, IN, alive(STEADY_AGAIN, 5, IN)),
    (STEADY_AGAIN, Answer.ALIVE, OUT, alive(STEADY_AGAIN, 5, OUT)),
    (STEADY_AGAIN, Answer.IGNORED, IN, STEADY_AGAIN),
    (STEADY_AGAIN, Answer.IGNORED, OUT, STEADY_AGAIN),
    # Dead for the third time in a row: four successes make it alive, a failure starts them over.
    (RELAPSED, Answer.DEAD, IN, dead(RELAPSED, 2, IN, relapses=3)),
    (RELAPSED, Answer.DEAD, OUT, dead(RELAPSED, 2, OUT, relapses=3)),
    (RELAPSED, Answer.ALIVE, IN, recovering(RELAPSED, 1, IN)),
    (RELAPSED, Answer.ALIVE, OUT, recovering(RELAPSED, 1, OUT)),
    (RELAPSED, Answer.IGNORED, IN, RELAPSED),
    (RELAPSED, Answer.IGNORED, OUT, RELAPSED),
    (RECOVERING, Answer.DEAD, IN, dead(RECOVERING, 1, IN, relapses=3)),
    (RECOVERING, Answer.DEAD, OUT, dead(RECOVERING, 1, OUT, relapses=3)),
    (RECOVERING, Answer.ALIVE, IN, recovering(RECOVERING, 2, IN)),
    (RECOVERING, Answer.ALIVE, OUT, recovering(RECOVERING, 2, OUT)),
    (RECOVERING, Answer.IGNORED, IN, RECOVERING),
    (RECOVERING, Answer.IGNORED, OUT, RECOVERING),
    (ALMOST_ALIVE, Answer.DEAD, IN, dead(ALMOST_ALIVE, 1, IN, relapses=3)),
    (ALMOST_ALIVE, Answer.DEAD, OUT, dead(ALMOST_ALIVE, 1, OUT, relapses=3)),
    (ALMOST_ALIVE, Answer.ALIVE, IN, alive(ALMOST_ALIVE, 5, IN)),
    (ALMOST_ALIVE, Answer.ALIVE, OUT, alive(ALMOST_ALIVE, 5, OUT)),
    (ALMOST_ALIVE, Answer.IGNORED, IN, ALMOST_ALIVE),
    (ALMOST_ALIVE, Answer.IGNORED, OUT, ALMOST_ALIVE),
]


@pytest.mark.parametrize(("before", "answer", "now_ms", "expected"), TABLE)
def test_each_cell_of_the_table_holds(before, answer, now_ms, expected):
    assert after(before, answer, now_ms) == expected


def test_the_table_has_every_cell():
    cells = {(before, answer, now_ms) for before, answer, now_ms, _ in TABLE}
    assert len(cells) == len(TABLE) == 9 * len(Answer) * 2


def test_a_change_of_alive_is_news_and_a_repetition_is_not():
    assert is_news(NEW, ALIVE, CHECK)
    assert is_news(ALIVE, FAILED_ONCE, CHECK)
    assert is_news(FAILED_ONCE, ALIVE, CHECK)
    assert not is_news(ALIVE, evolve(ALIVE, last_success_ms=99), CHECK)
    assert not is_news(NEW, NEW, CHECK)


def test_the_first_success_of_a_recovery_is_news_and_the_further_ones_are_not():
    assert is_news(RELAPSED, RECOVERING, CHECK)
    assert not is_news(RECOVERING, ALMOST_ALIVE, CHECK)
    assert is_news(RECOVERING, alive(ALMOST_ALIVE, 5, OUT), CHECK)


def test_failures_are_news_until_as_many_as_kill_were_told():
    failed = [evolve(FAILED_ONCE, consecutive_failures=count) for count in range(1, 6)]
    assert is_news(failed[0], failed[1], CHECK)
    assert is_news(failed[1], failed[2], CHECK)
    assert is_news(failed[1], failed[4], CHECK), "the third was told and never arrived"
    assert not is_news(failed[2], failed[3], CHECK)
    assert not is_news(failed[3], failed[4], CHECK)


@pytest.mark.parametrize("max_failures", [0, 1, 3])
def test_a_failure_amid_a_recovery_is_news_whether_or_not_failures_kill(max_failures):
    check = evolve(CHECK, max_consecutive_failures=max_failures)
    assert is_news(RECOVERING, after(RECOVERING, Answer.DEAD, OUT), check)


@pytest.mark.parametrize(
    ("relapses", "wanted"), [(0, 1), (1, 1), (2, 2), (3, 4), (4, 8), (5, 8), (1_000_000, 8)]
)
def test_each_relapse_doubles_the_successes_that_are_wanted_up_to_eight(relapses, wanted):
    assert successes_wanted(relapses) == wanted


def states_over(answers, *, result=NEW, from_ms=AFTER_GRACE_MS):
    """Give the state after each answer, one interval apart."""
    states = []
    for step, answer in enumerate(answers):
        result = after(result, answer, from_ms + step * CHECK.interval_ms)
        states.append(result)
    return states


def toggles(verdicts):
    return sum(one is not other for one, other in pairwise(verdicts))


def undamped(answers):
    """Say what every answer alone makes of the check, as Marathon does."""
    verdicts, alive_now = [], None
    for answer in answers:
        if answer is not Answer.IGNORED:
            alive_now = answer is Answer.ALIVE
        verdicts.append(alive_now)
    return verdicts


def test_a_check_that_fails_with_every_other_probe_is_put_out_and_stays_out():
    states = states_over([Answer.ALIVE, Answer.DEAD] * 100)
    assert toggles([one.alive for one in states]) == 3
    assert max(one.consecutive_failures for one in states) == 1


ANSWERS = st.lists(st.sampled_from(Answer), max_size=60)


@given(ANSWERS)
def test_damping_never_adds_a_toggle_nor_calls_alive_what_last_failed(answers):
    damped = [one.alive for one in states_over(answers)]
    plain = undamped(answers)
    assert toggles(damped) <= toggles(plain)
    assert all(truth for said, truth in zip(damped, plain, strict=True) if said)


@given(ANSWERS)
def test_whatever_was_eight_successes_in_a_row_are_enough(answers):
    assert states_over([*answers, *[Answer.ALIVE] * 8])[-1].alive


@given(answers=ANSWERS, failures=st.integers(min_value=1, max_value=20))
def test_after_a_steady_time_one_success_ends_a_failure_again(answers, failures):
    """With nothing before it, this is an ordinary recovery: it is not delayed either."""
    steady = [Answer.ALIVE] * STEADY_INTERVALS
    states = states_over([*answers, *steady, *[Answer.DEAD] * failures, Answer.ALIVE])
    assert states[-2].alive is False
    assert states[-2].relapses == 1
    assert states[-1].alive


@given(ANSWERS)
def test_the_first_success_ever_is_never_delayed(answers):
    states = states_over([*answers, Answer.ALIVE])
    assert next(one for one in states if one.first_success_ms is not None).alive


@given(before=ANSWERS, later=ANSWERS)
def test_another_leader_damps_on_from_what_was_told(before, later):
    """Further successes of a recovery are not told: it may take longer, but is never shorter."""
    told = result = NEW
    for state in states_over(before):
        result = state
        if is_news(told, state, CHECK):
            told = state
    assert told.relapses == result.relapses
    from_ms = AFTER_GRACE_MS + len(before) * CHECK.interval_ms
    kept_on = states_over(later, result=result, from_ms=from_ms)
    took_over = states_over(later, result=told, from_ms=from_ms)
    limit = CHECK.max_consecutive_failures
    for one, other in zip(took_over, kept_on, strict=True):
        if other.alive and not one.alive:
            break
        assert one.alive is other.alive
        assert (one.consecutive_failures >= limit) is (other.consecutive_failures >= limit)
    assert states_over([Answer.ALIVE] * 8, result=told, from_ms=from_ms)[-1].alive


@given(
    answers=st.lists(st.sampled_from(Answer), max_size=40),
    max_failures=st.integers(min_value=0, max_value=5),
)
def test_what_was_told_decides_as_the_whole_state_does(answers, max_failures):
    """Alive, and whether the failures have reached the maximum, are never older than the truth."""
    check = evolve(CHECK, max_consecutive_failures=max_failures)
    told = result = NEW
    for step, answer in enumerate(answers):
        now_ms = AFTER_GRACE_MS + step
        result = next_result(
            result, Outcome(answer), check, started_at_ms=STARTED_MS, now_ms=now_ms
        )
        if is_news(told, result, check):
            told = result
        assert told.alive is result.alive
        assert told.first_success_ms == result.first_success_ms
        if max_failures:
            reached = result.consecutive_failures >= max_failures
            assert (told.consecutive_failures >= max_failures) is reached
