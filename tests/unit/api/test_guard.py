"""Clients that are slow on purpose, or too many, against the real server over raw sockets."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn

from scheduler.api.guard import HEADER_BYTES_MAX, Guard
from tests.support import eventually, free_ports

LATE = b"HTTP/1.1 408 "
PING = b"GET /ping HTTP/1.1\r\nHost: egret\r\n\r\n"


class Served:
    def __init__(self, port: int, guard: Guard, cuts: list[str]) -> None:
        self.port = port
        self.guard = guard
        self.cuts = cuts
        self.bodies: list[bytes] = []

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        """Read the body, then answer how long it was."""
        body, event = b"", {"more_body": True}
        while event.get("more_body"):
            event = await receive()
            if event["type"] == "http.disconnect":
                return
            body += event.get("body", b"")
        self.bodies.append(body)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        text = str(len(body)).encode()
        await send({"type": "http.response.body", "body": text})


@contextlib.asynccontextmanager
async def serving(**limits: Any) -> AsyncIterator[Served]:
    cuts: list[str] = []
    guard = Guard(on_cut=cuts.append, **limits)
    (port,) = free_ports(1)
    served = Served(port, guard, cuts)
    config = uvicorn.Config(
        served.app,
        interface="asgi3",
        port=port,
        lifespan="off",
        log_config=None,
        http=guard.protocol(),
        h11_max_incomplete_event_size=HEADER_BYTES_MAX,
        timeout_keep_alive=3600,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    await eventually(lambda: server.started, what="the server")
    try:
        yield served
    finally:
        server.should_exit = True
        await task


async def drip(writer: asyncio.StreamWriter, data: bytes) -> None:
    """Send a byte at a time for as long as somebody takes it."""
    with contextlib.suppress(ConnectionError):
        while not writer.is_closing():
            writer.write(data)
            await writer.drain()
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    "begin",
    [
        b"GET /ping HTTP/1.1\r\nX-Slow: ",
        b"POST / HTTP/1.1\r\nHost: egret\r\nContent-Length: 1000000\r\n\r\n",
    ],
    ids=["in its head", "in its body"],
)
async def test_a_request_that_drips_in_is_ended_though_it_never_pauses(begin: bytes):
    async with serving(receipt_timeout_s=0.5) as served:
        reader, writer = await served.connect()
        writer.write(begin)
        dripping = asyncio.create_task(drip(writer, b"x"))
        answer = b""
        with contextlib.suppress(ConnectionError):
            answer = await reader.read()
        assert answer.startswith(LATE)
        dripping.cancel()
        writer.close()
        assert served.cuts == ["late"]
        assert served.bodies == []
        await eventually(lambda: not served.guard.open, what="the connection to be forgotten")


async def test_a_client_that_goes_on_sending_gets_its_answer_all_the_same():
    """A connection closed under unread bytes is reset, and a reset takes the answer away."""
    loop = asyncio.get_running_loop()
    async with serving(receipt_timeout_s=0.5) as served:
        with socket.create_connection(("127.0.0.1", served.port)) as client:
            client.setblocking(False)
            await loop.sock_sendall(client, b"POST / HTTP/1.1\r\nContent-Length: 9999\r\n")
            await eventually(lambda: served.cuts, what="the time to be up")
            for _ in range(3):
                await loop.sock_sendall(client, b"X-More: and more\r\n")
                await asyncio.sleep(0.05)
            assert (await loop.sock_recv(client, 1000)).startswith(LATE)
        await eventually(lambda: not served.guard.open, what="the connection to be forgotten")
    assert served.cuts == ["late"]


async def test_a_client_that_never_stops_sending_is_let_go_after_its_answer():
    async with serving(receipt_timeout_s=0.2, linger_s=0.2) as served:
        _reader, writer = await served.connect()
        dripping = asyncio.create_task(drip(writer, PING[:1]))
        await eventually(lambda: served.cuts, what="the time to be up")
        await eventually(lambda: not served.guard.open, what="the connection to be forgotten")
        dripping.cancel()
        writer.close()


async def test_a_connection_that_says_nothing_is_ended_without_an_answer():
    async with serving(receipt_timeout_s=0.2) as served:
        reader, writer = await served.connect()
        assert await reader.read() == b""
        writer.close()
        assert served.cuts == ["late"]


async def test_a_request_that_is_whole_is_answered_however_long_the_connection_stays():
    """The time is that of one request: a kept connection and a long answer go on."""
    async with serving(receipt_timeout_s=1.0) as served:
        reader, writer = await served.connect()
        for _ in range(2):
            writer.write(PING)
            assert await reader.readuntil(b"\r\n0\r\n\r\n")
            await asyncio.sleep(1.2)
        writer.write(PING[:10])
        assert (await reader.read()).startswith(LATE)
        writer.close()
        assert served.cuts == ["late"]


async def test_pipelined_requests_are_all_answered():
    async with serving(receipt_timeout_s=1.0) as served:
        reader, writer = await served.connect()
        writer.write(PING * 3)
        for _ in range(3):
            assert await reader.readuntil(b"\r\n0\r\n\r\n")
        await asyncio.sleep(1.2)
        writer.close()
        await eventually(lambda: not served.guard.open, what="the connection to be forgotten")
        assert served.cuts == []


async def test_one_address_has_no_more_than_its_share():
    async with serving(per_address_max=3, spares_this_machine=False) as served:
        kept = [await served.connect() for _ in range(3)]
        await eventually(lambda: served.guard.open["127.0.0.1"] == 3, what="three connections")
        reader, writer = await served.connect()
        assert (await reader.read()).startswith(b"HTTP/1.1 503 ")
        writer.close()
        assert served.cuts == ["crowd"]
        kept[0][1].close()
        await eventually(lambda: served.guard.open["127.0.0.1"] == 2, what="room for one")
        reader, writer = await served.connect()
        writer.write(PING)
        assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
        for _, one in [*kept, (reader, writer)]:
            one.close()


async def test_this_machine_is_spared():
    async with serving(per_address_max=1) as served:
        kept = [await served.connect() for _ in range(3)]
        for reader, writer in kept:
            writer.write(PING)
            assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
            writer.close()
        assert served.cuts == []


async def test_a_head_without_end_is_refused():
    async with serving() as served:
        reader, writer = await served.connect()
        writer.write(b"GET / HTTP/1.1\r\nX-Long: " + b"x" * (HEADER_BYTES_MAX + 1))
        assert (await reader.readline()).startswith(b"HTTP/1.1 4")
        writer.close()
