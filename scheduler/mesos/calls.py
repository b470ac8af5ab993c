"""Send calls to the master on one keep-alive connection, one behind the other.

Calls are written without waiting for the replies before them; the master answers in order, and
each reply settles the oldest call that waits for one. The connection is opened by the first call
and again by the first call after it was lost. All that are under way when it is lost are Unknown.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from attrs import define, frozen

from scheduler.mesos.http_reader import Body, End, Head, HttpError, ResponseReader
from scheduler.mesos.outcome import CallOutcome, NotSent, Refused, Sent, Unknown

_MAX_REASON_BYTES = 4096


@frozen
class CallLimits:
    """Bounds on what may be under way at once; a call beyond them is NotSent."""

    reply_timeout_s: float = 15.0
    max_calls: int = 50_000
    max_bytes: int = 256 * 1024 * 1024
    linger_s: float = 1.0
    """How long replies under way are waited for once the subscription is lost: a master that
    ends the stream, as it does after TEARDOWN, often sends them with its last packets."""


@define(eq=False)
class _Call:
    request: bytes
    outcome: asyncio.Future[CallOutcome]
    written_at_s: float = 0.0


class _Wire(asyncio.Protocol):
    """One connection; tells its channel what happens to it."""

    def __init__(self, channel: "CallChannel") -> None:
        self._channel = channel

    def data_received(self, data: bytes) -> None:
        self._channel.on_bytes(self, data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._channel.on_lost(self, str(exc) if exc else "connection closed by the master")


Connect = Callable[[Callable[[], _Wire]], Awaitable[tuple[asyncio.Transport, _Wire]]]


class CallChannel:
    """Calls of one subscription. Use it on the event loop's thread only."""

    def __init__(self, connect: Connect, request_head: bytes, limits: CallLimits) -> None:
        """``request_head`` is everything before the value of Content-Length, its last field."""
        self._connect = connect
        self._request_head = request_head
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._unwritten: deque[_Call] = deque()
        self._in_flight: deque[_Call] = deque()
        self._bytes = 0
        self._wire: _Wire | None = None
        self._transport: asyncio.Transport | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._flush_is_due = False
        self._watchdog: asyncio.TimerHandle | None = None
        self._closed: str | None = None
        self._forget_response()

    def send(self, body: bytes) -> asyncio.Future[CallOutcome]:
        """Send one call. The future always gets an outcome, and never an exception."""
        outcome: asyncio.Future[CallOutcome] = self._loop.create_future()
        if self._closed is not None:
            outcome.set_result(NotSent(self._closed))
            return outcome
        pending = len(self._unwritten) + len(self._in_flight)
        if pending >= self._limits.max_calls or self._bytes + len(body) > self._limits.max_bytes:
            outcome.set_result(NotSent(f"{pending} calls, {self._bytes} bytes are under way"))
            return outcome
        request = b"%s%d\r\n\r\n%s" % (self._request_head, len(body), body)
        self._bytes += len(request)
        self._unwritten.append(_Call(request, outcome))
        if self._transport is None and self._connecting is None:
            self._connecting = self._loop.create_task(self._open())
        elif self._transport is not None and not self._flush_is_due:
            # One write for all calls of this turn of the loop.
            self._flush_is_due = True
            self._loop.call_soon(self._flush)
        return outcome

    def close(self, reason: str, *, linger: bool = False) -> None:
        """End the channel: no call is taken any more, and those not yet written are NotSent.

        Those written become Unknown, at once or (``linger``) unless their reply still comes.
        """
        self._closed = reason
        if self._connecting is not None:
            self._connecting.cancel()
            self._connecting = None
        self._settle_unwritten(NotSent(reason))
        if linger and self._in_flight:
            self._loop.call_later(self._limits.linger_s, self._drop, reason)
        else:
            self._drop(reason)

    async def _open(self) -> None:
        try:
            transport, wire = await self._connect(lambda: _Wire(self))
        except OSError as problem:
            self._connecting = None
            self._settle_unwritten(NotSent(f"no connection: {problem or 'timed out'}"))
            return
        self._connecting = None
        if self._closed is not None or transport.is_closing():
            transport.abort()
            self._settle_unwritten(NotSent("connection closed by the master"))
            return
        self._transport, self._wire = transport, wire
        self._reader = ResponseReader()
        self._flush()

    def _flush(self) -> None:
        self._flush_is_due = False
        if self._transport is None or not self._unwritten:
            return
        now_s = self._loop.time()
        calls = list(self._unwritten)
        self._unwritten.clear()
        for call in calls:
            call.written_at_s = now_s
        self._in_flight.extend(calls)
        self._transport.write(b"".join(call.request for call in calls))
        if self._watchdog is None:
            self._watch()

    def _watch(self) -> None:
        """See to it that the oldest call is answered in time; a later one never is before it."""
        self._watchdog = None
        if not self._in_flight:
            return
        due_s = self._in_flight[0].written_at_s + self._limits.reply_timeout_s
        if due_s <= self._loop.time():
            self._drop(f"no reply within {self._limits.reply_timeout_s:g} s")
            return
        self._watchdog = self._loop.call_at(due_s, self._watch)

    def on_bytes(self, wire: _Wire, data: bytes) -> None:
        """Take bytes that came on ``wire``; those of an older connection are ignored."""
        if wire is not self._wire:
            return
        try:
            for part in self._reader.feed(data):
                self._take(part)
        except HttpError as problem:
            self._drop(str(problem))

    def on_lost(self, wire: _Wire, reason: str) -> None:
        """``wire`` has been closed, by whomever."""
        if wire is self._wire:
            self._drop(reason)

    def _take(self, part: Head | Body | End) -> None:
        match part:
            case Head():
                if not self._in_flight:
                    raise HttpError("a reply to no call")
                self._head = part
            case Body(data):
                self._reason += data[: _MAX_REASON_BYTES - len(self._reason)]
            case End():
                self._finish_response()

    def _finish_response(self) -> None:
        head = self._head
        if head is None:
            raise HttpError("the end of a reply that never began")
        text = self._reason.decode("utf-8", "replace")
        self._forget_response()
        if 200 <= head.status < 300:
            self._settle(self._in_flight.popleft(), Sent(head.status))
        else:
            self._settle(self._in_flight.popleft(), Refused(head.status, text or head.reason))
        is_last = self._closed is not None and not self._in_flight
        if is_last or head.headers.get("connection", "").lower() == "close":
            self._drop("connection closed by the master")

    def _forget_response(self) -> None:
        self._head: Head | None = None
        self._reason = b""

    def _drop(self, reason: str) -> None:
        """Give the connection up; the next call opens another one."""
        if self._transport is not None:
            self._transport.abort()
        self._transport = self._wire = None
        self._forget_response()
        if self._watchdog is not None:
            self._watchdog.cancel()
            self._watchdog = None
        lost, self._in_flight = self._in_flight, deque()
        for call in lost:
            self._settle(call, Unknown(reason))
        # Not written yet, though taken: the connection they waited for is gone.
        self._settle_unwritten(NotSent(reason))

    def _settle_unwritten(self, outcome: NotSent) -> None:
        unwritten, self._unwritten = self._unwritten, deque()
        for call in unwritten:
            self._settle(call, outcome)

    def _settle(self, call: _Call, outcome: CallOutcome) -> None:
        self._bytes -= len(call.request)
        if not call.outcome.done():  # the caller may have cancelled it
            call.outcome.set_result(outcome)
