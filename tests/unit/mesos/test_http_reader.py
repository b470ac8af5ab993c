import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.mesos.http_reader import Body, End, Head, HttpError, ResponseReader

HEAD = b"HTTP/1.1 200 OK\r\n"


def read(*pieces: bytes, close: bool = False) -> list[tuple[int, bytes]]:
    """Feed the pieces; return status and body of each complete response."""
    reader = ResponseReader()
    parts = [part for piece in pieces for part in reader.feed(piece)]
    if close:
        parts += reader.end_of_stream()
    responses: list[tuple[int, bytes]] = []
    status, body = 0, b""
    for part in parts:
        match part:
            case Head():
                status, body = part.status, b""
            case Body(data):
                body += data
            case End():
                responses.append((status, body))
    return responses


def chunked(pieces: list[bytes], extension: bytes = b"", trailer: bytes = b"") -> bytes:
    chunks = [b"%x%s\r\n%s\r\n" % (len(piece), extension, piece) for piece in pieces if piece]
    return b"".join([*chunks, b"0\r\n", trailer, b"\r\n"])


def test_pipelined_replies_come_apart_again():
    reply = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"
    refusal = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 3\r\n\r\nwhy"
    assert read(reply + refusal + reply) == [(202, b""), (400, b"why"), (202, b"")]


@given(
    st.lists(
        st.tuples(st.sampled_from([200, 202, 400, 503]), st.lists(st.binary(max_size=30))),
        max_size=6,
    ),
    st.lists(st.integers(min_value=0, max_value=10_000), max_size=20),
    st.booleans(),
)
def test_the_responses_do_not_depend_on_where_the_stream_was_cut(
    responses: list[tuple[int, list[bytes]]], places: list[int], in_chunks: bool
):
    data = b""
    for status, pieces in responses:
        body = b"".join(pieces)
        if in_chunks:
            data += b"HTTP/1.1 %d X\r\nTransfer-Encoding: chunked\r\n\r\n" % status
            data += chunked(pieces, b";x=1", b"Some: trailer\r\n")
        else:
            data += b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)
    ends = sorted(place % (len(data) + 1) for place in places)
    cuts = [data[a:b] for a, b in zip([0, *ends], [*ends, len(data)], strict=True)]
    assert read(*cuts) == [(status, b"".join(pieces)) for status, pieces in responses]


@given(
    st.integers(200, 599).filter(lambda status: status not in (204, 304)),
    st.lists(st.binary(min_size=1, max_size=30)),
)
def test_reads_what_h11_writes(status: int, pieces: list[bytes]):
    """h11 is the oracle: another reading of the same standard."""
    server = h11.Connection(h11.SERVER)
    server.receive_data(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert isinstance(server.next_event(), h11.Request)
    response = h11.Response(status_code=status, headers=[("Transfer-Encoding", "chunked")])
    sent = [server.send(response), *[server.send(h11.Data(data=piece)) for piece in pieces]]
    data = b"".join([one or b"" for one in sent] + [server.send(h11.EndOfMessage()) or b""])
    assert read(data) == [(status, b"".join(pieces))]


def test_body_bytes_are_not_held_back_until_a_chunk_is_whole():
    reader = ResponseReader()
    reader.feed(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    assert reader.feed(b"64\r\nfirst") == [Body(b"first")]


def test_interim_responses_are_skipped():
    assert read(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"
    ) == [(202, b"")]


def test_no_content_has_no_body():
    assert read(b"HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 304 Not Modified\r\n\r\n") == [
        (204, b""),
        (304, b""),
    ]


def test_a_body_without_length_lasts_until_the_close():
    assert read(HEAD + b"\r\nall of", b" this", close=True) == [(200, b"all of this")]


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\n\r\n",
        HEAD + b"no colon\r\n\r\n",
        HEAD + b" folded: x\r\n\r\n",
        HEAD + b"Name : x\r\n\r\n",
        HEAD + b"Name: x\ny\r\n\r\n",
        HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
        HEAD + b"Content-Length: +1\r\n\r\n",
        HEAD + b"Content-Length: 1_0\r\n\r\n",
        HEAD + b"Content-Length: -1\r\n\r\n",
        HEAD + b"Content-Length: \r\n\r\n",
        HEAD + b"Content-Length: 9999999999999999999\r\n\r\n",
        HEAD + b"Transfer-Encoding: gzip\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello!\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"1" * 2000,
        HEAD + b"X: " + b"y" * 70_000,
    ],
)
def test_everything_doubtful_is_an_error(data: bytes):
    with pytest.raises(HttpError):
        ResponseReader().feed(data)


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 2",
        HEAD + b"Content-Length: 5\r\n\r\nhell",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    ],
)
def test_a_response_that_was_cut_off_is_an_error(data: bytes):
    reader = ResponseReader()
    reader.feed(data)
    with pytest.raises(HttpError, match="middle"):
        reader.end_of_stream()


def test_a_close_between_responses_is_no_error():
    assert read(b"HTTP/1.1 202 A\r\nContent-Length: 0\r\n\r\n", close=True) == [(202, b"")]


def test_chunked_wins_over_a_content_length():
    data = HEAD + b"Content-Length: 100\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert read(data + chunked([b"x"])) == [(200, b"x")]
