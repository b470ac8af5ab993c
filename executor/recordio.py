"""Cut a byte stream into RecordIO records: a decimal length, a line feed, that many bytes.

Source: Mesos's document on RecordIO (streaming responses of the v1 API).
"""

from __future__ import annotations

MAX_RECORD_BYTES = 16 * 1024 * 1024
_MAX_DIGITS = len(str(MAX_RECORD_BYTES))


class FramingError(Exception):
    """The stream is not RecordIO, or a record is larger than we take: nothing after it is safe."""


class RecordDecoder:
    """Collect bytes as they come and hand out whole records.

    Each byte is copied at most twice, however the stream is cut: the buffer is only compacted once
    per `feed`.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Add bytes; return the records that are now complete.

        Raises:
            FramingError: the length is no number, or above MAX_RECORD_BYTES.
        """
        self._buffer += data
        records: list[bytes] = []
        start = 0
        while True:
            end_of_length = self._buffer.find(b"\n", start, start + _MAX_DIGITS + 1)
            if end_of_length < 0:
                self._check_digits(self._buffer[start : start + _MAX_DIGITS + 1])
                break
            body = end_of_length + 1
            length = self._length(self._buffer[start:end_of_length])
            if len(self._buffer) < body + length:
                break
            records.append(bytes(self._buffer[body : body + length]))
            start = body + length
        del self._buffer[:start]
        return records

    def _length(self, digits: bytearray) -> int:
        if not digits:
            raise FramingError("a record without a length")
        self._check_digits(digits)
        length = int(digits)
        if length > MAX_RECORD_BYTES:
            raise FramingError(f"a record of {length} bytes, more than {MAX_RECORD_BYTES}")
        return length

    @staticmethod
    def _check_digits(digits: bytearray) -> None:
        if digits and not digits.isdigit():
            raise FramingError(f"not a record length: {bytes(digits)!r}")
        if len(digits) > _MAX_DIGITS:
            raise FramingError(f"a record length of more than {_MAX_DIGITS} digits")
