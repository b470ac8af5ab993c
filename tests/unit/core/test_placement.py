"""One task on one agent: what it takes, and the name of what is missing."""

from random import Random

import pytest
from attrs import evolve

from scheduler.core.app import (
    AppSpec,
    Constraint,
    Container,
    Network,
    NetworkMode,
    Operator,
    PortMapping,
    PortRequest,
    Resources,
    port_requests,
)
from scheduler.core.instance import Placement
from scheduler.core.offer import Offer, Pool, PortRange
from scheduler.core.placement import Stock, Wish, choose_ports, fit, without_ports
from scheduler.core.reports import Miss, Reason
from tests.unit.core.game import NOW_MS, offer, spec, with_ports


def place(app: AppSpec, *offers: Offer, now_ms: int = NOW_MS) -> Placement | Miss:
    return fit(Wish(app, {}, app.instances), Stock.of(offers), now_ms, Random(1))


def placed(app: AppSpec, *offers: Offer) -> Placement:
    found = place(app, *offers)
    assert isinstance(found, Placement)
    return found


def reserved(whole: Offer, cpus_milli: int, mem_mib: int) -> Offer:
    """Add a pool reserved for a role to an offer."""
    pool = Pool(role="ops", reservation="[r]", cpus_milli=cpus_milli, mem_mib=mem_mib)
    return evolve(whole, pools=(*whole.pools, pool))


MISSES = {
    Reason.ROLE: (spec(role="ops"), offer(role="*")),
    Reason.CONSTRAINT: (
        spec(constraints=(Constraint("rack", Operator.IS, "r1"),)),
        offer(),
    ),
    Reason.RESERVATION: (spec(accepted_resource_roles=("ops",)), offer()),
    Reason.MAINTENANCE: (spec(), evolve(offer(), unavailable_from_ms=NOW_MS)),
    Reason.CPUS: (spec(resources=Resources(cpus_milli=101)), offer(cpus_milli=100)),
    Reason.MEM: (spec(resources=Resources(100, mem_mib=101)), offer(mem_mib=100)),
    Reason.DISK: (spec(resources=Resources(100, 10, disk_mib=10_001)), offer()),
    Reason.GPUS: (spec(resources=Resources(100, 10, gpus=1)), offer()),
    Reason.PORTS: (spec(port_definitions=with_ports(80), require_ports=True), offer()),
    Reason.SCARCE: (spec(), offer(gpus=1)),
}


@pytest.mark.parametrize("reason", Reason)
def test_what_is_missing_has_a_name(reason: Reason) -> None:
    app, one = MISSES[reason]
    miss = place(app, one)
    assert isinstance(miss, Miss)
    assert miss.reason is reason
    assert miss.host == "host1"
    assert miss.wanted
    assert miss.offered


def test_the_first_thing_that_is_missing_is_named() -> None:
    """An offer that lacks everything is counted once, under the first question."""
    app = spec(resources=Resources(9999, 99_999), port_definitions=with_ports(80))
    miss = place(app, offer(cpus_milli=10, mem_mib=10, ports=()))
    assert isinstance(miss, Miss)
    assert miss.reason is Reason.CPUS
    assert (miss.wanted, miss.offered) == ("9.999 cpus", "0.01 cpus")


def test_a_miss_takes_nothing() -> None:
    stock = Stock.of([offer()])
    before = list(stock.pools)
    fit(Wish(spec(resources=Resources(100, 99_999)), {}, 1), stock, NOW_MS, Random(1))
    assert (stock.pools, stock.taken) == (before, 0)


def test_exactly_what_is_offered_fits() -> None:
    app = spec(resources=Resources(100, 50), port_definitions=with_ports(0))
    found = placed(app, offer(cpus_milli=100, mem_mib=50, ports=((31000, 31000),)))
    assert found.host_ports == (31000,)
    assert found.pools == (Pool("*", 100, 50, 0, 0, (PortRange(31000, 31000),)),)


def test_maintenance_that_begins_later_is_no_hindrance() -> None:
    assert isinstance(place(spec(), evolve(offer(), unavailable_from_ms=NOW_MS + 1)), Placement)


