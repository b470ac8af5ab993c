"""The API behind the real server: what only real connections can show."""

import asyncio
import json
from urllib.parse import urlsplit

import httpx2
import pytest
import uvicorn

from tests.support import eventually, free_ports


@pytest.fixture
async def base(egret):
    (port,) = free_ports(1)
    config = uvicorn.Config(
        egret.app, host="127.0.0.1", port=port, lifespan="off", log_config=None, access_log=False
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    await eventually(lambda: server.started, what="the server")
    yield f"http://127.0.0.1:{port}"
    egret.app.state.api.hub.close()
    server.should_exit = True
    await serving


async def test_a_client_follows_an_app_over_the_wire(egret, base):
    url = f"{base}/v2/events?event_type=deployment_info"
    async with httpx2.AsyncClient() as http, http.stream("GET", url) as stream:
        assert stream.headers["content-type"] == "text/event-stream;charset=UTF-8"
        assert "content-encoding" not in stream.headers
        lines = stream.aiter_lines()
        assert await anext(lines) == ""
        await egret.deploy("/a")
        data = await anext(line async for line in lines if line.startswith("data: "))
    plan = json.loads(data.removeprefix("data: "))["plan"]
    assert plan["steps"][0]["actions"] == [{"action": "StartApplication", "app": "/a"}]


async def test_a_client_that_hangs_up_is_forgotten(egret, base):
    hub = egret.app.state.api.hub
    async with httpx2.AsyncClient() as http, http.stream("GET", f"{base}/v2/events") as stream:
        await anext(stream.aiter_lines())
        assert hub.clients == 1
    await eventually(lambda: hub.clients == 0, what="the client to be forgotten")


@pytest.mark.parametrize("is_chunked", [False, True])
async def test_who_sends_too_much_and_then_reads_is_told_so(egret, base, is_chunked):
    """Closed on while it sends, it would see the connection reset and not the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(base).port)
    part, parts = b" " * 65_536, 480
    length = "Transfer-Encoding: chunked" if is_chunked else f"Content-Length: {len(part) * parts}"
    head = f"POST /v2/apps HTTP/1.1\r\nHost: egret\r\nConnection: close\r\n{length}\r\n\r\n"
    writer.write(head.encode())
    for _ in range(parts):
        writer.write(b"%x\r\n%s\r\n" % (len(part), part) if is_chunked else part)
        await writer.drain()
    if is_chunked:
        writer.write(b"0\r\n\r\n")
    assert (await reader.read()).startswith(b"HTTP/1.1 413 ")
    writer.close()


async def test_who_asks_first_is_told_before_it_sends(egret, base):
    reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(base).port)
    writer.write(
        b"POST /v2/apps HTTP/1.1\r\nHost: egret\r\n"
        b"Content-Length: 100000000\r\nExpect: 100-continue\r\n\r\n"
    )
    assert (await reader.read()).startswith(b"HTTP/1.1 413 ")
    writer.close()


async def test_a_large_body_is_read_and_a_larger_one_is_not(egret, base):
    apps = [
        {"id": f"/many/app-{n}", "cmd": "x", "instances": 0, "labels": {"pad": "x" * 2_000}}
        for n in range(1_200)
    ]
    async with httpx2.AsyncClient(timeout=60) as http:
        answer = await http.put(f"{base}/v2/apps", json=apps)
        assert answer.status_code == 200
        shown = await http.get(f"{base}/v2/groups/many")
        assert len(shown.json()["apps"]) == 1_200
        answer = await http.post(f"{base}/v2/apps", json=apps)
        assert answer.status_code == 413
