"""Read label selectors, and choose apps by them (Marathon page "Label selectors").

``k`` (the label exists), ``k==v``, ``k!=v``, ``k in (a,b)``, ``k notin (a,b)``; a comma between
selectors means that all must hold. A backslash takes the next character as it is.
"""

import re
from collections.abc import Callable, Mapping

from scheduler.api.errors import ApiError

Labels = Mapping[str, str]
Selector = Callable[[Labels], bool]

_WORD = r"(?:\\.|[^\s,=!()\\])+"
_ONE = re.compile(
    rf"\s*(?P<key>{_WORD})\s*"
    rf"(?:(?P<op>==|!=)\s*(?P<value>{_WORD})"
    rf"|(?P<set>\bin\b|\bnotin\b)\s*\((?P<values>[^()]*)\))?\s*"
)
_LENGTH_MAX = 4096


def read_selector(text: str) -> Selector:
    """Parse a selector.

    Raises:
        ApiError: 400, it does not follow the grammar.
    """
    selectors: list[Selector] = []
    position = 0
    while True:
        match = _ONE.match(text, position) if len(text) <= _LENGTH_MAX else None
        if match is None:
            raise ApiError(400, f"Couldn't parse label selector {text[:200]}")
        selectors.append(_selector_of(match))
        position = match.end()
        if position == len(text):
            return lambda labels: all(selector(labels) for selector in selectors)
        if text[position] != ",":
            raise ApiError(400, f"Couldn't parse label selector {text[:200]}")
        position += 1


def _selector_of(match: re.Match[str]) -> Selector:
    key = _plain(match["key"])
    if match["op"] is not None:
        value = _plain(match["value"])
        if match["op"] == "==":
            return lambda labels: labels.get(key) == value
        return lambda labels: key in labels and labels[key] != value
    if match["set"] is not None:
        values = {_plain(word.strip()) for word in match["values"].split(",")}
        if match["set"] == "in":
            return lambda labels: labels.get(key) in values
        return lambda labels: key in labels and labels[key] not in values
    return lambda labels: key in labels


def _plain(word: str) -> str:
    return re.sub(r"\\(.)", r"\1", word)
