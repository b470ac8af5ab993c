"""Name the stations of a leader's life and keep their order.

    IDLE → CAMPAIGNING → LOADING → SUBSCRIBING → ACTIVE
              ↑              │          │          │
              └──────────────┴──────────┴──────────┘   the epoch was lost: begin anew
    any → STOPPED

Why the order is kept by a table: to subscribe before everything is loaded would make Mesos's
updates look like those of unknown tasks; to load before being elected could read what an older
leader still writes.
"""

from collections.abc import Callable
from enum import StrEnum


class Station(StrEnum):
    """Where we are on the way to leading."""

    IDLE = "idle"
    CAMPAIGNING = "campaigning"
    """Waiting to be elected; nothing is known, nothing is answered."""
    LOADING = "loading"
    SUBSCRIBING = "subscribing"
    """We lead and answer; the connection to Mesos is being made."""
    ACTIVE = "active"
    """Mesos has taken our subscription in this term. It may be lost again: see the world."""
    STOPPED = "stopped"

    @property
    def is_leading(self) -> bool:
        """Whether the world is loaded and may be read and changed."""
        return self in {Station.SUBSCRIBING, Station.ACTIVE}


_NEXT: dict[Station, frozenset[Station]] = {
    Station.IDLE: frozenset({Station.CAMPAIGNING, Station.STOPPED}),
    Station.CAMPAIGNING: frozenset({Station.LOADING, Station.STOPPED}),
    Station.LOADING: frozenset({Station.SUBSCRIBING, Station.CAMPAIGNING, Station.STOPPED}),
    Station.SUBSCRIBING: frozenset({Station.ACTIVE, Station.CAMPAIGNING, Station.STOPPED}),
    Station.ACTIVE: frozenset({Station.CAMPAIGNING, Station.STOPPED}),
    Station.STOPPED: frozenset(),
}


class Leadership:
    """The station we are at; changed by ``enter`` alone."""

    def __init__(self, on_change: Callable[[Station, Station], None]) -> None:
        self.station = Station.IDLE
        self._on_change = on_change

    def enter(self, station: Station) -> None:
        """Go on to a station that may follow the present one; anything else is a bug."""
        before = self.station
        assert station in _NEXT[before], f"{before} is not followed by {station}"
        self.station = station
        self._on_change(before, station)
