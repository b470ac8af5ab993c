"""Answer what a change would do: the steps of its deployment and the fields that differ."""

from collections.abc import Callable, Mapping
from typing import Any

from attrs import evolve
from starlette.responses import Response

from scheduler.api.appinfo import step_json
from scheduler.api.changes import Plan
from scheduler.api.context import Api
from scheduler.api.errors import no_app, refused
from scheduler.api.replies import json_response
from scheduler.core.app import AppSpec
from scheduler.core.commands import with_service_ports
from scheduler.core.deployment import Change
from scheduler.core.effects import Rejected
from scheduler.core.ids import AppId, Version
from scheduler.core.planning import CyclicDependenciesError, is_config_change, plan
from scheduler.core.records import App, AppVersion
from scheduler.core.world import World
from scheduler.spec import InvalidInput, Problem, to_json

Json = dict[str, Any]
_NEW = Version("9999-12-31T23:59:59.999Z")
"""Version of what is only imagined: later than all that is real."""


async def rehearse(
    api: Api, derive: Callable[[World], Plan], headers: Mapping[str, str]
) -> Response:
    """Derive a change as if it were to be made, and show it."""
    world = await api.settled_world()
    return _steps_response(world, derive(world), headers)


def _steps_response(world: World, wanted: Plan, headers: Mapping[str, str]) -> Response:
    """Answer ``steps`` in Marathon's shape and, an addition, ``changes`` app by app.

    Raises:
        ApiError: the change would be refused.
        InvalidInput: it closes a circle of dependencies.
    """
    upserts = with_service_ports(world, wanted.upserts)
    if isinstance(upserts, Rejected):
        raise refused(upserts)
    imagined, changes = _imagine(world, evolve(wanted, upserts=upserts))
    try:
        steps = plan(imagined, changes)
    except CyclicDependenciesError:
        message = "Dependency graph has cyclic dependencies."
        raise InvalidInput([Problem("/", message)]) from None
    body = {
        "steps": [step_json(step) for step in steps],
        "changes": [_difference(imagined, change) for change in changes],
    }
    return json_response(body, headers=headers)


def _imagine(world: World, wanted: Plan) -> tuple[World, list[Change]]:
    """Copy what planning reads, with the change in it; the real world is not touched."""
    imagined = World(world.settings)
    imagined.apps = dict(world.apps)
    imagined.versions = {app_id: dict(versions) for app_id, versions in world.versions.items()}
    imagined.groups = {**world.groups, **{group.id: group for group in wanted.groups}}
    for group_id in wanted.removed_groups:
        imagined.groups.pop(group_id, None)
    changes = [_set(imagined, world, upsert.spec) for upsert in wanted.upserts]
    for app_id in wanted.restarts:
        _require(world, app_id)
        changes.append(_set(imagined, world, world.spec_of(app_id), restart=True))
    for removal in wanted.removals:
        _require(world, removal.app_id)
        del imagined.apps[removal.app_id]
        changes.append(Change(removal.app_id, world.apps[removal.app_id].version, None))
    return imagined, changes


def _require(world: World, app_id: AppId) -> None:
    if world.live_app(app_id) is None:
        raise no_app(app_id)


def _set(imagined: World, world: World, spec: AppSpec, *, restart: bool = False) -> Change:
    app_id = spec.id
    if world.live_app(app_id) is None:
        imagined.versions.setdefault(app_id, {})[_NEW] = AppVersion(spec, _NEW, _NEW, _NEW)
        imagined.apps[app_id] = App(app_id, _NEW)
        return Change(app_id, None, _NEW)
    current = world.version_of(app_id)
    if current.spec == spec and not restart:
        return Change(app_id, current.version, current.version)
    is_new_config = restart or is_config_change(current.spec, spec)
    config = _NEW if is_new_config else current.config_version
    imagined.versions[app_id][_NEW] = AppVersion(spec, _NEW, config, _NEW)
    imagined.apps[app_id] = App(app_id, _NEW)
    return Change(app_id, current.version, _NEW)


def _difference(imagined: World, change: Change) -> Json:
    versions = imagined.versions[change.app_id]
    before = {} if change.before is None else to_json(versions[change.before].spec)
    after = {} if change.after is None else to_json(versions[change.after].spec)
    fields = [
        {"field": name, "before": before.get(name), "after": after.get(name)}
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    ]
    return {"app": change.app_id, "fields": fields}
