"""Serve /v2/groups: the tree of apps, changed as a whole or not at all (Marathon page "Groups").

Groups come to be with the first app in them and stay when the last one goes, until they are
removed. A PUT replaces the parts it lists: apps or groups that are there and not listed are
removed with everything in them, exactly as Marathon does.
"""

import math
from collections.abc import Iterable, Iterator
from typing import Any

import orjson
from attrs import evolve
from starlette.requests import Request
from starlette.responses import Response

from scheduler.api.appinfo import app_info, embeds_of, version_encoded
from scheduler.api.apps import apps_inside
from scheduler.api.bodies import flag, off_loop, read_body, report_ignored
from scheduler.api.changes import Plan, carry_out, manner_of, upsert_of, version_of
from scheduler.api.context import Api
from scheduler.api.dryrun import rehearse
from scheduler.api.errors import ApiError
from scheduler.api.replies import deployment_response, json_response
from scheduler.api.tree import Tree, implied_groups, problem_of_names
from scheduler.core.events import Removal, Upsert
from scheduler.core.group import Group
from scheduler.core.ids import AppId, GroupId, Version
from scheduler.core.world import World
from scheduler.spec import (
    ROOT,
    GroupUpdate,
    InvalidInput,
    Problem,
    canonical_path,
    decode_group,
    parse_json,
    problem_of_path,
)

Json = dict[str, Any]

# ------------------------------------------------------------------------ reading


async def show_group(api: Api, request: Request) -> Response:
    """GET /v2/groups[/{id}], with everything in it unless ``embed`` asks for less."""
    group_id = group_of(request)
    embeds = _embeds(request)
    world = await api.settled_world()
    tree = Tree(world)
    if group_id not in tree:
        raise no_group(group_id)
    return json_response(_group_json(api, tree, group_id, embeds))


def _embeds(request: Request) -> frozenset[str]:
    texts = [one for text in request.query_params.getlist("embed") for one in text.split(",")]
    if not texts:
        return frozenset({"apps", "groups"})
    found = {
        text.removeprefix("group.") for text in texts if text in {"group.apps", "group.groups"}
    }
    inner = embeds_of(texts, "group.apps.")
    return frozenset(found | inner | ({"apps"} if inner else set()))


def _group_json(api: Api, tree: Tree, group_id: GroupId, embeds: frozenset[str]) -> Json:
    shown: Json = {"id": group_id}
    group = tree.world.groups.get(group_id)
    shown["dependencies"] = list(group.dependencies) if group else []
    shown["version"] = tree.version_of(group_id)
    if group is not None and group.enforce_role is not None:
        # Only where it was set: clients older than Marathon 1.9 do not know it.
        shown["enforceRole"] = group.enforce_role
    if "apps" in embeds:
        app_embeds = embeds - {"apps", "groups"}
        now_ms = api.runtime.clock()
        shown["apps"] = [
            app_info(tree.world, app_id, app_embeds, now_ms, api.config.last_response)
            for app_id in tree.apps_of(group_id)
        ]
        shown["pods"] = []
    if "groups" in embeds:
        shown["groups"] = [
            _group_json(api, tree, child, embeds) for child in tree.groups_of(group_id)
        ]
    return shown


async def list_group_apps(api: Api, request: Request) -> Response:
    """GET /v2/groups[/{id}]/apps: the apps of a group and of the groups in it."""
    group_id = group_of(request)
    texts = request.query_params.getlist("embed")
    embeds = embeds_of(texts, "group.apps.") | embeds_of(texts, "apps.")
    world = await api.settled_world()
    if group_id not in Tree(world):
        raise no_group(group_id)
    now_ms = api.runtime.clock()
    apps = [
        app_info(world, app_id, embeds, now_ms, api.config.last_response)
        for app_id in apps_inside(world, group_id)
    ]
    return json_response(apps)


async def list_group_versions(api: Api, request: Request) -> Response:
    """GET /v2/groups[/{id}]/versions: every moment at which something in it changed."""
    group_id = group_of(request)
    world = await api.settled_world()
    if group_id not in Tree(world):
        raise no_group(group_id)
    return json_response(_versions(world, group_id))


async def show_group_version(api: Api, request: Request) -> Response:
    """GET /v2/groups[/{id}]/versions/{version}: the apps as they were, of those there still are."""
    group_id = group_of(request)
    version = version_of(request.path_params["version"])
    world = await api.settled_world()
    if group_id not in Tree(world) or version not in _versions(world, group_id):
        raise no_group(group_id, version)
    past = {app_id: found for app_id, found in _past(world, group_id, version) if found}
    return json_response(_past_json(world, group_id, version, past))


