"""Decide what one probe means for a check's state, and whether that is worth telling.

The state is Marathon's: a check is alive when it last succeeded; before its first success, and
within the grace period, a failure counts for nothing; after the first success the grace period is
over for good, also over a restart of the scheduler (Marathon page "Health Checks"; there the state
was lost at a failover).
"""

from enum import StrEnum

from attrs import evolve, frozen

from scheduler.core.instance import CheckResult
from scheduler.health.target import ProbeCheck


class Answer(StrEnum):
    """What one probe has shown."""

    ALIVE = "alive"
    DEAD = "dead"
    IGNORED = "ignored"
    """No verdict: a 1xx status that is to be ignored, or a fault on our side of the wire."""


@frozen
class Outcome:
    """The answer of one probe and, where it is not ALIVE, the reason."""

    answer: Answer
    cause: str = ""
    """Why it is not ALIVE, in a few words; bounded by the prober."""


def next_result(
    before: CheckResult, outcome: Outcome, check: ProbeCheck, *, started_at_ms: int, now_ms: int
) -> CheckResult:
    """Return the state after a probe; the same object when the probe changes nothing."""
    if outcome.answer is Answer.IGNORED:
        return before
    if outcome.answer is Answer.ALIVE:
        return evolve(
            before,
            alive=True,
            consecutive_failures=0,
            first_success_ms=now_ms if before.first_success_ms is None else before.first_success_ms,
            last_success_ms=now_ms,
        )
    if before.first_success_ms is None and now_ms < started_at_ms + check.grace_ms:
        return before
    return evolve(
        before,
        alive=False,
        consecutive_failures=before.consecutive_failures + 1,
        last_failure_ms=now_ms,
        last_failure_cause=outcome.cause,
    )


def is_news(told: CheckResult, after: CheckResult, check: ProbeCheck) -> bool:
    """Whether ``after`` differs from what was told last in a way that a decision may rest on.

    A change of ``alive`` always does. A further failure does until maxConsecutiveFailures is
    reached; beyond it nothing is left to decide, so a check that fails for hours says nothing more.
    """
    if told.alive is not after.alive:
        return True
    if told.consecutive_failures == after.consecutive_failures:
        return False
    return after.consecutive_failures <= check.max_consecutive_failures
