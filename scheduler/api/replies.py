"""Build responses: JSON bytes, and what a change that began a deployment answers."""

from collections.abc import Mapping
from typing import Any

import orjson
from starlette.responses import Response

from scheduler.core.effects import Accepted

DEPLOYMENT_HEADER = "Marathon-Deployment-Id"


def json_response(
    value: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Answer with ``value`` as JSON."""
    return Response(orjson.dumps(value), status, dict(headers or {}), "application/json")


def deployment_response(
    accepted: Accepted, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Answer a change with its version and deployment, in the body and in Marathon's header."""
    body = {"version": accepted.version, "deploymentId": accepted.deployment_id}
    return json_response(body, status, {**deployment_header(accepted), **(headers or {})})


def deployment_header(accepted: Accepted) -> dict[str, str]:
    """Name the deployment that a change began, as Marathon's header does."""
    if accepted.deployment_id is None:
        return {}
    return {DEPLOYMENT_HEADER: accepted.deployment_id}
