"""A scripted scheduler: raw HTTP and JSON, no library, every event kept.

It is the judge of what a master does, so it hides nothing: calls return (status, text), events are
exact JSON, and nothing is acknowledged or retried unless a test says so.
"""

import asyncio
import contextlib
import json
from collections.abc import Callable
from typing import Any, Self

Json = dict[str, Any]

ALL_CAPABILITIES = (
    "MULTI_ROLE",
    "PARTITION_AWARE",
    "TASK_KILLING_STATE",
    "RESERVATION_REFINEMENT",
    "REGION_AWARE",
)
DEADLINE_S = 30.0
API = "/api/v1/scheduler"
JSON_TYPE = "application/json"


def framework_info(name: str, **changes: Any) -> Json:
    """Return a FrameworkInfo like those of the recordings; a change to None leaves a field out."""
    info: Json = {
        "user": "root",
        "name": name,
        "roles": ["web"],
        "capabilities": [{"type": c} for c in ALL_CAPABILITIES],
        "checkpoint": True,
        "failover_timeout": 600.0,
        "principal": "trace",
        **changes,
    }
    return {k: v for k, v in info.items() if v is not None}


class Reply:
    """Status, headers (lower case) and body of one HTTP reply."""

    def __init__(self, status: int, headers: dict[str, str], text: str) -> None:
        self.status, self.headers, self.text = status, headers, text

    @property
    def pair(self) -> tuple[int, str]:
        return self.status, self.text

    @property
    def json(self) -> Any:
        return json.loads(self.text)


