"""Serve /v2/apps: read, create, change, remove and restart apps (Marathon page "Apps")."""

from collections.abc import Callable, Iterator
from typing import Any, cast

import orjson
from starlette.requests import Request
from starlette.responses import Response

from scheduler.api.appinfo import (
    LISTED,
    READINESS,
    SINGLE,
    STATS,
    app_info,
    embeds_of,
    rolled_back_json,
    version_json,
)
from scheduler.api.bodies import flag, off_loop, read_body, read_json, report_ignored
from scheduler.api.changes import (
    Plan,
    app_id_of,
    carry_out,
    manner_of,
    require_version,
    unique_ids,
    upsert_of,
    version_of,
)
from scheduler.api.context import Api
from scheduler.api.dryrun import rehearse
from scheduler.api.errors import ApiError, no_app
from scheduler.api.replies import (
    deployment_header,
    deployment_response,
    encoded_response,
    json_response,
)
from scheduler.api.selectors import read_selector
from scheduler.api.tree import Tree, implied_groups, problem_of_names
from scheduler.core.app import AppSpec
from scheduler.core.effects import Accepted
from scheduler.core.events import Removal, Upsert
from scheduler.core.ids import AppId, GroupId, Version
from scheduler.core.records import AppVersion
from scheduler.core.world import World
from scheduler.spec import (
    ROOT,
    Decoded,
    InvalidInput,
    Problem,
    SpecRules,
    canonical_path,
    decode_app,
    is_inside,
    joined_paths,
    merge,
    parse_json,
    prefixed,
    problem_of_path,
)

Json = dict[str, Any]
_FILTERS = frozenset({"cmd", "id", "label"})

# ------------------------------------------------------------------------ reading


async def list_apps(api: Api, request: Request) -> Response:
    """GET /v2/apps, filtered by ``cmd``, ``id`` (parts of them) and ``label``."""
    keep = _filter_of(request)
    texts = request.query_params.getlist("embed")
    # "app." too: clients write either, and Marathon reads both.
    embeds = LISTED | embeds_of(texts, "apps.") | embeds_of(texts, "app.")
    world = await api.settled_world()
    now_ms = api.runtime.clock()

    def show(app_id: AppId) -> Iterator[orjson.Fragment]:
        if world.live_app(app_id) is not None and keep(world.spec_of(app_id)):
            yield app_info(world, app_id, embeds, now_ms, api.config.last_response)

    # Statistics age and answers to readiness checks come without a record.
    is_stored = not embeds & {STATS, READINESS} and not _FILTERS & set(request.query_params)
    body = api.wholes.get(embeds, world) if is_stored else None
    if body is None:
        revision = world.revision
        body = orjson.dumps({"apps": await api.show_all(tuple(world.apps), show)})
        if is_stored:
            api.wholes.keep(embeds, world, revision, body)
    return encoded_response(body)


async def show_app(api: Api, request: Request) -> Response:
    """GET /v2/apps/{id}, or of all apps of a group with ``{group}/*``."""
    texts = request.query_params.getlist("embed")
    world = await api.settled_world()
    now_ms = api.runtime.clock()
    group_id = group_of_wildcard(request)
    if group_id is not None:
        embeds = LISTED | embeds_of(texts, "apps.") | embeds_of(texts, "app.")
        apps = [
            app_info(world, app_id, embeds, now_ms, api.config.last_response)
            for app_id in apps_inside(world, group_id)
        ]
        return json_response({"*": apps})
    app_id = app_id_of(request)
    if world.live_app(app_id) is None:
        raise no_app(app_id)
    # "apps." too: clients write either, and Marathon reads both.
    embeds = SINGLE | embeds_of(texts, "app.") | embeds_of(texts, "apps.")
    headers = {"ETag": f'"{world.apps[app_id].version}"'}
    return json_response(
        {"app": app_info(world, app_id, embeds, now_ms, api.config.last_response)}, headers=headers
    )


def group_of_wildcard(request: Request) -> GroupId | None:
    """Name the group in ``{group}/*``; None if the path names one app."""
    text = "/" + request.path_params["id"].lstrip("/")
    if not text.endswith("/*"):
        return None
    group = text.removesuffix("/*") or "/"
    if group != "/" and problem_of_path(group) is not None:
        raise no_app(group)
    return GroupId(canonical_path(group))


def apps_inside(world: World, group_id: GroupId) -> list[AppId]:
    """List the apps of a group and of the groups in it.

    Raises:
        ApiError: 404, there is no such group.
    """
    found = [
        app_id
        for app_id, app in world.apps.items()
        if not app.removed and is_inside(app_id, group_id)
    ]
    if not found and group_id != ROOT and group_id not in world.groups:
        raise no_app(group_id)
    return found


