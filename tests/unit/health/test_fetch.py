"""One whole answer from servers that behave and servers that do not; all local, no fakes."""

import asyncio
import contextlib
from contextlib import asynccontextmanager
from typing import Any

import pytest
from attrs import evolve

from scheduler.health.fetch import BODY_BYTES_MAX, Request, Response, fetch
from tests.support import free_ports


@asynccontextmanager
async def serving(answer: bytes, *, holds: bool = False):
    """Answer every request with these bytes; with ``holds`` the connection then stays open."""
    asked: list[bytes] = []
    left = asyncio.Event()

    async def handle(reader: Any, writer: Any) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            asked.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(answer)
            await writer.drain()
            if holds:
                await reader.read()
        writer.close()
        left.set()

    listener = await asyncio.start_server(handle, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    try:
        yield Request("127.0.0.1", port, "/ready", is_https=False, timeout_s=20), asked
    finally:
        listener.close()
        if asked:
            await left.wait()


async def test_status_type_and_body_are_returned_and_the_request_is_plain():
    answer = (
        b"HTTP/1.1 503 Busy\r\nContent-Type: text/plain; charset=utf-8\r\n"
        b"Content-Length: 9\r\n\r\nw\xc3\xa4rmt au"
    )
    async with serving(answer) as (request, asked):
        assert await fetch(request) == Response(503, "text/plain; charset=utf-8", "wärmt au")
    head = asked[0].decode()
    assert head.startswith("GET /ready HTTP/1.1\r\n")
    assert f"\r\nHost: 127.0.0.1:{request.port}\r\n" in head


@pytest.mark.parametrize(
    "rest",
    [b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", b"\r\nhello"],
    ids=["chunked", "until it is closed"],
)
async def test_a_body_ends_where_http_says_it_does(rest: bytes):
    async with serving(b"HTTP/1.1 200 OK\r\n" + rest) as (request, _):
        assert await fetch(request) == Response(200, "", "hello")


async def test_an_answer_without_a_close_is_taken_as_soon_as_it_is_whole():
    answer = b"HTTP/1.1 204 No Content\r\n\r\n"
    async with serving(answer, holds=True) as (request, _):
        assert (await fetch(evolve(request, timeout_s=3600))).status == 204


async def test_a_long_body_is_cut_off_and_no_more_of_it_is_read():
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n" + b"x" * 1_000_000
    async with serving(answer, holds=True) as (request, _):
        response = await fetch(evolve(request, timeout_s=3600))
    assert response.body == "x" * BODY_BYTES_MAX


async def test_a_body_that_breaks_off_leaves_the_status_standing():
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"
    async with serving(answer) as (request, _):
        assert await fetch(request) == Response(200, "", "half")
    async with serving(answer, holds=True) as (request, _):
        assert await fetch(evolve(request, timeout_s=0.3)) == Response(200, "", "half")


@pytest.mark.parametrize(
    ("answer", "holds", "says"),
    [
        (b"SSH-2.0-OpenSSH\r\n\r\n", False, "no HTTP answer\n"),
        (b"", False, "no HTTP answer\n"),
        (b"", True, "no answer within 0.2 s\n"),
    ],
)
async def test_without_a_status_the_answer_is_a_gateway_timeout(
    answer: bytes, holds: bool, says: str
):
    async with serving(answer, holds=holds) as (request, _):
        response = await fetch(evolve(request, timeout_s=0.2 if holds else 20))
    assert response == Response(504, "text/plain", says)


async def test_nobody_at_the_port_is_a_gateway_timeout_too():
    (port,) = free_ports(1)
    request = Request("127.0.0.1", port, "/", is_https=False, timeout_s=20)
    assert await fetch(request) == Response(504, "text/plain", "connection refused\n")
    assert (await fetch(evolve(request, address="no such host"))).status == 504
