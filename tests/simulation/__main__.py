"""Run seeds: ``python -m tests.simulation --seeds 0..1000`` or ``--replay 42``."""

import argparse
import multiprocessing
import sys
import time
import traceback

import click

from tests.simulation.run import Simulation


def run_seed(seed: int) -> tuple[int, str | None, int]:
    """Run one seed; returns what went wrong (None: nothing) and how many steps it took."""
    simulation = Simulation(seed)
    try:
        simulation.run()
    except Exception:  # noqa: BLE001 - any failure of a run is its result
        return seed, traceback.format_exc(), simulation.clock.steps
    return seed, None, simulation.clock.steps


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("--seeds", default="0..1000", help="A..B (B excluded), or a number from 0")
    parser.add_argument("--replay", type=int, help="run one seed and show its failure")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    if options.replay is not None:
        _, failure, steps = run_seed(options.replay)
        click.echo(failure or f"seed {options.replay}: no violation in {steps} steps")
        return 1 if failure else 0
    first, _, last = options.seeds.rpartition("..")
    seeds = range(int(first or 0), int(last))
    started_s = time.perf_counter()
    steps = failures = 0
    with multiprocessing.Pool(options.processes) as pool:
        for seed, failure, taken in pool.imap_unordered(run_seed, seeds, chunksize=10):
            steps += taken
            if failure is not None:
                failures += 1
                click.echo(f"seed {seed}: {failure.strip().splitlines()[-1]}")
    elapsed_s = time.perf_counter() - started_s
    rate = steps / elapsed_s / options.processes
    click.echo(
        f"{len(seeds)} seeds, {steps} steps, {rate:.0f} steps/s a process, {failures} failed"
    )
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
