"""Say that a promise was broken."""

from collections.abc import Callable


class Violation(AssertionError):
    """A promise was broken: which, and how."""

    def __init__(self, promise: str, story: str) -> None:
        super().__init__(f"{promise}: {story}")
        self.promise = promise


def demand(condition: bool, promise: str, story: str | Callable[[], str]) -> None:
    """Hold up a promise; ``story`` names the apps and tasks that it is about.

    A story that takes long to write, of whole instances or offers, is a function.
    """
    if not condition:
        raise Violation(promise, story if isinstance(story, str) else story())
