"""Get one HTTP answer whole: status, type and the beginning of its body.

Health checks need the status line alone (``probe``); this is for readiness checks, whose answers
are shown. One absolute deadline covers name, connection, handshake and answer.
"""

import asyncio
from importlib import metadata

import h11
from attrs import frozen

from scheduler.health.probe import NO_TARGET, cause_of, host_header, lenient_tls, request_target

BODY_BYTES_MAX = 16_384
_READ_BYTES = 16_384
_GATEWAY_TIMEOUT = 504
_USER_AGENT = f"Egret/{metadata.version('egret')}"


@frozen
class Request:
    """Where to ask, and for how long at most."""

    address: str
    port: int
    path: str
    is_https: bool
    timeout_s: float


@frozen
class Response:
    """An answer; a body longer than 16 KiB is cut off."""

    status: int
    content_type: str
    body: str


class _Partial:
    """What has come of an answer so far."""

    def __init__(self) -> None:
        self.head: h11.Response | None = None
        self.body = bytearray()

    def response(self, head: h11.Response) -> Response:
        types = [value for name, value in head.headers if name == b"content-type"]
        return Response(
            head.status_code,
            types[0].decode("latin-1") if types else "",
            bytes(self.body[:BODY_BYTES_MAX]).decode("utf-8", "replace"),
        )


async def fetch(request: Request) -> Response:
    """Ask once. Takes at most the request's timeout; never raises but for cancellation.

    Where no status comes, the answer is a 504 of our own that says why, as in Marathon. One whose
    body breaks off counts by its status.
    """
    partial = _Partial()
    problem = "no HTTP answer"
    try:
        async with asyncio.timeout(request.timeout_s):
            await _exchange(request, partial)
    except TimeoutError:
        problem = f"no answer within {request.timeout_s:g} s"
    except h11.ProtocolError:
        pass
    except (OSError, *NO_TARGET) as error:
        problem = cause_of(error)
    if partial.head is not None:
        return partial.response(partial.head)
    return Response(_GATEWAY_TIMEOUT, "text/plain", f"{problem}\n")


async def _exchange(request: Request, partial: _Partial) -> None:
    reader, writer = await asyncio.open_connection(
        request.address, request.port, ssl=lenient_tls() if request.is_https else None
    )
    try:
        connection = h11.Connection(h11.CLIENT)
        writer.write(_bytes_of(connection, request))
        while len(partial.body) < BODY_BYTES_MAX:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                connection.receive_data(await reader.read(_READ_BYTES))
            elif isinstance(event, h11.Response):
                partial.head = event
            elif isinstance(event, h11.Data):
                partial.body += event.data
            elif not isinstance(event, h11.InformationalResponse):
                return
    finally:
        writer.transport.abort()


def _bytes_of(connection: h11.Connection, request: Request) -> bytes:
    headers = [
        ("Host", host_header(request.address, request.port)),
        ("User-Agent", _USER_AGENT),
        ("Accept", "*/*"),
        ("Connection", "close"),
    ]
    head = h11.Request(method="GET", target=request_target(request.path), headers=headers)
    return (connection.send(head) or b"") + (connection.send(h11.EndOfMessage()) or b"")
