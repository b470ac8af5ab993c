"""Decide what one probe means for a check's state, and whether that is worth telling.

The state is Marathon's: a check is alive when it last succeeded; before its first success, and
within the grace period, a failure counts for nothing; after the first success the grace period is
over for good, also over a restart of the scheduler (Marathon page "Health Checks"; there the state
was lost at a failover).

Unlike in Marathon, a check that flaps is damped: one that keeps failing again soon after it came
back has to succeed several times in a row before it is alive. Being put out is never delayed.
"""

from enum import StrEnum

from attrs import evolve, frozen

from scheduler.core.instance import CheckResult
from scheduler.health.target import ProbeCheck

STEADY_INTERVALS = 10
"""A check without a failure for this many of its intervals is steady: its relapses are over. More
than the successes ever wanted, so that a slow recovery alone does not make it steady."""
SUCCESSES_WANTED_MAX = 8


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
        return _after_success(before, now_ms)
    if before.first_success_ms is None and now_ms < started_at_ms + check.grace_ms:
        return before
    return evolve(
        before,
        alive=False,
        consecutive_failures=before.consecutive_failures + 1,
        last_failure_ms=now_ms,
        last_failure_cause=outcome.cause,
        relapses=_relapses(before, check, now_ms) if before.alive else before.relapses,
        consecutive_successes=0,
    )


def successes_wanted(relapses: int) -> int:
    """Say how many successes in a row make a dead check alive: 1 to SUCCESSES_WANTED_MAX.

    One after the first failure in a while, as in Marathon; twice as many with each relapse more.
    """
    return min(1 << max(0, relapses - 1), SUCCESSES_WANTED_MAX)


def is_news(told: CheckResult, after: CheckResult, check: ProbeCheck) -> bool:
    """Whether ``after`` differs from what was told last in a way that a decision may rest on.

    A change of ``alive`` always does. So does the first success after failures: it spares a task
    that is not alive again yet from being killed; the further ones are not told. A further failure
    does until as many as maxConsecutiveFailures were told; beyond it nothing is left to decide, so
    a check that fails for hours says nothing more.
    """
    # The first failure of a row is told even where none kills: it ends a recovery.
    most = max(1, check.max_consecutive_failures)
    return told.alive is not after.alive or (
        min(told.consecutive_failures, most) != min(after.consecutive_failures, most)
    )


def _after_success(before: CheckResult, now_ms: int) -> CheckResult:
    successes = before.consecutive_successes + 1
    is_alive = before.alive is not False or successes >= successes_wanted(before.relapses)
    return evolve(
        before,
        alive=is_alive,
        consecutive_failures=0,
        first_success_ms=now_ms if before.first_success_ms is None else before.first_success_ms,
        last_success_ms=now_ms,
        consecutive_successes=0 if is_alive else successes,
    )


def _relapses(before: CheckResult, check: ProbeCheck, now_ms: int) -> int:
    """Count the failure of a check that was alive until now."""
    failed_ms = before.last_failure_ms
    if failed_ms is None or now_ms - failed_ms >= STEADY_INTERVALS * check.interval_ms:
        return 1
    return before.relapses + 1
