"""Where masters are: addresses, ZooKeeper URLs, and the leader among the nodes."""

import asyncio
import json
import socket
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from kazoo.client import KazooState
from kazoo.exceptions import ConnectionLoss, NoNodeError
from kazoo.protocol.states import WatchedEvent

from scheduler.mesos.detector import ZooKeeperMasters, endpoint_of, leading_node
from scheduler.mesos.endpoint import Credential, Endpoint, parse_endpoint
from scheduler.mesos.masters import (
    StaticMasters,
    ZooKeeperUrl,
    parse_masters,
    parse_zookeeper_url,
)


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("master", Endpoint("http", "master", 5050)),
        ("master:5051", Endpoint("http", "master", 5051)),
        ("http://master", Endpoint("http", "master", 5050)),
        ("https://Master:5051/", Endpoint("https", "master", 5051)),
        ("10.0.0.1:5050", Endpoint("http", "10.0.0.1", 5050)),
        ("[::1]:5050", Endpoint("http", "::1", 5050)),
        ("http://[fd00::1]", Endpoint("http", "fd00::1", 5050)),
    ],
)
def test_reads_master_addresses(text: str, endpoint: Endpoint):
    assert parse_endpoint(text) == endpoint


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":5050",
        "http://",
        "ftp://m",
        "http://u:p@m",
        "m:port",
        "m:99999",
        "m/path",
        "m?x",
        "::1",
    ],
)
def test_refuses_what_is_no_master_address(text: str):
    with pytest.raises(ValueError):
        parse_endpoint(text)


def test_an_ipv6_address_gets_its_brackets_back():
    assert parse_endpoint("[::1]:5050").authority == "[::1]:5050"
    assert parse_endpoint("master:5050").authority == "master:5050"


def test_reads_a_list_of_masters():
    assert parse_masters("a:1, https://b:2,c", "http") == StaticMasters(
        (Endpoint("http", "a", 1), Endpoint("https", "b", 2), Endpoint("http", "c", 5050))
    )


def test_reads_a_zookeeper_url_with_its_credentials():
    assert parse_zookeeper_url("zk://me:p%40ss:word@h1:2181,[::1]:2181/mesos/") == ZooKeeperUrl(
        "h1:2181,[::1]:2181", "/mesos", Credential("me", "p@ss:word")
    )
    assert parse_zookeeper_url("zk://h1:2181/a/b") == ZooKeeperUrl("h1:2181", "/a/b")


@pytest.mark.parametrize("url", ["zk://", "zk://h1:2181", "zk://h1:2181/", "zk:///mesos", "h1/m"])
def test_refuses_what_is_no_zookeeper_url_and_does_not_repeat_its_secrets(url: str):
    with pytest.raises(ValueError) as refusal:
        parse_zookeeper_url(url.replace("h1", "me:secret@h1"))
    assert "secret" not in str(refusal.value)


def test_secrets_are_not_shown():
    assert "hunter2" not in repr(parse_zookeeper_url("zk://me:hunter2@h1:2181/mesos"))
    assert "hunter2" not in repr(Credential("me", "hunter2"))


def test_the_lowest_number_leads_and_other_nodes_are_no_masters():
    assert leading_node(["json.info_0000000010", "json.info_0000000009", "log_replicas"]) == (
        "json.info_0000000009"
    )
    # Sequence numbers overflow their ten digits in the end: compare numbers, not text.
    assert leading_node(["json.info_10000000000", "json.info_9999999999"]) == (
        "json.info_9999999999"
    )
    assert leading_node(["info_0000000001", "log_replicas", "json.info_x"]) is None
    assert leading_node([]) is None


MASTER_INFO = {
    "address": {"hostname": "master.test", "ip": "10.0.0.1", "port": 5051},
    "hostname": "master.test",
    "ip": 16777226,
    "port": 5051,
}


def test_a_master_is_reached_at_its_address_and_checked_for_its_name():
    info = json.dumps(MASTER_INFO).encode()
    assert endpoint_of(info, "http") == Endpoint("http", "10.0.0.1", 5051)
    assert endpoint_of(info, "https") == Endpoint(
        "https", "10.0.0.1", 5051, server_name="master.test"
    )


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b'{"address":{}}',
        b'{"address":7}',
        b"\x08",
        b'{"address":{"ip":"10.0.0.1","port":99999}}',
        b'{"address":{"ip":"x","port":"y"}}',
    ],
)
def test_what_is_no_master_info_is_refused(data: bytes):
    with pytest.raises(ValueError):
        endpoint_of(data, "http")


