"""Name what is wrong with an input: every problem, each with the path it is at.

Paths look as Marathon's do: ``/container/docker/image``, ``/healthChecks(0)/path``; ``/`` is the
whole. Validation returns problems; only the doors of this room raise, once, with all of them.
"""

from collections.abc import Iterable

from attrs import frozen


@frozen
class Problem:
    path: str
    message: str


class InvalidInput(ValueError):
    """An input that cannot become a definition.

    ``is_malformed`` tells wrong JSON or wrong types (Marathon answers 400 "Invalid JSON") from
    values that break a rule (422 "Object is not valid").
    """

    def __init__(self, problems: Iterable[Problem], *, is_malformed: bool = False) -> None:
        self.problems = tuple(problems)
        self.is_malformed = is_malformed
        super().__init__(
            "; ".join(f"{problem.path}: {problem.message}" for problem in self.problems)
        )

    def to_json(self) -> dict[str, object]:
        """Render as Marathon's error body; the problems of one path are kept together."""
        errors: dict[str, list[str]] = {}
        for problem in self.problems:
            messages = errors.setdefault(problem.path, [])
            if problem.message not in messages:
                messages.append(problem.message)
        return {
            "message": "Invalid JSON" if self.is_malformed else "Object is not valid",
            "details": [{"path": path, "errors": found} for path, found in errors.items()],
        }


def malformed(message: str, path: str = "/") -> InvalidInput:
    """Make the refusal of a text or type that cannot be read at all."""
    return InvalidInput([Problem(path, message)], is_malformed=True)


def at(path: str, name: str | int) -> str:
    """Extend ``path`` by a field name or, in Marathon's way, by an index in parentheses."""
    if isinstance(name, int):
        return f"{path.removesuffix('/')}({name})" if path != "/" else f"/({name})"
    return f"{path.removesuffix('/')}/{name}"
