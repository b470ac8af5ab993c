import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.mesos.recordio import RecordIoError, RecordIoReader

LIMIT = 1000


def framed(records: list[bytes]) -> bytes:
    return b"".join(b"%d\n%s" % (len(record), record) for record in records)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    ends = sorted(place % (len(data) + 1) for place in places)
    return [data[a:b] for a, b in zip([0, *ends], [*ends, len(data)], strict=True)]


@given(
    st.lists(st.binary(max_size=50)),
    st.lists(st.integers(min_value=0, max_value=10_000), max_size=20),
)
def test_the_records_do_not_depend_on_where_the_stream_was_cut(
    records: list[bytes], places: list[int]
):
    reader = RecordIoReader(LIMIT)
    pieces = cut(framed(records), places)
    assert [record for piece in pieces for record in reader.feed(piece)] == records


@given(st.lists(st.binary(max_size=50)))
def test_a_record_comes_out_as_soon_as_its_last_byte_is_in(records: list[bytes]):
    reader = RecordIoReader(LIMIT)
    for record in records:
        data = framed([record])
        assert reader.feed(data[:-1]) == []
        assert reader.feed(data[-1:]) == [record]


@given(st.binary(max_size=200), st.lists(st.integers(0, 10_000), max_size=5))
def test_whatever_comes_in_it_either_reads_records_or_says_what_is_wrong(
    data: bytes, places: list[int]
):
    def outcome(pieces: list[bytes]) -> tuple[list[bytes], bool]:
        reader = RecordIoReader(LIMIT)
        records: list[bytes] = []
        try:
            for piece in pieces:
                records += reader.feed(piece)
        except RecordIoError:
            return records, False
        return records, True

    assert outcome([data])[1] == outcome(cut(data, places))[1]


@pytest.mark.parametrize(
    "data", [b"\n{}", b"x", b"-1\n", b"+1\n", b" 1\n", b"1 \n", b"1\r\n", b"1_0\n", b"9" * 20]
)
def test_what_is_no_length_is_an_error_at_once(data: bytes):
    with pytest.raises(RecordIoError):
        RecordIoReader(LIMIT).feed(data)


def test_a_record_over_the_limit_is_an_error_before_its_bytes_are_there():
    reader = RecordIoReader(LIMIT)
    assert reader.feed(framed([b"x" * LIMIT])) == [b"x" * LIMIT]
    with pytest.raises(RecordIoError, match="over the limit"):
        reader.feed(b"1001\n")