class Connection:
    """One keep-alive connection; requests may be written ahead of their replies."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, address: str) -> Self:
        host, _, port = address.rpartition(":")
        return cls(*await asyncio.open_connection(host, int(port), limit=64 * 1024 * 1024))

    def write(
        self, method: str, path: str, headers: dict[str, str | None], body: bytes = b""
    ) -> None:
        sent = {"Host": "mesos", "Content-Length": str(len(body)), **headers}
        lines = [f"{k}: {v}\r\n" for k, v in sent.items() if v is not None]
        self.writer.write(f"{method} {path} HTTP/1.1\r\n{''.join(lines)}\r\n".encode() + body)

    async def read_head(self) -> tuple[int, dict[str, str]]:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        pairs = [line.split(": ", 1) for line in head[1:] if line]
        return int(head[0].split(" ")[1]), {name.lower(): value for name, value in pairs}

    async def read_reply(self) -> Reply:
        status, headers = await self.read_head()
        body = b""
        if headers.get("transfer-encoding") == "chunked":
            while chunk := await self.read_chunk():
                body += chunk
        else:
            body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        return Reply(status, headers, body.decode())

    async def read_chunk(self) -> bytes:
        size = int((await self.reader.readline()).strip() or b"0", 16)
        chunk = await self.reader.readexactly(size)
        await self.reader.readexactly(2)
        return chunk

    def close(self) -> None:
        self.writer.close()


async def listed(address: str, framework_id: str) -> Json | None:
    """Return what the master tells of a framework that is not over."""
    frameworks = (await request(address, "GET", "/frameworks")).json["frameworks"]
    return next((f for f in frameworks if f["id"] == framework_id), None)


async def request(
    address: str,
    method: str,
    path: str,
    body: bytes | Json | None = None,
    **headers: str | None,
) -> Reply:
    """Send one request on a connection of its own; JSON bodies get their Content-Type."""
    data = json.dumps(body).encode() if isinstance(body, dict) else body or b""
    sent: dict[str, str | None] = {"Accept": JSON_TYPE}
    if isinstance(body, dict):
        sent["Content-Type"] = JSON_TYPE
    sent.update({k.replace("_", "-"): v for k, v in headers.items()})
    connection = await Connection.open(address)
    try:
        connection.write(method, path, sent, data)
        async with asyncio.timeout(DEADLINE_S):
            return await connection.read_reply()
    finally:
        connection.close()


class Scheduler:
    """A framework's scheduler: one event stream, one connection for calls."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.framework_id = ""
        self.stream_id = ""
        self.events: list[Json] = []
        self.is_closed = False
        self.acknowledges = True
        self._changed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._acknowledging: list[asyncio.Task[None]] = []
        self._stream: Connection | None = None
        self._calls: Connection | None = None

    # Talking

    async def subscribe(self, info: Json, **more: Any) -> Self:
        """Open the event stream; the reader runs in the background."""
        call: Json = {"type": "SUBSCRIBE", "subscribe": {"framework_info": info, **more}}
        if "id" in info:
            call["framework_id"] = info["id"]
        self._stream = await Connection.open(self.address)
        headers: dict[str, str | None] = {"Content-Type": JSON_TYPE, "Accept": JSON_TYPE}
        self._stream.write("POST", API, headers, json.dumps(call).encode())
        status, received = await self._stream.read_head()
        assert status == 200, await self._stream.reader.read(1000)
        self.stream_id = received["mesos-stream-id"]
        self._tasks.append(asyncio.ensure_future(self._read(self._stream)))
        return self

    async def _read(self, stream: Connection) -> None:
        # A stream that is cut has ended as one that is closed, for a test.
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while chunk := await stream.read_chunk():
                length, _, record = chunk.partition(b"\n")
                assert int(length) == len(record), "one record a chunk"
                self._take(json.loads(record))
        self.is_closed = True
        self._changed.set()

    def _take(self, event: Json) -> None:
        if event["type"] == "SUBSCRIBED":
            self.framework_id = event["subscribed"]["framework_id"]["value"]
        self.events.append(event)
        self._changed.set()
        if event["type"] == "UPDATE" and self.acknowledges:
            self.acknowledge(event["update"]["status"])

    def send(self, kind: str, body: Json | None = None, **headers: str | None) -> None:
        """Write a call without waiting for its reply (its reply must be read by `replies`)."""
        assert self._calls is not None
        call: Json = {"type": kind, "framework_id": {"value": self.framework_id}}
        if body is not None:
            call[kind.lower()] = body
        sent: dict[str, str | None] = {
            "Content-Type": JSON_TYPE,
            "Accept": JSON_TYPE,
            "Mesos-Stream-Id": self.stream_id,
            **headers,
        }
        self._calls.write("POST", API, sent, json.dumps(call).encode())

    async def replies(self, count: int) -> list[Reply]:
        """Read the replies of calls that were sent ahead."""
        assert self._calls is not None
        async with asyncio.timeout(DEADLINE_S):
            return [await self._calls.read_reply() for _ in range(count)]

    async def call(self, kind: str, body: Json | None = None, **more: Any) -> Reply:
        """Send one call on a connection of its own; `more` may override `stream_id`."""
        call: Json = {"type": kind, "framework_id": {"value": self.framework_id}}
        if body is not None:
            call[kind.lower()] = body
        stream_id = more.get("stream_id", self.stream_id)
        return await request(self.address, "POST", API, call, Mesos_Stream_Id=stream_id)

    async def open_calls(self) -> None:
        """Open the connection that `send` writes on."""
        self._calls = await Connection.open(self.address)

    def acknowledge(self, status: Json) -> None:
        """Acknowledge an update that wants it, in the background."""
        if "uuid" in status:
            body = {k: status[k] for k in ("agent_id", "task_id", "uuid")}
            sending = asyncio.ensure_future(self._send_acknowledge(body))
            self._acknowledging.append(sending)
            self._tasks.append(sending)

    async def _send_acknowledge(self, body: Json) -> None:
        # A master that went away is no matter: the agent sends the update again.
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await self.call("ACKNOWLEDGE", body)

    def close_stream(self) -> None:
        """Go away without a word."""
        if self._stream is not None:
            self._stream.close()

    async def close(self) -> None:
        """Tear the framework down, if it is still subscribed, and close everything."""
        if self.framework_id and not self.is_closed:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await self.call("TEARDOWN")
        for task in self._tasks:
            task.cancel()
        for connection in (self._stream, self._calls):
            if connection is not None:
                connection.close()

    # Listening

    async def wait(self, found: Callable[[], Any], what: str = "") -> Any:
        """Wait until `found` returns something true, and return it."""
        try:
            async with asyncio.timeout(DEADLINE_S):
                while not (result := found()):
                    self._changed.clear()
                    await self._changed.wait()
                return result
        except TimeoutError:
            tail = json.dumps(self.events[-4:])[-3000:]
            raise AssertionError(f"never came: {what or found}; last events: {tail}") from None

    async def wait_acknowledged(self) -> None:
        """Wait until the master has taken every acknowledgement that was sent."""
        await asyncio.gather(*self._acknowledging)

    async def wait_closed(self) -> None:
        await self.wait(lambda: self.is_closed, "end of stream")

    def of(self, kind: str) -> list[Json]:
        """Return the bodies of the events of a type."""
        return [e.get(kind.lower(), {}) for e in self.events if e["type"] == kind]

    def offers(self) -> list[Json]:
        """Return every offer ever received."""
        return [offer for body in self.of("OFFERS") for offer in body["offers"]]

    async def new_offers(self, since: int, count: int = 1) -> list[Json]:
        """Wait for offers beyond the first `since` ever received."""
        return await self.wait(
            lambda: self.offers()[since:] if len(self.offers()) >= since + count else None,
            f"{count} offers beyond {since}",
        )

    def statuses(self, task_id: str) -> list[Json]:
        """Return the statuses received of a task."""
        bodies = [b["status"] for b in self.of("UPDATE")]
        return [s for s in bodies if s["task_id"]["value"] == task_id]

    def updates(self, task_id: str) -> list[Json]:
        """Return the statuses received of a task; one that came again counts once.

        The agent of a busy machine may find that its acknowledgement is late.
        """
        each = {s.get("uuid", n): s for n, s in enumerate(self.statuses(task_id))}
        return list(each.values())

    def states(self, task_id: str) -> list[str]:
        """Return the states received of a task."""
        return [s["state"] for s in self.updates(task_id)]

    async def wait_state(self, task_id: str, state: str, since: int = 0) -> Json:
        """Wait for a status of a task, beyond the first `since` of it."""
        return await self.wait(
            lambda: next((s for s in self.statuses(task_id)[since:] if s["state"] == state), None),
            f"{state} of {task_id}",
        )


