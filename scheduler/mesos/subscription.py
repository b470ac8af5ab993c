"""Hold one subscription: one SUBSCRIBE on a connection of its own, until it ends.

The reply to SUBSCRIBE is the event stream (Mesos "Scheduler HTTP API"). What ends it is told as
a value, so that the driver decides what to do next in one place; nothing here retries.
"""

import asyncio
from collections.abc import Callable

from attrs import frozen

from scheduler.mesos.endpoint import Endpoint, Tls, connect, redirected
from scheduler.mesos.http_reader import Body, End, Head, HttpError, ResponseReader
from scheduler.mesos.recordio import RecordIoError, RecordIoReader

_READ_BYTES = 256 * 1024
_MAX_REASON_BYTES = 4096


@frozen
class Redirected:
    """307: another master leads, there."""

    to: Endpoint


@frozen
class Unavailable:
    """No answer, or one that says "not now" (5xx): worth another attempt soon."""

    reason: str


@frozen
class Rejected:
    """An answer that will not change by itself: credentials (401, 403) or a bad call (400)."""

    status: int
    reason: str


@frozen
class Lost:
    """The stream was open and has ended, whoever ended it."""

    reason: str


SubscriptionEnd = Redirected | Unavailable | Rejected | Lost


@frozen
class Timing:
    """Every deadline of the transport, in seconds, and the size limit of a record."""

    connect_timeout_s: float = 10.0
    reply_timeout_s: float = 15.0
    """From SUBSCRIBE written to response head read; then again until the first event."""
    missed_heartbeats: int = 5
    """Silence of as many heartbeat intervals ends a subscription (Mesos documentation)."""
    backoff_first_s: float = 0.5
    backoff_cap_s: float = 15.0
    max_record_bytes: int = 128 * 1024 * 1024
    """An OFFERS event of 10,000 offers takes 12 MB."""


class Subscription:
    """One attempt to subscribe. ``run`` it once."""

    def __init__(
        self,
        endpoint: Endpoint,
        request: bytes,
        tls: Tls,
        timing: Timing,
        *,
        on_open: Callable[[str], None],
        on_record: Callable[[bytes], None],
    ) -> None:
        """``on_open`` gets the stream id, ``on_record`` each event; neither may raise."""
        self._endpoint = endpoint
        self._request = request
        self._tls = tls
        self._timing = timing
        self._on_open = on_open
        self._on_record = on_record
        self._http = ResponseReader()
        self._records = RecordIoReader(timing.max_record_bytes)
        self._head: Head | None = None
        self._reason = b""
        self.silence_limit_s = timing.reply_timeout_s
        """How long the open stream may be silent; set anew once SUBSCRIBED tells the interval."""

    @property
    def is_open(self) -> bool:
        """Whether the master has answered 200: from then on records come."""
        return self._head is not None and self._head.status == 200

    async def run(self) -> SubscriptionEnd:
        """Connect, subscribe, and hand on every record until the stream ends.

        Never raises, except CancelledError, and leaves no connection behind in any case.
        """
        loop = asyncio.get_running_loop()
        stream = asyncio.StreamReader(limit=_READ_BYTES, loop=loop)
        try:
            transport, _ = await connect(
                self._endpoint,
                lambda: asyncio.StreamReaderProtocol(stream, loop=loop),
                self._tls,
                self._timing.connect_timeout_s,
            )
        except OSError as problem:
            return Unavailable(f"cannot connect to {self._endpoint.authority}: {problem}")
        try:
            transport.write(self._request)
            return await self._read(stream)
        except (OSError, HttpError, RecordIoError, ValueError) as problem:
            return self._ended(str(problem))
        finally:
            # Not close(): that would wait for a peer that may be gone.
            transport.abort()

    async def _read(self, stream: asyncio.StreamReader) -> SubscriptionEnd:
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + self._timing.reply_timeout_s
        while True:
            try:
                async with asyncio.timeout_at(deadline_s):
                    data = await stream.read(_READ_BYTES)
            except TimeoutError:
                return self._ended("the master is silent beyond the deadline")
            parts = self._http.feed(data) if data else self._http.end_of_stream()
            for part in parts:
                end = self._take(part)
                if end is not None:
                    return end
            if not data:
                return self._ended("connection closed by the master")
            if self.is_open:
                deadline_s = loop.time() + self.silence_limit_s

    def _take(self, part: Head | Body | End) -> SubscriptionEnd | None:
        match part:
            case Head():
                self._head = part
                return self._opened(part) if part.status == 200 else None
            case Body(data):
                if self.is_open:
                    for record in self._records.feed(data):
                        self._on_record(record)
                else:
                    self._reason += data[: _MAX_REASON_BYTES - len(self._reason)]
                return None
            case End():
                return self._closed_by_reply()

    def _opened(self, head: Head) -> SubscriptionEnd | None:
        stream_id = head.headers.get("mesos-stream-id")
        if stream_id is None or head.headers.get("transfer-encoding", "").lower() != "chunked":
            return Rejected(200, "the answer to SUBSCRIBE is not the event stream of a master")
        self._on_open(stream_id)
        return None

    def _closed_by_reply(self) -> SubscriptionEnd:
        head = self._head
        if head is None:
            raise HttpError("the end of a reply that never began")
        if head.status == 200:
            return Lost("event stream ended by the master")
        reason = self._reason.decode("utf-8", "replace") or head.reason
        if head.status in (307, 308):
            return Redirected(redirected(self._endpoint, head.headers.get("location", "")))
        if head.status >= 500 or head.status == 429:
            return Unavailable(f"{head.status} {reason}")
        return Rejected(head.status, reason)

    def _ended(self, reason: str) -> SubscriptionEnd:
        return Lost(reason) if self.is_open else Unavailable(reason)
