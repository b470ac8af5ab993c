"""Hold what every handler needs: the runtime's door, the configuration, the event stream."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from attrs import define, field, frozen
from starlette.requests import Request

from scheduler.api.encoded import Wholes
from scheduler.api.events import EventHub
from scheduler.core.ids import TaskId
from scheduler.core.world import World
from scheduler.runtime import Runtime
from scheduler.runtime.discovery_room import DiscoveryStatus
from scheduler.runtime.health_room import LastResponse
from scheduler.spec import SpecRules

T = TypeVar("T")
U = TypeVar("U")


def _no_metrics() -> tuple[bytes, str]:
    return b"", "text/plain; version=0.0.4; charset=utf-8"


def _none_kept(_task_id: TaskId) -> LastResponse | None:
    return None


def _not_counted(_method: str, _route: str, _status: int, _elapsed_s: float) -> None:
    pass


@frozen
class ApiConfig:
    """What the API is told once, at start."""

    version: str = "0.1.0"
    """Egret's own; Marathon's compatible version is fixed in ``info``."""
    leader_address: str = "127.0.0.1:8080"
    """``host:port`` under which clients reach the leader: what /v2/leader answers."""
    host_names: frozenset[str] | None = None
    """What requests may call us by, in lower case, beside the names of the machine itself; None:
    anything."""
    rules: SpecRules = SpecRules()
    marathon_config: Mapping[str, Any] = field(factory=dict[str, Any])
    """Shown by /v2/info under the names of Marathon's flags; must hold no secret."""
    downloads: Mapping[str, Path] = field(factory=dict[str, Path])
    """File name → file served at ``/downloads/<name>``: the executor's archive."""
    write_timeout_s: float = 30.0
    read_timeout_s: float = 10.0
    body_max: int = 2 * 1024 * 1024
    large_body_max: int = 128 * 1024 * 1024
    """Limit for whole groups and for PUT of many apps."""
    apps_max: int = 10_000
    """Most apps in one body."""
    event_clients_max: int = 1_000
    event_backlog_max: int = 1_024
    """Events kept for a client that does not read; then it is closed
    (Marathon: event_stream_max_outstanding_messages)."""
    render_metrics: Callable[[], tuple[bytes, str]] = _no_metrics
    """Gives the metrics in Prometheus's format and their content type."""
    collect_metrics: Callable[[], Mapping[str, Any]] = dict
    """Gives the metrics in the shape of Marathon's JSON."""
    metrics_default: str = "prometheus"
    """What /metrics answers to a client that names no type: prometheus or json."""
    on_request: Callable[[str, str, int, float], None] = _not_counted
    """Told method, route template, status and seconds of every answered request."""
    discovery: Callable[[], DiscoveryStatus] | None = None
    """Tells what Consul holds; None where nothing is registered."""
    last_response: Callable[[TaskId], LastResponse | None] = _none_kept
    """Tells what a task last said of its readiness."""
    teardown: Callable[[], Awaitable[None]] | None = None
    """Ends the framework and all its tasks at the master, for good."""
    abdicate: Callable[[], None] | None = None
    """Gives up the lead; None where there is nobody to take it."""


_SLICE_S = 0.002
"""Longest time that a read of everything keeps the loop from scheduling."""


@define
class Api:
    """The shared state of all handlers."""

    runtime: Runtime
    config: ApiConfig
    hub: EventHub
    wholes: Wholes = field(factory=lambda: Wholes(4))
    """Answers to those who poll everything."""
    _large_reads: asyncio.Lock = field(factory=asyncio.Lock)
    """One at a time: a dozen pollers must not take a dozen slices of each turn of the loop."""

    @property
    def world(self) -> World:
        return self.runtime.world

    async def settled_world(self) -> World:
        """Return the world once all that it shows is durable: what reads answer from."""
        await self.runtime.read_barrier(self.config.read_timeout_s)
        return self.runtime.world

    async def show_all(self, items: Iterable[T], show: Callable[[T], Iterable[U]]) -> list[U]:
        """Show very many things without keeping the loop: in slices, each item as it is then.

        ``items`` must not change meanwhile, and ``show`` yields nothing for what has gone.
        """
        found: list[U] = []
        is_sliced = False
        async with self._large_reads:
            until_s = time.monotonic() + _SLICE_S
            for item in items:
                found.extend(show(item))
                if time.monotonic() > until_s:
                    is_sliced = True
                    await asyncio.sleep(0)
                    until_s = time.monotonic() + _SLICE_S
        if is_sliced:
            # What later slices show may be newer than what was durable at the beginning.
            await self.runtime.read_barrier(self.config.read_timeout_s)
        return found


Handler = Callable[[Api, Request], Awaitable[Any]]
