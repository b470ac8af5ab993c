"""Describe the wire types as JSON Schema: the types that decode are the types that document.

A null means "not given", so every field may be one. Unknown fields are allowed where decoding
allows them. Rules between fields are not told here: they are answered with 422.
"""

from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Any, Union, cast, get_args, get_origin, get_type_hints

import attrs

from scheduler.spec.groups import WireGroup
from scheduler.spec.structure import camel
from scheduler.spec.wire import CLOSED, Bound, WireApp

Json = dict[str, Any]
_NO_BOUND = Bound()
_PLAIN: Mapping[Any, Json] = {
    str: {"type": "string"},
    int: {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    Any: {},
}


def component_schemas() -> dict[str, Json]:
    """Give every wire type by its name, an app being ``App`` and a group ``Group``.

    What a group holds is read piece by piece, so its apps and groups are put in by hand.
    """
    found: dict[str, Json] = {}
    _add(WireApp, found)
    _add(WireGroup, found)
    parts = found["Group"]["properties"]
    parts["apps"] = {"type": ["array", "null"], "items": _ref("App")}
    parts["groups"] = {"type": ["array", "null"], "items": _ref("Group")}
    return found


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _add(wire: type[Any], found: dict[str, Json]) -> None:
    name = wire.__name__.removeprefix("Wire")
    if name in found:
        return
    fields: Json = {}
    schema: Json = {"type": "object", "properties": fields}
    found[name] = schema
    required: list[str] = []
    hints = get_type_hints(wire)
    for attribute in attrs.fields(wire):
        bound: Bound = attribute.metadata.get("bound", _NO_BOUND)
        field = camel(attribute.name)
        fields[field] = _field(hints[attribute.name], bound, found)
        if bound.required:
            required.append(field)
    if required:
        schema["required"] = required
    if wire in CLOSED:
        schema["additionalProperties"] = False


def _field(hint: Any, bound: Bound, found: dict[str, Json]) -> Json:
    kinds = [kind for kind in _members(hint) if kind is not NoneType]
    schemas = [_schema(kind, bound, found) for kind in kinds]
    if bound.required:
        return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
    if len(schemas) == 1 and "type" in schemas[0]:
        only = schemas[0]
        nullable = {**only, "type": [only["type"], "null"]}
        if "enum" in only:
            nullable["enum"] = [*only["enum"], None]
        return nullable
    return {"anyOf": [*schemas, {"type": "null"}]} if schemas != [{}] else {}


def _members(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in {Union, UnionType} else (hint,)


def _schema(kind: Any, bound: Bound, found: dict[str, Json]) -> Json:
    if attrs.has(kind):
        _add(cast("type[Any]", kind), found)
        return _ref(kind.__name__.removeprefix("Wire"))
    if get_origin(kind) is tuple:
        items = _schema(get_args(kind)[0], bound, found)
        return {"type": "array", "items": items} | ({"uniqueItems": True} if bound.unique else {})
    if get_origin(kind) is dict:
        values = [_schema(value, _NO_BOUND, found) for value in _members(get_args(kind)[1])]
        inner = values[0] if len(values) == 1 else {"anyOf": values}
        return {"type": "object", "additionalProperties": inner}
    return _PLAIN[kind] | _limits(kind, bound)


def _limits(kind: Any, bound: Bound) -> Json:
    if kind is str:
        limits: Json = {
            "minLength": bound.min_length or None,
            "maxLength": bound.max_length,
            "pattern": f"^(?:{bound.pattern.pattern})$" if bound.pattern else None,
            "enum": list(bound.choices) or None,
        }
    elif kind in {int, float}:
        limits = {"minimum": bound.least, "maximum": bound.most}
    else:
        limits = {}
    return {name: value for name, value in limits.items() if value is not None}
