"""Serve HTTP/1.1 with pipelining and endless event streams.

Schedulers write many calls on one connection without waiting and count on replies in order, and a
load test sends thousands of calls a second, each of which is a few bytes: a small hand-written
reader costs a tenth of a general one there. It understands exactly what Mesos clients send:
requests with ``Content-Length`` or chunked bodies, keep-alive, ``Expect: 100-continue``.
"""

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import TypeAlias, cast
from urllib.parse import parse_qsl, unquote, urlsplit

import orjson
import structlog
from attrs import define, field, frozen

log = structlog.get_logger("egret.local.httpserver")

HEAD_BYTES_MAX = 64 * 1024
BODY_BYTES_MAX = 256 * 1024 * 1024
"""One ACCEPT of ten thousand tasks is some ten MB; this only bounds a runaway client."""
STREAM_BUFFER_BYTES_MAX = 256 * 1024 * 1024
"""A stream whose reader is this far behind is cut, as an unread stream must not eat the memory."""


@frozen
class Request:
    """One request as received; header names are lower case."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


@frozen
class Response:
    """A reply with a complete body."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(factory=dict[str, str])


def text_response(status: int, text: str, **headers: str) -> Response:
    """Return a ``text/plain`` reply, the form of every Mesos error."""
    return Response(status, text.encode(), {"Content-Type": "text/plain; charset=utf-8", **headers})


def json_response(value: object, status: int = 200) -> Response:
    """Return a JSON reply."""
    return Response(status, orjson.dumps(value), {"Content-Type": "application/json"})


class Dropped:
    """The reply of a handler that wants the connection to die without a word."""


@define(eq=False)
class Stream:
    """A chunked reply that stays open; what is sent before it is attached waits for it."""

    headers: dict[str, str]
    on_close: Callable[["Stream"], None] | None = None
    is_open: bool = True
    _transport: asyncio.Transport | None = None
    _pending: list[bytes] = field(factory=list[bytes])

    def send(self, chunk: bytes) -> None:
        """Write one framed chunk; silently dropped on a stream that is closed."""
        if not self.is_open:
            return
        if self._transport is None:
            self._pending.append(chunk)
            return
        self._transport.write(chunk)
        if self._transport.get_write_buffer_size() > STREAM_BUFFER_BYTES_MAX:
            self.abort()

    def close(self) -> None:
        """End the body properly and close the connection; `on_close` is not called."""
        if not self.is_open:
            return
        self.is_open = False
        self.on_close = None
        if self._transport is None:
            self._pending.append(b"0\r\n\r\n")
        else:
            self._transport.write(b"0\r\n\r\n")
            self._transport.close()

    def abort(self) -> None:
        """Cut the connection at once; `on_close` is called as for a client that went away."""
        if self._transport is not None:
            self._transport.abort()
        self.lost()

    def attach(self, transport: asyncio.Transport) -> bytes:
        """Bind the stream to its connection and return what has waited for it."""
        self._transport = transport
        waiting, self._pending = b"".join(self._pending), []
        return waiting

    def lost(self) -> None:
        """Note that the connection is gone and tell the owner once."""
        was_open, self.is_open = self.is_open, False
        callback, self.on_close = self.on_close, None
        if was_open and callback is not None:
            callback(self)


Reply: TypeAlias = Response | Stream | type[Dropped]
Handler: TypeAlias = Callable[[Request], Reply | Awaitable[Reply]]


class _BadRequestError(Exception):
    """The bytes received are not a request that can be served."""


