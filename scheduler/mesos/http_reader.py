"""Read HTTP/1.1 responses from a byte stream, without doing any I/O itself.

One reader serves both connections to a master: the endless chunked body of a subscription, and
the replies to calls that were written one behind the other without waiting (RFC 9112 §9.3.2).
h11 refuses to pipeline on the client's side, hence this reader: it knows only what Mesos sends
and refuses everything doubtful, since a misread length would pair replies with the wrong calls.
"""

from enum import Enum, auto

from attrs import field, frozen

_MAX_HEAD_BYTES = 64 * 1024
_MAX_CHUNK_LINE_BYTES = 1024


class HttpError(Exception):
    """The peer does not speak HTTP/1.1 as we know it: the connection cannot be used further."""


@frozen
class Head:
    """Status line and header fields; names in lower case, the last of equal names wins."""

    status: int
    reason: str
    headers: dict[str, str] = field(hash=False)


@frozen
class Body:
    """The next bytes of the response's body, transfer coding undone."""

    data: bytes


@frozen
class End:
    """The response is complete; the next one may follow on the same connection."""


Part = Head | Body | End


class _State(Enum):
    HEAD = auto()
    FIXED = auto()
    CHUNK_SIZE = auto()
    CHUNK_DATA = auto()
    CHUNK_END = auto()
    TRAILER = auto()
    UNTIL_CLOSE = auto()


class ResponseReader:
    """An incremental reader of one connection's responses; after it raised, it is finished."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._state = _State.HEAD
        self._remaining = 0
        """Bytes of the body, or of the present chunk, that are still to come."""

    def feed(self, data: bytes) -> list[Part]:
        """Take the next bytes; return the parts they complete. Body bytes are never held back.

        Raises:
            HttpError: the bytes are no HTTP/1.1 response, or a limit is exceeded.
        """
        self._buffer += data
        parts: list[Part] = []
        while self._step(parts):
            pass
        return parts

    def end_of_stream(self) -> list[Part]:
        """Tell that the peer closed; return the End of a body that lasts until then.

        Raises:
            HttpError: a response was cut off.
        """
        if self._state is _State.UNTIL_CLOSE:
            self._state = _State.HEAD
            return [End()]
        if self._state is _State.HEAD and not self._buffer:
            return []
        raise HttpError("connection closed in the middle of a response")

    def _step(self, parts: list[Part]) -> bool:
        """Do one transition; False when more bytes are needed for the next."""
        match self._state:
            case _State.HEAD:
                return self._read_head(parts)
            case _State.FIXED | _State.CHUNK_DATA | _State.UNTIL_CLOSE:
                return self._read_body(parts)
            case _State.CHUNK_SIZE:
                return self._read_chunk_size()
            case _State.CHUNK_END:
                return self._read_chunk_end()
            case _State.TRAILER:
                return self._read_trailer(parts)

    def _read_head(self, parts: list[Part]) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > _MAX_HEAD_BYTES:
                raise HttpError(f"response head over {_MAX_HEAD_BYTES} bytes")
            return False
        head = parse_head(bytes(self._buffer[:end]))
        del self._buffer[: end + 4]
        if 100 <= head.status < 200:
            if head.status == 101:
                raise HttpError("unexpected 101 Switching Protocols")
            return True
        parts.append(head)
        self._start_body(head, parts)
        return True

    def _start_body(self, head: Head, parts: list[Part]) -> None:
        coding = head.headers.get("transfer-encoding")
        length = head.headers.get("content-length")
        if head.status in (204, 304):
            parts.append(End())
        elif coding is not None:
            if coding.lower() != "chunked":
                raise HttpError(f"unknown transfer encoding {coding!r}")
            self._state = _State.CHUNK_SIZE
        elif length is not None:
            self._remaining = _parse_number(length, 10)
            if self._remaining:
                self._state = _State.FIXED
            else:
                parts.append(End())
        else:
            self._state = _State.UNTIL_CLOSE

    def _read_body(self, parts: list[Part]) -> bool:
        if not self._buffer:
            return False
        if self._state is _State.UNTIL_CLOSE:
            parts.append(Body(bytes(self._buffer)))
            self._buffer.clear()
            return False
        data = bytes(memoryview(self._buffer)[: self._remaining])
        del self._buffer[: len(data)]
        self._remaining -= len(data)
        parts.append(Body(data))
        if self._remaining == 0:
            if self._state is _State.FIXED:
                parts.append(End())
                self._state = _State.HEAD
            else:
                self._state = _State.CHUNK_END
        return True

    def _take_line(self) -> bytes | None:
        end = self._buffer.find(b"\r\n")
        if end > _MAX_CHUNK_LINE_BYTES or (end < 0 and len(self._buffer) > _MAX_CHUNK_LINE_BYTES):
            raise HttpError(f"line over {_MAX_CHUNK_LINE_BYTES} bytes in a chunked body")
        if end < 0:
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return line

    def _read_chunk_size(self) -> bool:
        line = self._take_line()
        if line is None:
            return False
        size, _, _extension = line.partition(b";")
        self._remaining = _parse_number(size.strip().decode("latin-1"), 16)
        self._state = _State.CHUNK_DATA if self._remaining else _State.TRAILER
        return True

    def _read_chunk_end(self) -> bool:
        if len(self._buffer) < 2:
            return False
        if not self._buffer.startswith(b"\r\n"):
            raise HttpError("chunk does not end where its size says")
        del self._buffer[:2]
        self._state = _State.CHUNK_SIZE
        return True

    def _read_trailer(self, parts: list[Part]) -> bool:
        line = self._take_line()
        if line is None:
            return False
        if not line:
            parts.append(End())
            self._state = _State.HEAD
        return True


def parse_head(block: bytes) -> Head:
    """Parse a status line and header fields (without the empty line that ends them).

    Raises:
        HttpError: a line has not the form RFC 9112 gives it, or two lengths contradict.
    """
    status_line, *lines = block.decode("latin-1").split("\r\n")
    version, _, rest = status_line.partition(" ")
    code, _, reason = rest.partition(" ")
    if version not in ("HTTP/1.1", "HTTP/1.0") or len(code) != 3 or not code.isdecimal():
        raise HttpError(f"not an HTTP/1.1 status line: {status_line[:100]!r}")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip() or "\n" in line or "\r" in line:
            raise HttpError(f"not a header field: {line[:100]!r}")
        name, value = name.lower(), value.strip()
        if name == "content-length" and headers.get(name, value) != value:
            raise HttpError("two different content lengths")
        headers[name] = value
    return Head(int(code), reason, headers)


def _parse_number(text: str, base: int) -> int:
    """Parse digits alone: int() would also take signs, underscores, spaces and "0x"."""
    digits = "0123456789abcdef"[:base]
    if not 0 < len(text) <= 15 or not all(letter in digits for letter in text.lower()):
        raise HttpError(f"not a length: {text[:100]!r}")
    return int(text, base)
