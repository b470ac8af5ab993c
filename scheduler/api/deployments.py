"""Serve /v2/deployments: what is under way, and how to stop it (Marathon page "Deployments")."""

from starlette.requests import Request
from starlette.responses import Response

from scheduler.api.appinfo import deployment_json
from scheduler.api.bodies import flag
from scheduler.api.changes import command
from scheduler.api.context import Api
from scheduler.api.replies import deployment_response, json_response
from scheduler.core.effects import Accepted
from scheduler.core.events import CancelDeployment
from scheduler.core.ids import DeploymentId


async def list_deployments(api: Api, _request: Request) -> Response:
    """GET /v2/deployments."""
    world = await api.settled_world()
    return json_response([deployment_json(world, d) for d in world.deployments.values()])


async def cancel_deployment(api: Api, request: Request) -> Response:
    """DELETE /v2/deployments/{id}: take its changes back, or with ``force`` just stop it (202)."""
    deployment_id = DeploymentId(request.path_params["deployment_id"])
    force = flag(request, "force")
    answer = await command(
        api, lambda request_id: CancelDeployment(request_id, deployment_id, force=force)
    )
    assert isinstance(answer, Accepted)
    return deployment_response(answer, 202 if force else 200)
