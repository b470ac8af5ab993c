"""Worked examples of a rolling upgrade's arithmetic; the properties are tested beside them."""

import sys

import pytest
from attrs import evolve

from scheduler.core.app import AppSpec, UpdateOrder, UpdatePolicy, UpgradeStrategy
from scheduler.core.ids import AppId
from scheduler.core.rollout import (
    Bounds,
    Moves,
    Side,
    bounds_of,
    ceiling_of,
    decide,
    floor_of,
    launch_room,
    with_canaries,
)


def strategy(minimum: float, maximum: float) -> UpgradeStrategy:
    return UpgradeStrategy(round(minimum * 1000), round(maximum * 1000))


def app(instances: int, capacities: UpgradeStrategy, **changes: object) -> AppSpec:
    whole = AppSpec(id=AppId("/web"), instances=instances, upgrade_strategy=capacities)
    return evolve(whole, **changes)


@pytest.mark.parametrize(
    ("wanted", "minimum", "maximum", "floor", "ceiling"),
    [
        (10, 1.0, 1.0, 10, 20),
        (10, 0.8, 0.2, 8, 12),
        (10, 0.0, 0.0, 0, 10),
        (3, 0.5, 0.5, 2, 4),
        (7, 0.7, 0.7, 5, 11),
        (1, 0.5, 0.5, 1, 2),
        # Where floor and ceiling meet nothing could move: one more may be alive.
        (1, 1.0, 0.0, 1, 2),
        (4, 1.0, 0.0, 4, 5),
        (4, 1.0, 0.2, 4, 5),
        (0, 1.0, 1.0, 0, 1),
    ],
)
def test_floor_and_ceiling(
    wanted: int, minimum: float, maximum: float, floor: int, ceiling: int
) -> None:
    """Shares are rounded so that neither side is ever passed: the floor up, the ceiling down."""
    assert floor_of(wanted, strategy(minimum, maximum)) == floor
    assert ceiling_of(wanted, strategy(minimum, maximum), is_single=False) == ceiling


def test_a_share_in_thousandths_is_exact() -> None:
    """0.7 of 10 is 7; as binary fractions it would be a hair more, and round up to 8."""
    assert floor_of(10, strategy(0.7, 0)) == 7
    assert ceiling_of(10, strategy(0, 0.3), is_single=False) == 13


