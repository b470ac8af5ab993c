"""Hold the epoch key in Consul: the mark by which a leader of an earlier term is kept out.

The key is written once at taking over. Its ModifyIndex then stands in every transaction, so that
Consul itself refuses a write of a leader that another has followed.
"""

from typing import Any

from consul import Consul

from scheduler.core.ids import Epoch
from scheduler.discovery.client import ConsulUnavailableError, ask
from scheduler.discovery.registry import StaleEpochError


class Fence:
    """The epoch key of one owner. ``take`` comes before everything else."""

    def __init__(self, client: Consul, owner: str, epoch: Epoch) -> None:
        self._client = client
        self._key = f"egret/{owner}/epoch"
        self._epoch = epoch
        self._index = -1

    def take(self) -> None:
        """Write our epoch, unless a later one stands there; also mends the key after a data wipe.

        Raises:
            StaleEpochError: a later leader has taken over.
            ConsulUnavailableError: Consul did not answer, or another writer was faster.
        """
        found = self._read()
        index = 0
        if found is not None:
            epoch, index = found
            self._refuse_later(epoch)
        put = self._client.kv.put
        if not ask(lambda: put(self._key, str(self._epoch), cas=index)):
            raise ConsulUnavailableError("the epoch key changed while it was being written")
        found = self._read()
        if found is None:
            raise ConsulUnavailableError("the epoch key is gone")
        self._refuse_later(found[0])
        self._index = found[1]

    def check(self) -> None:
        """Read the key and raise ``StaleEpochError`` if another leader has taken over."""
        found = self._read()
        if found is None or found[1] != self._index:
            self.take()

    @property
    def operation(self) -> dict[str, Any]:
        """The first operation of every transaction."""
        return {"KV": {"Verb": "check-index", "Key": self._key, "Index": self._index}}

    def _refuse_later(self, epoch: int) -> None:
        if epoch > self._epoch:
            raise StaleEpochError(f"epoch {epoch} has taken over, ours is {self._epoch}")

    def _read(self) -> tuple[int, int] | None:
        """Return epoch and ModifyIndex; None if there is no key."""
        get = self._client.kv.get
        _, found = ask(lambda: get(self._key, consistency="consistent"))
        if found is None:
            return None
        try:
            return int(found["Value"] or b""), int(found["ModifyIndex"])
        except (ValueError, KeyError, TypeError) as error:
            raise ConsulUnavailableError(f"{self._key} holds no epoch") from error
