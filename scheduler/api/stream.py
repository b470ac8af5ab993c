"""Serve /v2/events: let clients join the hub, or say why they cannot."""

from typing import Any

from starlette.requests import Request

from scheduler.api.context import Api
from scheduler.api.errors import ApiError
from scheduler.api.events import EventStream


async def stream_events(api: Api, request: Request) -> Any:
    """GET /v2/events, only types named by ``event_type`` if any are."""
    accept = request.headers.get("accept", "*/*")
    if not any(kind in accept for kind in ("text/event-stream", "text/*", "*/*")):
        raise ApiError(405, "The event stream is text/event-stream: accept it")
    if api.hub.clients >= api.hub.clients_max:
        raise ApiError(503, "Too many clients follow the events", headers={"Retry-After": "30"})
    wanted = frozenset(request.query_params.getlist("event_type"))
    return EventStream(api.hub, wanted, request.headers.get("last-event-id"))
