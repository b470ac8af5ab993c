"""Put the API together: one Starlette application over the runtime's door."""

import time
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from scheduler.api import apps, deployments, groups, info, page, queue, tasks
from scheduler.api.context import Api, ApiConfig, Handler
from scheduler.api.errors import ApiError, on_error, to_response
from scheduler.api.events import EventHub, EventStream
from scheduler.api.limits import BodyLimit, CommonHeaders, PlainPaths, SameSite
from scheduler.runtime import Runtime

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_COMMON_HEADERS = {
    "Cache-Control": "no-cache, no-store, must-revalidate",
    "Pragma": "no-cache",
    "Expires": "0",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
}

_GROUP: dict[str, Handler] = {
    "GET": groups.show_group,
    "POST": groups.create_group,
    "PUT": groups.put_group,
    "DELETE": groups.delete_group,
}

# The longer paths of an app come first: an id may hold slashes.
_TABLE: tuple[tuple[str, dict[str, Handler]], ...] = (
    ("/", {"GET": page.show_page}),
    ("/page.js", {"GET": page.show_script}),
    ("/page.css", {"GET": page.show_style}),
    ("/ping", {"GET": info.ping}),
    ("/metrics", {"GET": info.show_metrics}),
    ("/metrics/prometheus", {"GET": info.show_metrics}),
    ("/downloads/{name}", {"GET": info.download}),
    ("/v2/info", {"GET": info.show_info}),
    ("/v2/leader", {"GET": info.show_leader, "DELETE": info.abdicate}),
    (
        "/v2/apps",
        {
            "GET": apps.list_apps,
            "POST": apps.create_app,
            "PUT": apps.put_apps,
            "PATCH": apps.patch_apps,
        },
    ),
    ("/v2/apps/{id:path}/tasks/{task_id}", {"DELETE": tasks.delete_app_task}),
    ("/v2/apps/{id:path}/tasks", {"GET": tasks.list_app_tasks, "DELETE": tasks.delete_app_tasks}),
    ("/v2/apps/{id:path}/versions/{version}", {"GET": apps.show_version}),
    ("/v2/apps/{id:path}/versions", {"GET": apps.list_versions}),
    ("/v2/apps/{id:path}/restart", {"POST": apps.restart_app}),
    (
        "/v2/apps/{id:path}",
        {
            "GET": apps.show_app,
            "PUT": apps.put_app,
            "PATCH": apps.patch_app,
            "DELETE": apps.delete_app,
        },
    ),
    ("/v2/groups", _GROUP),
    ("/v2/groups/apps", {"GET": groups.list_group_apps}),
    ("/v2/groups/versions", {"GET": groups.list_group_versions}),
    ("/v2/groups/versions/{version}", {"GET": groups.show_group_version}),
    ("/v2/groups/{id:path}/apps", {"GET": groups.list_group_apps}),
    ("/v2/groups/{id:path}/versions", {"GET": groups.list_group_versions}),
    ("/v2/groups/{id:path}/versions/{version}", {"GET": groups.show_group_version}),
    ("/v2/groups/{id:path}", {**_GROUP, "PATCH": groups.patch_group}),
    ("/v2/tasks", {"GET": tasks.list_tasks}),
    ("/v2/tasks/delete", {"POST": tasks.delete_tasks}),
    ("/v2/deployments", {"GET": deployments.list_deployments}),
    ("/v2/deployments/{deployment_id}", {"DELETE": deployments.cancel_deployment}),
    ("/v2/deployments/{deployment_id}/abort", {"POST": deployments.abort_deployment}),
    ("/v2/deployments/{deployment_id}/pause", {"POST": deployments.pause_deployment}),
    ("/v2/deployments/{deployment_id}/promote", {"POST": deployments.promote_deployment}),
    ("/v2/deployments/{deployment_id}/resume", {"POST": deployments.resume_deployment}),
    ("/v2/queue", {"GET": queue.show_queue}),
    ("/v2/queue/{id:path}/delay", {"DELETE": queue.reset_delay}),
    ("/v2/pods", {"GET": info.no_pods, "HEAD": info.no_pods, "POST": info.refuse_pods}),
    (
        "/v2/pods/{rest:path}",
        {
            "GET": info.no_pods,
            "PUT": info.refuse_pods,
            "DELETE": info.no_pods,
        },
    ),
    ("/v2/egret/teardown", {"POST": info.teardown}),
)


def create_app(runtime: Runtime, config: ApiConfig) -> Starlette:
    """Build the application. Events flow once ``runtime`` publishes facts.

    ``app.state.api`` is the shared ``Api``; close its ``hub`` before the server stops, so that
    endless streams do not hold it up.
    """
    hub = EventHub(runtime.clock, config.event_clients_max, config.event_backlog_max)
    api = Api(runtime, config, hub)
    runtime.subscribe_facts(hub.on_fact)
    table: list[tuple[str, dict[str, Handler]]] = [*_TABLE, ("/v2/events", {"GET": stream_events})]
    app = Starlette(
        routes=[_route(api, path, handlers) for path, handlers in table],
        middleware=[
            Middleware(
                CommonHeaders,
                headers={
                    **_COMMON_HEADERS,
                    "Server": f"egret/{config.version}",
                    "X-Marathon-Leader": f"http://{config.leader_address}",
                },
            ),
            Middleware(SameSite),
            Middleware(BodyLimit, body_max=config.body_max, large_body_max=config.large_body_max),
            Middleware(PlainPaths),
        ],
        exception_handlers={HTTPException: on_error, Exception: on_error},
    )
    app.router.redirect_slashes = False
    app.state.api = api
    return app


async def stream_events(api: Api, request: Request) -> Any:
    """GET /v2/events, only types named by ``event_type`` if any are."""
    accept = request.headers.get("accept", "*/*")
    if not any(kind in accept for kind in ("text/event-stream", "text/*", "*/*")):
        raise ApiError(405, "The event stream is text/event-stream: accept it")
    if api.hub.clients >= api.hub.clients_max:
        raise ApiError(503, "Too many clients follow the events", headers={"Retry-After": "30"})
    wanted = frozenset(request.query_params.getlist("event_type"))
    return EventStream(api.hub, wanted, request.headers.get("last-event-id"))


def _route(api: Api, path: str, handlers: dict[str, Handler]) -> Route:
    return Route(path, _endpoint(api, path, handlers), methods=list(_METHODS))


def _endpoint(
    api: Api, path: str, handlers: dict[str, Handler]
) -> Callable[[Request], Awaitable[Any]]:
    """Choose the handler by method; answer what it raises; measure."""
    handlers = {**({"HEAD": handlers["GET"]} if "GET" in handlers else {}), **handlers}
    allowed = ", ".join([*handlers, "OPTIONS"])
    template = path.replace(":path}", "}")

    async def endpoint(request: Request) -> Any:
        started_s = time.monotonic()
        response = await answer(request)
        status = response.status_code if isinstance(response, Response) else 200
        elapsed_s = time.monotonic() - started_s
        api.config.on_request(request.method, template, status, elapsed_s)
        return response

    async def answer(request: Request) -> Any:
        if request.method == "OPTIONS":
            return Response(status_code=204, headers={"Allow": allowed})
        handler = handlers.get(request.method)
        if handler is None:
            return to_response(ApiError(405, "Method Not Allowed", headers={"Allow": allowed}))
        try:
            return await handler(api, request)
        except Exception as error:  # noqa: BLE001 - the seam where any failure becomes an answer
            return to_response(error)

    return endpoint
