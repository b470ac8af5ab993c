"""Exhaustive small worlds: whatever step the scheduler dies at, the outcome is the same."""

import pytest

from tests.simulation.small import SCENARIOS, Scenario, play
from tests.simulation.violation import Violation


@pytest.mark.parametrize("scenario", SCENARIOS, ids=[it.name for it in SCENARIOS])
@pytest.mark.parametrize("again_at", [None, 1, 4], ids=["once", "at once again", "soon again"])
def test_a_crash_at_any_step_changes_nothing_of_the_outcome(
    scenario: Scenario, again_at: int | None
) -> None:
    points = play(scenario, crash_at=None)
    assert points > 15, "the scenario has hardly a step at which a process could die"
    failed: list[str] = []
    for crash_at in range(1, points + 1):
        try:
            play(scenario, crash_at, again_at)
        except Violation as violation:
            failed.append(f"a crash at step {crash_at} of {points}: {violation}")
    assert not failed
