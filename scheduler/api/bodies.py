"""Read what a request brings: its JSON body, its flags, the fields that nobody reads."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import structlog
from starlette.requests import Request

from scheduler.api.errors import ApiError
from scheduler.spec import InvalidInput, Problem, parse_json

_log = structlog.get_logger("api")

T = TypeVar("T")

IGNORED_HEADER = "X-Egret-Ignored-Fields"
_OFF_LOOP_BYTES = 128 * 1024
"""Larger bodies are decoded in a thread, so that the loop goes on scheduling."""
_SHOWN_FIELDS_MAX = 50
_FORM_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data", "text/plain")


async def read_json(request: Request) -> Any:
    """Return the body's value.

    A body that calls itself a form is refused: a browser sends those to any site without asking
    (cross-site request forgery). No content type at all is fine, as for Marathon.
    """
    body = await read_body(request)
    return await off_loop(len(body), lambda: parse_json(body))


async def read_body(request: Request) -> bytes:
    """Return the body's bytes, unless their declared type is a form's."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind in _FORM_TYPES:
        raise ApiError(415, "Unsupported Media Type: send application/json")
    return await request.body()


async def off_loop(size: int, work: Callable[[], T]) -> T:
    """Do ``work`` here if it is about few bytes, else in a thread."""
    return work() if size < _OFF_LOOP_BYTES else await asyncio.to_thread(work)


def flag(request: Request, name: str, *, default: bool = False) -> bool:
    """Read a boolean parameter as Marathon does: true is true, anything else is false."""
    value = request.query_params.get(name)
    return default if value is None else value.lower() == "true"


def own_flag(request: Request, name: str) -> bool:
    """Read a boolean parameter of our own: what is a slip must not look like false.

    Raises:
        ApiError: 400, it is neither true nor false.
    """
    value = request.query_params.get(name, "false").lower()
    if value not in {"true", "false"}:
        raise ApiError(400, f"{name} must be true or false, not '{value[:64]}'")
    return value == "true"


def report_ignored(request: Request, ignored: Iterable[str]) -> dict[str, str]:
    """Say which fields were ignored, as response headers and in the log.

    Raises:
        InvalidInput: there are any, and the caller asked for ``strict=true``.
    """
    paths = list(ignored)
    if not paths:
        return {}
    if flag(request, "strict"):
        raise InvalidInput(Problem(path, "is no field that Egret knows") for path in paths)
    _log.warning("fields_ignored", path=request.url.path, fields=paths[:_SHOWN_FIELDS_MAX])
    shown = ", ".join(_header_safe(path) for path in paths[:_SHOWN_FIELDS_MAX])
    return {IGNORED_HEADER: shown}


def _header_safe(text: str) -> str:
    kept = "".join(char if " " < char < "\x7f" and char != "," else "?" for char in text)
    return kept[:200]
