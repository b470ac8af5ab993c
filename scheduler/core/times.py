"""Convert between epoch milliseconds and Marathon's timestamps (ISO 8601, UTC, ms, ``Z``)."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def format_ms(at_ms: int) -> str:
    """Write an instant as Marathon does.

    >>> format_ms(1627396833042)
    '2021-07-27T14:40:33.042Z'
    """
    instant = _EPOCH + timedelta(milliseconds=at_ms)
    return instant.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at_ms % 1000:03d}Z"


def parse_ms(text: str) -> int:
    """Read an ISO 8601 instant; without an offset it is taken as UTC.

    >>> parse_ms("2021-07-27T14:40:33.042Z")
    1627396833042

    Raises:
        ValueError: ``text`` is no ISO 8601 instant.
    """
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=UTC)
    return (instant - _EPOCH) // timedelta(milliseconds=1)
