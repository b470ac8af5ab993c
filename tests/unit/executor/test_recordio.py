"""RecordIO, however the stream is cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.recordio import MAX_RECORD_BYTES, FramingError, RecordDecoder


@given(st.lists(st.binary(max_size=50), max_size=10), st.data())
def test_any_cut_of_a_stream_gives_the_same_records(
    records: list[bytes], data: st.DataObject
) -> None:
    stream = b"".join(f"{len(record)}\n".encode() + record for record in records)
    decoder, found, position = RecordDecoder(), [], 0
    while position < len(stream):
        size = data.draw(st.integers(1, len(stream) - position))
        found += decoder.feed(stream[position : position + size])
        position += size
    assert found == records


@pytest.mark.parametrize(
    "stream",
    [
        b"x",
        b"\n",
        b"-1\n",
        b"1x\n",
        b"+1\nA",
        b" 1\nA",
        f"{MAX_RECORD_BYTES + 1}\n".encode(),
        b"1" * 30,
    ],
)
def test_what_is_no_recordio_is_refused_at_once(stream: bytes) -> None:
    with pytest.raises(FramingError):
        RecordDecoder().feed(stream)


def test_a_bad_record_after_a_good_one_is_refused() -> None:
    with pytest.raises(FramingError):
        RecordDecoder().feed(b"1\nAoops\n")


def test_a_record_of_the_largest_size_is_taken() -> None:
    decoder = RecordDecoder()
    assert decoder.feed(f"{MAX_RECORD_BYTES}\n".encode()) == []
    assert decoder.feed(b"A" * MAX_RECORD_BYTES) == [b"A" * MAX_RECORD_BYTES]
