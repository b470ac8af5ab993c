"""Turn plain JSON values into wire objects: strict types, bounds, and every problem at once.

cattrs does the structuring; all its hooks that would convert (``"1"`` to 1, 1 to True, a text to
a list of letters) are replaced by ones that refuse. The only leniency is Marathon's: a whole
number may be written ``3.0``.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, TypeVar, cast, get_origin

import attrs
from attrs import frozen
from cattrs import Converter
from cattrs.cols import (
    homogenous_tuple_structure_factory,
    mapping_structure_factory,  # pyright: ignore[reportUnknownVariableType] - not fully typed
)
from cattrs.errors import (
    ClassValidationError,
    IterableValidationError,
    IterableValidationNote,
)
from cattrs.gen import make_dict_structure_fn, override

from scheduler.spec.problems import InvalidInput, Problem, at
from scheduler.spec.wire import CLOSED, Bound, WireSecretRef, WireUnreachable

T = TypeVar("T")
_INT64_MAX = 2**63 - 1
_Hook = Callable[[Any, Any], Any]
_Factory = Callable[[Any, Any], _Hook]


class _WrongTypeError(TypeError):
    pass


def camel(name: str) -> str:
    """Spell a field as JSON does: ``port_index`` gives ``portIndex``."""
    first, *rest = name.split("_")
    return first + "".join(word[:1].upper() + word[1:] for word in rest)


@frozen
class Structured(Generic[T]):
    """A wire object, what breaks its bounds, and the paths of the fields that nobody reads."""

    value: T
    problems: tuple[Problem, ...]
    unknown: tuple[str, ...]


def structure(data: Any, wanted: type[T]) -> Structured[T]:
    """Build a wire object from ``data``.

    Raises:
        InvalidInput: malformed, with every value of a wrong type.
    """
    try:
        built = _CONVERTER.structure(data, wanted)
    except (ClassValidationError, IterableValidationError, _WrongTypeError) as error:
        raise InvalidInput(_problems_of(error, "/"), is_malformed=True) from None
    problems: list[Problem] = []
    unknown: list[str] = []
    _inspect("/", data, built, problems, unknown)
    return Structured(built, tuple(problems), tuple(unknown))


# ------------------------------------------------------------------ strict types


def _noun_of(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "an array"
        case _:
            return "an object"


def _wrong(wanted: str, value: Any) -> _WrongTypeError:
    return _WrongTypeError(f"expected {wanted}, got {_noun_of(value)}")


def _to_int(value: Any, _: Any) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise _wrong("a whole number", value)
    if abs(value) > _INT64_MAX:
        raise _WrongTypeError("the number is too large")
    return value


def _to_float(value: Any, _: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise _wrong("a number", value)
    return float(value)


def _to_bool(value: Any, _: Any) -> bool:
    if not isinstance(value, bool):
        raise _wrong("a boolean", value)
    return value


def _to_str(value: Any, _: Any) -> str:
    if not isinstance(value, str):
        raise _wrong("a string", value)
    return value


def _to_text_or_secret(value: Any, _: Any) -> str | WireSecretRef:
    if isinstance(value, dict):
        return _CONVERTER.structure(value, WireSecretRef)
    return _to_str(value, str)


def _to_text_or_unreachable(value: Any, _: Any) -> str | WireUnreachable:
    if isinstance(value, dict):
        return _CONVERTER.structure(value, WireUnreachable)
    return _to_str(value, str)


def _to_text_or_number(value: Any, _: Any) -> str | float:
    return value if isinstance(value, str) else _to_float(value, float)


def _guarded(make: _Factory, kind: type, noun: str) -> _Factory:
    """Wrap a hook factory so that only values of ``kind`` reach the hook."""

    def factory(wanted: Any, converter: Any) -> _Hook:
        inner = make(wanted, converter)

        def hook(value: Any, given_type: Any) -> Any:
            if not isinstance(value, kind):
                raise _wrong(noun, value)
            return inner(value, given_type)

        return hook

    return factory


def _tuple_hook(wanted: Any, converter: Any) -> _Hook:
    return homogenous_tuple_structure_factory(wanted, converter)


def _mapping_hook(wanted: Any, converter: Any) -> _Hook:
    return mapping_structure_factory(wanted, converter)


def _attrs_hook(wanted: Any, converter: Any) -> _Hook:
    renames: dict[str, Any] = {
        name: override(rename=camel(name))
        for name in attrs.fields_dict(wanted)
        if camel(name) != name
    }
    return cast("_Hook", make_dict_structure_fn(wanted, converter, **renames))


def _plain_converter() -> Converter:
    converter = Converter(detailed_validation=True)
    strict: tuple[tuple[Any, _Hook], ...] = (
        (int, _to_int),
        (float, _to_float),
        (bool, _to_bool),
        (str, _to_str),
    )
    for kind, hook in strict:
        converter.register_structure_hook(kind, hook)
    unions: tuple[tuple[Any, _Hook], ...] = (
        (str | WireSecretRef, _to_text_or_secret),
        (str | WireUnreachable | None, _or_none(_to_text_or_unreachable)),
        (float | str | None, _or_none(_to_text_or_number)),
    )
    for union, hook in unions:
        converter.register_structure_hook(union, hook)
    factories: tuple[tuple[Callable[[Any], bool], _Factory, type, str], ...] = (
        (lambda t: get_origin(t) is tuple, _tuple_hook, list, "an array"),
        (lambda t: get_origin(t) is dict, _mapping_hook, dict, "an object"),
        (attrs.has, _attrs_hook, dict, "an object"),
    )
    for applies, make, kind, noun in factories:
        converter.register_structure_hook_factory(applies)(_guarded(make, kind, noun))
    return converter


def _or_none(hook: _Hook) -> _Hook:
    return lambda value, wanted: None if value is None else hook(value, wanted)


_CONVERTER = _plain_converter()


def _problems_of(error: BaseException, path: str) -> Iterable[Problem]:
    """Flatten cattrs's tree of errors; every exception carries a note that says where."""
    if not isinstance(error, ClassValidationError | IterableValidationError):
        yield Problem(path, str(error))
        return
    located, others = error.group_exceptions()
    for inner, note in located:
        is_item = isinstance(note, IterableValidationNote)
        step = note.index if is_item else camel(note.name)
        yield from _problems_of(inner, at(path, step))
    for inner in others:
        yield Problem(path, str(inner))


