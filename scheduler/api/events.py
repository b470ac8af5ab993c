"""Stream events as Marathon does (Server-Sent Events, page "Event Stream").

Each fact is encoded once, whatever the number of clients. A client that does not read is closed
when its backlog is full; nobody else notices. Frames end in CRLF because marathon-lb splits on
it. An addition to Marathon: frames carry an ``id``, and a client that comes back with
``Last-Event-ID`` gets what it missed, as far as it is still kept; a header says how many are not.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from itertools import count

import orjson
from attrs import define, field, frozen
from starlette.types import Receive, Scope, Send

from scheduler.api.facts import Json, events_of
from scheduler.core.effects import Fact
from scheduler.core.times import format_ms

HEARTBEAT_S = 10.0
LOST_HEADER = b"egret-events-lost"
_KEPT_MAX = 2_048
_KEPT_BYTES_MAX = 16 * 1024 * 1024
"""Of all frames kept: a definition alone may have 2 MiB, the plan of a large deployment too."""
_HEARTBEAT = b"\r\n"


@frozen
class Frame:
    number: int
    kind: str
    data: bytes


@define(eq=False)
class Client:
    """One listener; ``wanted`` empty means every type of event."""

    wanted: frozenset[str]
    backlog_max: int
    frames: deque[bytes] = field(factory=deque)
    news: asyncio.Event = field(factory=asyncio.Event)
    is_over: bool = False
    lost: str = ""
    """How many events since its last one are kept no more, of whatever type: a number, "unknown",
    or empty for none."""
    drop: Callable[[], object] = field(default=bool)
    """Ends the response at once, though it may be stuck in a full socket."""

    def offer(self, frame: Frame) -> None:
        if self.is_over or (self.wanted and frame.kind not in self.wanted):
            return
        if len(self.frames) >= self.backlog_max:
            self.end()
            return
        self.frames.append(frame.data)
        self.news.set()

    def end(self) -> None:
        self.is_over = True
        self.news.set()
        self.drop()


class EventHub:
    """Encode what happens and hand it to every client. Belongs to the loop's thread."""

    def __init__(self, clock: Callable[[], int], clients_max: int, backlog_max: int) -> None:
        self._clock = clock
        self._clients: set[Client] = set()
        self._kept: deque[Frame] = deque()
        self._kept_bytes = 0
        self._numbers = count(1)
        # Ids of an earlier process must not be taken for ours.
        self._term = format(clock(), "x")
        self.clients_max = clients_max
        self.backlog_max = backlog_max

    @property
    def clients(self) -> int:
        """Clients that follow the events now."""
        return len(self._clients)

    def on_fact(self, fact: Fact) -> None:
        """Send what a fact means to Marathon's clients; a listener of the bus."""
        for kind, about in events_of(fact):
            self.send(kind, about)

    def api_post(self, client_ip: str, uri: str, definition: Json) -> None:
        """Tell that a client set an app."""
        about = {"clientIp": client_ip, "uri": uri, "appDefinition": definition}
        self.send("api_post_event", about)

    def send(self, kind: str, about: Json) -> None:
        """Send one event to all who want it."""
        number = next(self._numbers)
        head = f"id: {self._term}-{number}\r\n".encode()
        frame = Frame(number, kind, head + self._encode(kind, about))
        self._keep(frame)
        for client in tuple(self._clients):
            client.offer(frame)

    def listeners(self, kind: str) -> set[Client]:
        """Name the clients that asked for this type by its name."""
        return {client for client in self._clients if kind in client.wanted}

    def tell(self, clients: AbstractSet[Client], kind: str, events: Sequence[Json]) -> None:
        """Send events to these clients alone, and keep nothing for any that come back.

        Without an id they leave the place where a client goes on as it was. All together count as
        one in its backlog.
        """
        if not clients or not events:
            return
        frame = Frame(0, kind, b"".join(self._encode(kind, about) for about in events))
        for client in clients:
            client.offer(frame)

    def _encode(self, kind: str, about: Json) -> bytes:
        body = orjson.dumps({**about, "eventType": kind, "timestamp": format_ms(self._clock())})
        return f"event: {kind}\r\ndata: ".encode() + body + b"\r\n\r\n"

    def _keep(self, frame: Frame) -> None:
        """Keep a frame for clients that come back, and forget the oldest beyond the limits."""
        self._kept.append(frame)
        self._kept_bytes += len(frame.data)
        while len(self._kept) > _KEPT_MAX or self._kept_bytes > _KEPT_BYTES_MAX:
            self._kept_bytes -= len(self._kept.popleft().data)

    def join(self, wanted: frozenset[str], last_id: str | None) -> Client:
        """Add a client; with the id of the last event it saw, it first gets what came since.

        All that is kept, though it be more than a backlog: who was closed for being slow would
        otherwise come back to a gap.
        """
        missed, lost = self._since(last_id)
        client = Client(wanted, self.backlog_max + len(missed), lost=lost)
        for frame in missed:
            client.offer(frame)
        self._clients.add(client)
        return client

    def leave(self, client: Client) -> None:
        self._clients.discard(client)

    def close(self) -> None:
        """End every stream: the process is about to stop."""
        for client in tuple(self._clients):
            client.end()

    def _since(self, last_id: str | None) -> tuple[list[Frame], str]:
        """Return what is kept of the events after ``last_id``, and how many are not (``lost``)."""
        if not last_id:
            return [], ""
        term, _, number = last_id.partition("-")
        if term != self._term or not number.isdecimal():
            return [], "unknown"
        missed = [frame for frame in self._kept if frame.number > int(number)]
        first = self._kept[0].number if self._kept else int(number) + 1
        gone = first - int(number) - 1
        return missed, str(gone) if gone > 0 else ""


class EventStream:
    """The response to GET /v2/events: lives until one side has enough."""

    def __init__(self, hub: EventHub, wanted: frozenset[str], last_id: str | None) -> None:
        self._hub = hub
        self._wanted = wanted
        self._last_id = last_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        address = scope["client"][0] if scope.get("client") else ""
        client = self._hub.join(self._wanted, self._last_id)
        writer = asyncio.ensure_future(self._write(client, send))
        reader = asyncio.ensure_future(_until_gone(receive))
        client.drop = writer.cancel
        self._hub.send("event_stream_attached", {"remoteAddress": address})
        try:
            await asyncio.wait({writer, reader}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._hub.leave(client)
            for task in (writer, reader):
                task.cancel()
            await asyncio.gather(writer, reader, return_exceptions=True)
            self._hub.send("event_stream_detached", {"remoteAddress": address})

    async def _write(self, client: Client, send: Send) -> None:
        headers = [
            (b"content-type", b"text/event-stream;charset=UTF-8"),
            (b"cache-control", b"no-cache, no-store, must-revalidate"),
            (b"x-accel-buffering", b"no"),
        ]
        if client.lost:
            headers.append((LOST_HEADER, client.lost.encode()))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        # A first byte at once: clients and proxies then know that the stream is open.
        body = _HEARTBEAT
        while not client.is_over:
            await send({"type": "http.response.body", "body": body, "more_body": True})
            body = await _next_bytes(client)


async def _next_bytes(client: Client) -> bytes:
    if not client.frames:
        client.news.clear()
        try:
            await asyncio.wait_for(client.news.wait(), HEARTBEAT_S)
        except TimeoutError:
            return _HEARTBEAT
    body = b"".join(client.frames)
    client.frames.clear()
    return body


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
