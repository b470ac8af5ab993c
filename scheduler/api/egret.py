"""Serve what Marathon has no place for: what Consul holds, and tasks that nobody knows."""

from starlette.requests import Request
from starlette.responses import Response

from scheduler.api.appinfo import Json
from scheduler.api.context import Api
from scheduler.api.replies import json_response
from scheduler.core.events import StatusUpdate
from scheduler.core.strays import has_ended
from scheduler.core.times import format_ms
from scheduler.core.world import World
from scheduler.runtime.discovery_room import DiscoveryStatus


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
