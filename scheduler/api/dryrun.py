"""Answer what a change would do: the steps, the differences, who is in the way, the capacity."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from attrs import evolve, frozen
from starlette.responses import Response

from scheduler.api.appinfo import step_json
from scheduler.api.changes import Plan
from scheduler.api.context import Api
from scheduler.api.errors import no_app, refused
from scheduler.api.replies import json_response
from scheduler.core.app import AppSpec
from scheduler.core.commands import with_service_ports
from scheduler.core.deployment import ActionKind, Change, Step
from scheduler.core.effects import Rejected
from scheduler.core.forecast import (
    POINTS_MAX,
    POINTS_MIN,
    Forecast,
    Point,
    forecast,
    forecast_removal,
)
from scheduler.core.ids import AppId, DeploymentId, Version
from scheduler.core.planning import CyclicDependenciesError, is_config_change, plan
from scheduler.core.records import App, AppVersion
from scheduler.core.rollout import Side
from scheduler.core.targets import Target
from scheduler.core.upkeep import sides_of
from scheduler.core.world import World
from scheduler.spec import InvalidInput, Problem, to_json

Json = dict[str, Any]
_NEW = Version("9999-12-31T23:59:59.999Z")
"""Version of what is only imagined: later than all that is real."""
_POINTS_IN_ALL = 5_000
"""Points of all forecasts in one answer, roughly: with many apps each gets fewer."""


@frozen
class _Part:
    """One app's part in the plan, and the counts it begins with."""

    step: int
    app_id: AppId
    spec: AppSpec | None
    """None: the app is removed."""
    new: Side
    old: Side


async def rehearse(
    api: Api, derive: Callable[[World], Plan], headers: Mapping[str, str]
) -> Response:
    """Derive a change as if it were to be made, and show it."""
    body, parts = _derive(derive, await api.settled_world())
    points_max = max(POINTS_MIN, min(POINTS_MAX, _POINTS_IN_ALL // max(1, len(parts))))

    def show(part: _Part) -> Iterator[Json]:
        yield _capacity(part, points_max)

    body["capacity"] = await api.show_all(parts, show)
    return json_response(body, headers=headers)


def _derive(derive: Callable[[World], Plan], world: World) -> tuple[Json, list[_Part]]:
    """Show ``steps`` in Marathon's shape and, an addition, ``changes`` app by app.

    Raises:
        ApiError: the change would be refused.
        InvalidInput: it closes a circle of dependencies.
    """
    wanted = derive(world)
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
        "lockedBy": _locks(world, [change.app_id for change in changes]),
    }
    return body, list(_parts(imagined, changes, steps))


def _locks(world: World, app_ids: list[AppId]) -> list[Json]:
    """Name the deployments in the way, and the changes that wait for them, with what they hold."""
    held: dict[DeploymentId, list[AppId]] = {}
    for app_id in app_ids:
        if app_id in world.locks:
            held.setdefault(world.locks[app_id].deployment_id, []).append(app_id)
    wanted = set(app_ids)
    for queued in world.queued.values():
        if apps := [app_id for app_id in queued.app_ids if app_id in wanted]:
            held[queued.id] = apps
    return [{"id": one, "apps": apps} for one, apps in held.items()]


def _parts(imagined: World, changes: list[Change], steps: tuple[Step, ...]) -> Iterator[_Part]:
    change_of = {change.app_id: change for change in changes}
    for number, step in enumerate(steps, start=1):
        for action in step.actions:
            # That an app is announced moves nothing: a later step of the same plan starts it.
            if action.kind is not ActionKind.START:
                yield _part(imagined, number, change_of[action.app_id])


def _part(imagined: World, step: int, change: Change) -> _Part:
    app_id, versions = change.app_id, imagined.versions[change.app_id]
    if change.after is not None:
        target = Target(versions[change.after], is_rolling=True)
        return _Part(step, app_id, target.spec, *sides_of(imagined, app_id, target))
    assert change.before is not None
    # No instance has the version that is wanted instead: all of them are old.
    nothing = Target(evolve(versions[change.before], config_version=_NEW), is_rolling=True)
    return _Part(step, app_id, None, *sides_of(imagined, app_id, nothing))


def _capacity(part: _Part, points_max: int) -> Json:
    found = (
        forecast_removal(part.old)
        if part.spec is None
        else forecast(part.spec, part.new, part.old, points_max=points_max)
    )
    return {"step": part.step, "app": part.app_id, **_forecast_json(found)}


def _forecast_json(found: Forecast) -> Json:
    return {
        "rounds": found.rounds,
        "mayStopFirst": found.may_stop_first,
        "pointsLeftOut": found.left_out,
        "points": [_point_json(point) for point in found.points],
    }


def _point_json(point: Point) -> Json:
    return {
        "round": point.number,
        "oldServing": point.old_serving,
        "newServing": point.new_serving,
        "alive": point.alive,
        "created": point.created,
        "ended": point.ended,
        "minimum": point.floor,
        "maximum": point.ceiling,
        "awaitsPromotion": point.awaits_promotion,
    }


def _imagine(world: World, wanted: Plan) -> tuple[World, list[Change]]:
    """Copy what planning reads, with the change in it; the real world is not touched."""
    imagined = World(world.settings)
    imagined.apps = dict(world.apps)
    imagined.versions = {app_id: dict(versions) for app_id, versions in world.versions.items()}
    imagined.tallies = world.tallies
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
