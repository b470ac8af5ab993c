"""One probe against servers that behave and servers that do not; all local, no fakes."""

import asyncio
import contextlib
import errno
import ssl
import subprocess
from contextlib import asynccontextmanager
from typing import Any

import pytest
from attrs import evolve

from scheduler.core.app import HealthProtocol
from scheduler.core.instance import CheckResult
from scheduler.health.fetch import Request, fetch
from scheduler.health.probe import judge_status_line, probe, request_bytes
from scheduler.health.target import ProbeCheck
from scheduler.health.verdict import Answer

CHECK = ProbeCheck(
    index=0,
    address="127.0.0.1",
    port=0,
    protocol=HealthProtocol.HTTP,
    path="/health",
    grace_ms=0,
    interval_ms=1_000,
    timeout_ms=20_000,
    max_consecutive_failures=3,
    ignore_http_1xx=False,
    result=CheckResult(),
)


class Server:
    def __init__(self):
        self.requests: list[bytes] = []
        self.check = CHECK
        self.lost = asyncio.Event()


@asynccontextmanager
async def serving(answer: Any, *, tls: ssl.SSLContext | None = None):
    """Serve ``answer``: bytes to send, or a coroutine function that gets reader and writer."""
    server = Server()

    async def handle(reader, writer):
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            server.requests.append(await reader.readuntil(b"\r\n\r\n"))
            if isinstance(answer, bytes):
                writer.write(answer)
                await writer.drain()
            else:
                await answer(reader, writer)
        writer.close()
        server.lost.set()

    listener = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=tls)
    server.check = evolve(CHECK, port=listener.sockets[0].getsockname()[1])
    try:
        yield server
    finally:
        listener.close()


async def probed(check):
    return await probe(check, user_agent="Egret/test")


@pytest.mark.parametrize(
    ("status", "answer"),
    [(200, "alive"), (204, "alive"), (301, "alive"), (399, "alive"), (400, "dead"), (500, "dead")],
)
async def test_a_status_from_200_to_399_is_alive(status, answer):
    async with serving(b"HTTP/1.1 %d Any\r\nContent-Length: 0\r\n\r\n" % status) as server:
        outcome = await probed(server.check)
    assert outcome.answer == answer
    assert outcome.cause == ("" if answer == "alive" else f"HTTP status {status}")


async def test_a_redirect_is_not_followed():
    async with serving(b"HTTP/1.1 302 Found\r\nLocation: /other\r\n\r\n") as server:
        await probed(server.check)
        assert len(server.requests) == 1


async def test_the_request_names_host_agent_and_path():
    async with serving(b"HTTP/1.0 200 OK\r\n\r\n") as server:
        await probed(server.check)
    (request,) = server.requests
    lines = request.decode().split("\r\n")
    assert lines[0] == "GET /health HTTP/1.1"
    assert f"Host: 127.0.0.1:{server.check.port}" in lines
    assert "User-Agent: Egret/test" in lines
    assert "Connection: close" in lines


def test_a_path_can_not_forge_a_header():
    check = evolve(CHECK, path="x y\r\nEvil: 1?q=%20a")
    request = request_bytes(check, user_agent="Egret").decode()
    assert request.startswith("GET /x%20y%0D%0AEvil:%201?q=%20a HTTP/1.1\r\n")


def test_an_ipv6_address_stands_in_brackets():
    request = request_bytes(evolve(CHECK, address="::1", port=80), user_agent="Egret")
    assert b"\r\nHost: [::1]:80\r\n" in request


@pytest.mark.parametrize(("ignored", "answer"), [(True, Answer.IGNORED), (False, Answer.DEAD)])
async def test_an_informational_status_is_ignored_only_when_asked(ignored, answer):
    async with serving(b"HTTP/1.1 102 Processing\r\n\r\n") as server:
        outcome = await probed(evolve(server.check, ignore_http_1xx=ignored))
    assert outcome.answer is answer


async def test_a_server_that_never_answers_is_dead_at_the_deadline():
    async with serving(lambda reader, writer: reader.read()) as server:
        outcome = await probed(evolve(server.check, timeout_ms=50))
    assert outcome.answer is Answer.DEAD
    assert outcome.cause == "no answer within 0.05 s"


async def test_a_server_that_trickles_gains_no_time():
    async def trickle(reader, writer):
        for byte in b"HTTP/1.1 200 OK and much more than fits into the time":
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.02)

    async with serving(trickle) as server:
        outcome = await probed(evolve(server.check, timeout_ms=100))
    assert outcome.answer is Answer.DEAD


async def test_a_connection_closed_without_an_answer_is_dead():
    async with serving(b"") as server:
        outcome = await probed(server.check)
    assert outcome.answer is Answer.DEAD
    assert outcome.cause == "connection closed without an answer"