EXAMPLES = {
    "nothing to do": ((2, 1.0, 1.0), Side(serving=2), Side(), Moves()),
    "first instances": ((3, 1.0, 1.0), Side(), Side(), Moves(create=3)),
    "scaling up": ((5, 1.0, 0.0), Side(serving=2), Side(), Moves(create=3)),
    "scaling down": ((2, 1.0, 1.0), Side(serving=5), Side(), Moves(end_new=3)),
    "scaling to none": ((0, 1.0, 1.0), Side(serving=2, pending=1), Side(), Moves(end_new=3)),
    "one that waits fills its place": (
        (2, 1.0, 1.0),
        Side(scheduled=1, serving=1),
        Side(),
        Moves(),
    ),
    "one out of sight fills its place": (
        (2, 1.0, 1.0),
        Side(unreachable=1, serving=1),
        Side(),
        Moves(),
    ),
    "one being ended for good fills none": (
        (2, 1.0, 1.0),
        Side(doomed=1, serving=1),
        Side(),
        Moves(create=1),
    ),
    "blue-green: all new ones beside the old": (
        (3, 1.0, 1.0),
        Side(),
        Side(serving=3),
        Moves(create=3),
    ),
    "within floor and ceiling at once": (
        (10, 0.8, 0.2),
        Side(),
        Side(serving=10),
        Moves(create=2, end_old=2),
    ),
    "two gone, two more may come": (
        (10, 0.8, 0.2),
        Side(pending=2),
        Side(serving=8),
        Moves(create=2),
    ),
    "each new one that serves lets one go": (
        (10, 0.8, 0.2),
        Side(serving=3, pending=1),
        Side(serving=8),
        Moves(end_old=3),
    ),
    "those that never ran go at once": (
        (4, 1.0, 0.0),
        Side(),
        Side(serving=2, unhealthy=1, pending=1),
        Moves(create=1, end_old=1),
    ),
    "one failed probe each does not end the whole old version": (
        (10, 1.0, 1.0),
        Side(pending=10),
        Side(unhealthy=10),
        Moves(),
    ),
    "nor does a partition": (
        (10, 0.8, 0.2),
        Side(),
        Side(unreachable=7, serving=3),
        Moves(create=2, end_old=2),
    ),
    "a task being killed still takes room": (
        (2, 0.5, 0.0),
        Side(),
        Side(serving=1, doomed=1),
        Moves(),
    ),
    "an upgrade to no instances": ((0, 1.0, 1.0), Side(), Side(serving=3), Moves(end_old=3)),
    "stop first where both would be too many": (
        (1, 0.0, 0.0),
        Side(),
        Side(serving=1),
        Moves(end_old=1),
    ),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_moves(name: str) -> None:
    (wanted, minimum, maximum), new, old, moves = EXAMPLES[name]
    bounds = bounds_of(app(wanted, strategy(minimum, maximum)))
    assert decide(wanted=wanted, bounds=bounds, new=new, old=old) == moves


def test_an_app_that_must_not_run_twice_waits_until_the_old_one_has_ended() -> None:
    """Whatever strategy it was given: a second copy is what must never be."""
    single = app(1, strategy(1.0, 1.0), labels=(("MARATHON_SINGLE_INSTANCE_APP", "true"),))

    def moves(new: Side, old: Side) -> Moves:
        return decide(wanted=1, bounds=bounds_of(single), new=new, old=old)

    assert moves(Side(), Side(serving=1)) == Moves(end_old=1)
    assert moves(Side(), Side(doomed=1)) == Moves()
    assert moves(Side(), Side()) == Moves(create=1)


def test_waiting_instances_are_held_back_while_others_are_still_being_ended() -> None:
    """Scaled from five to one: what waits may not start before the surplus is gone."""
    bounds = Bounds(floor=1, ceiling=2)
    assert launch_room(bounds, Side(scheduled=1, doomed=5), Side(), is_new=True) == 0
    assert launch_room(bounds, Side(scheduled=1, doomed=1), Side(), is_new=True) == 1
    assert launch_room(bounds, Side(scheduled=1), Side(), is_new=True) == sys.maxsize


def test_what_waits_in_the_new_version_is_launched_no_more_than_max_parallel_at_once() -> None:
    """Lost tasks of the old version wait in the new one: it may be broken."""
    bounds = bounds_of(app(10, strategy(1.0, 1.0), update=UpdatePolicy(max_parallel=2)))
    old = Side(serving=5, scheduled=1)
    assert launch_room(bounds, Side(scheduled=4, pending=1), old, is_new=True) == 1
    assert launch_room(bounds, Side(scheduled=4, serving=2, unhealthy=2), old, is_new=True) == 0
    # Those that stay old for now are as good as those that run.
    assert launch_room(bounds, Side(scheduled=4, unhealthy=2), old, is_new=False) == 13
    assert launch_room(bounds, Side(scheduled=4, unhealthy=2), Side(), is_new=True) == sys.maxsize


@pytest.mark.parametrize(
    ("update", "floor", "ceiling"),
    [
        (UpdatePolicy(), 4, 5),
        (UpdatePolicy(max_parallel=2), 4, 5),
        (UpdatePolicy(order=UpdateOrder.START_FIRST), 4, 5),
        (UpdatePolicy(order=UpdateOrder.START_FIRST, max_parallel=3), 4, 7),
        (UpdatePolicy(order=UpdateOrder.STOP_FIRST), 3, 4),
        (UpdatePolicy(order=UpdateOrder.STOP_FIRST, max_parallel=3), 1, 4),
        (UpdatePolicy(order=UpdateOrder.STOP_FIRST, max_parallel=9), 0, 4),
    ],
)
def test_an_update_order_takes_the_place_of_the_capacities(
    update: UpdatePolicy, floor: int, ceiling: int
) -> None:
    bounds = bounds_of(app(4, strategy(1.0, 0.0), update=update))
    assert (bounds.floor, bounds.ceiling) == (floor, ceiling)


def test_no_more_than_max_parallel_are_away_at_once_whatever_the_capacities_allow() -> None:
    one_by_one = app(10, strategy(0.0, 0.0), update=UpdatePolicy(max_parallel=2))
    moves = decide(wanted=10, bounds=bounds_of(one_by_one), new=Side(), old=Side(serving=10))
    assert moves == Moves(end_old=2)


def test_no_more_than_max_parallel_are_under_way_at_once() -> None:
    bounds = bounds_of(app(10, strategy(0.0, 1.0), update=UpdatePolicy(max_parallel=2)))
    old = Side(serving=10)
    for new, created in [
        (Side(), 2),
        (Side(scheduled=1), 1),
        (Side(pending=1, unproven=1), 0),
        (Side(serving=5, unhealthy=1), 1),
    ]:
        assert decide(wanted=10, bounds=bounds, new=new, old=old).create == created


def test_canaries_run_beside_all_of_the_old_ones_until_they_are_approved() -> None:
    whole = bounds_of(app(4, strategy(0.5, 0.0)))
    bounds = with_canaries(whole, wanted=4, canaries=2)
    old = Side(serving=4)
    assert decide(wanted=4, bounds=bounds, new=Side(), old=old) == Moves(create=2)
    assert decide(wanted=4, bounds=bounds, new=Side(serving=2), old=old) == Moves()
    approved = decide(wanted=4, bounds=whole, new=Side(serving=2), old=old)
    assert approved == Moves(end_old=4)


def test_canaries_of_an_app_that_is_made_smaller_come_when_the_surplus_has_gone() -> None:
    bounds = with_canaries(bounds_of(app(2, strategy(1.0, 0.0))), wanted=2, canaries=1)
    first = decide(wanted=2, bounds=bounds, new=Side(), old=Side(serving=9))
    assert first == Moves(end_old=7)
    gone = decide(wanted=2, bounds=bounds, new=Side(), old=Side(serving=2))
    assert gone == Moves(create=1)


def test_a_canary_too_many_is_not_launched_again() -> None:
    """One that was out of sight can come back beside its replacement."""
    bounds = with_canaries(Bounds(floor=3, ceiling=4), wanted=4, canaries=1)
    old = Side(serving=4)
    too_many = decide(wanted=4, bounds=bounds, new=Side(serving=1, scheduled=1), old=old)
    assert too_many == Moves(end_new=1)
    running = decide(wanted=4, bounds=bounds, new=Side(serving=1, unproven=1), old=old)
    assert running == Moves()
