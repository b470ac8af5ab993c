"""Read a file of apps: one app, an array of apps, or a group with apps in it."""

from typing import Any, cast

from scheduler.spec.jsontext import parse_json
from scheduler.spec.paths import ROOT, GroupId, canonical_path
from scheduler.spec.problems import InvalidInput, Problem, at, malformed

_APPS_MAX = 10_000


def read_apps(body: bytes) -> list[dict[str, Any]]:
    """List the app objects that a file holds, each with its absolute id; nothing else is judged.

    A group is an object with ``apps`` or ``groups``: its apps get its path and inherit its
    dependencies, as Marathon groups do.

    Raises:
        InvalidInput: the text is not JSON, an entry is no object, or an app has no id.
    """
    value = parse_json(body)
    if isinstance(value, list):
        items = cast("list[Any]", value)
        found = [_app(item, ROOT, at("/", index)) for index, item in enumerate(items)]
    elif isinstance(value, dict) and ("apps" in value or "groups" in value):
        found = _apps_of_group(cast("dict[str, Any]", value))
    else:
        found = [_app(value, ROOT, "/")]
    if len(found) > _APPS_MAX:
        raise InvalidInput([Problem("/", f"more than {_APPS_MAX} apps")])
    return found


def _apps_of_group(root: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    waiting: list[tuple[str, Any, GroupId, list[Any]]] = [("/", root, ROOT, [])]
    while waiting:
        path, given, base, inherited = waiting.pop(0)
        group = _object(given, path)
        group_id = GroupId(canonical_path(_text(group.get("id", ""), at(path, "id")), base))
        dependencies = [
            *inherited,
            *(
                canonical_path(_text(item, at(path, "dependencies")), group_id)
                for item in _list(group.get("dependencies"), at(path, "dependencies"))
            ),
        ]
        for index, item in enumerate(_list(group.get("apps"), at(path, "apps"))):
            app = _app(item, group_id, at(at(path, "apps"), index))
            own = _list(app.get("dependencies"), at(path, "dependencies"))
            if dependencies or own:
                app["dependencies"] = [*own, *(d for d in dependencies if d not in own)]
            found.append(app)
        for index, item in enumerate(_list(group.get("groups"), at(path, "groups"))):
            waiting.append((at(at(path, "groups"), index), item, group_id, dependencies))
    return found


def _app(given: Any, base: GroupId, path: str) -> dict[str, Any]:
    app = dict(_object(given, path))
    if "id" not in app:
        raise InvalidInput([Problem(at(path, "id"), "must be given")])
    app["id"] = canonical_path(_text(app["id"], at(path, "id")), base)
    if base != ROOT and app.get("dependencies"):
        where = at(path, "dependencies")
        app["dependencies"] = [
            canonical_path(_text(item, where), base) for item in _list(app["dependencies"], where)
        ]
    return app


def _object(value: Any, path: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise malformed("expected an object", path)
    return cast("dict[str, Any]", value)


def _list(value: Any, path: str) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise malformed("expected an array", path)
    return cast("list[Any]", value)


def _text(value: Any, path: str) -> str:
    if not isinstance(value, str):
        raise malformed("expected a string", path)
    return value
