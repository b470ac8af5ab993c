"""Keep entries at the Consul agents beside the tasks, with checks that those agents run.

For sites where every Mesos agent's host has a Consul agent, and where Consul's own health view is
wanted. There are no transactions here: the fence is read before each batch of writes, which keeps
a stale leader out but for the moment in between; the next comparison repairs what slips through.
An agent that can not be reached is remembered, waited for with growing pauses, and never holds up
the others. Consul page "Agent HTTP API: Service".
"""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from attrs import define
from consul import Consul

from scheduler.core.ids import Epoch
from scheduler.discovery.client import (
    ConsulAddress,
    ConsulRefusedError,
    ConsulUnavailableError,
    ask,
    connect,
    has_foreign_entries,
    use_token,
)
from scheduler.discovery.desired import node_name
from scheduler.discovery.entry import (
    META_AGENT,
    META_OWNER,
    AgentCheck,
    ServiceEntry,
    entry_of,
    text,
)
from scheduler.discovery.fence import Fence
from scheduler.discovery.registry import Failed, Held

PAUSE_MAX_S = 300.0

Entries = dict[str, ServiceEntry]
T = TypeVar("T")


@define
class _Pause:
    failures: int = 0
    until_s: float = 0.0
    error: str = ""


class AgentRegistry:
    """Registry of mode ``agent``."""

    def __init__(
        self,
        address: ConsulAddress,
        owner: str,
        epoch: Epoch,
        *,
        agent_url: str,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make a registry.

        Args:
            address: a Consul for what concerns the whole cluster: the fence and the catalog.
            owner: our mark.
            epoch: our term.
            agent_url: where the agent of a host is, ``http://{host}:8500``; without ``{host}`` one
                agent serves all hosts.
            clock_s: monotonic time.
        """
        self._address = address
        self._owner = owner
        self._stop = threading.Event()
        self._client = connect(address, self._stop)
        self._fence = Fence(self._client, owner, epoch)
        self._agent_url = agent_url
        self._clock_s = clock_s
        self._agents: dict[str, Consul] = {}
        self._pauses: dict[str, _Pause] = {}
        self._known: dict[str, Entries] = {}
        """What each agent held when it was last heard of, by URL."""

    def stop(self) -> None:
        """Send nothing more."""
        self._stop.set()

    def take_over(self) -> None:
        """Write the epoch key."""
        use_token(self._client, self._address)
        self._fence.take()

    def read(self, desired: Mapping[str, ServiceEntry]) -> Held:
        """Ask every agent that may hold something of ours: its own list is the truth of its host.

        An agent that does not answer counts as holding what it held before, or what the catalog
        says of it: so nothing there is taken for gone.
        """
        use_token(self._client, self._address)
        found = self._read_catalog()
        urls = {self._url_of(entry.host) for entry in desired.values()}
        urls |= found.keys() | {url for url, entries in self._known.items() if entries}
        entries: Entries = {}
        broken: set[str] = set()
        for url in sorted(urls):
            held = self._on_agent(url, self._read_agent)
            if held is None:
                self._known[url] = found.get(url, {}) | self._known.get(url, {})
            else:
                self._known[url], checked = held
                broken |= self._known[url].keys() - checked
            entries |= self._known[url]
        has_check = {key for key, entry in desired.items() if entry.check is not None}
        return Held(entries, frozenset(broken & has_check))

    def is_foreign(self, name: str) -> bool:
        """Ask the catalog: it knows the entries of all agents."""
        return has_foreign_entries(self._client, self._owner, name)

    def delete(self, entries: Sequence[ServiceEntry]) -> list[Failed]:
        """Deregister at the agents that hold the entries."""
        return self._write(entries, self._deregister)

    def put(self, entries: Sequence[ServiceEntry]) -> list[Failed]:
        """Register at the agent of each entry's host."""
        return self._write(entries, self._register)

    def tidy(self, desired: Mapping[str, ServiceEntry]) -> None:
        """Forget agents that hold nothing of ours and are to hold nothing."""
        wanted = {self._url_of(entry.host) for entry in desired.values()}
        for url in [url for url, entries in self._known.items() if not entries]:
            if url not in wanted:
                self._known.pop(url)
                self._agents.pop(url, None)
                self._pauses.pop(url, None)

    def _read_catalog(self) -> dict[str, Entries]:
        """Find hosts with entries of ours that no desired entry leads to, by our checks' name."""
        health, catalog = self._client.health, self._client.catalog
        ours = f'Name == "{self._check_name}"'

        def nodes() -> set[str]:
            _, checks = health.state("any", filter_expr=ours)
            return {text(check["Node"]) for check in checks}

        def entries_on(node: str) -> list[ServiceEntry]:
            _, answer = catalog.node(node, consistency="consistent")
            return [] if answer is None else list(self._ours(answer["Services"]))

        found: defaultdict[str, Entries] = defaultdict(dict)
        for node in sorted(ask(nodes)):
            for entry in ask(partial(entries_on, node)):
                found[self._url_of(entry.host)][entry.id] = entry
        return found

    def _read_agent(self, agent: Consul) -> tuple[Entries, set[str]]:
        def entries() -> Entries:
            return {entry.id: entry for entry in self._ours(agent.agent.services())}

        def checked() -> set[str]:
            return {text(check["ServiceID"]) for check in agent.agent.checks().values()}

        return ask(entries), ask(checked)

    def _ours(self, services: dict[str, Any]) -> Iterator[ServiceEntry]:
        for service in services.values():
            meta: dict[str, str] = service.get("Meta") or {}
            if meta.get(META_OWNER) == self._owner:
                yield entry_of(service, node_name(self._owner, meta.get(META_AGENT, "")))

    def _write(
        self, entries: Sequence[ServiceEntry], write: Callable[[Consul, ServiceEntry], None]
    ) -> list[Failed]:
        if entries:
            self._fence.check()
        failed: list[Failed] = []
        for entry in entries:
            url = self._url_of(entry.host)
            try:
                done = self._on_agent(url, partial(_say_done, write, entry))
            except ConsulRefusedError as error:
                failed.append(Failed(entry, str(error), is_refused=True))
                continue
            if not done:
                failed.append(Failed(entry, self._pauses[url].error, is_refused=False))
        return failed

    def _register(self, agent: Consul, entry: ServiceEntry) -> None:
        check = None if entry.check is None else self._check(entry, entry.check)
        register = agent.agent.service.register
        ask(
            lambda: register(
                entry.name,
                service_id=entry.id,
                address=entry.address,
                port=entry.port,
                tags=list(entry.tags),
                check=check,
                meta=dict(entry.meta),
                replace_existing_checks=True,
            )
        )
        self._known.setdefault(self._url_of(entry.host), {})[entry.id] = entry

    def _deregister(self, agent: Consul, entry: ServiceEntry) -> None:
        deregister = agent.agent.service.deregister
        ask(lambda: deregister(entry.id))
        self._known.get(self._url_of(entry.host), {}).pop(entry.id, None)

    def _check(self, entry: ServiceEntry, check: AgentCheck) -> dict[str, Any]:
        settings: dict[str, Any] = {
            "name": self._check_name,
            "interval": f"{check.interval_s}s",
            "timeout": f"{check.timeout_s}s",
            "status": "passing",
        }
        if check.url is None:
            host = f"[{entry.address}]" if ":" in entry.address else entry.address
            return settings | {"tcp": f"{host}:{entry.port}"}
        return settings | {"http": check.url, "tls_skip_verify": True}

    @property
    def _check_name(self) -> str:
        return f"Egret {self._owner}"

    def _url_of(self, host: str) -> str:
        return self._agent_url.replace("{host}", f"[{host}]" if ":" in host else host)

    def _on_agent(self, url: str, call: Callable[[Consul], T]) -> T | None:
        """Call one agent; None while it does not answer, without asking again during its pause."""
        pause = self._pauses.setdefault(url, _Pause())
        if self._clock_s() < pause.until_s:
            return None
        try:
            agent = self._agents.get(url)
            if agent is None:
                agent = self._agents[url] = connect(self._address, self._stop, url)
            use_token(agent, self._address)
            answer = call(agent)
        except ConsulUnavailableError as error:
            pause.failures += 1
            pause.until_s = self._clock_s() + min(2.0**pause.failures, PAUSE_MAX_S)
            pause.error = f"{url}: {error}"
            return None
        pause.failures = 0
        return answer


def _say_done(
    write: Callable[[Consul, ServiceEntry], None], entry: ServiceEntry, agent: Consul
) -> bool:
    write(agent, entry)
    return True
