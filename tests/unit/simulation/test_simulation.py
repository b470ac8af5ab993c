"""The simulation itself: it repeats, it tells, it makes failures small."""

import pytest

from tests.simulation.minimise import attempt, minimise
from tests.simulation.options import Options
from tests.simulation.planting import let_out, mutants
from tests.simulation.run import Simulation
from tests.simulation.violation import Violation


def run(simulation: Simulation) -> str:
    """Return the trace's hash, whatever the outcome."""
    try:
        simulation.run()
    except Violation as violation:
        return f"{simulation.trace.hexdigest()} {violation}"
    return simulation.trace.hexdigest()


def test_a_seed_gives_the_same_trace_again_in_one_process() -> None:
    """S16: nothing is left over from one run that another could see."""
    first = [run(Simulation(seed)) for seed in range(20)]
    assert len(set(first)) == 20
    assert [run(Simulation(seed)) for seed in range(20)] == first


def test_to_keep_a_story_changes_nothing_of_it() -> None:
    assert run(Simulation(3, is_kept=True)) == run(Simulation(3))


def test_a_single_fault_left_out_makes_another_trace() -> None:
    simulation = Simulation(3)
    whole = run(simulation)
    part = run(Simulation(3, muted=frozenset(simulation.faults.struck[:1])))
    assert part != whole


def test_options_without_faults_let_nothing_strike() -> None:
    simulation = Simulation(0, Options.calm())
    simulation.run()
    assert simulation.faults.struck == []


@pytest.fixture
def off_by_one():
    """A bug that many seeds show."""
    mutant = next(m for m in mutants() if m.name == "floor-off-by-one")
    with let_out(mutant):
        yield


def test_a_failure_is_made_small_and_told(off_by_one: None) -> None:
    failing = (attempt(seed, Options.draw(seed), frozenset()) for seed in range(20))
    found = next(failure for failure in failing if failure is not None)
    progress: list[str] = []
    smallest = minimise(found.options.seed, progress.append)
    assert smallest is not None
    assert smallest.promise == found.promise
    assert len(smallest.struck) < len(found.struck) / 2
    assert any("a user asks" in line for line in smallest.story)
    assert any("replaced by a newer version" in line for line in smallest.story)
    # What is left fails by itself.
    again = attempt(smallest.options.seed, smallest.options, smallest.muted)
    assert again is not None
    assert again.violation == smallest.violation


def test_a_seed_without_a_violation_cannot_be_made_small() -> None:
    assert minimise(0, lambda _: None) is None
