"""Keep entries in Consul's catalog, on synthetic nodes that no Consul agent looks after.

One Consul address is enough for a whole cluster. Each Mesos agent is a node with the meta
``external-node``, which Consul leaves alone; each entry has one check of fixed status, so that
nobody, least of all this scheduler, has to live for it to stay. Writes are transactions of at
most 64 operations, the first of which is the fence: all of one happens, or nothing.
Consul pages "External Services" and "HTTP API: Transactions".
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from scheduler.core.ids import Epoch
from scheduler.discovery.client import (
    ConsulAddress,
    ConsulRefusedError,
    ConsulUnavailableError,
    ask,
    commit,
    connect,
    has_foreign_entries,
    use_token,
)
from scheduler.discovery.entry import (
    CHECK_OUTPUT,
    META_HOST,
    META_OWNER,
    ServiceEntry,
    entry_of,
    text,
)
from scheduler.discovery.fence import Fence
from scheduler.discovery.registry import Failed, Held

OPERATIONS_MAX = 64
PUTS_MAX = (OPERATIONS_MAX - 1) // 3
"""Entries in one transaction: node, service and check for each in the worst case."""
DELETES_MAX = OPERATIONS_MAX - 1

Operations = list[dict[str, Any]]


class CatalogRegistry:
    """Registry of mode ``catalog``."""

    def __init__(self, address: ConsulAddress, owner: str, epoch: Epoch) -> None:
        self._address = address
        self._owner = owner
        self._stop = threading.Event()
        self._client = connect(address, self._stop)
        self._fence = Fence(self._client, owner, epoch)
        self._nodes: set[str] = set()

    def stop(self) -> None:
        """Send nothing more."""
        self._stop.set()

    def take_over(self) -> None:
        """Write the epoch key; from here on earlier leaders' transactions are refused."""
        use_token(self._client, self._address)
        self._fence.take()

    def read(self, desired: Mapping[str, ServiceEntry]) -> Held:  # noqa: ARG002 - all are on our nodes
        """Read our nodes, each node's services, and the checks of all: nodes + 2 requests."""
        use_token(self._client, self._address)
        mine = {META_OWNER: self._owner}
        catalog, health = self._client.catalog, self._client.health

        def nodes() -> set[str]:
            _, found = catalog.nodes(node_meta=mine, consistency="consistent")
            return {text(node["Node"]) for node in found}

        def passing_checks() -> set[tuple[str, str]]:
            _, found = health.state("any", node_meta=mine)
            return {
                (text(check["Node"]), text(check["ServiceID"]))
                for check in found
                if check["Status"] == "passing" and check["Output"] == CHECK_OUTPUT
            }

        self._nodes = ask(nodes)
        passing = ask(passing_checks)
        entries: dict[str, ServiceEntry] = {}
        broken: set[str] = set()
        for node in sorted(self._nodes):
            for entry in self._read_node(node):
                if dict(entry.meta).get(META_OWNER) != self._owner:
                    continue
                entries[entry.id] = entry
                if (node, entry.id) not in passing:
                    broken.add(entry.id)
        return Held(entries, frozenset(broken))

    def _read_node(self, node: str) -> list[ServiceEntry]:
        return ask(lambda: [entry_of(each, node) for each in self._services_on(node)])

    def _services_on(self, node: str) -> list[dict[str, Any]]:
        _, found = self._client.catalog.node(node, consistency="consistent")
        return [] if found is None else list(found["Services"].values())

    def is_foreign(self, name: str) -> bool:
        """Ask for the name's entries that are not ours."""
        return has_foreign_entries(self._client, self._owner, name)

    def delete(self, entries: Sequence[ServiceEntry]) -> list[Failed]:
        """Delete in transactions; Consul needs a service's name beside its id."""
        failed: list[Failed] = []
        for batch in _batches(entries, DELETES_MAX):
            failed += self._write(batch, [[_delete(entry)] for entry in batch])
        return failed

    def put(self, entries: Sequence[ServiceEntry]) -> list[Failed]:
        """Set node, service and check; the node again each time, which changes nothing."""
        failed: list[Failed] = []
        for batch in _batches(sorted(entries, key=lambda entry: entry.node), PUTS_MAX):
            self._nodes.update(entry.node for entry in batch)
            failed += self._write(batch, [self._put(entry) for entry in batch])
        return failed

    def tidy(self, desired: Mapping[str, ServiceEntry]) -> None:
        """Delete our nodes that hold nothing and are wanted by nothing."""
        unwanted = self._nodes - {entry.node for entry in desired.values()}
        for node in sorted(unwanted):
            if self._read_node(node):
                continue
            operation = {"Node": {"Verb": "delete", "Node": {"Node": node}}}
            self._commit([operation])
            self._nodes.discard(node)

    def _write(self, batch: Sequence[ServiceEntry], parts: list[Operations]) -> list[Failed]:
        """Write a batch at once; where Consul refuses it, one by one, to find what it refuses."""
        try:
            self._commit([operation for part in parts for operation in part])
        except ConsulRefusedError as error:
            if len(batch) == 1:
                return [Failed(batch[0], str(error), is_refused=True)]
        else:
            return []
        return [
            failed
            for entry, part in zip(batch, parts, strict=True)
            for failed in self._write([entry], [part])
        ]

    def _commit(self, operations: Operations) -> None:
        try:
            commit(self._client, [self._fence.operation, *operations])
        except ConsulRefusedError as error:
            if error.operation != 0:
                raise
            # The key is not as we left it: another leader, or a Consul that lost its data.
            self._fence.take()
            raise ConsulUnavailableError("the epoch key was lost; it is written again") from error

    def _put(self, entry: ServiceEntry) -> Operations:
        node_meta = {
            "external-node": "true",
            "external-probe": "false",
            META_OWNER: self._owner,
            META_HOST: entry.host,
        }
        node = {"Node": entry.node, "Address": entry.node_address, "Meta": node_meta}
        service = {
            "ID": entry.id,
            "Service": entry.name,
            "Tags": list(entry.tags),
            "Address": entry.address,
            "Port": entry.port,
            "Meta": dict(entry.meta),
        }
        check = {
            "Node": entry.node,
            "CheckID": entry.id,
            "Name": "Egret",
            "Status": "passing",
            "Output": CHECK_OUTPUT,
            "ServiceID": entry.id,
            # Consul judges by this name whether our token may write the check.
            "ServiceName": entry.name,
        }
        return [
            {"Node": {"Verb": "set", "Node": node}},
            {"Service": {"Verb": "set", "Node": entry.node, "Service": service}},
            {"Check": {"Verb": "set", "Check": check}},
        ]


def _delete(entry: ServiceEntry) -> dict[str, Any]:
    service = {"ID": entry.id, "Service": entry.name}
    return {"Service": {"Verb": "delete", "Node": entry.node, "Service": service}}


def _batches(entries: Sequence[ServiceEntry], size: int) -> Iterator[list[ServiceEntry]]:
    rest = iter(entries)
    while batch := list(islice(rest, size)):
        yield batch
