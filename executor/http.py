"""Speak HTTP/1.1 as a client: h11 decides, asyncio moves the bytes.

Used for the agent's stream, for the calls to it, and for health checks.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass

import h11

from executor.pulse import within

_READ_BYTES = 64 * 1024
_MAX_HEAD_BYTES = 64 * 1024


@dataclass(frozen=True)
class Address:
    """Where to connect: a host and a port, or the Unix socket if one is named."""

    host: str
    port: int
    unix_path: str = ""

    @property
    def authority(self) -> str:
        """The Host header's value."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


@dataclass(frozen=True)
class Head:
    """The start of a response. Header names are in lower case; a repeated one keeps its last."""

    status: int
    headers: dict[str, str]


class HttpConnection:
    """One connection. Requests go one after the other; a body must be read before the next."""

    def __init__(
        self, address: Address, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._address = address
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MAX_HEAD_BYTES)

    @classmethod
    async def open(
        cls,
        address: Address,
        timeout_s: float | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> HttpConnection:
        """Connect, within timeout_s if there is one.

        Raises:
            OSError, asyncio.TimeoutError: it did not connect.
        """
        if address.unix_path:
            opening = asyncio.open_unix_connection(address.unix_path)
        else:
            opening = asyncio.open_connection(address.host, address.port, ssl=tls)
        reader, writer = await within(timeout_s, opening)
        return cls(address, reader, writer)

    async def request(
        self, method: str, target: str, headers: dict[str, str], body: bytes = b""
    ) -> Head:
        """Send a request, return the head of its answer. Informational answers are skipped.

        Raises:
            OSError, h11.ProtocolError: the connection broke, or the answer is not HTTP.
        """
        fields = [("Host", self._address.authority), *headers.items()]
        if body or method == "POST":
            fields.append(("Content-Length", str(len(body))))
        out = self._http.send(h11.Request(method=method, target=target, headers=fields)) or b""
        if body:
            out += self._http.send(h11.Data(data=body)) or b""
        out += self._http.send(h11.EndOfMessage()) or b""
        self._writer.write(out)
        await self._writer.drain()
        while True:
            event = await self._next_event()
            if isinstance(event, h11.Response):
                names = {name.decode("latin-1"): value for name, value in event.headers}
                return Head(
                    event.status_code,
                    {name: value.decode("latin-1") for name, value in names.items()},
                )
            if not isinstance(event, h11.InformationalResponse):
                raise ConnectionError("the connection was closed before an answer came")

    async def read_chunk(self) -> bytes | None:
        """The next piece of the answer's body, None at its end."""
        event = await self._next_event()
        if isinstance(event, h11.Data):
            return bytes(event.data)
        if isinstance(event, h11.EndOfMessage):
            return None
        raise ConnectionError("the connection was closed within an answer")

    async def read_body(self, limit_bytes: int = 1024 * 1024) -> bytes:
        """Read the whole body and make the connection ready for the next request."""
        body = bytearray()
        while (chunk := await self.read_chunk()) is not None:
            body += chunk
            if len(body) > limit_bytes:
                raise ConnectionError(f"an answer of more than {limit_bytes} bytes")
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
        return bytes(body)

    @property
    def reusable(self) -> bool:
        """Whether another request may be sent."""
        return self._http.our_state is h11.IDLE and not self._reader.at_eof()

    def close(self) -> None:
        """Close without waiting for what is still on its way."""
        self._writer.transport.abort()

    async def _next_event(self) -> object:
        while True:
            event = self._http.next_event()
            if event is not h11.NEED_DATA:
                return event
            self._http.receive_data(await self._reader.read(_READ_BYTES))