def _filter_of(request: Request) -> Callable[[AppSpec], bool]:
    query = request.query_params
    command, part, label = query.get("cmd"), query.get("id"), query.get("label")
    selector = read_selector(label) if label else None

    def keep(spec: AppSpec) -> bool:
        if command and command.lower() not in (spec.cmd or "").lower():
            return False
        if part and part.lower() not in spec.id.lower():
            return False
        return selector is None or selector(spec.label_map)

    return keep


async def list_versions(api: Api, request: Request) -> Response:
    """GET /v2/apps/{id}/versions."""
    app_id = app_id_of(request)
    world = await api.settled_world()
    if world.live_app(app_id) is None:
        raise no_app(app_id)
    return json_response({"versions": list(reversed(world.versions[app_id]))})


async def show_version(api: Api, request: Request) -> Response:
    """GET /v2/apps/{id}/versions/{version}; ``embed=rolledBack`` says why it was taken back."""
    app_id = app_id_of(request)
    version = version_of(request.path_params["version"])
    world = await api.settled_world()
    found = world.versions.get(app_id, {}).get(version)
    if found is None or world.live_app(app_id) is None:
        raise no_app(app_id, version)
    shown = version_json(found)
    rolled_back = world.rolled_back.get((app_id, version))
    if rolled_back is not None and "rolledBack" in request.query_params.getlist("embed"):
        shown = {**shown, "rolledBack": rolled_back_json(rolled_back)}
    return json_response(shown)


# ----------------------------------------------------------------------- changing


async def create_app(api: Api, request: Request) -> Response:
    """POST /v2/apps."""
    rules = api.config.rules
    body = await read_body(request)
    decoded = await off_loop(len(body), lambda: decode_app(parse_json(body), rules))
    headers = report_ignored(request, decoded.ignored)
    app_id = decoded.spec.id

    def derive(world: World) -> Plan:
        require_version(request, world, app_id)
        return _checked(world, (Upsert(decoded.spec, expect=None),))

    manner = manner_of(request)
    if flag(request, "dryRun"):
        return await rehearse(api, derive, headers)
    accepted = await carry_out(api, derive, manner)
    _tell_hub(api, request, app_id)
    headers |= deployment_header(accepted) | {"Location": f"/v2/apps{app_id}"}
    return json_response(_created(api, decoded.spec, accepted), 201, headers)


def _created(api: Api, spec: AppSpec, accepted: Accepted) -> Json:
    """Show a new app with the deployment that creates it, though that may be over already."""
    version = accepted.version
    stored = api.world.versions.get(spec.id, {}).get(version)
    shown = version_json(stored or AppVersion(spec, version, version, version))
    counts = {"tasksStaged": 0, "tasksRunning": 0, "tasksHealthy": 0, "tasksUnhealthy": 0}
    return {**shown, **counts, "deployments": [{"id": accepted.deployment_id}], "tasks": []}


async def put_app(api: Api, request: Request) -> Response:
    """PUT /v2/apps/{id}: change or create an app; merges unless ``partialUpdate=false``."""
    is_partial = flag(request, "partialUpdate", default=True)
    return await _change_app(api, request, is_partial=is_partial, may_create=True)


async def patch_app(api: Api, request: Request) -> Response:
    """PATCH /v2/apps/{id}: change an app that exists."""
    return await _change_app(api, request, is_partial=True, may_create=False)


async def _change_app(
    api: Api, request: Request, *, is_partial: bool, may_create: bool
) -> Response:
    app_id = app_id_of(request)
    fields = _object(await read_json(request))
    ignored: list[str] = []
    existed = False

    def derive(world: World) -> Plan:
        nonlocal existed
        require_version(request, world, app_id)
        existed = world.live_app(app_id) is not None
        if not existed and not may_create:
            raise no_app(app_id)
        decoded = derive_app(world, app_id, fields, api.config.rules, is_partial=is_partial)
        ignored[:] = decoded.ignored
        report_ignored(request, ignored)
        return _checked(world, (upsert_of(world, decoded.spec),))

    manner = manner_of(request)
    if flag(request, "dryRun"):
        return await rehearse(api, derive, {})
    accepted = await carry_out(api, derive, manner)
    _tell_hub(api, request, app_id)
    headers = report_ignored(request, ignored)
    if existed:
        return deployment_response(accepted, 200, headers)
    return deployment_response(accepted, 201, {**headers, "Location": f"/v2/apps{app_id}"})


def _checked(world: World, upserts: tuple[Upsert, ...]) -> Plan:
    """Plan to set apps, with the groups that new ones need.

    Raises:
        InvalidInput: an app would have the id of a group, or the other way round.
    """
    new = [upsert.spec.id for upsert in upserts if upsert.expect is None]
    if new:
        problem = problem_of_names(Tree(world), new, (), (), ())
        if problem is not None:
            raise InvalidInput([problem])
    return Plan(upserts=upserts, groups=implied_groups(world, new))


