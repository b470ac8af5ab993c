"""Plan a deployment: from what changes to the steps that do it, dependencies first.

Marathon's plan (``DeploymentPlan``): stop what is removed, announce what is new, then layer by
layer scale or restart, an app after everything it depends on. Actions of one step run side by
side; a change that changes nothing has no action, unless a deployment of the app was stopped
half-way and left instances of other versions.
"""

from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter

from attrs import evolve

from scheduler.core.app import AppSpec
from scheduler.core.deployment import Action, ActionKind, Change, Step
from scheduler.core.effects import Refusal, Rejected
from scheduler.core.ids import AppId, GroupId
from scheduler.core.records import AppVersion
from scheduler.core.world import World


class CyclicDependenciesError(Exception):
    """The dependencies of the apps form a circle, so no order can satisfy them."""


def is_config_change(before: AppSpec, after: AppSpec) -> bool:
    """Whether ``after`` differs in more than the instance count: its tasks must be replaced."""
    return evolve(before, instances=after.instances) != after


def plan(world: World, changes: Iterable[Change]) -> tuple[Step, ...]:
    """Order changes into steps. ``world`` must already hold every version named in them.

    Raises:
        CyclicDependenciesError: the wanted apps depend on each other in a circle.
    """
    actions = [(change.app_id, _kind(world, change)) for change in changes]
    stops = [app_id for app_id, kind in actions if kind is ActionKind.STOP]
    starts = [app_id for app_id, kind in actions if kind is ActionKind.START]
    moves = {
        app_id: ActionKind.SCALE if kind is ActionKind.START else kind
        for app_id, kind in actions
        if kind not in {ActionKind.STOP, None}
    }
    depths = dependency_depths(world)
    layers: dict[int, list[Action]] = {}
    for app_id, kind in moves.items():
        assert kind is not None
        layers.setdefault(depths.get(app_id, 0), []).append(Action(kind, app_id))
    steps = [[Action(ActionKind.STOP, app_id) for app_id in stops]]
    steps.append([Action(ActionKind.START, app_id) for app_id in starts])
    steps.extend(layers[depth] for depth in sorted(layers))
    return tuple(Step(tuple(step)) for step in steps if step)


def dependency_depths(world: World) -> dict[AppId, int]:
    """Number each app that depends on others by its longest chain of dependencies.

    Apps that are absent have depth 0. Raises CyclicDependenciesError. O(apps + dependencies).
    """
    paths_of = {
        app_id: paths
        for app_id, app in world.apps.items()
        if not app.removed and (paths := _dependency_paths(world, app_id))
    }
    inside = _apps_by_path(world) if paths_of else {}
    graph: dict[AppId, list[AppId]] = {}
    for app_id, paths in paths_of.items():
        meant = dict.fromkeys(other for path in paths for other in inside.get(path, ()))
        if needs := [other for other in meant if other != app_id]:
            graph[app_id] = needs
    depths: dict[AppId, int] = {}
    try:
        for app_id in TopologicalSorter(graph).static_order():
            below = [depths[need] for need in graph.get(app_id, ())]
            depths[app_id] = max(below, default=-1) + 1
    except CycleError as error:
        raise CyclicDependenciesError from error
    return depths


def imagine(world: World) -> World:
    """Copy what dependencies are made of, to try a change on."""
    imagined = World(world.settings)
    imagined.apps = dict(world.apps)
    imagined.versions = dict(world.versions)
    imagined.groups = dict(world.groups)
    return imagined


def circle_in(imagined: World) -> Rejected | None:
    """Refuse what would make apps depend on each other in a circle."""
    try:
        dependency_depths(imagined)
    except CyclicDependenciesError:
        return Rejected(Refusal.INVALID, "", "Dependency graph has cyclic dependencies.")
    return None


def _kind(world: World, change: Change) -> ActionKind | None:
    versions = world.versions.get(change.app_id, {})
    before = None if change.before is None else versions[change.before]
    after = None if change.after is None else versions[change.after]
    if after is None:
        return ActionKind.STOP if before is not None else None
    if before is None:
        return ActionKind.START
    if before.config_version != after.config_version or _is_left_mixed(world, after):
        return ActionKind.RESTART
    return ActionKind.SCALE if before.spec.instances != after.spec.instances else None


def _is_left_mixed(world: World, wanted: AppVersion) -> bool:
    """Whether an app runs other versions too, because its last deployment was stopped half-way.

    Who defines it once more, though as it is, wants it to be so.
    """
    tallies = world.tallies.get(wanted.app_id, {})
    return any(v != wanted.config_version and tally.active for v, tally in tallies.items())


def _dependency_paths(world: World, app_id: AppId) -> list[str]:
    """List the apps and groups that must be up before an app: its own and its groups'."""
    paths = list(world.spec_of(app_id).dependencies)
    parent = app_id.rpartition("/")[0]
    while parent and world.groups:
        group = world.groups.get(GroupId(parent))
        paths.extend(group.dependencies if group is not None else ())
        parent = parent.rpartition("/")[0]
    return paths


def _apps_by_path(world: World) -> dict[str, list[AppId]]:
    """List for each path the apps that it means: the app itself, or those of the group."""
    inside: dict[str, list[AppId]] = {}
    for app_id, app in world.apps.items():
        path: str = "" if app.removed else app_id
        while path:
            inside.setdefault(path, []).append(app_id)
            path = path.rpartition("/")[0]
    return inside
