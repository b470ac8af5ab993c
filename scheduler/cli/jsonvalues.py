"""Take JSON apart: what is absent or null becomes empty, so that readers need not ask."""

from typing import Any, cast

Fields = dict[str, Any]


def fields(value: Any) -> Fields:
    """Return an object's fields; none for anything else."""
    return cast("Fields", value) if isinstance(value, dict) else {}


def objects(value: Any) -> list[Fields]:
    """Return the objects in an array; none for anything else."""
    return [fields(one) for one in items(value) if isinstance(one, dict)]


def items(value: Any) -> list[Any]:
    """Return an array's items; none for anything else."""
    return cast("list[Any]", value) if isinstance(value, list) else []