def derive_app(
    world: World, app_id: AppId, fields: Json, rules: SpecRules, *, is_partial: bool
) -> Decoded:
    """Make the new definition of one app from a PUT or PATCH body and what is there now."""
    current = world.spec_of(app_id) if world.live_app(app_id) else None
    if fields.get("version") is not None:
        return Decoded(_rollback(world, app_id, fields), ())
    if current is not None and is_partial:
        return merge(current, fields, rules)
    return decode_app(fields, rules, app_id=app_id)


def _rollback(world: World, app_id: AppId, fields: Json) -> AppSpec:
    if {name for name, value in fields.items() if value is not None} - {"id", "version"}:
        message = "The 'version' field may only be combined with the 'id' field."
        raise InvalidInput([Problem("/", message)])
    given = fields["version"]
    if not isinstance(given, str):
        raise InvalidInput([Problem("/version", "expected a string")], is_malformed=True)
    version = version_of(given)
    found = world.versions.get(app_id, {}).get(Version(version))
    if world.live_app(app_id) is None or found is None:
        raise no_app(app_id, version)
    return found.spec


async def put_apps(api: Api, request: Request) -> Response:
    """PUT /v2/apps: change or create many apps in one deployment, all or none."""
    is_partial = flag(request, "partialUpdate", default=True)
    return await _change_apps(api, request, is_partial=is_partial, may_create=True)


async def patch_apps(api: Api, request: Request) -> Response:
    """PATCH /v2/apps: change many apps that exist."""
    return await _change_apps(api, request, is_partial=True, may_create=False)


async def _change_apps(
    api: Api, request: Request, *, is_partial: bool, may_create: bool
) -> Response:
    entries = _entries(await read_json(request), api.config.apps_max)
    ignored: list[str] = []

    def derive(world: World) -> Plan:
        ignored.clear()
        specs: list[AppSpec] = []
        for index, (app_id, fields) in enumerate(entries):
            if not may_create and world.live_app(app_id) is None:
                raise no_app(app_id)
            try:
                decoded = derive_app(world, app_id, fields, api.config.rules, is_partial=is_partial)
            except InvalidInput as error:
                raise prefixed(f"/({index})", error) from None
            ignored.extend(joined_paths(f"/({index})", decoded.ignored))
            specs.append(decoded.spec)
        report_ignored(request, ignored)
        return _checked(world, tuple(upsert_of(world, spec) for spec in specs))

    manner = manner_of(request)
    if flag(request, "dryRun"):
        return await rehearse(api, derive, {})
    accepted = await carry_out(api, derive, manner)
    for app_id, _ in entries:
        _tell_hub(api, request, app_id)
    return deployment_response(accepted, headers=report_ignored(request, ignored))


def _entries(value: Any, apps_max: int) -> list[tuple[AppId, Json]]:
    if not isinstance(value, list):
        raise InvalidInput([Problem("/", "expected an array")], is_malformed=True)
    items = cast("list[Any]", value)
    if len(items) > apps_max:
        raise ApiError(413, f"The body holds more than {apps_max} apps")
    entries: list[tuple[AppId, Json]] = []
    for index, item in enumerate(items):
        fields = _object(item, f"/({index})")
        given = fields.get("id")
        problem = "must be given" if not isinstance(given, str) else problem_of_path(given)
        if problem is not None:
            raise InvalidInput([Problem(f"/({index})/id", problem)])
        entries.append((AppId(canonical_path(cast("str", given))), fields))
    unique_ids(app_id for app_id, _ in entries)
    return entries


def _object(value: Any, path: str = "/") -> Json:
    if not isinstance(value, dict):
        raise InvalidInput([Problem(path, "expected an object")], is_malformed=True)
    return cast("Json", value)


async def delete_app(api: Api, request: Request) -> Response:
    """DELETE /v2/apps/{id}; ``force`` is true unless told otherwise, or to wait."""
    app_id = app_id_of(request)

    def derive(world: World) -> Plan:
        require_version(request, world, app_id)
        return Plan(removals=(Removal(app_id, expect=None),))

    manner = manner_of(request, force=True)
    if flag(request, "dryRun"):
        return await rehearse(api, derive, {})
    accepted = await carry_out(api, derive, manner)
    return deployment_response(accepted)


async def restart_app(api: Api, request: Request) -> Response:
    """POST /v2/apps/{id}/restart: replace every task, with the definition as it is."""
    app_id = app_id_of(request)
    plan = Plan(restarts=(app_id,))
    manner = manner_of(request)
    if flag(request, "dryRun"):
        return await rehearse(api, lambda _: plan, {})
    accepted = await carry_out(api, lambda _: plan, manner)
    return deployment_response(accepted)


def _tell_hub(api: Api, request: Request, app_id: AppId) -> None:
    client = request.client.host if request.client else ""
    if api.world.live_app(app_id) is not None:
        definition = version_json(api.world.version_of(app_id))
        api.hub.api_post(client, request.url.path, definition)
