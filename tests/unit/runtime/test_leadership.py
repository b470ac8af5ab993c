"""The stations of a leader are passed in order."""

from itertools import product

import pytest

from scheduler.runtime.leadership import Leadership, Station

LAWFUL = {
    ("idle", "campaigning"), ("idle", "stopped"),
    ("campaigning", "loading"), ("campaigning", "stopped"),
    ("loading", "subscribing"), ("loading", "campaigning"), ("loading", "stopped"),
    ("subscribing", "active"), ("subscribing", "campaigning"), ("subscribing", "stopped"),
    ("active", "campaigning"), ("active", "stopped"),
}  # fmt: skip


@pytest.mark.parametrize(("before", "after"), list(product(Station, Station)))
def test_a_station_is_entered_only_from_those_before_it(before: Station, after: Station):
    seen: list[tuple[Station, Station]] = []
    leadership = Leadership(lambda *change: seen.append(change))
    leadership.station = before
    if (before, after) in LAWFUL:
        leadership.enter(after)
        assert (leadership.station, seen) == (after, [(before, after)])
    else:
        with pytest.raises(AssertionError, match=f"{before} is not followed by {after}"):
            leadership.enter(after)
        assert leadership.station is before


def test_only_who_has_loaded_the_world_leads():
    assert [station for station in Station if station.is_leading] == ["subscribing", "active"]
