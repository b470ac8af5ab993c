"""Cut a byte stream into RecordIO records: a decimal length, a line feed, that many bytes.

Mesos frames the events of a subscription so (Mesos "Scheduler HTTP API", RecordIO response
format). Bytes come in pieces of any size; what comes out does not depend on where they were cut.
Every byte is copied a fixed number of times, whatever the size of a record.
"""

_MAX_PREFIX_DIGITS = 19
"""A 64-bit length has at most as many digits: more is not a length."""


class RecordIoError(Exception):
    """The stream is not RecordIO, or holds a record over the limit: it cannot be resumed."""


class RecordIoReader:
    """An incremental reader; after it raised, it is of no further use."""

    def __init__(self, max_record_bytes: int) -> None:
        self._max_record_bytes = max_record_bytes
        self._buffer = bytearray()
        self._need: int | None = None
        """Length of the record under way; None while its prefix is read."""

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next bytes; return the records they complete, in order.

        Raises:
            RecordIoError: a prefix is not a decimal number, or larger than the limit.
        """
        self._buffer += data
        records: list[bytes] = []
        at = 0
        while True:
            if self._need is None:
                at = self._read_prefix(at)
            if self._need is None or len(self._buffer) - at < self._need:
                break
            records.append(bytes(memoryview(self._buffer)[at : at + self._need]))
            at += self._need
            self._need = None
        del self._buffer[:at]
        return records

    def _read_prefix(self, at: int) -> int:
        """Set ``_need`` if the prefix that starts at ``at`` is complete; return where we are."""
        end = self._buffer.find(b"\n", at, at + _MAX_PREFIX_DIGITS + 1)
        prefix = bytes(self._buffer[at : end if end >= 0 else at + _MAX_PREFIX_DIGITS + 1])
        if (prefix and not prefix.isdigit()) or (end >= 0 and not prefix):
            raise RecordIoError(f"record length expected, got {prefix!r}")
        if end < 0:
            if len(prefix) > _MAX_PREFIX_DIGITS:
                raise RecordIoError(f"record length without an end: {prefix!r}")
            return at
        length = int(prefix)
        if length > self._max_record_bytes:
            raise RecordIoError(
                f"record of {length} bytes is over the limit of {self._max_record_bytes}"
            )
        self._need = length
        return end + 1
