"""Serve tasks: of one app, of all, and end them (Marathon pages "Apps" and "Tasks")."""

from collections.abc import Iterable
from typing import Any, cast

import orjson
from starlette.requests import Request
from starlette.responses import Response

from scheduler.api.appinfo import Json, tasks_encoded, tasks_of
from scheduler.api.apps import apps_inside, group_of_wildcard
from scheduler.api.bodies import flag, own_flag, read_json
from scheduler.api.changes import app_id_of, command
from scheduler.api.context import Api
from scheduler.api.errors import ApiError, no_app
from scheduler.api.replies import deployment_response, json_response
from scheduler.core.effects import Accepted
from scheduler.core.events import KillTasks
from scheduler.core.ids import AppId, TaskId, instance_id_of
from scheduler.core.instance import Condition, Instance
from scheduler.core.world import World
from scheduler.spec import InvalidInput, Problem

_IDS_MAX = 10_000


async def list_app_tasks(api: Api, request: Request) -> Response:
    """GET /v2/apps/{id}/tasks, or of all apps of a group with ``{group}/*``."""
    world = await api.settled_world()
    found = _tasks(world, _apps_named(world, request))
    return json_response({"tasks": tasks_encoded(world, found)})


async def list_tasks(api: Api, request: Request) -> Response:
    """GET /v2/tasks, filtered by ``status`` or ``status[]``: running, staging."""
    query = request.query_params
    wanted = {text for text in (*query.getlist("status"), *query.getlist("status[]")) if text}
    world = await api.settled_world()

    def show(app_id: AppId) -> list[orjson.Fragment]:
        live = tasks_of(world, app_id) if world.live_app(app_id) is not None else ()
        return tasks_encoded(world, (i for i in live if not wanted or _status(i) in wanted))

    return json_response({"tasks": await api.show_all(tuple(world.apps), show)})


def _status(instance: Instance) -> str:
    if instance.condition in {Condition.PROVISIONED, Condition.STAGING, Condition.STARTING}:
        return "staging"
    return "running" if instance.started_at_ms is not None else ""


async def delete_app_tasks(api: Api, request: Request) -> Response:
    """DELETE /v2/apps/{id}/tasks, only those on ``host`` if that is given."""
    host = request.query_params.get("host")
    world = await api.settled_world()
    found = [
        instance
        for instance in _tasks(world, _apps_named(world, request))
        if host in {None, "*", "", instance.placement.host if instance.placement else None}
    ]
    return await _kill(api, request, found, single=False)


async def delete_app_task(api: Api, request: Request) -> Response:
    """DELETE /v2/apps/{id}/tasks/{taskId}; the instance's id will do as well."""
    app_id = app_id_of(request)
    wanted = request.path_params["task_id"]
    world = await api.settled_world()
    if world.live_app(app_id) is None:
        raise no_app(app_id)
    found = [i for i in tasks_of(world, app_id) if wanted in {i.task_id, i.id}]
    if not found:
        raise ApiError(404, f"Task '{wanted}' does not exist")
    return await _kill(api, request, found, single=True)


async def delete_tasks(api: Api, request: Request) -> Response:
    """POST /v2/tasks/delete ``{"ids": […]}``; tasks that are gone already are passed over."""
    ids = ids_of(await read_json(request))
    for text in ids:
        if instance_id_of(TaskId(text)) is None and ".instance-" not in text:
            raise ApiError(400, f"Invalid task id '{text[:200]}'")
    world = await api.settled_world()
    found: dict[str, Instance] = {}
    for text in ids:
        instance = world.instance_of(TaskId(text)) or world.instances.get(cast("Any", text))
        if instance is not None and instance.condition.has_task:
            found[instance.id] = instance
    return await _kill(api, request, list(found.values()), single=False)


def ids_of(body: Any) -> list[str]:
    """Read ``{"ids": […]}``: texts, a bounded number of them."""
    ids = cast("Json", body).get("ids") if isinstance(body, dict) else None
    if not isinstance(ids, list) or not all(isinstance(i, str) for i in cast("list[Any]", ids)):
        raise InvalidInput([Problem("/ids", "expected an array of strings")], is_malformed=True)
    texts = cast("list[str]", ids)
    if len(texts) > _IDS_MAX:
        raise InvalidInput([Problem("/ids", f"more than {_IDS_MAX} ids")])
    return texts


# ------------------------------------------------------------------------- shared


def _apps_named(world: World, request: Request) -> list[AppId]:
    group_id = group_of_wildcard(request)
    if group_id is not None:
        return apps_inside(world, group_id)
    app_id = app_id_of(request)
    if world.live_app(app_id) is None:
        raise no_app(app_id)
    return [app_id]


def _tasks(world: World, app_ids: Iterable[AppId]) -> list[Instance]:
    return [instance for app_id in app_ids for instance in tasks_of(world, app_id)]


async def _kill(api: Api, request: Request, instances: list[Instance], *, single: bool) -> Response:
    scale, wipe = flag(request, "scale"), flag(request, "wipe")
    if scale and wipe:
        raise ApiError(400, "You cannot use scale and wipe at the same time.")
    if own_flag(request, "queue") and scale:
        message = (
            "Killing tasks cannot wait, so scale and queue exclude each other; to lower the count"
            " in turn, set `instances` of the app with queue=true."
        )
        raise ApiError(400, message)
    shown = tasks_encoded(api.world, instances)
    task_ids = tuple(task_id for i in instances if (task_id := i.task_id) is not None)
    force = flag(request, "force")
    if task_ids or scale:
        answer = await command(
            api,
            lambda request_id: KillTasks(request_id, task_ids, scale=scale, wipe=wipe, force=force),
        )
        if isinstance(answer, Accepted):
            return deployment_response(answer)
    return json_response({"task": shown[0]} if single else {"tasks": shown})
