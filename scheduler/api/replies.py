"""Build responses: JSON bytes, and what a change that began a deployment answers."""

import asyncio
from collections.abc import Mapping
from typing import Any

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from scheduler.core.effects import Accepted

_PIECE_BYTES = 128 * 1024
DEPLOYMENT_HEADER = "Marathon-Deployment-Id"


def json_response(
    value: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Answer with ``value`` as JSON."""
    return encoded_response(orjson.dumps(value), status, headers)


def encoded_response(
    body: bytes, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Answer with JSON that is encoded already."""
    kind = _InPieces if len(body) > _PIECE_BYTES else Response
    return kind(body, status, dict(headers or {}), "application/json")


class _InPieces(Response):
    """A large body, handed to the connection piece by piece.

    Megabytes at once would keep the loop from scheduling while the kernel copies them; between
    two pieces it goes on.
    """

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        status, headers = self.status_code, self.raw_headers
        await send({"type": "http.response.start", "status": status, "headers": headers})
        body = memoryview(self.body)
        for begin in range(0, len(body), _PIECE_BYTES):
            piece = bytes(body[begin : begin + _PIECE_BYTES])
            more = begin + _PIECE_BYTES < len(body)
            await send({"type": "http.response.body", "body": piece, "more_body": more})
            await asyncio.sleep(0)


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