class _Connection(asyncio.Protocol):
    """One client: reads requests, answers them strictly in order."""

    def __init__(self, server: "HttpServer") -> None:
        self._server = server
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self._stream: Stream | None = None
        self._task: asyncio.Task[None] | None = None
        self._head: tuple[list[str], dict[str, str]] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._server.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 (asyncio calls it)
        self._server.connections.discard(self)
        if self._task is not None:
            self._task.cancel()
        if self._stream is not None:
            self._stream.lost()
        self._transport = None

    def abort(self) -> None:
        """Cut the connection without a reply."""
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._stream is not None:
            return  # Nothing may follow a request whose answer never ends.
        self._buffer += data
        if self._task is None:
            self._serve()

    def _serve(self) -> None:
        """Answer what is complete in the buffer; replies of one batch leave in one write."""
        out: list[bytes] = []
        while self._transport is not None and self._stream is None:
            try:
                request = self._next_request(out)
            except _BadRequestError as error:
                out.append(_encode(text_response(400, str(error), Connection="close")))
                self._flush(out)
                self._transport.close()
                return
            if request is None:
                break
            reply = self._answer(request)
            if isinstance(reply, Awaitable):
                self._flush(out)
                self._task = asyncio.ensure_future(self._finish(reply, request))
                return
            if not self._write(reply, request, out):
                return
        self._flush(out)

    def _answer(self, request: Request) -> Reply | Awaitable[Reply]:
        try:
            return self._server.handler(request)
        except Exception:  # A bug of ours in one request must not hang the client for ever.
            log.exception("request_failed", path=request.path)
            return text_response(500, "The embedded cluster failed; see its log")

    async def _finish(self, awaited: Awaitable[Reply], request: Request) -> None:
        try:
            reply = await awaited
        except Exception:  # As above.
            log.exception("request_failed", path=request.path)
            reply = text_response(500, "The embedded cluster failed; see its log")
        self._task = None
        out: list[bytes] = []
        if self._transport is not None and self._write(reply, request, out):
            self._flush(out)
            self._serve()

    def _write(self, reply: Reply, request: Request, out: list[bytes]) -> bool:
        """Append the reply to `out`; return whether the connection goes on."""
        assert self._transport is not None
        if isinstance(reply, Response):
            out.append(_encode(reply))
            if request.headers.get("connection", "").lower() == "close":
                self._flush(out)
                self._transport.close()
                return False
            return True
        if isinstance(reply, Stream):
            lines = [f"{name}: {value}\r\n" for name, value in reply.headers.items()]
            head = f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n{''.join(lines)}\r\n"
            out.append(head.encode() + reply.attach(self._transport))
            self._flush(out)
            if reply.is_open:
                self._stream = reply
            else:
                self._transport.close()
            return False
        self._flush(out)
        self._transport.abort()
        return False

    def _flush(self, out: list[bytes]) -> None:
        if out and self._transport is not None:
            self._transport.write(b"".join(out))
            out.clear()

    def _next_request(self, out: list[bytes]) -> Request | None:
        if self._head is None:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                if len(self._buffer) > HEAD_BYTES_MAX:
                    raise _BadRequestError("Request head is too long")
                return None
            self._head = _parse_head(bytes(self._buffer[:end]))
            del self._buffer[: end + 4]
            if self._head[1].get("expect", "").lower() == "100-continue":
                out.append(b"HTTP/1.1 100 Continue\r\n\r\n")
                self._flush(out)
        (method, target, _), headers = self._head
        body = self._take_body(headers)
        if body is None:
            return None
        self._head = None
        url = urlsplit(target)
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        return Request(method, unquote(url.path), query, headers, body)

    def _take_body(self, headers: dict[str, str]) -> bytes | None:
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return self._take_chunked()
        text = headers.get("content-length", "0")
        if not text.isdigit() or int(text) > BODY_BYTES_MAX:
            raise _BadRequestError("Bad Content-Length")
        length = int(text)
        if len(self._buffer) < length:
            return None
        body = bytes(self._buffer[:length])
        del self._buffer[:length]
        return body

    def _take_chunked(self) -> bytes | None:
        parts: list[bytes] = []
        at = 0
        while True:
            end = self._buffer.find(b"\r\n", at)
            if end < 0:
                return None
            try:
                size = int(bytes(self._buffer[at:end]).split(b";")[0], 16)
            except ValueError as error:
                raise _BadRequestError("Bad chunk") from error
            if len(self._buffer) < end + 2 + size + 2:
                return None
            parts.append(bytes(self._buffer[end + 2 : end + 2 + size]))
            at = end + 2 + size + 2
            if size == 0:
                del self._buffer[:at]
                return b"".join(parts)


def _parse_head(head: bytes) -> tuple[list[str], dict[str, str]]:
    lines = head.decode("latin-1").lstrip("\r\n").split("\r\n")
    first = lines[0].split(" ")
    if len(first) != 3 or not first[2].startswith("HTTP/1."):
        raise _BadRequestError("Bad request line")
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon:
            raise _BadRequestError("Bad header")
        headers[name.strip().lower()] = value.strip()
    return first, headers


def _encode(response: Response) -> bytes:
    status = HTTPStatus(response.status)
    lines = [f"{name}: {value}\r\n" for name, value in response.headers.items()]
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\n{''.join(lines)}"
        f"Content-Length: {len(response.body)}\r\n\r\n"
    )
    return head.encode() + response.body


class HttpServer:
    """A listening socket and its connections; `handler` answers every request."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.connections: set[_Connection] = set()
        self.port = 0
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen on host:port (0: a free one) and return the port.

        Raises:
            OSError: the port is taken.
        """
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Connection(self), host, port, backlog=1024, reuse_address=True
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self.port

    def stop(self) -> None:
        """Close the listening socket and cut every connection, as a process that dies does."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for connection in list(self.connections):
            connection.abort()

    def cut(self) -> None:
        """Cut every connection but go on listening."""
        for connection in list(self.connections):
            connection.abort()