def task(name: str, agent: Json, command: Any = "sleep 1000", /, **changes: Any) -> Json:
    """Return a TaskInfo of 0.1 cpus and 32 MiB; a change to None leaves a field out."""
    info: Json = {
        "name": name,
        "task_id": {"value": name},
        "agent_id": agent,
        "resources": [scalar("cpus", 0.1), scalar("mem", 32)],
        "command": {"value": command} if isinstance(command, str) else command,
        **changes,
    }
    return {k: v for k, v in info.items() if v is not None}


def scalar(name: str, value: float, **more: Any) -> Json:
    """Return a scalar Resource."""
    return {"name": name, "type": "SCALAR", "scalar": {"value": value}, **more}


def ports(begin: int, end: int) -> Json:
    """Return a ports Resource."""
    span = {"begin": begin, "end": end}
    return {"name": "ports", "type": "RANGES", "ranges": {"range": [span]}}


def launch(offers: list[Json], tasks: list[Json], refuse_s: float = 0.0) -> Json:
    """Return the body of an ACCEPT with one LAUNCH."""
    return {
        "offer_ids": [o["id"] for o in offers],
        "operations": [{"type": "LAUNCH", "launch": {"task_infos": tasks}}],
        "filters": {"refuse_seconds": refuse_s},
    }