def test_all_offers_of_an_agent_are_one_heap() -> None:
    """Mesos may hand the same machine out in pieces that only fit together."""
    app = spec(resources=Resources(150, 50))
    found = placed(app, offer(cpus_milli=100), offer(cpus_milli=100))
    assert sum(pool.cpus_milli for pool in found.pools) == 150


def test_what_is_reserved_for_us_is_used_first() -> None:
    """The unreserved rest could serve others as well."""
    app = spec(resources=Resources(150, 50), role="*")
    found = placed(app, reserved(offer(), cpus_milli=100, mem_mib=100))
    shares = {pool.role: (pool.cpus_milli, pool.mem_mib) for pool in found.pools}
    assert shares == {"ops": (100, 50), "*": (50, 0)}
    (ops,) = (pool for pool in found.pools if pool.role == "ops")
    assert ops.reservation == "[r]"


@pytest.mark.parametrize(
    ("accepted", "roles"), [(("*",), {"*"}), (("ops",), {"ops"}), (("ops", "*"), {"ops", "*"})]
)
def test_only_accepted_reservations_are_used(accepted: tuple[str, ...], roles: set[str]) -> None:
    app = spec(resources=Resources(100, 50), accepted_resource_roles=accepted)
    found = placed(app, reserved(offer(), cpus_milli=60 if len(accepted) > 1 else 100, mem_mib=50))
    assert {pool.role for pool in found.pools} == roles


# ---------------------------------------------------------------------- ports


def test_ports_are_asked_for_by_network_mode() -> None:
    """Host network: the definitions, fixed only with requirePorts; else the mapped host ports."""
    host = spec(port_definitions=with_ports(80, 0))
    assert [r.host_port for r in port_requests(host)] == [0, 0]
    assert [r.host_port for r in port_requests(evolve(host, require_ports=True))] == [80, 0]
    mappings = (
        PortMapping(container_port=80, host_port=0, name="a"),
        PortMapping(container_port=81, host_port=None),
        PortMapping(container_port=82, host_port=31082, name="c"),
    )
    bridge = spec(
        networks=(Network(NetworkMode.BRIDGE),), container=Container(port_mappings=mappings)
    )
    assert port_requests(bridge) == (PortRequest(0, "a"), PortRequest(31082, "c"))


def choose(*host_ports: int, ranges: tuple[tuple[int, int], ...]) -> tuple[int, ...] | None:
    pools = [Pool(ports=(PortRange(begin, end),)) for begin, end in ranges]
    requests = tuple(PortRequest(port, None) for port in host_ports)
    return choose_ports(requests, pools, Random(3))


def test_ports() -> None:
    assert choose(ranges=()) == ()
    assert choose(0, ranges=()) is None
    assert choose(80, ranges=((80, 80),)) == (80,)
    assert choose(80, ranges=((81, 90),)) is None
    assert sorted(choose(0, 0, 0, ranges=((1, 1), (5, 6))) or ()) == [1, 5, 6]
    assert choose(0, 0, 0, 0, ranges=((1, 1), (5, 6))) is None
    # An open port never takes what a fixed one needs.
    assert choose(0, 5, ranges=((5, 6),)) == (6, 5)


def test_one_port_for_two_protocols_is_taken_once() -> None:
    """DNS listens on 53 for tcp and for udp: two mappings, one port of Mesos."""
    assert choose(53, 53, ranges=((53, 53),)) == (53, 53)
    assert choose(53, 53, 0, ranges=((53, 54),)) == (53, 53, 54)


def test_open_ports_are_spread_by_chance() -> None:
    """So that a port just freed is not the first to be used again."""
    pools = [Pool(ports=(PortRange(31000, 31999),))]
    chosen = {choose_ports((PortRequest(0, None),), pools, Random(n)) for n in range(20)}
    assert len(chosen) > 10


def test_single_ports_are_cut_out_of_ranges() -> None:
    ranges = (PortRange(1, 5), PortRange(9, 9))
    assert without_ports(ranges, [1, 3, 9]) == (PortRange(2, 2), PortRange(4, 5))
    assert without_ports(ranges, [7]) == ranges
