"""End connections that only hold the server up, below everything that knows of requests.

The server itself waits for the rest of a request for as long as a byte comes now and then, so that
a few thousand idle clients could take every file descriptor. Here a request must be there whole
within an absolute time, and no address has more than its share of connections. This machine is
spared the share: a reverse proxy on it speaks for everybody.
"""

import asyncio
import ipaddress
from collections import Counter
from collections.abc import Callable
from enum import StrEnum
from typing import ClassVar, cast

import h11
import structlog
from attrs import define, field
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

_log = structlog.get_logger("http")

HEADER_BYTES_MAX = 16_384


class Cut(StrEnum):
    """Why a connection was ended."""

    LATE = "late"
    CROWD = "crowd"


def _uncounted(_reason: str) -> None:
    pass


@define
class Guard:
    """The limits of one server, and the connections it has."""

    receipt_timeout_s: float = 15.0
    """From the connection, or the first byte of a further request, to the last byte of it."""
    linger_s: float = 1.0
    """How long a client may still send after its answer, so that it does not lose it."""
    per_address_max: int = 100
    """Most connections from one address other than this machine's own."""
    spares_this_machine: bool = True
    on_cut: Callable[[str], None] = _uncounted
    """Told ``Cut`` for each connection that is ended."""
    open: Counter[str] = field(factory=Counter[str])
    """Connections by address."""

    def protocol(self) -> type[asyncio.Protocol]:
        """Make the class that the server has to speak HTTP with (uvicorn: ``http``)."""
        own = self

        class Guarded(_GuardedProtocol):
            guard = own

        return Guarded


class _GuardedProtocol(H11Protocol):
    """One connection."""

    guard: ClassVar[Guard]
    _address = ""
    _deadline: asyncio.TimerHandle | None = None
    _is_begun = False
    """Whether a byte of the present request has come."""
    _is_cut = False
    """Whether the connection is over, and what still comes is thrown away."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self._address = self.client[0] if self.client else ""
        self.guard.open[self._address] += 1
        if self._is_one_too_many():
            if self.guard.open[self._address] == self.guard.per_address_max + 1:
                _log.warning("too_many_connections", address=self._address)
            self._cut(Cut.CROWD, 503)
            return
        self._expect_request()

    def data_received(self, data: bytes) -> None:
        if self._is_cut:
            return
        self._is_begun = True
        if self._deadline is None:
            self._expect_request()
        super().data_received(data)
        if self.conn.their_state not in {h11.IDLE, h11.SEND_BODY}:
            self._forget_deadline()
        elif self.conn.their_state is h11.IDLE and not self.conn.trailing_data[0]:
            # An answer that came at once has made room for the next request already.
            self._forget_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_deadline()
        self.guard.open[self._address] -= 1
        if not self.guard.open[self._address]:
            del self.guard.open[self._address]
        super().connection_lost(exc)

    def _is_one_too_many(self) -> bool:
        if self.guard.open[self._address] <= self.guard.per_address_max:
            return False
        return not (self.guard.spares_this_machine and _is_this_machine(self._address))

    def _expect_request(self) -> None:
        self._deadline = self.loop.call_later(self.guard.receipt_timeout_s, self._on_late)

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
            self._is_begun = False

    def _on_late(self) -> None:
        # Who has sent nothing at all is no client to answer.
        self._cut(Cut.LATE, 408 if self._is_begun else None)

    def _cut(self, reason: Cut, status: int | None) -> None:
        self.guard.on_cut(reason)
        self._is_cut = True
        # None before the first request, whatever its type says.
        cycle = cast("RequestResponseCycle | None", self.cycle)
        if cycle is not None and not cycle.response_complete:
            # Its handler, if it still waits for the body, must not answer any more.
            cycle.disconnected = True
            cycle.message_event.set()
        is_unanswered = self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE}
        if status is None or not is_unanswered or self.transport.is_closing():
            self.transport.close()
            return
        headers = [("Connection", "close"), ("Content-Length", "0")]
        head = h11.Response(status_code=status, headers=headers)
        self.transport.write(self.conn.send(head) or b"")
        self._linger()

    def _linger(self) -> None:
        """Close our side only, and read on a little: a reset would take the answer away."""
        if not self.transport.can_write_eof():
            self.transport.close()  # With TLS there is no half of a connection.
            return
        self.transport.write_eof()
        self.flow.resume_reading()
        self._deadline = self.loop.call_later(self.guard.linger_s, self.transport.close)


def _is_this_machine(address: str) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return True  # A socket of this machine has no address at all.
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return (mapped or found).is_loopback
