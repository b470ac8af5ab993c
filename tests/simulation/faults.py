"""Decide what goes wrong, number it, and leave out what a smaller story does not need.

Faults have a source of chance of their own. Every fault that strikes, and every command of a user,
gets a number; a run with some numbers muted is the same run without them, as far as the world does
not answer differently. That is how a failure is made small (see ``minimise``).
"""

from random import Random

from tests.simulation.options import Options
from tests.simulation.story import Trace, tell


class Faults:
    """The fate of one run."""

    def __init__(self, options: Options, trace: Trace, muted: frozenset[int]) -> None:
        self.options = options
        self.rng = Random(f"faults {options.seed}")
        self.is_over = False
        """Nothing goes wrong any more."""
        self.count = 0
        self.struck: list[int] = []
        self._trace = trace
        self._muted = muted

    def chance(self, probability: float, what: str, subject: object = None) -> bool:
        """Whether something strikes that does so with a probability."""
        if self.is_over or probability <= 0 or self.rng.random() >= probability:
            return False
        return self.strike(what if subject is None else f"{what}: {tell(subject)}")

    def strike(self, what: str) -> bool:
        """Let something happen, unless it is muted."""
        number = self.count
        self.count += 1
        if number in self._muted:
            return False
        self.struck.append(number)
        self._trace.note("fault", what)
        return True