def _past_json(world: World, group_id: GroupId, version: Version, past: dict[AppId, Any]) -> Json:
    tree = Tree(world, only=past)
    group = world.groups.get(group_id)
    return {
        "id": group_id,
        "apps": [
            orjson.Fragment(version_encoded(past[app_id])) for app_id in tree.apps_of(group_id)
        ],
        "pods": [],
        "groups": [_past_json(world, child, version, past) for child in tree.groups_of(group_id)],
        "dependencies": list(group.dependencies) if group else [],
        "version": version,
    }


def _versions(world: World, group_id: GroupId) -> list[Version]:
    found = {
        version for app_id in apps_inside(world, group_id) for version in world.versions[app_id]
    }
    group = world.groups.get(group_id)
    return sorted(found | ({group.version} if group else set()), reverse=True)


def _past(world: World, group_id: GroupId, at: Version) -> Iterator[tuple[AppId, Any]]:
    """Yield each app of a group with its version at that time; None if it came later."""
    for app_id in apps_inside(world, group_id):
        before = [version for version in world.versions[app_id] if version <= at]
        yield app_id, world.versions[app_id][max(before)] if before else None


def group_of(request: Request) -> GroupId:
    """Read the group id in the path; none means the root."""
    text = request.path_params.get("id", "").strip("/")
    if text and problem_of_path(text) is not None:
        raise no_group(f"/{text}")
    return GroupId(canonical_path("/" + text))


def no_group(group_id: str, version: str | None = None) -> ApiError:
    """Say that a group, or this version of it, is unknown."""
    suffix = f" in version {version}" if version else ""
    return ApiError(404, f"Group '{group_id}' does not exist{suffix}")


# ----------------------------------------------------------------------- changing


async def create_group(api: Api, request: Request) -> Response:
    """POST /v2/groups[/{id}]."""
    base = group_of(request)
    update, headers = await _read(api, request, base)

    def derive(world: World) -> Plan:
        if world.live_app(AppId(update.id)) is not None:
            raise ApiError(409, f"An app with the path {update.id} already exists.")
        if update.id in Tree(world):
            message = f"Group {update.id} is already created. Use PUT to change this group."
            raise ApiError(409, message)
        return plan_group(world, update, keep_scale=False)

    manner = manner_of(request)
    if flag(request, "dryRun"):
        return await rehearse(api, derive, headers)
    accepted = await carry_out(api, derive, manner)
    headers["Location"] = f"/v2/groups{update.id}"
    return deployment_response(accepted, 201, headers)


async def put_group(api: Api, request: Request) -> Response:
    """PUT /v2/groups[/{id}]: replace what the body lists, scale all of it, or go back in time.

    ``dryRun=true`` answers the steps and changes nothing. ``keepScale=true``, an addition, keeps
    the instance count of apps that the body lists without one.
    """
    update, headers = await _read(api, request, group_of(request))
    keep_scale = flag(request, "keepScale")

    def derive(world: World) -> Plan:
        _require_version(request, world, update.id)
        return plan_group(world, update, keep_scale=keep_scale)

    manner = manner_of(request)
    if flag(request, "dryRun"):
        return await rehearse(api, derive, headers)
    accepted = await carry_out(api, derive, manner)
    return deployment_response(accepted, headers=headers)


async def patch_group(api: Api, request: Request) -> Response:
    """PATCH /v2/groups/{top}: only ``enforceRole`` of a top-level group."""
    group_id = group_of(request)
    update, _ = await _read(api, request, group_id)
    if group_id == ROOT or group_id.count("/") != 1:
        raise InvalidInput([Problem("/id", "only top-level groups can be patched")])

    def derive(world: World) -> Plan:
        if group_id not in Tree(world):
            raise no_group(group_id)
        group = world.groups.get(group_id) or Group(group_id, Version(""))
        return Plan(groups=(evolve(group, enforce_role=update.enforce_role),))

    await carry_out(api, derive, manner_of(request))
    return Response(status_code=200)


async def delete_group(api: Api, request: Request) -> Response:
    """DELETE /v2/groups[/{id}]: the group with every app and group in it; the root: everything."""
    group_id = group_of(request)

    def derive(world: World) -> Plan:
        _require_version(request, world, group_id)
        tree = Tree(world)
        if group_id not in tree:
            raise no_group(group_id)
        return Plan(
            removals=tuple(Removal(app_id, expect=None) for app_id in tree.all_apps(group_id)),
            removed_groups=tuple(tree.records_at(group_id)),
        )

    manner = manner_of(request)
    if flag(request, "dryRun"):
        return await rehearse(api, derive, {})
    accepted = await carry_out(api, derive, manner)
    return deployment_response(accepted)


