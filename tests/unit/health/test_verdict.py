"""The table of what a probe's answer does to a check, before and after grace and success."""

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from scheduler.core.app import HealthProtocol
from scheduler.core.instance import CheckResult
from scheduler.health.target import ProbeCheck
from scheduler.health.verdict import Answer, Outcome, is_news, next_result

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


def after(before, answer, now_ms):
    return next_result(
        before, Outcome(answer, "why"), CHECK, started_at_ms=STARTED_MS, now_ms=now_ms
    )


def dead(before, failures, now_ms):
    return evolve(
        before,
        alive=False,
        consecutive_failures=failures,
        last_failure_ms=now_ms,
        last_failure_cause="why",
    )


def alive(before, first_ms, now_ms):
    return evolve(
        before,
        alive=True,
        consecutive_failures=0,
        first_success_ms=first_ms,
        last_success_ms=now_ms,
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
    (ALIVE, Answer.DEAD, IN, dead(ALIVE, 1, IN)),
    (ALIVE, Answer.DEAD, OUT, dead(ALIVE, 1, OUT)),
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
]


@pytest.mark.parametrize(("before", "answer", "now_ms", "expected"), TABLE)
def test_each_cell_of_the_table_holds(before, answer, now_ms, expected):
    assert after(before, answer, now_ms) == expected


def test_the_table_has_every_cell():
    cells = {(before, answer, now_ms) for before, answer, now_ms, _ in TABLE}
    assert len(cells) == len(TABLE) == 4 * len(Answer) * 2


def test_a_change_of_alive_is_news_and_a_repetition_is_not():
    assert is_news(NEW, ALIVE, CHECK)
    assert is_news(ALIVE, FAILED_ONCE, CHECK)
    assert is_news(FAILED_ONCE, ALIVE, CHECK)
    assert not is_news(ALIVE, evolve(ALIVE, last_success_ms=99), CHECK)
    assert not is_news(NEW, NEW, CHECK)


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
