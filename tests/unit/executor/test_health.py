"""The health state machine, cell by cell, and what holds over any run of results."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.health import CheckState, Outcome, judge

SETTLING = CheckState()
SETTLING_FAILED = CheckState(failures=1, healthy=False)
HEALTHY = CheckState(settled=True, healthy=True)
UNHEALTHY = CheckState(settled=True, failures=1, healthy=False)

SILENT, GOOD, BAD, DOOMED = Outcome


@pytest.mark.parametrize(
    ("state", "in_grace", "on_success", "on_failure", "on_last_failure"),
    [
        (SETTLING, True, GOOD, SILENT, SILENT),
        (SETTLING, False, GOOD, BAD, DOOMED),
        (SETTLING_FAILED, False, GOOD, BAD, DOOMED),
        # A grace period that is over does not come back, but a first success may come in it.
        (HEALTHY, True, SILENT, BAD, DOOMED),
        (HEALTHY, False, SILENT, BAD, DOOMED),
        (UNHEALTHY, True, GOOD, BAD, DOOMED),
        (UNHEALTHY, False, GOOD, BAD, DOOMED),
    ],
)
def test_every_cell_of_the_table(
    state: CheckState,
    in_grace: bool,
    on_success: Outcome,
    on_failure: Outcome,
    on_last_failure: Outcome,
) -> None:
    def outcome(succeeded: bool, limit: int) -> Outcome:
        return judge(state, succeeded=succeeded, in_grace=in_grace, failure_limit=limit)[1]

    assert outcome(True, 1) is on_success
    assert outcome(False, state.failures + 2) is on_failure
    assert outcome(False, state.failures + 1) is on_last_failure


@given(st.lists(st.booleans(), max_size=40), st.integers(0, 10), st.integers(1, 5))
def test_any_run_of_results_keeps_the_promises(
    results: list[bool], grace_results: int, limit: int
) -> None:
    state, told = CheckState(), []
    failures_in_a_row = 0
    for index, succeeded in enumerate(results):
        in_grace = index < grace_results
        is_silent = in_grace and not any(results[:index])
        state, outcome = judge(state, succeeded=succeeded, in_grace=in_grace, failure_limit=limit)
        failures_in_a_row = 0 if succeeded or is_silent else failures_in_a_row + 1
        # Every counted failure is told, exactly the limit condemns.
        if not succeeded:
            assert (outcome is SILENT) == is_silent
            assert (outcome is DOOMED) == (failures_in_a_row >= limit)
        elif outcome is not SILENT:
            assert outcome is GOOD
        told.append(outcome)
        assert state.failures == failures_in_a_row
    # Good news is never told twice without bad news between.
    news = [outcome is GOOD for outcome in told if outcome is not SILENT]
    assert not any(first and second for first, second in pairwise(news))
