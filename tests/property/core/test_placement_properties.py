"""What holds for every placement, however an agent's resources are cut up."""

from collections import Counter
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from scheduler.core.app import AppSpec, PortDefinition, Resources
from scheduler.core.ids import AgentId, AppId, OfferId
from scheduler.core.instance import Placement
from scheduler.core.offer import UNRESERVED, Agent, Offer, Pool, PortRange
from scheduler.core.placement import Stock, Wish, fit

AGENT = Agent(AgentId("agent"), "host")


@st.composite
def pool_lists(draw: st.DrawFn) -> list[Pool]:
    """Pools of some roles; their port ranges lie apart, as Mesos keeps them."""
    pools: list[Pool] = []
    next_port = 1000
    for _ in range(draw(st.integers(1, 4))):
        ranges: list[PortRange] = []
        for _ in range(draw(st.integers(0, 3))):
            begin = next_port + draw(st.integers(1, 5))
            next_port = begin + draw(st.integers(0, 4))
            ranges.append(PortRange(begin, next_port))
        amounts = st.integers(0, 300)
        pools.append(
            Pool(
                role=draw(st.sampled_from([UNRESERVED, "ops", "web"])),
                cpus_milli=draw(amounts),
                mem_mib=draw(amounts),
                disk_mib=draw(amounts),
                ports=tuple(ranges),
            )
        )
    return pools


def make_app(
    amounts: tuple[int, int, int], ports: list[int], *, fixed: bool, accepted: frozenset[str] | None
) -> AppSpec:
    definitions = tuple(PortDefinition(port=port) for port in dict.fromkeys(ports) if port)
    definitions += (PortDefinition(),) * ports.count(0)
    return AppSpec(
        id=AppId("/web"),
        resources=Resources(*amounts),
        port_definitions=definitions,
        require_ports=fixed,
        accepted_resource_roles=None if accepted is None else tuple(sorted(accepted)),
    )


apps = st.builds(
    make_app,
    st.tuples(st.integers(0, 200), st.integers(0, 200), st.integers(0, 200)),
    st.lists(st.sampled_from([0, 0, *range(1000, 1030)]), max_size=4),
    fixed=st.booleans(),
    accepted=st.none() | st.frozensets(st.sampled_from([UNRESERVED, "ops"]), min_size=1),
)


def ports_of(pools: list[Pool]) -> set[int]:
    return {p for pool in pools for r in pool.ports for p in range(r.begin, r.end + 1)}


def total(pools: list[Pool]) -> Counter[tuple[str, str]]:
    sums: Counter[tuple[str, str]] = Counter()
    for pool in pools:
        for name in ("cpus_milli", "mem_mib", "disk_mib"):
            sums[pool.role, name] += getattr(pool, name)
    return sums


@given(pool_lists(), st.lists(apps, min_size=1, max_size=5), st.integers())
def test_tasks_share_what_was_offered_and_nothing_else(
    pools: list[Pool], wishes: list[AppSpec], seed: int
) -> None:
    """Whatever is taken by tasks and what is left over are together what was there before."""
    stock = Stock.of([Offer(OfferId("o"), AGENT, "*", tuple(pools))])
    rng = Random(seed)
    taken: list[Pool] = []
    for wish in wishes:
        found = fit(Wish(wish, {}, 1), stock, 0, rng)
        if isinstance(found, Placement):
            taken += found.pools
            needed = wish.resources
            assert sum(p.cpus_milli for p in found.pools) == needed.cpus_milli
            assert sum(p.mem_mib for p in found.pools) == needed.mem_mib
            assert sum(p.disk_mib for p in found.pools) == needed.disk_mib
    assert total(taken) + total(stock.pools) == +total(pools)
    assert all(min(p.cpus_milli, p.mem_mib, p.disk_mib) >= 0 for p in stock.pools)
    assert not ports_of(taken) & ports_of(stock.pools)
    assert ports_of(taken) | ports_of(stock.pools) == ports_of(pools)


@given(pool_lists(), st.lists(apps, min_size=1, max_size=5), st.integers())
def test_host_ports_are_offered_ones_and_no_two_tasks_share_one(
    pools: list[Pool], wishes: list[AppSpec], seed: int
) -> None:
    stock = Stock.of([Offer(OfferId("o"), AGENT, "*", tuple(pools))])
    rng = Random(seed)
    used: list[int] = []
    for wish in wishes:
        found = fit(Wish(wish, {}, 1), stock, 0, rng)
        if isinstance(found, Placement):
            definitions = wish.port_definitions or ()
            assert len(found.host_ports) == len(definitions)
            if wish.require_ports:
                pairs = zip(definitions, found.host_ports, strict=True)
                assert all(d.port in {0, port} for d, port in pairs)
            assert ports_of(list(found.pools)) == set(found.host_ports)
            used += found.host_ports
    assert len(used) == len(set(used))
    assert set(used) <= ports_of(pools)


@given(pool_lists(), apps, st.integers())
def test_only_accepted_roles_are_touched_and_reserved_ones_are_emptied_first(
    pools: list[Pool], wish: AppSpec, seed: int
) -> None:
    stock = Stock.of([Offer(OfferId("o"), AGENT, "*", tuple(pools))])
    found = fit(Wish(wish, {}, 1), stock, 0, Random(seed))
    if not isinstance(found, Placement):
        return
    accepted = wish.accepted_resource_roles
    assert accepted is None or {pool.role for pool in found.pools} <= set(accepted)
    for name in ("cpus_milli", "mem_mib", "disk_mib"):
        from_open = sum(getattr(p, name) for p in found.pools if p.role == UNRESERVED)
        reserved_left = sum(
            getattr(p, name)
            for p in stock.pools
            if p.role != UNRESERVED and (accepted is None or p.role in accepted)
        )
        assert from_open == 0 or reserved_left == 0


@given(pool_lists(), apps, st.integers())
def test_the_same_chance_gives_the_same_placement(
    pools: list[Pool], wish: AppSpec, seed: int
) -> None:
    offers = [Offer(OfferId("o"), AGENT, "*", tuple(pools))]
    once, again = (fit(Wish(wish, {}, 1), Stock.of(offers), 0, Random(seed)) for _ in range(2))
    assert once == again


@given(pool_lists(), apps, st.integers())
def test_what_is_refused_really_does_not_fit(pools: list[Pool], wish: AppSpec, seed: int) -> None:
    stock = Stock.of([Offer(OfferId("o"), AGENT, "*", tuple(pools))])
    accepted = wish.accepted_resource_roles
    usable = [p for p in pools if accepted is None or p.role in accepted]
    definitions = wish.port_definitions or ()
    fixed = {d.port for d in definitions if d.port} if wish.require_ports else set[int]()
    has_room = (
        usable
        and sum(p.cpus_milli for p in usable) >= wish.resources.cpus_milli
        and sum(p.mem_mib for p in usable) >= wish.resources.mem_mib
        and sum(p.disk_mib for p in usable) >= wish.resources.disk_mib
        and fixed <= ports_of(usable)
        and len(ports_of(usable)) >= len(definitions)
    )
    assert isinstance(fit(Wish(wish, {}, 1), stock, 0, Random(seed)), Placement) == bool(has_room)
