"""Parse one HTTP/1.x response incrementally, behind the interface pymesos expects.

h11 does the work; this file only turns its events into the question-and-answer style of the C
parser. One rule to keep: `HttpParser` must not have an attribute `errno`, because pymesos takes its
presence as the sign of another parser and then imports a module that does not exist here.
"""

from __future__ import annotations

import h11

# Room for the response head (h11's default of 16 KiB is tight behind some proxies); the body is
# handed on as it comes and never held here, so this does not limit events.
_MAX_HEAD_BYTES = 64 * 1024

NO_ERROR = 0
MALFORMED = 1


class HttpParser:
    """Read one response. Feed it with `execute`, then ask. Not thread-safe."""

    def __init__(self) -> None:
        self._connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MAX_HEAD_BYTES)
        # h11 parses a response only to a request it has seen. What the request was does not
        # matter: any but HEAD and CONNECT gives the same framing rules.
        self._connection.send(h11.Request(method="POST", target="/", headers=[("host", "mesos")]))
        self._connection.send(h11.EndOfMessage())
        self._response: h11.Response | None = None
        self._body: list[bytes] = []
        self._is_complete = False
        self._error_code = NO_ERROR

    def execute(self, data: bytes, length: int) -> int:
        """Feed the first `length` bytes of `data`; empty means the peer closed.

        Returns how many bytes belong to the response: `length` as long as all is well, fewer when
        bytes follow the end of the message or the response is malformed (see `get_errno`).
        Never raises for what the peer sent.
        """
        if self._error_code != NO_ERROR or self._is_complete:
            return 0
        try:
            self._connection.receive_data(bytes(data[:length]))
            self._read_events()
        except h11.RemoteProtocolError:
            self._error_code = MALFORMED
            return 0
        if self._is_complete:
            return length - len(self._connection.trailing_data[0])
        return length

    def _read_events(self) -> None:
        while True:
            event = self._connection.next_event()
            if isinstance(event, h11.Response):
                self._response = event
            elif isinstance(event, h11.Data):
                self._body.append(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                self._is_complete = True
                return
            elif not isinstance(event, h11.InformationalResponse):
                return  # NEED_DATA, PAUSED or the peer's close: nothing more to read now.

    def is_headers_complete(self) -> bool:
        """Tell whether the final status line and headers are in (1xx answers do not count)."""
        return self._response is not None

    def get_status_code(self) -> int:
        """Return the status code, 0 before the headers are complete."""
        return 0 if self._response is None else self._response.status_code

    def get_headers(self) -> dict[str, str]:
        """Return the headers, names as the peer wrote them; a repeated one joined with `, `."""
        headers: dict[str, str] = {}
        written_as: dict[str, str] = {}
        raw_items = [] if self._response is None else self._response.headers.raw_items()
        for raw_name, raw_value in raw_items:
            name, value = raw_name.decode("ascii"), raw_value.decode("latin-1")
            name = written_as.setdefault(name.lower(), name)
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        return headers

    def is_chunked(self) -> bool:
        """Tell whether the body comes in chunks, as an event stream must."""
        for name, value in self.get_headers().items():
            if name.lower() == "transfer-encoding":
                return value.lower().strip() == "chunked"
        return False

    def is_partial_body(self) -> bool:
        """Tell whether `recv_body` would return bytes."""
        return bool(self._body)

    def recv_body(self) -> bytes:
        """Return the de-chunked body bytes received since the last call, and forget them."""
        body = b"".join(self._body)
        self._body.clear()
        return body

    def is_message_complete(self) -> bool:
        """Tell whether the whole response has been received."""
        return self._is_complete

    def get_errno(self) -> int:
        """Return 0, or `MALFORMED` once the peer sent what is not HTTP."""
        return self._error_code
