"""Whatever answers in Consul's place: it is an error of Consul, never the end of the scheduler."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from attrs import evolve

from scheduler.core.ids import Epoch, TaskId
from scheduler.discovery import Discovery, DiscoverySettings
from scheduler.discovery.agent import AgentRegistry
from scheduler.discovery.catalog import CatalogRegistry
from scheduler.discovery.client import ConsulAddress, ConsulRefusedError, ConsulUnavailableError
from scheduler.discovery.entry import META_OWNER, ServiceEntry
from scheduler.discovery.registry import Registry
from tests.support import eventually

OWNER = "framework"
ENTRY = ServiceEntry(
    id="web.1:http",
    task_id=TaskId("web.1"),
    name="web",
    address="10.0.0.1",
    port=31000,
    tags=(),
    meta=((META_OWNER, OWNER),),
    node="node",
    host="127.0.0.1",
)
DESIRED = {ENTRY.id: ENTRY}
ODD = [
    "",
    "null",
    "true",
    "5",
    '"x"',
    "[]",
    "{}",
    "[null]",
    "[5]",
    "[[]]",
    "[{}]",
    '[{"Node": 5, "ServiceID": []}]',
    '[{"Node": "n", "ServiceID": "s", "Status": "passing"}]',
    '{"Services": null}',
    '{"Services": []}',
    '{"Services": {"a": null}}',
    '{"Services": {"a": {"ID": 5}}}',
    '{"a": {"Meta": []}}',
    '{"Errors": 5}',
    "<html>welcome</html>",
    "[",
    "[" * 100_000,
    '{"a": {"ID": "a", "Service": "a", "Address": [], "Port": {}, "Tags": [{}], "Meta": {"x": 5}}}',
]


class Consul:
    """Answers every request with the same words, and counts them."""

    def __init__(self) -> None:
        self.body = b""
        self.status = 200
        self.requests = 0
        self.answers = 0
        self.hold = threading.Event()
        self.hold.set()
        consul = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                consul.requests += 1
                consul.hold.wait(30)
                consul.answers += 1
                self.send_response(consul.status)
                self.send_header("Content-Length", str(len(consul.body)))
                self.send_header("X-Consul-Index", "1")
                self.end_headers()
                self.wfile.write(consul.body)

            do_PUT = do_GET  # noqa: N815 - the names are the server's
            do_DELETE = do_GET  # noqa: N815

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's
                """Keep quiet: nobody reads it."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture
def consul() -> Iterator[Consul]:
    consul = Consul()
    thread = threading.Thread(target=consul.server.serve_forever, args=(0.01,))
    thread.start()
    yield consul
    consul.hold.set()
    consul.server.shutdown()
    consul.server.server_close()
    thread.join()


def registries(url: str) -> list[Registry]:
    address = ConsulAddress(url)
    return [
        CatalogRegistry(address, OWNER, Epoch(1)),
        AgentRegistry(address, OWNER, Epoch(1), agent_url=url),
    ]


@pytest.mark.parametrize("status", [200, 500])
@pytest.mark.parametrize("body", ODD)
def test_an_answer_that_makes_no_sense_is_an_error_of_consul(
    consul: Consul, body: str, status: int
) -> None:
    consul.body, consul.status = body.encode(), status
    for registry in registries(consul.url):
        calls: list[Callable[[], object]] = [
            registry.take_over,
            lambda registry=registry: registry.read(DESIRED),
            lambda registry=registry: registry.is_foreign("web"),
            lambda registry=registry: registry.put([ENTRY]),
            lambda registry=registry: registry.delete([ENTRY]),
            lambda registry=registry: registry.tidy({}),
        ]
        for call in calls:
            with suppress(ConsulUnavailableError, ConsulRefusedError):
                call()


def test_what_follows_the_request_under_way_is_not_sent_once_the_term_is_over(
    consul: Consul,
) -> None:
    """However slow Consul is, and however many nodes there are to ask for."""
    consul.body = b"[]"
    for registry in registries(consul.url):
        consul.hold.clear()
        consul.requests = 0
        failures: list[Exception] = []

        def read(registry: Registry = registry, failures: list[Exception] = failures) -> None:
            try:
                registry.read(DESIRED)
            except ConsulUnavailableError as error:
                failures.append(error)

        thread = threading.Thread(target=read)
        thread.start()
        while consul.requests == 0:
            threading.Event().wait(0.001)
        registry.stop()
        consul.hold.set()
        thread.join()
        assert consul.requests == 1
        if isinstance(registry, CatalogRegistry):
            assert "the term is over" in str(failures[0])


def test_an_error_says_what_was_asked_for(consul: Consul) -> None:
    consul.body = b"5"
    catalog, _ = registries(consul.url)
    with pytest.raises(
        ConsulUnavailableError, match=f"no sense, to GET {consul.url}/v1/catalog/nodes "
    ):
        catalog.read(DESIRED)


def test_a_token_that_cannot_be_read_is_no_end(consul: Consul, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_bytes(b"\xff")
    registry = CatalogRegistry(ConsulAddress(consul.url, token_file=token), OWNER, Epoch(1))
    with pytest.raises(ConsulUnavailableError, match="token file"):
        registry.take_over()


@pytest.mark.parametrize("host", ["a:b", "[", "x y", "x" * 70 + ".y", "\u2100", "a/b:c", ""])
def test_a_host_that_is_no_name_is_an_agent_that_does_not_answer(consul: Consul, host: str) -> None:
    """Hosts are told by Mesos, and by what others may have written into Consul."""
    port = consul.server.server_address[1]
    address = ConsulAddress(consul.url)
    registry = AgentRegistry(address, OWNER, Epoch(1), agent_url=f"http://{{host}}:{port}")
    consul.body = b'[{"LockIndex": 0, "Key": "k", "Value": "MQ==", "ModifyIndex": 1}]'
    registry.take_over()
    entry = evolve(ENTRY, host=host)
    consul.body = b"[]"
    assert registry.read({entry.id: entry}).entries == {}
    consul.body = b'[{"LockIndex": 0, "Key": "k", "Value": "MQ==", "ModifyIndex": 1}]'
    [failed] = registry.put([entry])
    assert failed.reason


def test_nobody_waits_for_a_thread_that_waits_for_consul(consul: Consul) -> None:
    """Neither who steps down nor the end of the process: its answer may take for ever."""
    consul.hold.clear()

    async def term() -> None:
        settings = DiscoverySettings(ConsulAddress(consul.url, timeout_s=60))
        discovery = Discovery(settings, lambda _: None, lambda: None, lambda: 0)
        discovery.start(OWNER, Epoch(1), [])
        running = asyncio.create_task(discovery.run())
        await eventually(lambda: consul.requests, what="a request")
        discovery.stop()
        running.cancel()
        await asyncio.wait({running})

    asyncio.run(term())
    assert (consul.requests, consul.answers) == (1, 0)
    [thread] = [each for each in threading.enumerate() if each.name.startswith("egret-discovery")]
    assert thread.daemon
    consul.hold.set()
    thread.join()
