"""State what a mode of registration must be able to do; ``sync`` knows no more than this."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from attrs import frozen

from scheduler.discovery.entry import ServiceEntry


class StaleEpochError(Exception):
    """Another leader of a later term has taken over the registrations: we lead no more."""


@frozen
class Held:
    """What the registry holds of ours."""

    entries: dict[str, ServiceEntry]
    """By ServiceID."""
    broken: frozenset[str]
    """Those whose check is missing or was changed: to be written again."""


@frozen
class Failed:
    """An entry that could not be written though its neighbours could."""

    entry: ServiceEntry
    reason: str
    is_refused: bool
    """Refused for good, until it changes; otherwise to be tried again."""


class Registry(Protocol):
    """The entries of one owner under one leader's term; called from one thread, except ``stop``.

    Any method may raise ``ConsulUnavailableError``, after which nothing is known of what was being
    written, or ``StaleEpochError``, after which nothing is to be written.
    """

    def stop(self) -> None:
        """Send nothing more, from any thread: what was to follow is unavailable."""
        ...

    def take_over(self) -> None:
        """Claim the registrations for our term; leaders of earlier terms can write no more."""
        ...

    def read(self, desired: Mapping[str, ServiceEntry]) -> Held:
        """Read all entries that carry our owner mark; ``desired`` tells where some may be."""
        ...

    def is_foreign(self, name: str) -> bool:
        """Whether anything without our owner mark is registered under this name."""
        ...

    def delete(self, entries: Sequence[ServiceEntry]) -> list[Failed]:
        """Remove entries; one that is not there is removed already."""
        ...

    def put(self, entries: Sequence[ServiceEntry]) -> list[Failed]:
        """Write entries as they are given, new or not."""
        ...

    def tidy(self, desired: Mapping[str, ServiceEntry]) -> None:
        """Remove what is ours and empty; called after a full comparison."""
        ...
