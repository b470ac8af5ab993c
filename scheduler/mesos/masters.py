"""Know which masters to try: a fixed list, or the leader that ZooKeeper names.

A source pushes the whole list each time it changes, on the event loop's thread; the driver tries
the entries in turn. Any master of a fixed list answers: those that do not lead redirect.
"""

from collections.abc import Callable
from typing import Protocol
from urllib.parse import unquote

from attrs import frozen

from scheduler.mesos.detector import ZooKeeperMasters
from scheduler.mesos.endpoint import Credential, Endpoint, Scheme, parse_endpoint

OnMasters = Callable[[tuple[Endpoint, ...]], None]


class Masters(Protocol):
    """Where the masters are. An empty list means that none is known now."""

    def start(self, on_change: OnMasters) -> None:
        """Begin to tell; called once, on the event loop."""
        ...

    def stop(self) -> None:
        """End it; nothing is told after this returns."""
        ...


@frozen
class StaticMasters:
    """A list that was configured and never changes."""

    endpoints: tuple[Endpoint, ...]

    def start(self, on_change: OnMasters) -> None:
        """Tell the list, once and for all."""
        on_change(self.endpoints)

    def stop(self) -> None:
        """There is nothing to end."""


@frozen
class ZooKeeperUrl:
    """``zk://[user:password@]host:port,…/path``, as Mesos writes it (flag ``--zk``)."""

    hosts: str
    path: str
    credential: Credential | None = None


def parse_zookeeper_url(url: str) -> ZooKeeperUrl:
    """Read a zk URL; user and password may be percent-encoded.

    Raises:
        ValueError: no hosts, or no path (Mesos masters never register at the root).
    """
    scheme, _, rest = url.partition("://")
    authority, _, path = rest.partition("/")
    credential, at, hosts = authority.rpartition("@")
    user, _, password = credential.partition(":")
    path = path.strip("/")
    if scheme not in ("zk", "zoo") or not hosts or not path:
        raise ValueError("a ZooKeeper URL is zk://[user:password@]host:port,…/path")
    if not at:
        return ZooKeeperUrl(hosts, f"/{path}")
    return ZooKeeperUrl(hosts, f"/{path}", Credential(unquote(user), unquote(password)))


def parse_masters(text: str, scheme: Scheme = "http") -> Masters:
    """Read what ``--master`` may be: a zk URL, or master addresses separated by commas.

    ``scheme`` is used where none is written, and for masters found through ZooKeeper, which
    does not tell whether they speak TLS.

    Raises:
        ValueError: ``text`` is neither.
    """
    if text.startswith(("zk://", "zoo://")):
        url = parse_zookeeper_url(text)
        return ZooKeeperMasters(url.hosts, url.path, credential=url.credential, scheme=scheme)
    return StaticMasters(tuple(parse_endpoint(one.strip(), scheme) for one in text.split(",")))
