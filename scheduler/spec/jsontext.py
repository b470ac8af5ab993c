"""Read JSON text strictly: what two readers could understand differently is refused.

orjson judges the text (no NaN, no lone surrogates, valid UTF-8); the standard library builds the
values, because only it shows duplicate keys and keeps integers beyond 64 bit as integers.
"""

import json
import math
from typing import Any, cast

import orjson

from scheduler.spec.problems import InvalidInput, Problem, at, malformed

DEPTH_MAX = 64
_INTEGER_DIGITS_MAX = 19


class _Twice(dict[str, Any]):
    """An object whose text names a key more than once."""

    key: str = ""


def parse_json(body: bytes) -> Any:
    """Return the value that ``body`` holds.

    Raises:
        InvalidInput: the text is not JSON, nests more than 64 deep, names a key twice in one
            object, or holds a number that no 64-bit integer or finite double can hold.
    """
    try:
        orjson.loads(body)
        value = json.loads(body, object_pairs_hook=_object, parse_int=_integer, parse_float=_float)
    except InvalidInput:
        raise
    except RecursionError:
        raise malformed(f"nested more than {DEPTH_MAX} deep") from None
    except ValueError as error:
        raise malformed(_say(error)) from None
    _refuse_depth_and_twins(value)
    return value


def _say(error: ValueError) -> str:
    text = str(error)
    return f"nested more than {DEPTH_MAX} deep" if "recursion" in text.lower() else text


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) == len(pairs):
        return values
    twice = _Twice(values)
    seen: set[str] = set()
    twice.key = next(key for key, _ in pairs if key in seen or seen.add(key))
    return twice


def _integer(text: str) -> int:
    if len(text.lstrip("-")) > _INTEGER_DIGITS_MAX:
        raise malformed(f"the number {text[:24]}… is too large")
    return int(text)


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise malformed(f"the number {text[:24]} is too large")
    return value


def _refuse_depth_and_twins(value: Any) -> None:
    """Walk the values level by level, so that no input can exhaust the stack."""
    level: list[tuple[str, Any]] = [("/", value)]
    # Only containers are carried on: a level of a large document is mostly plain values.
    for _ in range(DEPTH_MAX + 1):
        if not level:
            return
        inner: list[tuple[str, Any]] = []
        for path, container in level:
            if isinstance(container, _Twice):
                raise InvalidInput(
                    [Problem(at(path, container.key), "is given twice")], is_malformed=True
                )
            inner.extend(_containers_in(path, container))
        level = inner
    raise malformed(f"nested more than {DEPTH_MAX} deep")


def _containers_in(path: str, value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        fields = cast("dict[str, Any]", value)
        return [(at(path, k), v) for k, v in fields.items() if isinstance(v, dict | list)]
    if isinstance(value, list):
        items = cast("list[Any]", value)
        return [(at(path, i), v) for i, v in enumerate(items) if isinstance(v, dict | list)]
    return []
