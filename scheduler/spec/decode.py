"""Read definitions: the doors through which JSON becomes an AppSpec.

Decoding, defaults and rules run in this order, and every problem of the second and third is
reported together. Unknown fields are not an error, as in Marathon, but they are named.
"""

from collections.abc import Iterable, Mapping
from typing import Any, cast

from attrs import evolve, frozen

from scheduler.core.app import AppSpec
from scheduler.core.ids import AppId, GroupId
from scheduler.spec.normalise import normalise
from scheduler.spec.paths import ROOT, canonical_path, is_inside, problem_of_path
from scheduler.spec.problems import InvalidInput, Problem, at, malformed
from scheduler.spec.render import to_json
from scheduler.spec.rules import SpecRules
from scheduler.spec.structure import structure
from scheduler.spec.validate import validate
from scheduler.spec.wire import READ_ONLY, WireApp

_REPLACES: Mapping[str, tuple[str, ...]] = {
    "uris": ("fetch",),
    "ports": ("portDefinitions",),
    "ipAddress": ("networks", "portDefinitions"),
}
"""Old spellings in a patch, and the fields of today that each of them replaces."""


@frozen
class Decoded:
    """A definition, and the paths of the fields in its JSON that mean nothing here."""

    spec: AppSpec
    ignored: tuple[str, ...]


def decode_app(
    data: Any, rules: SpecRules, *, app_id: AppId | None = None, base: GroupId = ROOT
) -> Decoded:
    """Read one complete app.

    Args:
        data: what JSON gave, of any type.
        rules: what this scheduler allows.
        app_id: the id that the request's path names; one in ``data`` must then be the same.
        base: the group that relative ids are relative to and that must hold the app.

    Raises:
        InvalidInput: with every problem found.
    """
    fields = _object(data)
    read = structure({k: v for k, v in fields.items() if k not in READ_ONLY}, WireApp)
    problems = list(read.problems)
    wire = evolve(read.value, id=_decide_id(read.value.id, app_id, base, problems))
    spec = normalise(wire, base, rules, problems)
    problems.extend(validate(spec, rules))
    if problems:
        raise InvalidInput(dict.fromkeys(problems))
    return Decoded(spec, read.unknown)


def merge(current: AppSpec, patch: Any, rules: SpecRules) -> Decoded:
    """Change the fields that ``patch`` names and keep the others: Marathon's partial update.

    Lists and objects are replaced as a whole; an explicit null takes a field back to its default.

    Raises:
        InvalidInput: with every problem of the patched definition.
    """
    given = _object(patch)
    merged = to_json(current)
    for name, replaced in _REPLACES.items():
        if given.get(name) is not None:
            for field in replaced:
                merged.pop(field, None)
    if _names_docker_network(given):
        merged.pop("networks", None)
    for name, value in given.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = value
    return decode_app(merged, rules, app_id=current.id)


def prefixed(path: str, error: InvalidInput) -> InvalidInput:
    """Place the problems of a part at ``path`` of the whole document."""
    moved = (Problem(_joined(path, problem.path), problem.message) for problem in error.problems)
    return InvalidInput(moved, is_malformed=error.is_malformed)


def joined_paths(path: str, inner: Iterable[str]) -> tuple[str, ...]:
    """Place the paths of a part at ``path`` of the whole document."""
    return tuple(_joined(path, part) for part in inner)


def _joined(path: str, inner: str) -> str:
    return path if inner == "/" else at(path, inner.removeprefix("/"))


def _object(data: Any) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise malformed("expected an object")
    return cast("dict[str, Any]", data)


def _decide_id(
    given: str | None, wanted: AppId | None, base: GroupId, problems: list[Problem]
) -> str:
    if given is None:
        if wanted is None:
            problems.append(Problem("/id", "must be given"))
        return wanted or "/unnamed"
    message = problem_of_path(given)
    if message is not None:
        problems.append(Problem("/id", message))
        return wanted or "/unnamed"
    app_id = canonical_path(given, base)
    if wanted is not None and app_id != wanted:
        problems.append(Problem("/id", f"does not match the path {wanted}"))
    if not is_inside(app_id, base):
        problems.append(Problem("/id", f"identifier {app_id} is not child of {base}"))
    return app_id


def _names_docker_network(patch: dict[str, Any]) -> bool:
    container = patch.get("container")
    docker = (
        cast("dict[str, Any]", container).get("docker") if isinstance(container, dict) else None
    )
    return isinstance(docker, dict) and "network" in docker
