"""Refuse what is too large or comes from another site, before anything of it is read."""

import asyncio
import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from scheduler.api.errors import ApiError, to_response

_DRAINED_BYTES_MAX = 256 * 1024 * 1024
_DRAINED_S_MAX = 10.0
"""How much of a body that is too large is still taken, and for how long."""
_WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})


class BodyLimit:
    """Answer 413 to bodies over the limit, by their declared length or as soon as they exceed it.

    Whole groups and the PUT of many apps have a larger limit: 5,000 real apps are about 42 MB.
    The rest is read away first, within bounds: many clients read nothing before they have sent all,
    and a connection closed on what they still send would take the answer with it.
    """

    def __init__(self, app: ASGIApp, body_max: int, large_body_max: int) -> None:
        self._app = app
        self._body_max = body_max
        self._large_body_max = large_body_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._large_body_max if _is_large(scope) else self._body_max
        declared = _header(scope, b"content-length")
        if declared is not None and (not declared.isdigit() or int(declared) > limit):
            if declared.isdigit() and int(declared) <= _DRAINED_BYTES_MAX and not _waits(scope):
                await _drain(receive)
            await to_response(_too_large(limit))(scope, receive, send)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                if message.get("more_body", False):
                    await _drain(receive)
                raise _too_large(limit)
            return message

        await self._app(scope, counted, send)


def _waits(scope: Scope) -> bool:
    """Whether the client sends no body before it is asked to."""
    return (_header(scope, b"expect") or "").lower() == "100-continue"


async def _drain(receive: Receive) -> None:
    drained = 0
    try:
        async with asyncio.timeout(_DRAINED_S_MAX):
            while drained < _DRAINED_BYTES_MAX:
                message = await receive()
                drained += len(message.get("body", b""))
                if not message.get("more_body", False):
                    return
    except TimeoutError:
        return


def _is_large(scope: Scope) -> bool:
    path, method = scope["path"].rstrip("/"), scope["method"]
    if method == "PUT" and path == "/v2/apps":
        return True
    return method in {"PUT", "POST"} and (path + "/").startswith("/v2/groups/")


def _too_large(limit: int) -> ApiError:
    return ApiError(413, f"The body is larger than {limit} bytes", headers={"Connection": "close"})


class KnownHosts:
    """Refuse requests for a name that is not ours, when nobody has to authenticate.

    A web page may let its own name mean this machine (DNS rebinding); to the browser what it then
    reads and writes here is of the page's own site, and only the name gives it away. What names no
    host at all is no browser.
    """

    def __init__(self, app: ASGIApp, names: frozenset[str] | None) -> None:
        self._app = app
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        host = _header(scope, b"host") if scope["type"] == "http" else None
        if host is None or self._names is None or _is_known(host, self._names):
            await self._app(scope, receive, send)
            return
        await to_response(
            ApiError(
                403,
                f"This scheduler does not go by the name {host!r}: give it that name with"
                " --hostname or --webui-url, or --insecure to let it take any",
            )
        )(scope, receive, send)


def _is_known(host: str, names: frozenset[str]) -> bool:
    """Compare without the port: it differs behind a proxy or a tunnel."""
    try:
        name = (urlsplit(f"//{host}").hostname or "").removesuffix(".")
    except ValueError:
        return False
    if name in names or name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


class SameSite:
    """Refuse writes that a page of another site makes a browser send."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] in _WRITES:
            origin = _header(scope, b"origin")
            if origin is not None and not _is_same(origin, _header(scope, b"host")):
                refusal = to_response(ApiError(403, "Requests from other sites are refused"))
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _is_same(origin: str, host: str | None) -> bool:
    try:
        return urlsplit(origin).netloc.lower() == (host or "").lower()
    except ValueError:
        return False


class CommonHeaders:
    """Add what Marathon says with every answer: no caching, who leads, no framing."""

    def __init__(self, app: ASGIApp, headers: Mapping[str, str]) -> None:
        self._app = app
        self._headers = [
            (name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    *(header for header in self._headers if header[0] not in given),
                ]
            await send(message)

        await self._app(scope, receive, with_headers)


class PlainPaths:
    """Take ``/v2/apps/`` for ``/v2/apps``: discovery consumers depend on either."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and len(scope["path"]) > 1:
            scope = {**scope, "path": scope["path"].rstrip("/") or "/"}
        await self._app(scope, receive, send)


def _header(scope: Scope, wanted: bytes) -> str | None:
    for name, value in scope["headers"]:
        if name == wanted:
            return value.decode("latin-1")
    return None