def _require_version(request: Request, world: World, group_id: GroupId) -> None:
    wanted = request.query_params.get("ifVersion") or request.headers.get("if-match")
    if wanted is None:
        return
    tree = Tree(world)
    wanted = wanted.strip().removeprefix("W/").strip('"')
    if group_id not in tree or wanted not in {"*", tree.version_of(group_id)}:
        raise ApiError(409, f"Group '{group_id}' is not at version {wanted}")


async def _read(api: Api, request: Request, base: GroupId) -> tuple[GroupUpdate, dict[str, str]]:
    body = await read_body(request)
    config = api.config

    def decode() -> tuple[GroupUpdate, tuple[str, ...]]:
        return decode_group(parse_json(body), config.rules, base, apps_max=config.apps_max)

    update, ignored = await off_loop(len(body), decode)
    return update, report_ignored(request, ignored)


def plan_group(world: World, update: GroupUpdate, *, keep_scale: bool) -> Plan:
    """Derive all changes that make ``world`` what the body says.

    Raises:
        InvalidInput: the outcome would break a rule between apps and groups.
        ApiError: 404, it scales or goes back, and there is no such group or version.
    """
    tree = Tree(world)
    if update.scale_by is not None:
        return _plan_scale(world, tree, update.id, update.scale_by)
    if update.version is not None:
        return _plan_rollback(world, tree, update.id, version_of(update.version))
    upserts = [_upsert(world, spec, keep_scale=keep_scale) for spec in update.all_apps()]
    wanted = {upsert.spec.id for upsert in upserts}
    removed, removed_groups = _leftovers(tree, update)
    removed -= wanted
    kept_groups = {group.id for group in update.walk()}
    plan = Plan(
        upserts=tuple(upserts),
        removals=tuple(Removal(app_id, expect=None) for app_id in sorted(removed)),
        groups=_groups_set(world, update, wanted),
        removed_groups=tuple(sorted(removed_groups - kept_groups)),
    )
    problem = problem_of_names(tree, wanted, kept_groups, removed, removed_groups)
    if problem is not None:
        raise InvalidInput([problem])
    return plan


def _upsert(world: World, spec: Any, *, keep_scale: bool) -> Upsert:
    if keep_scale and world.live_app(spec.id) is not None and spec.instances == 1:
        spec = evolve(spec, instances=world.spec_of(spec.id).instances)
    return upsert_of(world, spec)


def _groups_set(world: World, update: GroupUpdate, apps: set[AppId]) -> tuple[Group, ...]:
    named = [group for group in update.walk() if group.id != ROOT or group.dependencies is not None]
    found = {group.id: _group_record(world, group) for group in named}
    below = [AppId(f"{group.id.rstrip('/')}/x") for group in named]
    implied = {group.id: group for group in implied_groups(world, [*apps, *below])}
    return tuple({**implied, **found}.values())


def _group_record(world: World, update: GroupUpdate) -> Group:
    group = world.groups.get(update.id) or Group(update.id, Version(""))
    if update.dependencies is not None:
        group = evolve(group, dependencies=update.dependencies)
    if update.enforce_role is not None:
        group = evolve(group, enforce_role=update.enforce_role)
    return group


def _leftovers(tree: Tree, update: GroupUpdate) -> tuple[set[AppId], set[GroupId]]:
    """Name the apps and groups that are there, in a part that the body lists, but not listed."""
    apps: set[AppId] = set()
    groups: set[GroupId] = set()
    for group in update.walk():
        if group.apps is not None:
            apps.update(tree.apps_of(group.id))
        if group.groups is not None:
            listed = {child.id for child in group.groups}
            for child in tree.groups_of(group.id):
                if child not in listed:
                    apps.update(tree.all_apps(child))
                    groups.update(tree.records_at(child))
    return apps, groups


def _plan_scale(world: World, tree: Tree, group_id: GroupId, factor: float) -> Plan:
    if group_id not in tree:
        raise no_group(group_id)
    scaled = (
        evolve(spec, instances=math.ceil(spec.instances * factor))
        for spec in _specs(world, tree.all_apps(group_id))
    )
    return Plan(upserts=tuple(upsert_of(world, spec) for spec in scaled))


def _specs(world: World, app_ids: Iterable[AppId]) -> Iterator[Any]:
    return (world.spec_of(app_id) for app_id in app_ids)


def _plan_rollback(world: World, tree: Tree, group_id: GroupId, version: Version) -> Plan:
    """Take every app back to what it was then; apps that came later are removed."""
    if group_id not in tree or version not in _versions(world, group_id):
        raise no_group(group_id, version)
    past = dict(_past(world, group_id, version))
    return Plan(
        upserts=tuple(upsert_of(world, found.spec) for found in past.values() if found),
        removals=tuple(Removal(app_id, None) for app_id, found in past.items() if not found),
    )
