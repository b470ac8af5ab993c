"""Make a failure small: leave out whatever it does not need.

First whole kinds of faults are switched off and the cluster is made smaller, then the single
faults and commands that are left are muted, half of them at a time, then fewer. A step is kept when
the same promise is broken still; so what comes out is a failing run by itself, not a guess.
"""

import traceback
from collections.abc import Callable, Iterator
from typing import Any

from attrs import evolve, frozen

from tests.simulation.options import Options
from tests.simulation.run import Simulation
from tests.simulation.violation import Violation

RUNS_MAX = 400


@frozen
class Failure:
    """A failing run."""

    options: Options
    muted: frozenset[int]
    struck: tuple[int, ...]
    """Numbers of the faults and commands that were in it."""
    promise: str
    violation: str
    story: tuple[str, ...]


def attempt(seed: int, options: Options, muted: frozenset[int]) -> Failure | None:
    """Run once; None if nothing goes wrong."""
    simulation = Simulation(seed, options, muted=muted, is_kept=True)
    try:
        simulation.run()
    except Violation as violation:
        promise, told = violation.promise, str(violation)
    except Exception as error:  # noqa: BLE001 - any failure of a run is its result
        promise, told = type(error).__name__, traceback.format_exc()
    else:
        return None
    return Failure(
        options=options,
        muted=muted,
        struck=tuple(simulation.faults.struck),
        promise=promise,
        violation=told,
        story=tuple(simulation.trace.story(told)),
    )


def minimise(seed: int, tell: Callable[[str], None]) -> Failure | None:
    """Find a smaller run of ``seed`` that breaks the same promise; None if it breaks none."""
    found = attempt(seed, Options.draw(seed), frozenset())
    if found is None:
        return None
    tell(f"seed {seed} breaks {found.promise} with {len(found.struck)} faults and commands")
    for changes in _simpler(found.options):
        smaller = attempt(seed, evolve(found.options, **changes), frozenset())
        if smaller is not None and smaller.promise == found.promise:
            found = smaller
            tell(f"without {changes}: {len(found.struck)} left")
    return _mute(seed, found, tell)


def _simpler(options: Options) -> Iterator[dict[str, Any]]:
    for name, quiet in options.quiet().items():
        yield {name: quiet}
    yield {"discovery": False}
    yield {"store_delay_ms": 0, "latency_ms": 1}
    for apps in range(1, options.apps):
        yield {"apps": apps}
    for share in (8, 4, 2):
        yield {"chaos_ms": options.chaos_ms // share}


def _mute(seed: int, found: Failure, tell: Callable[[str], None]) -> Failure:
    """Leave out ever smaller parts of what strikes."""
    runs = 0
    size = max(1, len(found.struck) // 2)
    while runs < RUNS_MAX:
        start, before = 0, len(found.struck)
        while start < len(found.struck) and runs < RUNS_MAX:
            part = frozenset(found.struck[start : start + size])
            smaller = attempt(seed, found.options, found.muted | part)
            runs += 1
            is_same = smaller is not None and smaller.promise == found.promise
            if smaller is not None and is_same and len(smaller.struck) < len(found.struck):
                found = smaller
            else:
                start += size
        if size == 1 and len(found.struck) == before:
            break
        size = max(1, size // 2)
    tell(f"{len(found.struck)} faults and commands are needed, after {runs} more runs\n")
    return found
