"""Every planted bug is caught, first by the seed that is on record for it in the documentation."""

import re
from itertools import chain
from pathlib import Path

import pytest

from tests.simulation.planting import Mutant, catch, let_out, mutants

RECORD = Path(__file__).resolve().parents[3] / "docs" / "reliability.md"
MORE_SEEDS = 2_000
"""Tried after the seed on record: a change of the core may give every seed another history."""


def recorded() -> dict[str, int]:
    """Read the table of the bug zoo: mutant → seed."""
    rows = re.findall(r"^\| `([\w-]+)` \|.*\| (\d+) \|$", RECORD.read_text(), re.MULTILINE)
    return {name: int(seed) for name, seed in rows}


def test_the_documentation_lists_exactly_the_bugs_of_the_zoo() -> None:
    assert recorded().keys() == {mutant.name for mutant in mutants()}
    text = RECORD.read_text()
    missing = [m.name for m in mutants() if f"| `{m.name}` | {m.danger} |" not in text]
    assert not missing


@pytest.mark.timeout(600)
@pytest.mark.parametrize("mutant", mutants(), ids=[mutant.name for mutant in mutants()])
def test_a_planted_bug_is_caught(mutant: Mutant) -> None:
    first = recorded()[mutant.name]
    found = catch(mutant, chain([first], range(MORE_SEEDS)))
    assert found is not None, f"{mutant.name} got away: {mutant.danger}"


def test_a_bug_is_back_in_its_cage_afterwards() -> None:
    """What is planted for one test must not be there for the next."""
    for mutant in mutants():
        with let_out(mutant):
            pass
    sound = Mutant("none", "", lambda _stack: None)
    assert catch(sound, range(3)) is None
