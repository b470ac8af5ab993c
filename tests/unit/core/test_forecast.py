"""Worked examples of forecasts, and that the core does round by round what was foretold."""

from itertools import pairwise

import pytest
from attrs import evolve

from scheduler.core.app import (
    AppSpec,
    PortDefinition,
    UpdateOrder,
    UpdatePolicy,
    UpgradeStrategy,
)
from scheduler.core.effects import Accepted
from scheduler.core.events import SteerDeployment, Steering
from scheduler.core.forecast import Forecast, Point, forecast, forecast_removal
from scheduler.core.instance import Condition, TaskState
from scheduler.core.rollout import Side
from tests.unit.core.game import Game, offer, spec, update

NOBODY = Side()
SINGLE = (("MARATHON_SINGLE_INSTANCE_APP", "true"),)


def app(instances: int, minimum: int = 1000, maximum: int = 1000, **changes: object) -> AppSpec:
    strategy = UpgradeStrategy(minimum, maximum)
    return evolve(spec(instances=instances, upgrade_strategy=strategy), **changes)


def course(found: Forecast) -> list[tuple[int, int, int]]:
    """Old ones that serve, new ones that serve, and all that are alive, point by point."""
    return [(point.old_serving, point.new_serving, point.alive) for point in found.points]


def test_ten_with_a_fifth_less_and_a_fifth_more_take_five_rounds_of_two() -> None:
    found = forecast(app(10, 800, 200), NOBODY, Side(serving=10))
    assert course(found) == [
        (10, 0, 10),
        (8, 0, 12),
        (6, 2, 12),
        (4, 4, 12),
        (2, 6, 12),
        (0, 8, 12),
        (0, 10, 10),
    ]
    assert (found.rounds, found.left_out, found.may_stop_first) == (5, 0, False)
    assert found.points[1] == Point(
        1, old_serving=8, new_serving=0, alive=12, created=2, ended=2, floor=8, ceiling=12
    )


def test_by_default_all_new_ones_come_and_then_all_old_ones_go() -> None:
    found = forecast(app(4), NOBODY, Side(serving=4))
    assert course(found) == [(4, 0, 4), (4, 0, 8), (0, 4, 8), (0, 4, 4)]


def test_start_first_adds_one_and_then_takes_one_away() -> None:
    one_more = app(2, update=UpdatePolicy(order=UpdateOrder.START_FIRST))
    found = forecast(one_more, NOBODY, Side(serving=2))
    assert course(found) == [(2, 0, 2), (2, 0, 3), (1, 1, 3), (1, 1, 3), (0, 2, 3), (0, 2, 2)]
    assert {(point.floor, point.ceiling) for point in found.points[:-1]} == {(2, 3)}


def test_stop_first_takes_one_away_and_then_adds_one() -> None:
    one_less = app(2, update=UpdatePolicy(order=UpdateOrder.STOP_FIRST))
    found = forecast(one_less, NOBODY, Side(serving=2))
    assert course(found) == [(2, 0, 2), (1, 0, 2), (1, 0, 2), (0, 1, 2), (0, 1, 2), (0, 2, 2)]
    assert {(point.floor, point.ceiling) for point in found.points[:-1]} == {(1, 2)}


def test_an_app_that_must_not_run_twice_serves_nobody_for_a_while() -> None:
    found = forecast(app(1, labels=SINGLE), NOBODY, Side(serving=1))
    assert course(found) == [(1, 0, 1), (0, 0, 1), (0, 0, 1), (0, 1, 1)]


def test_canaries_wait_beside_all_of_the_old_version_until_they_are_promoted() -> None:
    careful = app(4, update=UpdatePolicy(canary_instances=1, auto_pause=True))
    found = forecast(careful, NOBODY, Side(serving=4))
    assert [point.number for point in found.points if point.awaits_promotion] == [2]
    assert course(found) == [
        (4, 0, 4),
        (4, 0, 5),
        (4, 1, 5),
        (3, 1, 8),
        (0, 4, 7),
        (0, 4, 4),
    ]
    assert found.rounds == 3


def test_canaries_that_need_no_promotion_are_followed_at_once() -> None:
    quick = app(4, update=UpdatePolicy(canary_instances=1))
    found = forecast(quick, NOBODY, Side(serving=4))
    assert not any(point.awaits_promotion for point in found.points)
    assert course(found)[1:3] == [(4, 0, 5), (3, 1, 8)]


def test_an_app_that_is_made_smaller_first_makes_room_for_its_canaries() -> None:
    shrunk = app(2, 1000, 0, update=UpdatePolicy(canary_instances=1))
    found = forecast(shrunk, NOBODY, Side(serving=9))
    assert course(found)[:3] == [(9, 0, 9), (2, 0, 9), (2, 0, 3)]
    assert not any(point.awaits_promotion for point in found.points)
    assert course(found)[-1] == (0, 2, 2)


def test_scaling_up_is_one_round_without_bounds() -> None:
    found = forecast(app(9, 800, 0), Side(serving=2), NOBODY)
    assert course(found) == [(0, 2, 2), (0, 2, 9), (0, 9, 9)]
    assert found.points[1].created == 7
    assert (found.points[1].floor, found.points[1].ceiling) == (0, 9)