# --------------------------------------------------------- bounds, unknown fields


def _inspect(path: str, raw: Any, built: Any, problems: list[Problem], unknown: list[str]) -> None:
    """Check a wire object against its bounds and collect the fields nobody reads."""
    known: set[str] = set()
    for attribute in _fields_of(built):
        name = camel(attribute.name)
        known.add(name)
        value = getattr(built, attribute.name)
        bound: Bound | None = attribute.metadata.get("bound")
        if bound is not None:
            problems.extend(_break_of(bound, value, at(path, name)))
        if value is not None:
            _descend(at(path, name), raw[name], value, problems, unknown)
    unread = [at(path, name) for name in raw if name not in known]
    if type(built) in CLOSED:
        problems.extend(Problem(one, "is no field that Egret knows") for one in unread)
    else:
        unknown.extend(unread)


def _descend(path: str, raw: Any, value: Any, problems: list[Problem], unknown: list[str]) -> None:
    if _is_wire(value):
        _inspect(path, raw, value, problems, unknown)
    elif isinstance(value, tuple):
        for index, item in enumerate(cast("tuple[Any, ...]", value)):
            if _is_wire(item):
                _inspect(at(path, index), raw[index], item, problems, unknown)
    elif isinstance(value, Mapping):
        for key, item in cast("Mapping[str, Any]", value).items():
            if _is_wire(item):
                _inspect(at(path, key), raw[key], item, problems, unknown)


def _is_wire(value: object) -> bool:
    return attrs.has(type(value))


def _fields_of(built: object) -> tuple["attrs.Attribute[Any]", ...]:
    return attrs.fields(cast("type[attrs.AttrsInstance]", type(built)))


def _break_of(bound: Bound, value: Any, path: str) -> Iterable[Problem]:
    if value is None:
        if bound.required:
            yield Problem(path, "must be given")
        return
    if not isinstance(value, tuple):
        message = _break_of_one(bound, value)
        if message is not None:
            yield Problem(path, message)
        return
    items = cast("tuple[Any, ...]", value)
    for index, item in enumerate(items):
        message = _break_of_one(bound, item)
        if message is not None:
            yield Problem(at(path, index), message)
    if bound.unique and len(set(items)) != len(items):
        yield Problem(path, "elements must be unique")


def _break_of_one(bound: Bound, value: Any) -> str | None:
    if isinstance(value, str):
        return _break_of_text(bound, value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        if bound.least is not None and value < bound.least:
            return f"must be at least {bound.least:g}"
        if bound.most is not None and value > bound.most:
            return f"must be at most {bound.most:g}"
    return None


def _break_of_text(bound: Bound, value: str) -> str | None:
    if bound.choices and value not in bound.choices:
        return f"must be one of {', '.join(bound.choices)}"
    if len(value) < bound.min_length:
        return "must not be empty" if not value else f"needs {bound.min_length} characters"
    if bound.max_length is not None and len(value) > bound.max_length:
        return f"must be at most {bound.max_length} characters long"
    if bound.pattern is not None and not bound.pattern.fullmatch(value):
        return f"must fully match regular expression '{bound.pattern.pattern}'"
    return None
