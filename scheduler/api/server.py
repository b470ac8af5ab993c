"""Put the API together: one Starlette application over the runtime's door."""

import time
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from scheduler.api.blocked import BlockWatch
from scheduler.api.checkevents import check_events_of
from scheduler.api.context import Api, ApiConfig, Handler
from scheduler.api.errors import ApiError, on_error, to_response
from scheduler.api.events import EventHub
from scheduler.api.limits import BodyLimit, CommonHeaders, KnownHosts, PlainPaths, SameSite
from scheduler.api.openapi import show_openapi
from scheduler.api.routes import TABLE
from scheduler.core.effects import Fact
from scheduler.runtime import Runtime

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_COMMON_HEADERS = {
    "Cache-Control": "no-cache, no-store, must-revalidate",
    "Pragma": "no-cache",
    "Expires": "0",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
}


def create_app(runtime: Runtime, config: ApiConfig) -> Starlette:
    """Build the application. Events flow once ``runtime`` publishes facts.

    ``app.state.api`` is the shared ``Api``; close its ``hub`` before the server stops, so that
    endless streams do not hold it up.
    """
    hub = EventHub(runtime.clock, config.event_clients_max, config.event_backlog_max)
    api = Api(runtime, config, hub)
    runtime.subscribe_facts(hub.on_fact)

    def tell_of_checks(fact: Fact) -> None:
        for kind, about in check_events_of(runtime.world, fact):
            hub.send(kind, about)

    runtime.subscribe_facts(tell_of_checks)
    runtime.add_room(BlockWatch(api))
    table: list[tuple[str, dict[str, Handler]]] = [*TABLE, ("/openapi.json", {"GET": show_openapi})]
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
            Middleware(GZipMiddleware, minimum_size=1024, compresslevel=1),
            Middleware(KnownHosts, names=config.host_names),
            Middleware(SameSite),
            Middleware(BodyLimit, body_max=config.body_max, large_body_max=config.large_body_max),
            Middleware(PlainPaths),
        ],
        exception_handlers={HTTPException: on_error, Exception: on_error},
    )
    app.router.redirect_slashes = False
    app.state.api = api
    return app


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