def test_scaling_down_ends_first_what_serves_nobody() -> None:
    found = forecast(app(3), Side(serving=4, unhealthy=2), NOBODY)
    assert course(found) == [(0, 4, 6), (0, 3, 6), (0, 3, 3)]
    assert found.points[1].ended == 3


def test_a_first_start_serves_nobody_before_it_is_over() -> None:
    found = forecast(app(3), NOBODY, NOBODY)
    assert course(found) == [(0, 0, 0), (0, 0, 3), (0, 3, 3)]
    assert found.rounds == 1


def test_where_nothing_is_to_be_done_the_present_is_all() -> None:
    found = forecast(app(3), Side(serving=3), NOBODY)
    assert course(found) == [(0, 3, 3)]
    assert found.rounds == 0


def test_a_removal_ends_all_at_once() -> None:
    found = forecast_removal(Side(serving=3, scheduled=2, unreachable=1))
    assert course(found) == [(3, 0, 4), (0, 0, 3), (0, 0, 0)]
    assert (found.points[1].ended, found.rounds) == (6, 1)
    assert forecast_removal(NOBODY).rounds == 0


def test_old_ones_that_do_not_serve_go_first_and_make_room() -> None:
    found = forecast(app(3, 1000, 0), NOBODY, Side(serving=2, unhealthy=1))
    assert course(found)[:4] == [(2, 0, 3), (2, 0, 4), (2, 1, 4), (2, 1, 4)]
    assert [point.ended for point in found.points[:4]] == [0, 0, 1, 0]


def test_fixed_ports_are_marked_where_old_ones_may_hold_them() -> None:
    fixed = app(2, require_ports=True, port_definitions=(PortDefinition(port=8080),))
    assert forecast(fixed, NOBODY, Side(serving=2)).may_stop_first
    assert not forecast(fixed, NOBODY, NOBODY).may_stop_first
    assert not forecast(app(2), NOBODY, Side(serving=2)).may_stop_first


def test_ten_thousand_rounds_are_told_in_fifty_points() -> None:
    slow = app(10_000, update=UpdatePolicy(order=UpdateOrder.STOP_FIRST, max_parallel=1))
    found = forecast(slow, NOBODY, Side(serving=10_000))
    assert found.rounds == 20_000
    assert len(found.points) <= 50
    assert len(found.points) + found.left_out == found.rounds + 2
    assert min(point.serving for point in found.points) == 9_999
    # The points are spread over all of it.
    numbers = [point.number for point in found.points]
    assert max(b - a for a, b in pairwise(numbers)) < 2_000


# ------------------------------------------------------------ against the core itself


def counts(game: Game) -> tuple[int, int, int]:
    there = list(game.world.instances.values())
    running = [one for one in there if one.condition is Condition.RUNNING]
    cmds = [game.world.spec_at(one.app_id, one.version).cmd for one in running]
    alive = sum(one.condition.has_task for one in there)
    return cmds.count("old"), cmds.count("new"), alive


def next_round(game: Game) -> tuple[int, int, int]:
    """Launch what waits, look, and let all tasks start and end in one turn."""
    game.offer(offer(1, cpus_milli=100_000))
    seen = counts(game)
    updates = [
        update(one.task_id, TaskState.KILLED if is_ending else TaskState.RUNNING)
        for one in game.world.instances.values()
        if (is_ending := one.condition is Condition.KILLING)
        or one.condition is Condition.PROVISIONED
    ]
    game.send(*updates)
    return seen


@pytest.mark.parametrize(
    "wanted",
    [
        app(10, 800, 200),
        app(10, 1000, 0),
        app(10, 500, 300),
        app(10, 0, 0),
        app(7, 900, 350, update=UpdatePolicy(max_parallel=2)),
        app(6, update=UpdatePolicy(order=UpdateOrder.START_FIRST, max_parallel=2)),
        app(6, update=UpdatePolicy(order=UpdateOrder.STOP_FIRST)),
        app(6, 800, 200, update=UpdatePolicy(canary_instances=2)),
        app(6, 800, 200, update=UpdatePolicy(canary_instances=2, auto_pause=True)),
        app(16, 800, 200),
        app(3, 800, 200),
    ],
    ids=str,
)
def test_the_core_does_round_by_round_what_was_foretold(wanted: AppSpec) -> None:
    game = Game()
    game.connect()
    game.upsert(evolve(wanted, cmd="old", instances=10, update=None))
    game.run_all()
    foretold = forecast(wanted, NOBODY, Side(serving=10))
    game.upsert(evolve(wanted, cmd="new"))
    for point in foretold.points[1:]:
        if point.awaits_promotion:
            next_round(game)
            steering = SteerDeployment(game.request(), game.deployment_id, Steering.PROMOTE)
            assert isinstance(game.ask(steering), Accepted)
            continue
        assert next_round(game) == (point.old_serving, point.new_serving, point.alive)
    assert not game.world.deployments
