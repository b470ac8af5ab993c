"""Say that a promise was broken."""


class Violation(AssertionError):
    """A promise was broken: which, and how."""

    def __init__(self, promise: str, story: str) -> None:
        super().__init__(f"{promise}: {story}")
        self.promise = promise


def demand(condition: bool, promise: str, story: str) -> None:
    """Hold up a promise; ``story`` names the apps and tasks that it is about."""
    if not condition:
        raise Violation(promise, story)
