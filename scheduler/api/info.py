"""Serve what concerns the scheduler itself: info, leader, ping, metrics, the end of it all."""

from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, Response

from scheduler.api.context import Api
from scheduler.api.errors import ApiError
from scheduler.api.replies import json_response

COMPATIBLE_VERSION = "1.11.24"
"""Marathon's version that clients may expect the behaviour of."""


async def show_info(api: Api, request: Request) -> Response:
    """GET /v2/info, in Marathon's shape; ``embed=egret`` adds our own version and more.

    Strict clients know the keys of Marathon's and refuse all others.
    """
    world = api.world
    config = api.config
    shown: dict[str, Any] = {
        "name": "marathon",
        "version": COMPATIBLE_VERSION,
        "buildref": f"egret-{config.version}",
        "elected": api.runtime.is_leading,
        "leader": config.leader_address if api.runtime.is_leading else None,
        "frameworkId": world.framework.id if world.framework else None,
        "marathon_config": dict(config.marathon_config),
        "zookeeper_config": {},
        "http_config": {"http_port": int(config.leader_address.rpartition(":")[2])},
    }
    if "egret" in request.query_params.getlist("embed"):
        shown["egret"] = {
            "version": config.version,
            "mesosMaster": world.master,
            "mesosConnected": world.connected,
            "maxRunningDeployments": world.settings.deployments_max,
        }
    return json_response(shown)


async def show_leader(api: Api, _request: Request) -> Response:
    """GET /v2/leader."""
    if not api.runtime.is_leading:
        raise ApiError(404, "There is no leader")
    return json_response({"leader": api.config.leader_address})


async def abdicate(api: Api, _request: Request) -> Response:
    """DELETE /v2/leader."""
    if not api.runtime.is_leading:
        raise ApiError(404, "There is no leader")
    if api.config.abdicate is None:
        raise ApiError(409, "There is no other scheduler that could lead")
    api.config.abdicate()
    return json_response({"message": "Leadership abdicated"})


async def ping(_api: Api, request: Request) -> Response:
    """GET /ping: the process answers. 204 for a client that takes no text."""
    accept = request.headers.get("accept", "*/*")
    if any(kind in accept for kind in ("*/*", "text/*", "text/plain")):
        return Response("pong", media_type="text/plain")
    return Response(status_code=204)


async def show_metrics(api: Api, request: Request) -> Response:
    """GET /metrics: Prometheus's text, or Marathon's JSON for a client that names that type.

    A client that names neither gets what ``--metrics-default`` says.
    """
    accept = request.headers.get("accept", "").lower()
    wants_json = "application/json" in accept
    if not wants_json and accept.strip() in {"", "*/*"}:
        wants_json = api.config.metrics_default == "json"
    if wants_json:
        return json_response(api.config.collect_metrics())
    return await show_prometheus(api, request)


async def show_prometheus(api: Api, _request: Request) -> Response:
    """GET /metrics/prometheus, in Prometheus's text format."""
    body, content_type = api.config.render_metrics()
    return Response(body, headers={"Content-Type": content_type})


async def download(api: Api, request: Request) -> Response:
    """GET /downloads/{name}: what agents fetch from here, the executor's archive."""
    path = api.config.downloads.get(request.path_params["name"])
    if path is None:
        raise ApiError(404, "There is no such file")
    return FileResponse(path, media_type="application/octet-stream")


async def teardown(api: Api, request: Request) -> Response:
    """POST /v2/egret/teardown?confirm=<framework id>: end all tasks and the framework, for good."""
    framework = api.world.framework
    if framework is None or api.config.teardown is None:
        raise ApiError(409, "There is no framework to tear down")
    if request.query_params.get("confirm") != framework.id:
        raise ApiError(
            422, f"This ends every task of framework {framework.id}; confirm with its id"
        )
    await api.config.teardown()
    return json_response({"message": f"Framework {framework.id} is being torn down"})


async def no_pods(_api: Api, _request: Request) -> Response:
    """Say that there are no pods; clients that probe with HEAD take a 404 as "not supported"."""
    raise ApiError(404, "Pods are not supported")


async def refuse_pods(_api: Api, _request: Request) -> Response:
    """POST and PUT of pods: refused until they can be run."""
    raise ApiError(422, "Pods are not supported: deploy their containers as apps")