class FakeZooKeeper:
    """Kazoo's client as far as the detector uses it; ``nodes`` is the tree below /mesos."""

    def __init__(self, **options: Any) -> None:
        self.options = options
        self.handler = SimpleNamespace(spawn=self.spawn, timeout_exception=TimeoutError)
        self.nodes: dict[str, bytes] | None = None
        self.failures = 0
        self.watches: list[Callable[[WatchedEvent], Any]] = []
        self.listeners: list[Callable[[str], Any]] = []
        self.stopped = threading.Event()

    def spawn(self, action: Callable[[], None]) -> None:
        thread = threading.Thread(target=action)
        thread.start()
        thread.join(20)

    def add_listener(self, listener: Callable[[str], Any]) -> None:
        self.listeners.append(listener)

    def remove_listener(self, listener: Callable[[str], Any]) -> None:
        self.listeners.remove(listener)

    def start_async(self) -> None:
        """The connection comes up when the test says so."""

    def stop(self) -> None:
        self.stopped.set()

    def close(self) -> None:
        pass

    def get_children(self, path: str, watch: Callable[[WatchedEvent], Any]) -> list[str]:
        assert path == "/mesos"
        if self.failures:
            self.failures -= 1
            raise ConnectionLoss
        if self.nodes is None:
            raise NoNodeError
        self.watches.append(watch)
        return list(self.nodes)

    def exists(self, path: str, watch: Callable[[WatchedEvent], Any]) -> object:
        self.watches.append(watch)
        return self.nodes

    def get(self, path: str) -> tuple[bytes, None]:
        name = path.removeprefix("/mesos/")
        if self.nodes is None or name not in self.nodes:
            raise NoNodeError
        return self.nodes[name], None

    def connect(self) -> None:
        for listener in self.listeners:
            listener(KazooState.CONNECTED)

    def change(self, nodes: dict[str, bytes] | None, event: str = "CHILD") -> None:
        self.nodes = nodes
        watches, self.watches = self.watches, []
        for watch in watches:
            self.spawn(lambda watch=watch: watch(WatchedEvent(event, "CONNECTED", "/mesos")))


def info(host: str) -> bytes:
    return json.dumps({"address": {"hostname": host, "ip": host, "port": 5050}}).encode()


class Watcher:
    def __init__(self) -> None:
        self.told: list[tuple[str, ...]] = []
        self.masters = ZooKeeperMasters(
            "h1:2181", "/mesos", credential=Credential("me", "pw"), make_client=self.make
        )
        self.masters.start(self.take)

    def make(self, **options: Any) -> Any:
        self.zookeeper = FakeZooKeeper(**options)
        return self.zookeeper

    def take(self, endpoints: tuple[Endpoint, ...]) -> None:
        self.told.append(tuple(endpoint.host for endpoint in endpoints))

    async def until(self, told: list[tuple[str, ...]]) -> None:
        async with asyncio.timeout(20):
            while self.told != told:
                await asyncio.sleep(0.005)


async def test_follows_the_leader_as_it_changes():
    watcher = Watcher()
    zookeeper = watcher.zookeeper
    zookeeper.nodes = {"json.info_2": info("b"), "json.info_1": info("a")}
    zookeeper.connect()
    await watcher.until([("a",)])
    zookeeper.change({"json.info_2": info("b")})
    await watcher.until([("a",), ("b",)])
    zookeeper.change({"log_replicas": b""})
    await watcher.until([("a",), ("b",), ()])
    watcher.masters.stop()
    assert await asyncio.to_thread(zookeeper.stopped.wait, 20)
    assert not zookeeper.listeners


async def test_waits_for_the_first_master_to_make_the_path():
    watcher = Watcher()
    watcher.zookeeper.connect()
    await watcher.until([()])
    watcher.zookeeper.change({"json.info_1": info("a")}, "CREATED")
    await watcher.until([(), ("a",)])
    watcher.masters.stop()


async def test_a_lost_session_changes_nothing_by_itself_and_looks_again_when_connected():
    watcher = Watcher()
    zookeeper = watcher.zookeeper
    zookeeper.nodes = {"json.info_1": info("a")}
    zookeeper.connect()
    await watcher.until([("a",)])
    for state in (KazooState.SUSPENDED, KazooState.LOST):
        for listener in zookeeper.listeners:
            listener(state)
    zookeeper.change({"json.info_3": info("c")}, "NONE")
    await asyncio.sleep(0)
    assert watcher.told == [("a",)]
    zookeeper.connect()
    await watcher.until([("a",), ("c",)])
    watcher.masters.stop()


async def test_a_failed_read_is_repeated(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("scheduler.mesos.detector._RETRY_S", 0.0)
    watcher = Watcher()
    watcher.zookeeper.failures = 2
    watcher.zookeeper.nodes = {"json.info_1": info("a")}
    watcher.zookeeper.connect()
    await watcher.until([("a",)])
    watcher.masters.stop()


async def test_an_unreadable_leader_is_not_followed():
    watcher = Watcher()
    watcher.zookeeper.nodes = {"json.info_1": b"\x08\x01"}
    watcher.zookeeper.connect()
    watcher.zookeeper.change({"json.info_1": info("a")})
    await watcher.until([("a",)])
    watcher.masters.stop()


async def test_nothing_is_told_after_the_stop():
    watcher = Watcher()
    watcher.zookeeper.nodes = {"json.info_1": info("a")}
    watcher.masters.stop()
    watcher.masters._look()
    watcher.masters._tell(())
    await asyncio.sleep(0.01)
    assert watcher.told == []


async def test_the_credentials_of_the_url_reach_zookeeper():
    watcher = Watcher()
    assert watcher.zookeeper.options["auth_data"] == [("digest", "me:pw")]
    assert watcher.zookeeper.options["hosts"] == "h1:2181"
    watcher.masters.stop()


async def test_a_zookeeper_that_is_not_there_is_waited_for_and_can_be_left():
    """With kazoo itself: its connection loop must neither give up nor outlive the stop."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    told: list[tuple[Endpoint, ...]] = []
    masters = ZooKeeperMasters(f"127.0.0.1:{port}", "/mesos", credential=Credential("me", "pw"))
    masters.start(told.append)
    async with asyncio.timeout(20):
        while not any("zk_loop" in thread.name for thread in threading.enumerate()):
            await asyncio.sleep(0.005)
    masters.stop()
    async with asyncio.timeout(20):
        while any("zk_loop" in thread.name for thread in threading.enumerate()):
            await asyncio.sleep(0.02)
    assert told == []
