"""Run seeds, replay one, make its failure small, or let the bug zoo out.

python -m tests.simulation --seeds 0..1000
python -m tests.simulation --replay 42 [--minimise]
python -m tests.simulation --zoo [NAME]
"""

import argparse
import multiprocessing
import platform
import subprocess
import sys
import time
import traceback
from pathlib import Path

import click

from tests.simulation.minimise import minimise
from tests.simulation.planting import Catch, catch, mutants
from tests.simulation.run import Simulation
from tests.simulation.violation import Violation

PROGRESS = 5_000
REPOSITORY = Path(__file__).resolve().parent.parent.parent


def run_seed(seed: int) -> tuple[int, str | None, int]:
    """Run one seed; returns what went wrong (None: nothing) and how many steps it took."""
    simulation = Simulation(seed)
    try:
        simulation.run()
    except Violation as violation:
        return seed, str(violation), simulation.clock.steps
    except Exception:  # noqa: BLE001 - any failure of a run is its result
        return seed, traceback.format_exc(), simulation.clock.steps
    return seed, None, simulation.clock.steps


def run_seeds(seeds: range, processes: int) -> int:
    """Run many seeds side by side; returns how many failed."""
    started_s = time.perf_counter()
    done = steps = failures = 0
    with multiprocessing.Pool(processes) as pool:
        for seed, failure, taken in pool.imap_unordered(run_seed, seeds, chunksize=10):
            done, steps = done + 1, steps + taken
            if failure is not None:
                failures += 1
                click.echo(f"seed {seed}: {failure.strip().splitlines()[-1]}")
            if done % PROGRESS == 0 and done < len(seeds):
                click.echo(f"{done} of {len(seeds)} seeds, {failures} failed")
    rate = steps / (time.perf_counter() - started_s) / processes
    click.echo(
        f"{len(seeds)} seeds, {steps} steps, {rate:.0f} steps/s a process, {failures} failed"
    )
    return failures


def replay(seed: int) -> int:
    """Run one seed again and tell the story of its failure."""
    simulation = Simulation(seed, is_kept=True)
    try:
        digest = simulation.run()
    except Violation as violation:
        click.echo("\n".join(simulation.trace.story(str(violation))))
        click.echo(f"\nseed {seed}, {_where()}: {violation}")
        return 1
    except Exception:  # noqa: BLE001 - any failure of a run is its result
        click.echo("\n".join(simulation.trace.story("")))
        click.echo(f"\nseed {seed}, {_where()}: {traceback.format_exc()}")
        return 1
    click.echo(f"seed {seed}: no violation in {simulation.clock.steps} steps, trace {digest}")
    return 0


def show_smallest(seed: int) -> int:
    """Make a failure small and tell what is left of its story."""
    smallest = minimise(seed, click.echo)
    if smallest is None:
        click.echo(f"seed {seed}: no violation")
        return 0
    click.echo("\n".join(smallest.story))
    click.echo(f"\noptions: {smallest.options}")
    click.echo(f"seed {seed}, {_where()}: {smallest.violation}")
    return 1


def show_zoo(name: str, seeds_max: int, processes: int) -> int:
    """Run every mutant until it is caught; returns how many got away."""
    chosen = [m.name for m in mutants() if name in {"all", m.name}]
    away = 0
    with multiprocessing.Pool(processes) as pool:
        jobs = [(mutant, seeds_max) for mutant in chosen]
        for mutant, found in pool.imap(_catch, jobs, chunksize=1):
            told = "got away"
            if found is not None:
                told = f"{found.promise:<9} {found.seed:>5}  {found.story[:90]}"
            away += found is None
            click.echo(f"{mutant:<28} {told}")
    click.echo(f"{len(chosen)} mutants, {away} got away")
    return away


def _catch(job: tuple[str, int]) -> tuple[str, Catch | None]:
    name, seeds_max = job
    mutant = next(m for m in mutants() if m.name == name)
    return name, catch(mutant, range(seeds_max))


def _where() -> str:
    """Name the commit and the Python that a failure belongs to."""
    command = ["git", "rev-parse", "--short=12", "HEAD"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    return f"commit {done.stdout.strip() or 'unknown'}, Python {platform.python_version()}"


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulation",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seeds", default="0..1000", help="A..B (B excluded), or a number from 0")
    parser.add_argument("--replay", type=int, metavar="SEED", help="tell the story of one seed")
    parser.add_argument("--minimise", action="store_true", help="with --replay: make it small")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument(
        "--zoo", nargs="?", const="all", metavar="NAME", help="run planted bugs until caught"
    )
    options = parser.parse_args()
    first, _, last = options.seeds.rpartition("..")
    seeds = range(int(first or 0), int(last))
    if options.zoo is not None:
        return 1 if show_zoo(options.zoo, 2_000, options.processes) else 0
    if options.replay is not None:
        return show_smallest(options.replay) if options.minimise else replay(options.replay)
    failures = run_seeds(seeds, options.processes)
    if failures:
        click.echo(f"{_where()}; look closer with --replay SEED [--minimise]")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
