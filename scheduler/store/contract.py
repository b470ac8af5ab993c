"""Say what a store promises: durable records, and one leader at a time.

A record is one entity's whole value (``scheduler.core.records``), so every backend is a table of
(kind, key, value) and a commit may be sent twice without harm. Leadership and storage are one
thing on purpose: ``commit`` carries the leader's epoch and the store compares it in the same
transaction that writes. A leader that was paused while another took over can then change nothing,
however late it notices.

All methods block and are called from one thread at a time; ``close`` alone may come from another.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol

from attrs import frozen

from scheduler.core.ids import Epoch
from scheduler.core.records import Record

SCHEMA_VERSION = 1
"""Version of the layout of a store; raised when an older scheduler would misread the records."""


class StoreError(Exception):
    """Anything a store can fail with."""


class StoreUnavailable(StoreError):
    """The store cannot be used now; what was to be committed was certainly not."""


class CommitUnknown(StoreError):
    """The commit may or may not have taken place: commit the same records again."""


class StaleEpoch(StoreError):
    """Another leader has taken over; nothing of the commit was written, nor ever will be."""


class CorruptState(StoreError):
    """What is stored cannot be understood.

    Whoever meets it must not lead: skipping a record would forget tasks that run.
    """


class NewerSchema(StoreError):
    """The store was written by a newer scheduler, whose records we might misread."""


@frozen
class Elected:
    """We lead, with a term of our own that is larger than every earlier one."""

    epoch: Epoch


@frozen
class Lost:
    """The campaign was given up because the store was closed."""


class Store(Protocol):
    """Durable records of one cluster; see the module for the promises."""

    def campaign(self) -> Elected | Lost:
        """Wait until we lead, for ever if need be; ``close`` ends the wait.

        Raises:
            StoreUnavailable: the store cannot be reached or opened; trying again may help.
            CorruptState, NewerSchema: it must not be used; trying again does not help.
        """
        ...

    def resign(self) -> None:
        """Let another scheduler lead; ``campaign`` may follow, ``load`` and ``commit`` may not."""
        ...

    def load(self) -> Iterable[Record]:
        """Read every record, by kind in the order of ``Kind``, then by key.

        Only after ``campaign``: what an earlier leader still has under way can then no longer
        succeed.

        Raises:
            StoreUnavailable: the store cannot be read now.
            CorruptState: a record cannot be decoded; the message names its kind and key.
        """
        ...

    def commit(self, epoch: Epoch, records: Sequence[Record]) -> None:
        """Write all records durably, in order, or none of them.

        Raises:
            StaleEpoch, StoreUnavailable: nothing was written.
            CommitUnknown: all or nothing was written.
            CorruptState: the store is damaged.
        """
        ...

    def close(self) -> None:
        """Give up leadership and what is open. May be called twice and from another thread."""
        ...
