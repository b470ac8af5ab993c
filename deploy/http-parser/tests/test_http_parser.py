"""What pymesos asks of `http_parser`, whatever the pieces its socket hands over."""

import pytest
from http_parser.http import MALFORMED, HttpParser
from hypothesis import given
from hypothesis import strategies as st

HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nMesos-Stream-Id: 130ae4e3\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
EVENTS = [b'20\n{"type":"HEARTBEAT"}', b"x" * 5000, b"2\n{}"]
CHUNKED = HEAD + b"".join(b"%x\r\n%s\r\n" % (len(event), event) for event in EVENTS)
END = b"0\r\n\r\n"


def feed(parser: HttpParser, data: bytes) -> int:
    return parser.execute(data, len(data))


def test_a_new_parser_knows_nothing_yet() -> None:
    parser = HttpParser()
    assert not parser.is_headers_complete()
    assert not parser.is_partial_body()
    assert not parser.is_message_complete()
    assert parser.get_status_code() == 0
    assert parser.get_headers() == {}
    assert parser.recv_body() == b""
    assert parser.get_errno() == 0


def test_it_has_no_attribute_errno_because_pymesos_would_take_another_path() -> None:
    assert not hasattr(HttpParser(), "errno")


def test_head_of_an_event_stream_is_read_before_any_body() -> None:
    parser = HttpParser()
    assert feed(parser, HEAD) == len(HEAD)
    assert parser.is_headers_complete()
    assert parser.get_status_code() == 200
    assert parser.get_headers()["Mesos-Stream-Id"] == "130ae4e3"
    assert parser.is_chunked()
    assert not parser.is_partial_body()


@given(st.lists(st.integers(1, len(CHUNKED + END) - 1), max_size=40).map(sorted))
def test_body_is_the_same_however_the_bytes_are_cut(cuts: list[int]) -> None:
    parser, body = HttpParser(), b""
    stream = CHUNKED + END
    for start, stop in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        piece = stream[start:stop]
        if piece:
            assert feed(parser, piece) == len(piece)
        if parser.is_partial_body():
            body += parser.recv_body()
    assert body == b"".join(EVENTS)
    assert parser.is_message_complete()
    assert parser.get_errno() == 0


def test_received_body_is_handed_out_once() -> None:
    parser = HttpParser()
    feed(parser, CHUNKED)
    assert parser.recv_body() == b"".join(EVENTS)
    assert not parser.is_partial_body()
    assert parser.recv_body() == b""


def test_only_the_given_length_of_the_buffer_counts() -> None:
    parser = HttpParser()
    assert parser.execute(HEAD + b"rubbish", len(HEAD)) == len(HEAD)
    assert not parser.is_partial_body()
    assert parser.get_errno() == 0


def test_answer_with_a_length_is_complete_and_not_chunked() -> None:
    parser = HttpParser()
    feed(parser, b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 7\r\n\r\nwaiting")
    assert parser.get_status_code() == 503
    assert not parser.is_chunked()
    assert parser.recv_body() == b"waiting"
    assert parser.is_message_complete()


def test_redirect_carries_its_location() -> None:
    parser = HttpParser()
    feed(
        parser,
        b"HTTP/1.1 307 Temporary Redirect\r\nLocation: //m2:5050\r\nContent-Length: 0\r\n\r\n",
    )
    assert parser.get_status_code() == 307
    assert parser.get_headers()["Location"] == "//m2:5050"
    assert parser.is_message_complete()


def test_interim_answer_is_skipped() -> None:
    parser = HttpParser()
    feed(parser, b"HTTP/1.1 100 Continue\r\n\r\n")
    assert not parser.is_headers_complete()
    feed(parser, HEAD)
    assert parser.get_status_code() == 200


def test_repeated_header_is_joined_whatever_its_case() -> None:
    parser = HttpParser()
    feed(parser, b"HTTP/1.1 200 OK\r\nVia: a\r\nVIA: b\r\nContent-Length: 0\r\n\r\n")
    assert parser.get_headers() == {"Via": "a, b", "Content-Length": "0"}


def test_body_without_length_ends_when_the_peer_closes() -> None:
    parser = HttpParser()
    feed(parser, b"HTTP/1.0 200 OK\r\n\r\nall there is")
    assert not parser.is_message_complete()
    feed(parser, b"")
    assert parser.recv_body() == b"all there is"
    assert parser.is_message_complete()


def test_bytes_after_the_end_are_not_consumed() -> None:
    parser = HttpParser()
    assert feed(parser, CHUNKED + END + b"more") == len(CHUNKED + END)
    assert feed(parser, b"still more") == 0
    assert parser.get_errno() == 0


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01 this is TLS\r\n\r\n",
        HEAD + b"not-a-length\r\n",
        HEAD + b"3\r\nabcXY",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000,
        b"",
    ],
    ids=["not HTTP", "bad chunk length", "bad chunk end", "endless head", "closed at once"],
)
def test_malformed_answer_is_reported_and_stays_reported(data: bytes) -> None:
    parser = HttpParser()
    assert feed(parser, data) == 0
    assert parser.get_errno() == MALFORMED
    assert feed(parser, HEAD) == 0
    assert parser.get_errno() == MALFORMED


def test_stream_cut_inside_a_chunk_is_malformed() -> None:
    parser = HttpParser()
    feed(parser, HEAD + b"ff\r\nonly this much")
    assert parser.recv_body() == b"only this much"
    feed(parser, b"")
    assert parser.get_errno() == MALFORMED
    assert not parser.is_message_complete()


def test_pymesos_finds_its_parser_here() -> None:
    from pymesos import process

    assert process.HttpParser is HttpParser
