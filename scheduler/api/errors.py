"""Turn everything that can go wrong into Marathon's error bodies and status codes.

A body is ``{"message": …}`` with ``details`` or ``deployments`` where there is more to say
(Marathon 1.11, ``MarathonExceptionMapper``). Unlike Marathon, an unknown path is a 404.
"""

from collections.abc import Mapping
from typing import Any

import structlog
from attrs import field, frozen
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from scheduler.api.replies import json_response
from scheduler.core.effects import Refusal, Rejected
from scheduler.runtime import InboxFull, LeadLost, NotLeader
from scheduler.spec import InvalidInput

_log = structlog.get_logger("api")


@frozen
class ApiError(Exception):
    """An answer that is not the wished one; raised by handlers, rendered here."""

    status: int
    message: str
    more: Mapping[str, Any] = field(factory=dict[str, Any])
    headers: Mapping[str, str] = field(factory=dict[str, str])


_STATUS_OF = {
    Refusal.EXISTS: 409,
    Refusal.NOT_FOUND: 404,
    Refusal.LOCKED: 409,
    Refusal.STALE: 409,
    Refusal.TOO_MANY: 403,
    Refusal.INVALID: 422,
}


def refused(rejected: Rejected) -> ApiError:
    """Translate what the core refused."""
    more: dict[str, Any] = {}
    if rejected.refusal is Refusal.LOCKED:
        more["deployments"] = [{"id": deployment_id} for deployment_id in rejected.deployment_ids]
    if rejected.refusal is Refusal.INVALID:
        details = [{"path": rejected.subject or "/", "errors": [rejected.message]}]
        return ApiError(422, "Object is not valid", {"details": details})
    return ApiError(_STATUS_OF[rejected.refusal], rejected.message, more)


def no_app(app_id: str, version: str | None = None) -> ApiError:
    """Say that an app, or this version of it, is unknown."""
    suffix = f" in version {version}" if version else ""
    return ApiError(404, f"App '{app_id}' does not exist{suffix}")


def to_response(error: Exception) -> Response:
    """Render any exception that a handler may raise; an unforeseen one is logged as our bug."""
    match error:
        case ApiError():
            body = {"message": error.message, **error.more}
            return json_response(body, error.status, dict(error.headers))
        case InvalidInput():
            return json_response(error.to_json(), 400 if error.is_malformed else 422)
        case HTTPException():
            return json_response(
                {"message": error.detail}, error.status_code, dict(error.headers or {})
            )
        case LeadLost():
            return json_response({"message": str(error)}, 503)
        case NotLeader():
            return json_response({"message": "Could not determine the current leader"}, 503)
        case InboxFull():
            return json_response({"message": "Too many requests"}, 429, {"Retry-After": "1"})
        case TimeoutError():
            return json_response({"message": "The scheduler did not answer in time"}, 503)
        case _:
            _log.error("request_failed", exc_info=error)
            return json_response({"message": "Internal error, see the scheduler's log"}, 500)


async def on_error(_request: Request, error: Exception) -> Response:
    """Adapt ``to_response`` to Starlette."""
    return to_response(error)