async def test_an_answer_that_is_not_http_is_dead():
    async with serving(b"SSH-2.0-OpenSSH\r\n") as server:
        outcome = await probed(server.check)
    assert outcome.cause == "the answer is not HTTP"
    async with serving(b"x" * 100_000) as server:
        outcome = await probed(server.check)
    assert outcome.cause == "the answer is not HTTP"


async def test_an_endless_body_is_cut_off():
    async def endless(reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 65_536)
            await writer.drain()

    async with serving(endless) as server:
        outcome = await probed(server.check)
        assert outcome.answer is Answer.ALIVE
        async with asyncio.timeout(30):
            await server.lost.wait()


async def test_a_refused_connection_is_dead():
    async with serving(b"") as server:
        check = server.check
    for protocol in (HealthProtocol.HTTP, HealthProtocol.TCP):
        outcome = await probed(evolve(check, protocol=protocol))
        assert outcome.answer is Answer.DEAD
        assert outcome.cause == "connection refused"


async def test_an_unusable_host_name_is_dead():
    for host in ("no-such-host.invalid", "a" * 70 + ".invalid", "a..b"):
        outcome = await probed(evolve(CHECK, address=host, port=1, timeout_ms=5_000))
        assert outcome.answer is Answer.DEAD


@pytest.mark.parametrize(
    "protocol", [HealthProtocol.HTTP, HealthProtocol.HTTPS, HealthProtocol.TCP]
)
@pytest.mark.parametrize(
    ("address", "port", "path"),
    [
        ("", 80, "/"),
        (".", 80, "/"),
        (".host", 80, "/"),
        ("a" * 70, 80, "/"),
        ("10.0.0.1:31000", 80, "/"),
        ("http://host", 80, "/"),
        ("host\0", 80, "/"),
        ("127.0.0.1", 0, "/"),
        ("127.0.0.1", 65_536, "/"),
        ("127.0.0.1", -1, "/"),
        ("", 0, "/\ud800"),
    ],
)
async def test_a_target_that_is_none_is_dead(protocol, address, port, path):
    """Whatever an agent or a definition names: the prober goes on."""
    asked = HealthProtocol(protocol)
    check = evolve(CHECK, protocol=asked, address=address, port=port, path=path)
    outcome = await probe(check, user_agent="test")
    assert outcome.answer is Answer.DEAD
    assert outcome.cause
    is_https = asked is HealthProtocol.HTTPS
    answer = await fetch(Request(address, port, path, is_https=is_https, timeout_s=20.0))
    assert answer.status == 504
    assert answer.body.strip()


async def test_a_tcp_check_needs_no_more_than_a_connection():
    async with serving(b"") as server:
        outcome = await probed(evolve(server.check, protocol=HealthProtocol.TCP))
    assert outcome.answer is Answer.ALIVE


async def test_running_out_of_descriptors_is_our_fault_and_no_verdict(monkeypatch):
    async def exhausted(*_args, **_kwargs):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", exhausted)
    outcome = await probed(evolve(CHECK, port=1))
    assert outcome.answer is Answer.IGNORED


@pytest.fixture(scope="module")
def self_signed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        f"openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=elsewhere "
        f"-keyout {folder}/key.pem -out {folder}/cert.pem",
        shell=True,
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


async def test_https_takes_a_certificate_that_nobody_vouches_for(self_signed):
    async with serving(b"HTTP/1.1 200 OK\r\n\r\n", tls=self_signed) as server:
        outcome = await probed(evolve(server.check, protocol=HealthProtocol.HTTPS))
    assert outcome.answer is Answer.ALIVE


async def test_https_to_a_plain_server_is_dead():
    async with serving(b"HTTP/1.1 200 OK\r\n\r\n") as server:
        check = evolve(server.check, protocol=HealthProtocol.HTTPS, timeout_ms=500)
        outcome = await probed(check)
    assert outcome.answer is Answer.DEAD


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        (b"HTTP/1.1 200 OK", Answer.ALIVE),
        (b"HTTP/1.1 200", Answer.ALIVE),
        (b"HTTP/2 200", Answer.ALIVE),
        (b"HTTP/1.1 20", Answer.DEAD),
        (b"HTTP/1.1 abc", Answer.DEAD),
        (b"HTTP/1.1", Answer.DEAD),
        (b"", Answer.DEAD),
        (b"ICY 200 OK", Answer.DEAD),
        ("HTTP/1.1 ²00".encode(), Answer.DEAD),
    ],
)
def test_a_status_line_is_read_strictly(line, answer):
    assert judge_status_line(line, ignore_1xx=False).answer is answer
