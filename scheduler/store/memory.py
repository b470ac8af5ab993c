"""Keep records in this process's memory: for simulations, tests and throw-away clusters.

Values go through the codec as in every other store, so that what a load gives back has made the
same journey. One object may serve several schedulers in turn or at once: that is how a simulation
restarts one, or lets two believe that they lead.
"""

from collections.abc import Callable, Iterator, Sequence
from enum import Enum, auto

from scheduler.core.ids import Epoch
from scheduler.core.records import Kind, Put, Record
from scheduler.store.codec import Codec
from scheduler.store.contract import CommitUnknown, Elected, Lost, StaleEpoch, StoreUnavailable


class Fault(Enum):
    """What goes wrong with one commit."""

    NONE = auto()
    UNAVAILABLE = auto()
    UNKNOWN_WRITTEN = auto()
    """It is written, but the caller is not told."""
    UNKNOWN_LOST = auto()
    """It is not written, and the caller cannot know."""


class MemoryStore:
    """A store that forgets everything with the process."""

    def __init__(self, codec: Codec) -> None:
        self.next_fault: Callable[[], Fault] = lambda: Fault.NONE
        """Asked once for each commit; a simulation sets it."""
        self.commits = 0
        """Commits that were written."""
        self._codec = codec
        self._rows: dict[tuple[Kind, str], bytes] = {}
        self._epoch = 0

    def campaign(self) -> Elected | Lost:
        """Elect at once: whoever led before is stale from here on."""
        self._epoch += 1
        return Elected(Epoch(self._epoch))

    def resign(self) -> None:
        """Do nothing: whoever campaigns is elected anyway."""

    def load(self) -> Iterator[Record]:
        """Read every record, by kind, then by key."""
        order = list(Kind)
        for kind, key in sorted(self._rows, key=lambda row: (order.index(row[0]), row[1])):
            yield self._codec.decode(kind, key, self._rows[kind, key])

    def commit(self, epoch: Epoch, records: Sequence[Record]) -> None:
        """Write all records, unless the epoch is over or a fault comes in between."""
        fault = self.next_fault()
        if fault is Fault.UNAVAILABLE:
            raise StoreUnavailable("the store is made to fail")
        if fault is Fault.UNKNOWN_LOST:
            raise CommitUnknown("the commit is made to get lost")
        if epoch != self._epoch:
            raise StaleEpoch(f"epoch {epoch} is over, {self._epoch} leads")
        # All is encoded before anything is written: a commit is all or nothing.
        last = {(record.kind, record.key): record for record in records}
        values = {
            row: self._codec.encode(record.value)
            for row, record in last.items()
            if isinstance(record, Put)
        }
        for row in last.keys() - values.keys():
            self._rows.pop(row, None)
        self._rows.update(values)
        self.commits += 1
        if fault is Fault.UNKNOWN_WRITTEN:
            raise CommitUnknown("the answer to the commit is made to get lost")

    def close(self) -> None:
        """Do nothing: the records stay for the next who asks."""
