import pytest

from scheduler.spec import InvalidInput, parse_json


@pytest.mark.parametrize(
    ("text", "path", "word"),
    [
        (b"", "/", "empty"),
        (b'{"a":', "/", "line 1"),
        (b'{"cpus": NaN}', "/", "line 1"),
        (b'{"cpus": Infinity}', "/", "line 1"),
        (b'{"cpus": 1e999}', "/", "infinity"),
        (b'{"mem": 123456789012345678901234567890}', "/", "too large"),
        (b'{"id": "\\ud800"}', "/", "surrogate"),
        (b'"\xff"', "/", "UTF-8"),
        (b"[" * 65 + b"]" * 65, "/", "nested"),
        (b"[" * 200_000, "/", "dep"),
        (b'{"a":' * 900 + b"1" + b"}" * 900, "/", "nested"),
        (b'{"env": {"A": "1", "A": "2"}}', "/env/A", "twice"),
        (b'{"fetch": [{"uri": "a"}, {"uri": "b", "uri": "c"}]}', "/fetch(1)/uri", "twice"),
    ],
)
def test_text_that_two_readers_could_take_differently_is_refused(text, path, word):
    with pytest.raises(InvalidInput) as refused:
        parse_json(text)
    assert refused.value.is_malformed
    assert refused.value.problems[0].path == path
    assert word in refused.value.problems[0].message


def test_values_arrive_as_they_were_written():
    text = '{"a": [1, 1.5, -9223372036854775808, "é", true, null, {}], "b": ' + "[" * 62 + "]" * 62
    value = parse_json((text + "}").encode())
    assert value["a"] == [1, 1.5, -(2**63), "é", True, None, {}]
