"""Serve /v2/deployments: what is under way, why, and how to steer it (Marathon page "Deployments").

Pausing, resuming, promoting and aborting are additions to Marathon, as is ``embed=egret``: what
Marathon's clients do not know stays out of the answer unless it is asked for, because some of
them refuse unknown keys.
"""

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response

from scheduler.api.appinfo import Json, deployment_json
from scheduler.api.blocked import queued_blocks
from scheduler.api.bodies import flag
from scheduler.api.changes import command
from scheduler.api.context import Api
from scheduler.api.errors import ApiError
from scheduler.api.outcomes import outcome_json, progress_json
from scheduler.api.replies import deployment_response, json_response
from scheduler.core.effects import Accepted
from scheduler.core.events import CancelDeployment, Command, SteerDeployment, Steering
from scheduler.core.ids import DeploymentId, RequestId
from scheduler.core.records import Queued
from scheduler.core.times import format_ms
from scheduler.core.world import World


async def list_deployments(api: Api, request: Request) -> Response:
    """GET /v2/deployments; ``embed=egret`` adds what each waits for."""
    world = await api.settled_world()
    shown = [
        deployment_json(world, deployment, api.config.last_response)
        for deployment in world.deployments.values()
    ]
    shown += [_queued_json(queued) for queued in world.queued.values()]
    if "egret" in request.query_params.getlist("embed"):
        now_ms = api.runtime.clock()
        for item, deployment in zip(shown, world.deployments.values(), strict=False):
            item["egret"] = progress_json(world, deployment, now_ms)
        for item, queued in zip(
            shown[len(world.deployments) :], world.queued.values(), strict=True
        ):
            item["egret"] = _waiting(world, queued)
    return json_response(shown)


async def show_deployment(api: Api, request: Request) -> Response:
    """GET /v2/egret/deployments/{id}: what becomes of one, or became: the latest are kept."""
    world = await api.settled_world()
    deployment_id = DeploymentId(request.path_params["deployment_id"])
    shown = outcome_json(world, deployment_id, api.runtime.clock())
    if shown is None:
        message = f"Deployment {deployment_id} is not known: it never was, or is not kept any more"
        raise ApiError(404, message)
    return json_response(shown)


def _queued_json(queued: Queued) -> Json:
    """Show a change that waits for others as a deployment that has not begun."""
    return {
        "id": queued.id,
        "version": format_ms(queued.queued_at_ms),
        "affectedApps": queued.app_ids,
        "affectedPods": [],
        "steps": [],
        "currentActions": [],
        "currentStep": 0,
        "totalSteps": 0,
    }


def _waiting(world: World, queued: Queued) -> Json:
    blocks = queued_blocks(world, queued)
    return {"queuedAt": format_ms(queued.queued_at_ms), "blockedBy": blocks}


async def cancel_deployment(api: Api, request: Request) -> Response:
    """DELETE /v2/deployments/{id}: take its changes back, or with ``force`` just stop it (202)."""
    deployment_id = DeploymentId(request.path_params["deployment_id"])
    force = flag(request, "force")
    return await _carry_out(
        api,
        lambda request_id: CancelDeployment(request_id, deployment_id, force=force),
        202 if force else 200,
    )


async def pause_deployment(api: Api, request: Request) -> Response:
    """POST /v2/deployments/{id}/pause: replace nothing more for the time being."""
    return await _steer(api, request, Steering.PAUSE)


async def resume_deployment(api: Api, request: Request) -> Response:
    """POST /v2/deployments/{id}/resume: go on; every deadline starts afresh."""
    return await _steer(api, request, Steering.RESUME)


async def promote_deployment(api: Api, request: Request) -> Response:
    """POST /v2/deployments/{id}/promote: the canaries are good, replace the others."""
    return await _steer(api, request, Steering.PROMOTE)


async def abort_deployment(api: Api, request: Request) -> Response:
    """POST /v2/deployments/{id}/abort: take its changes back, as DELETE without force does."""
    deployment_id = DeploymentId(request.path_params["deployment_id"])
    return await _carry_out(api, lambda request_id: CancelDeployment(request_id, deployment_id))


async def _steer(api: Api, request: Request, verb: Steering) -> Response:
    deployment_id = DeploymentId(request.path_params["deployment_id"])
    return await _carry_out(
        api, lambda request_id: SteerDeployment(request_id, deployment_id, verb)
    )


async def _carry_out(api: Api, make: Callable[[RequestId], Command], status: int = 200) -> Response:
    answer = await command(api, make)
    assert isinstance(answer, Accepted)
    return deployment_response(answer, status)
