import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from scheduler.local.httpserver import (
    Dropped,
    HttpServer,
    Reply,
    Request,
    Response,
    Stream,
    text_response,
)


def _answer(request: Request) -> Reply | Awaitable[Reply]:
    if request.path == "/late":
        return _late()
    if request.path == "/bug":
        raise KeyError(request.path)
    if request.path == "/late-bug":
        return _late_bug()
    if request.path == "/drop":
        return Dropped
    if request.path == "/stream":
        stream = Stream({"Content-Type": "application/json"})
        stream.send(b"1\r\na\r\n")
        return stream
    return text_response(
        200, f"{request.method} {request.path} {request.query} {len(request.body)}"
    )


async def _late() -> Reply:
    await asyncio.sleep(0.1)
    return text_response(200, "late")


async def _late_bug() -> Reply:
    await asyncio.sleep(0)
    raise KeyError("late")


Talk = Callable[[bytes], Awaitable[bytes]]


@pytest.fixture
async def talk() -> AsyncIterator[Talk]:
    """Send bytes, end the sending side, return all that comes."""
    server = HttpServer(_answer)
    port = await server.start("127.0.0.1", 0)

    async def send(data: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(data)
        async with asyncio.timeout(10):
            received = b""
            while b"END" not in received:
                more = await reader.read(65536)
                if not more:
                    break
                received += more
        writer.close()
        return received

    yield send
    server.stop()


END = b"GET /END HTTP/1.1\r\n\r\n"


async def test_replies_come_in_the_order_of_the_requests_also_after_a_late_one(talk: Talk) -> None:
    received = await talk(
        b"GET /one HTTP/1.1\r\n\r\nGET /late HTTP/1.1\r\n\r\nGET /two HTTP/1.1\r\n\r\n" + END
    )
    places = [received.index(word) for word in (b"/one", b"late", b"/two", b"/END")]
    assert places == sorted(places)
    assert received.count(b"HTTP/1.1 200 OK") == 4


async def test_a_body_may_come_with_a_length_or_in_chunks(talk: Talk) -> None:
    chunked = b"4\r\nabcd\r\n3;x=y\r\nefg\r\n0\r\n\r\n"
    received = await talk(
        b"POST /a?x=1 HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello"
        b"POST /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked + END
    )
    assert b"POST /a {'x': '1'} 5" in received
    assert b"POST /b {} 7" in received


async def test_a_client_that_asks_before_sending_is_told_to_go_on(talk: Talk) -> None:
    received = await talk(
        b"POST /a HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi" + END
    )
    assert received.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200")


@pytest.mark.parametrize(
    "data",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n",
        b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"x" * 70_000,
    ],
)
async def test_what_is_not_http_gets_a_400_and_the_end(talk: Talk, data: bytes) -> None:
    received = await talk(data)
    assert received.startswith(b"HTTP/1.1 400 ")


async def test_connection_close_is_honoured(talk: Talk) -> None:
    received = await talk(b"GET /one HTTP/1.1\r\nConnection: close\r\n\r\n" + END)
    assert b"/one" in received
    assert b"/END" not in received


async def test_a_bug_in_one_request_is_a_500_and_the_connection_goes_on(talk: Talk) -> None:
    received = await talk(b"GET /bug HTTP/1.1\r\n\r\nGET /late-bug HTTP/1.1\r\n\r\n" + END)
    assert received.count(b"HTTP/1.1 500") == 2
    assert b"/END" in received


async def test_a_dropped_request_ends_the_connection_without_a_word(talk: Talk) -> None:
    received = b""
    with contextlib.suppress(ConnectionResetError):  # A reset is as good an end as any.
        received = await talk(b"GET /drop HTTP/1.1\r\n\r\n" + END)
    assert received == b""


async def test_a_stream_keeps_what_was_sent_before_it_was_attached() -> None:
    streams: list[Stream] = []
    closed: list[Stream] = []

    def serve(request: Request) -> Reply:
        stream = Stream({}, on_close=closed.append)
        stream.send(b"1\r\na\r\n")
        streams.append(stream)
        return stream

    server = HttpServer(serve)
    port = await server.start("127.0.0.1", 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    assert b"chunked" in await reader.readuntil(b"\r\n\r\n")
    assert await reader.readexactly(6) == b"1\r\na\r\n"
    streams[0].send(b"1\r\nb\r\n")
    assert await reader.readexactly(6) == b"1\r\nb\r\n"
    writer.close()
    async with asyncio.timeout(10):
        while not closed:
            await asyncio.sleep(0.01)
    assert closed == streams
    assert not streams[0].is_open
    server.stop()


async def test_closing_a_stream_ends_the_body_properly_and_is_no_loss() -> None:
    closed: list[Stream] = []

    def serve(request: Request) -> Reply:
        stream = Stream({}, on_close=closed.append)
        stream.close()
        return stream

    server = HttpServer(serve)
    port = await server.start("127.0.0.1", 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    async with asyncio.timeout(10):
        assert (await reader.read()).endswith(b"\r\n\r\n0\r\n\r\n")
    assert closed == []
    writer.close()
    server.stop()


def test_an_empty_response_has_no_content_type() -> None:
    assert Response(202).headers == {}
