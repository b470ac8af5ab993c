"""What holds for every forecast: it ends, keeps the bounds, and leaps without changing anything."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.core import forecast as module
from scheduler.core.app import AppSpec, UpdateOrder, UpdatePolicy, UpgradeStrategy
from scheduler.core.forecast import POINTS_MIN, Forecast, Point, forecast
from scheduler.core.ids import AppId
from scheduler.core.rollout import Side

BUCKETS = (
    "scheduled",
    "pending",
    "unproven",
    "unhealthy",
    "serving",
    "unreachable",
    "recycling",
    "doomed",
    "done",
)
few = st.integers(0, 6)
old_sides = st.builds(Side, **{**dict.fromkeys(BUCKETS, few), "serving": st.integers(0, 50)})
new_sides = st.just(Side()) | st.builds(Side, **dict.fromkeys(BUCKETS, few))
shares = st.integers(0, 1000)
policies = st.none() | st.builds(
    UpdatePolicy,
    order=st.none() | st.sampled_from(UpdateOrder),
    max_parallel=st.none() | st.integers(1, 6),
    canary_instances=st.integers(0, 4),
    auto_pause=st.booleans(),
)


def apps(most: int) -> st.SearchStrategy[AppSpec]:
    return st.builds(
        AppSpec,
        id=st.just(AppId("/web")),
        instances=st.integers(0, most),
        labels=st.sampled_from([(), (), (("MARATHON_SINGLE_INSTANCE_APP", "true"),)]),
        upgrade_strategy=st.builds(UpgradeStrategy, shares, shares),
        update=policies,
    )


def whole(spec: AppSpec, new: Side, old: Side) -> Forecast:
    """Foretell every single round."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_is_rhythm", lambda _recent: False)
        return forecast(spec, new, old, points_max=1_000_000)


def facts(points: tuple[Point, ...]) -> tuple[int, int, list[int]]:
    waits = [point.number for point in points if point.awaits_promotion]
    return min(point.serving for point in points), max(point.alive for point in points), waits


@settings(max_examples=300)
@given(apps(50), new_sides, old_sides)
def test_a_forecast_ends_with_what_is_wanted(spec: AppSpec, new: Side, old: Side) -> None:
    last = whole(spec, new, old).points[-1]
    assert last.old_serving == 0
    assert spec.instances - new.done <= last.new_serving == last.alive <= spec.instances
    assert last.created == last.ended == 0


@settings(max_examples=300)
@given(apps(50), new_sides, old_sides)
def test_fewer_than_the_floor_serve_only_where_fewer_did(
    spec: AppSpec, new: Side, old: Side
) -> None:
    """A new one that has ended as it may holds its place without serving."""
    points = whole(spec, new, old).points
    for before, point in pairwise(points):
        assert point.serving >= min(before.serving, point.floor - new.done)


@settings(max_examples=300)
@given(apps(50), new_sides, old_sides)
def test_more_than_the_ceiling_are_alive_only_where_more_were(
    spec: AppSpec, new: Side, old: Side
) -> None:
    points = whole(spec, new, old).points
    for before, point in pairwise(points):
        assert point.alive <= max(before.alive, point.ceiling)


@settings(max_examples=150)
@given(apps(400), new_sides, st.builds(Side, serving=st.integers(0, 400), unhealthy=few))
def test_leaps_change_nothing_but_what_is_shown(spec: AppSpec, new: Side, old: Side) -> None:
    every = whole(spec, new, old)
    by_number = {point.number: point for point in every.points}
    leapt = forecast(spec, new, old, points_max=1_000_000)
    assert leapt.rounds == every.rounds
    assert facts(leapt.points) == facts(every.points)
    assert leapt.points[-1] == every.points[-1]
    assert all(by_number[point.number] == point for point in leapt.points)


@settings(max_examples=150)
@given(apps(200), new_sides, old_sides, st.integers(POINTS_MIN, 60))
def test_what_is_left_out_is_said_and_nothing_that_matters(
    spec: AppSpec, new: Side, old: Side, points_max: int
) -> None:
    every = whole(spec, new, old).points
    shown = forecast(spec, new, old, points_max=points_max)
    assert len(shown.points) <= points_max
    assert len(shown.points) + shown.left_out == len(every)
    assert facts(shown.points) == facts(every)
    assert (shown.points[0], shown.points[-1]) == (every[0], every[-1])
    numbers = [point.number for point in shown.points]
    assert numbers == sorted(set(numbers))


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 1_000_000),
    st.builds(UpgradeStrategy, shares, shares),
    policies,
)
def test_a_million_instances_are_foretold_in_few_rounds(
    wanted: int, capacities: UpgradeStrategy, policy: UpdatePolicy | None
) -> None:
    spec = AppSpec(id=AppId("/web"), instances=wanted, upgrade_strategy=capacities, update=policy)
    played = 0

    def counted(*arguments: object, **options: object) -> object:
        nonlocal played
        played += 1
        return real(*arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        real = module.decide
        patch.setattr(module, "decide", counted)
        last = forecast(spec, Side(), Side(serving=wanted)).points[-1]
    assert played < 1000
    assert (last.old_serving, last.new_serving) == (0, wanted)
