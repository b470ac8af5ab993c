"""An update of an app with fixed host ports, which its own old instances may hold everywhere."""

from attrs import evolve

from scheduler.core.app import AppSpec, UpdatePolicy
from scheduler.core.events import Disconnected
from scheduler.core.instance import Condition
from scheduler.core.upkeep import all_offers_ms
from tests.unit.core.game import Game, launched_in, offer, running_of, spec, with_ports
from tests.unit.core.troubled import OnePort

HELD = ((9000, 9001),)
FREE = ((8080, 8080),)


def fixed(**changes: object) -> AppSpec:
    return evolve(spec(port_definitions=with_ports(8080), require_ports=True), **changes)


def running(whole: AppSpec) -> OnePort:
    game = OnePort()
    game.connect()
    game.upsert(whole)
    game.run_all()
    return game


def held_by_old(whole: AppSpec) -> Game:
    """Put one instance on the first agent, which has its port once."""
    game = Game()
    game.connect()
    game.upsert(whole)
    game.offer(offer(1, ports=FREE))
    game.run_all(agents=())
    return game


def test_nothing_is_stopped_first_while_another_agent_may_have_the_port() -> None:
    game = held_by_old(fixed())
    game.upsert(fixed(cmd="new"))
    game.offer(offer(1, ports=HELD))
    game.wait(100)
    assert game.conditions() == ["Running", "Scheduled"]
    assert len(launched_in(game.offer(offer(2, ports=FREE)))) == 1
    game.wait_stepwise(all_offers_ms(game.world))
    assert game.conditions() == ["Provisioned", "Running"]


def test_when_all_had_time_to_offer_one_is_stopped_first_whatever_else_happens() -> None:
    game = held_by_old(fixed())
    game.upsert(fixed(cmd="new"))
    game.offer(offer(1, ports=HELD))
    game.wait_stepwise(all_offers_ms(game.world) - 1)
    assert game.conditions() == ["Running", "Scheduled"]
    game.wait_stepwise(1)
    assert game.conditions() == ["Killing", "Scheduled"]


def test_a_port_that_no_old_one_holds_ends_none_of_them() -> None:
    """It is somebody else's: the new one could not start, and the old one would be gone."""
    game = held_by_old(fixed())
    game.upsert(evolve(fixed(), port_definitions=with_ports(80)))
    for _ in range(10):
        game.offer(offer(1, ports=HELD), offer(2, ports=FREE))
        game.wait_stepwise(60_000)
    assert game.conditions() == ["Running", "Scheduled"]


def test_of_the_old_ones_it_is_that_which_holds_the_port() -> None:
    """The others would be ended for nothing."""
    game = Game()
    game.connect()
    game.upsert(spec(instances=3, port_definitions=with_ports(0)))
    for port in (31_001, 8080, 31_002):
        game.offer(offer(1, ports=((port, port),)))
    game.run_all(agents=())
    holder = next(
        one.id
        for one in game.world.instances.values()
        if one.placement is not None and one.placement.host_ports == (8080,)
    )
    game.upsert(fixed(instances=3, cmd="new"))
    game.offer(offer(1, ports=((31_003, 31_003),)))
    game.wait_stepwise(all_offers_ms(game.world))
    assert game.world.instances[holder].condition is Condition.KILLING
    assert game.conditions().count("Killing") == 1


def test_nothing_is_stopped_first_while_no_offer_can_come() -> None:
    game = held_by_old(fixed())
    game.upsert(fixed(cmd="new"))
    game.offer(offer(1, ports=HELD))
    game.send(Disconnected())
    game.wait_stepwise(all_offers_ms(game.world))
    assert game.conditions() == ["Running", "Scheduled"]
    game.connect()
    game.offer(offer(1, ports=HELD))
    game.wait(1)
    assert game.conditions() == ["Killing", "Scheduled"]


def test_canaries_without_a_place_take_those_of_as_many_old_ones() -> None:
    policy = UpdatePolicy(canary_instances=1, auto_pause=True)
    game = running(fixed(instances=3, update=policy))
    game.upsert(fixed(instances=3, update=policy, cmd="new"))
    for _ in range(5):
        game.run_all()
        game.wait_stepwise(all_offers_ms(game.world))
    assert (len(running_of(game, "run")), len(running_of(game, "new"))) == (2, 1)


def test_canaries_that_took_the_places_of_old_ones_are_followed_by_the_rest() -> None:
    policy = UpdatePolicy(canary_instances=2)
    game = running(fixed(instances=3, update=policy))
    game.fewest = 3
    game.upsert(fixed(instances=3, update=policy, cmd="new"))
    for _ in range(5):
        game.run_all()
        game.wait_stepwise(all_offers_ms(game.world))
    assert not game.world.deployments
    assert (len(running_of(game, "new")), game.fewest) == (3, 2)
