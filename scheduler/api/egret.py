"""Serve what Marathon has no place for: Consul, tasks nobody knows, an operator's overrides."""

from starlette.requests import Request
from starlette.responses import Response

from scheduler.api.appinfo import Json
from scheduler.api.bodies import read_json
from scheduler.api.changes import command
from scheduler.api.context import Api
from scheduler.api.errors import ApiError
from scheduler.api.replies import json_response
from scheduler.api.tasks import ids_of
from scheduler.core.events import KillUnknown, ReleaseBrake, StatusUpdate
from scheduler.core.ids import TaskId
from scheduler.core.strays import has_ended
from scheduler.core.times import format_ms
from scheduler.core.world import World
from scheduler.runtime.discovery_room import DiscoveryStatus

RELEASE_MAX_S = 86_400
"""Longest override of the brake."""


async def show_discovery(api: Api, _request: Request) -> Response:
    """GET /v2/egret/discovery: how far Consul is, and every service that is not registered."""
    await api.settled_world()
    if api.config.discovery is None:
        return json_response({"mode": "off", "refusals": []})
    return json_response(_discovery_json(api.config.discovery()))


def _discovery_json(status: DiscoveryStatus) -> Json:
    sync = status.sync
    last_ms = sync.last_success_ms
    return {
        "mode": status.mode,
        "desired": sync.desired,
        "registered": sync.registered,
        "pending": sync.pending,
        "lagSeconds": sync.lag_ms / 1000,
        "lastSuccess": None if last_ms is None else format_ms(last_ms),
        "lastError": sync.last_error,
        "failures": sync.failures,
        "refusals": [
            {"app": refusal.app_id, "name": refusal.name, "reason": refusal.reason}
            for refusal in status.refusals
        ],
    }


async def list_unknown_tasks(api: Api, _request: Request) -> Response:
    """GET /v2/egret/unknown-tasks: tasks of our framework that no instance stands for."""
    world = await api.settled_world()
    shown = [_unknown_json(world, update) for update in world.unknown_tasks.values()]
    return json_response({"tasks": shown})


def _unknown_json(world: World, update: StatusUpdate) -> Json:
    agent = None if update.agent_id is None else world.agents.get(update.agent_id)
    return {
        "id": update.task_id,
        "state": update.state,
        "slaveId": update.agent_id,
        "host": None if agent is None else agent.host,
        "endedByUs": has_ended(world, update.task_id),
        "killed": update.task_id in world.condemned,
    }


async def kill_unknown_tasks(api: Api, request: Request) -> Response:
    """POST /v2/egret/unknown-tasks/kill ``{"ids": […]}``: kill them by an operator's word."""
    ids = tuple(TaskId(text) for text in ids_of(await read_json(request)))
    await command(api, lambda request_id: KillUnknown(request_id, ids))
    return Response(status_code=202)


async def show_brake(api: Api, _request: Request) -> Response:
    """GET /v2/egret/brake: whether the disaster brake holds, and by what figures."""
    world = await api.settled_world()
    until_ms = world.brake.released_until_ms
    return json_response(
        {
            "engaged": world.brake.holds,
            "releasedUntil": None if until_ms is None else format_ms(until_ms),
            "failing": world.brake.failing,
            "onceHealthy": world.brake.once_healthy,
            "killed": world.brake.killed,
            "unreachable": world.brake.sight.unreachable,
            "givenUp": world.brake.sight.given_up,
            "agents": world.brake.sight.agents,
            "running": world.brake.running,
            "wanted": world.brake.wanted,
        }
    )


async def release_brake(api: Api, request: Request) -> Response:
    """POST /v2/egret/brake/release?seconds=600: go on although the brake would hold."""
    text = request.query_params.get("seconds", "600")
    if not text.isascii() or not text.isdecimal() or int(text) > RELEASE_MAX_S:
        raise ApiError(400, f"seconds must be a whole number from 0 to {RELEASE_MAX_S}")
    await command(api, lambda request_id: ReleaseBrake(request_id, int(text)))
    return await show_brake(api, request)
