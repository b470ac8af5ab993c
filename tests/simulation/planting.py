"""Plant bugs into the real code, in memory, and see whether the simulation notices.

``catch`` runs seeds with a mutant until a promise is broken. The mutants are in the ``ROOMS``.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from typing import Any
from unittest.mock import patch

from attrs import frozen

from scheduler.core import lifecycle
from scheduler.core.instance import Condition
from scheduler.core.signals import Signal
from tests.simulation.run import Simulation
from tests.simulation.violation import Violation

ROOMS = ("zoo", "zoo_policies")
Plant = Callable[[ExitStack], None]


@frozen
class Mutant:
    name: str
    danger: str
    """What it would do to its users."""
    plant: Plant


@frozen
class Catch:
    """Which seed has caught a mutant, and by which promise."""

    seed: int
    promise: str
    story: str


_ALL: dict[str, Mutant] = {}


def mutants() -> list[Mutant]:
    """Fetch the mutants from all their rooms."""
    for room in ROOMS:
        import_module(f"tests.simulation.{room}")
    return list(_ALL.values())


def catch(mutant: Mutant, seeds: Iterable[int]) -> Catch | None:
    """Run seeds until one catches the mutant; None if it gets away."""
    with let_out(mutant):
        for seed in seeds:
            try:
                Simulation(seed).run()
            except Violation as violation:
                return Catch(seed, violation.promise, str(violation))
            except AssertionError as error:
                # The core's own assertions are a net as well.
                return Catch(seed, "assert", str(error))
    return None


@contextmanager
def let_out(mutant: Mutant) -> Iterator[None]:
    with ExitStack() as stack:
        mutant.plant(stack)
        yield


def mutant(name: str, danger: str) -> Callable[[Plant], Plant]:
    def register(plant: Plant) -> Plant:
        _ALL[name] = Mutant(name, danger, plant)
        return plant

    return register


def put_in(stack: ExitStack, owner: Any, name: str, value: Any) -> Any:
    """Replace an attribute while the mutant is out; returns what was there."""
    before = getattr(owner, name)
    stack.enter_context(patch.object(owner, name, value))
    return before


def wrap(stack: ExitStack, owner: Any, name: str, make: Callable[[Any], Any]) -> None:
    put_in(stack, owner, name, make(getattr(owner, name)))


def cell(stack: ExitStack, cells: Iterable[tuple[Condition, Signal]], handler: Any) -> None:
    """Replace cells of the life cycle's table."""
    for condition, signal in cells:
        stack.enter_context(patch.dict(lifecycle.TABLE[condition], {signal: handler}))
