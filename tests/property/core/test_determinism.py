"""The same events give the same bytes, whatever hash seed Python has drawn."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent.parent.parent


def output_of(program: list[str], hash_seed: int) -> str:
    environment = {**os.environ, "PYTHONHASHSEED": str(hash_seed)}
    command = [sys.executable, *program]
    done = subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout


SIMULATE = """
from tests.simulation.run import Simulation
for seed in range(20):
    simulation = Simulation(seed)
    try:
        simulation.run()
    except AssertionError as violation:  # Another test's matter; here it must be the same one.
        print(violation)
    print(simulation.trace.hexdigest())
"""


@pytest.mark.parametrize(
    ("program", "lines"),
    [(["-m", "tests.property.core.walks", "0", "12"], 12), (["-c", SIMULATE], 20)],
    ids=["walks", "simulations"],
)
def test_the_order_of_sets_and_hashes_decides_nothing(program: list[str], lines: int) -> None:
    """A replayed seed must show the same failure, and two leaders must decide alike."""
    first, second = output_of(program, 1), output_of(program, 2)
    assert first == second
    assert len(set(first.splitlines())) >= lines
