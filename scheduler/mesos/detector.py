"""Find the leading master in ZooKeeper.

Masters register as ephemeral sequential nodes ``json.info_<number>`` under one path; the lowest
number leads, and its node holds a MasterInfo as JSON (Mesos "High Availability Mode";
src/master/detector/zookeeper.cpp). Kazoo runs its callbacks on threads of its own: they read,
and hand the result to the event loop.

While ZooKeeper is away, what was known stays: a subscription that lives is not given up because
ZooKeeper cannot be asked, and a leader that lost its session ends by itself.
"""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import orjson
import structlog
from kazoo.client import KazooClient, KazooState
from kazoo.exceptions import KazooException, NoNodeError
from kazoo.protocol.states import WatchedEvent
from kazoo.retry import KazooRetry

from scheduler.mesos.endpoint import DEFAULT_PORT, Credential, Endpoint, Scheme

_NODE_PREFIX = "json.info_"
_SESSION_TIMEOUT_S = 10.0
_RETRY_S = 1.0
_RETRY_MAX_S = 15.0
_log = structlog.get_logger(__name__)


def leading_node(children: list[str]) -> str | None:
    """Pick the node of the leader: the lowest sequence number; other nodes are not masters'."""
    numbered = [
        (int(child[len(_NODE_PREFIX) :]), child)
        for child in children
        if child.startswith(_NODE_PREFIX) and child[len(_NODE_PREFIX) :].isdecimal()
    ]
    return min(numbered)[1] if numbered else None


def endpoint_of(master_info: bytes, scheme: Scheme) -> Endpoint:
    """Read a MasterInfo: connect to its address, check the certificate for its host name.

    Raises:
        ValueError: not JSON, or no address in it.
    """
    try:
        address: dict[str, Any] = orjson.loads(master_info)["address"]
        hostname: str | None = address.get("hostname")
        host = address.get("ip") or hostname
        port = int(address.get("port", DEFAULT_PORT))
    except (KeyError, TypeError, AttributeError) as problem:
        raise ValueError(f"not a MasterInfo: {master_info[:300]!r}") from problem
    if not isinstance(host, str) or not host:
        raise ValueError(f"MasterInfo without an address: {master_info[:300]!r}")
    return Endpoint(scheme, host, port, server_name=hostname if scheme == "https" else None)


class ZooKeeperMasters:
    """A source of masters that follows the leader ZooKeeper names."""

    def __init__(
        self,
        hosts: str,
        path: str,
        *,
        credential: Credential | None = None,
        scheme: Scheme = "http",
        make_client: Callable[..., KazooClient] = KazooClient,
    ) -> None:
        auth = [("digest", f"{credential.principal}:{credential.secret}")] if credential else None
        self._client = make_client(
            hosts=hosts,
            timeout=_SESSION_TIMEOUT_S,
            auth_data=auth,
            # Kazoo's own default lets the wait between attempts grow to an hour.
            connection_retry=KazooRetry(max_tries=-1, max_delay=_RETRY_MAX_S),
        )
        self._path = path
        self._scheme: Scheme = scheme
        self._looking = threading.Lock()
        self._on_change: Callable[[tuple[Endpoint, ...]], None] | None = None

    def start(self, on_change: Callable[[tuple[Endpoint, ...]], None]) -> None:
        """Connect in the background and tell of each change; ZooKeeper may come up later."""
        self._on_change = on_change
        self._loop = asyncio.get_running_loop()
        self._client.add_listener(self._on_state)
        self._client.start_async()

    def stop(self) -> None:
        """Stop telling; the connection is closed on a thread, since that may take seconds."""
        if self._on_change is None:
            return
        self._on_change = None
        self._client.remove_listener(self._on_state)
        self._loop.run_in_executor(None, self._close)

    def _close(self) -> None:
        self._client.stop()
        self._client.close()

    def _on_state(self, state: str) -> None:
        """Kazoo's connection thread: no request may wait here, so another thread looks."""
        _log.info("zookeeper_state_changed", state=state)
        if state == KazooState.CONNECTED:
            self._client.handler.spawn(self._look)

    def _on_watch(self, event: WatchedEvent) -> None:
        """Kazoo's callback thread. A watch that ends with its session says nothing of nodes."""
        if event.type != "NONE":
            self._look()

    def _look(self) -> None:
        """Read who leads and watch for the next change; a failed look is repeated.

        One look at a time: what an earlier one has read must not be told after a later one.
        """
        with self._looking:
            self._look_and_tell()

    def _look_and_tell(self) -> None:
        if self._on_change is None:
            return
        try:
            found = self._leaders()
        except (KazooException, self._client.handler.timeout_exception) as problem:
            # With the connection lost too, CONNECTED will bring us here again anyway.
            _log.warning("zookeeper_read_failed", problem=repr(problem))
            self._on_loop(lambda: self._loop.call_later(_RETRY_S, self._spawn_look))
            return
        except ValueError as problem:
            _log.error("zookeeper_master_unreadable", problem=str(problem))
            return
        self._tell(found)

    def _leaders(self) -> tuple[Endpoint, ...]:
        while True:
            try:
                children = self._client.get_children(self._path, watch=self._on_watch)
            except NoNodeError:
                # No master was ever there: look again when one makes the path, or made it now.
                if self._client.exists(self._path, watch=self._on_watch) is None:
                    return ()
                continue
            leader = leading_node(children)
            if leader is None:
                return ()
            try:
                data, _ = self._client.get(f"{self._path}/{leader}")
            except NoNodeError:
                continue  # gone between the two reads
            return (endpoint_of(data, self._scheme),)

    def _tell(self, endpoints: tuple[Endpoint, ...]) -> None:
        def tell() -> None:
            if self._on_change is not None:
                self._on_change(endpoints)

        self._on_loop(tell)

    def _spawn_look(self) -> None:
        if self._on_change is not None:
            self._client.handler.spawn(self._look)

    def _on_loop(self, action: Callable[[], object]) -> None:
        """Run ``action`` on the loop; a loop that is closed has no more use for it."""
        try:
            self._loop.call_soon_threadsafe(action)
        except RuntimeError:
            _log.debug("zookeeper_news_after_the_end")
