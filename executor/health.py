"""Decide what the results of a health check mean for the task. Pure.

Theory of operation. A check is *settling* until its first success or until the grace period,
counted from the start of the task, is over: failures are silent then. Afterwards every failure is
told, a success only when it changes the verdict, and failure_limit failures in a row condemn the
task.

    state                    success             failure
    settling, in grace       healthy, settled    silent
    settling, grace over     healthy, settled    unhealthy | condemned
    settled, healthy         silent              unhealthy | condemned
    settled, unhealthy       healthy             unhealthy | condemned

Source: Mesos's health check documentation, and what its command executor was seen to send.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Outcome(enum.Enum):
    """What one result of a check leads to."""

    SILENT = "silent"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    CONDEMNED = "condemned"


@dataclass(frozen=True)
class CheckState:
    """What is known of one check. `healthy` is None until something was told."""

    settled: bool = False
    failures: int = 0
    healthy: bool | None = None


def judge(
    state: CheckState, *, succeeded: bool, in_grace: bool, failure_limit: int
) -> tuple[CheckState, Outcome]:
    """The state after one more result, and what to do about it.

    Args:
        state: what was known before.
        succeeded: the result.
        in_grace: whether the grace period is still running.
        failure_limit: failures in a row that condemn, at least 1.
    """
    if succeeded:
        outcome = Outcome.SILENT if state.healthy else Outcome.HEALTHY
        return CheckState(settled=True, failures=0, healthy=True), outcome
    if in_grace and not state.settled:
        return state, Outcome.SILENT
    failures = state.failures + 1
    after = CheckState(settled=state.settled, failures=failures, healthy=False)
    return after, Outcome.CONDEMNED if failures >= failure_limit else Outcome.UNHEALTHY
