"""A master that misbehaves on request: raw HTTP over asyncio, one script per connection.

Each test says what the next SUBSCRIBE meets (a coroutine that owns the connection) and how calls
are answered; what came in is kept for the test to look at.
"""

import asyncio
import contextlib
import json
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

from scheduler.mesos.endpoint import Endpoint

STREAM_ID = "7d4e0b2e-0000-0000-0000-000000000001"
FRAMEWORK_ID = "fw-1"


class Request:
    def __init__(self, start: str, headers: dict[str, str], body: bytes) -> None:
        self.start = start
        self.headers = headers
        self.raw = body
        self.body: dict[str, Any] = json.loads(body)

    @property
    def type(self) -> str:
        return self.body["type"]


class Peer:
    """One connection, seen from the master."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def read_request(self) -> Request | None:
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        start, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        body = await self.reader.readexactly(int(headers["content-length"]))
        return Request(start, headers, body)

    async def write(self, data: bytes) -> None:
        self.writer.write(data)
        with contextlib.suppress(ConnectionError):
            await self.writer.drain()

    async def reply(self, status: int, body: bytes = b"", *extra: str) -> None:
        lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}", *extra]
        await self.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    async def open_stream(self, stream_id: str = STREAM_ID) -> None:
        await self.write(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: application/json\r\n"
            b"Mesos-Stream-Id: " + stream_id.encode() + b"\r\n\r\n"
        )

    async def event(self, event: dict[str, Any] | bytes) -> None:
        await self.write(chunk(record(event)))

    async def subscribed(self, heartbeat_s: float = 15.0, framework_id: str = FRAMEWORK_ID) -> None:
        await self.event(subscribed(heartbeat_s, framework_id))

    async def hold(self) -> None:
        """Say nothing more until the other side leaves."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(65536):
                pass

    def abort(self) -> None:
        self.writer.transport.abort()


def record(event: dict[str, Any] | bytes) -> bytes:
    data = event if isinstance(event, bytes) else json.dumps(event).encode()
    return b"%d\n%s" % (len(data), data)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def subscribed(heartbeat_s: float = 15.0, framework_id: str = FRAMEWORK_ID) -> dict[str, Any]:
    return {
        "type": "SUBSCRIBED",
        "subscribed": {
            "framework_id": {"value": framework_id},
            "heartbeat_interval_seconds": heartbeat_s,
            "master_info": {"hostname": "master.test", "port": 5050, "version": "1.12.0-rc1"},
        },
    }


Script = Callable[[Peer, Request], Awaitable[None]]


async def subscribe_and_hold(peer: Peer, request: Request) -> None:
    await peer.open_stream()
    await peer.subscribed()
    await peer.hold()


class FakeMaster:
    """Listens on loopback. ``scripts`` are used up one per SUBSCRIBE; then ``default`` serves."""

    def __init__(self, *scripts: Script, default: Script = subscribe_and_hold) -> None:
        self.scripts = list(scripts)
        self.default = default
        self.on_call: Callable[[Peer, Request], Awaitable[None]] = self.accept_call
        self.subscribes: list[Request] = []
        self.calls: list[Request] = []
        self.call_connections = 0
        self.arrived = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @staticmethod
    async def accept_call(peer: Peer, request: Request) -> None:
        await peer.reply(200 if request.type == "UPDATE_FRAMEWORK" else 202)

    async def start(self, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> Endpoint:
        self._server = await asyncio.start_server(self._accept, host, 0, ssl=tls)
        port = self._server.sockets[0].getsockname()[1]
        return Endpoint("https" if tls else "http", host, port)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._serve(Peer(reader, writer))
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _serve(self, peer: Peer) -> None:
        first = True
        while (request := await peer.read_request()) is not None:
            if request.type == "SUBSCRIBE":
                script = self.scripts.pop(0) if self.scripts else self.default
                await self._note(self.subscribes, request)
                await script(peer, request)
                return
            self.call_connections += first
            first = False
            await self._note(self.calls, request)
            await self.on_call(peer, request)

    async def _note(self, kept: list[Request], request: Request) -> None:
        async with self.arrived:
            kept.append(request)
            self.arrived.notify_all()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(20), self.arrived:
            await self.arrived.wait_for(condition)
