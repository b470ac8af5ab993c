"""Decide whether a task fits what one agent offers, and take its share if it does.

All offers of an agent (allocated to one role) are one heap of resources, kept apart only by
reservation: what is reserved for our role is used before what is free for all. The questions are
asked in the order of Marathon's rejection funnel, so that a refusal has the same name.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from random import Random

from attrs import define, evolve, field, frozen

from scheduler.core.app import AppSpec, PortRequest, Resources, port_requests
from scheduler.core.constraints import unmet
from scheduler.core.executors import OVERHEAD, Executor
from scheduler.core.instance import Placement
from scheduler.core.offer import UNRESERVED, Agent, Offer, Pool, PortRange
from scheduler.core.reports import Miss, Reason

RANGES_SHOWN = 5
"""Port ranges named in the explanation of a refusal."""


@frozen
class Wish:
    """What one instance needs of an agent, and how its siblings are spread already."""

    spec: AppSpec
    placed: dict[str, Counter[str]]
    """Constraint field → value → instances that may be alive there."""
    instances: int
    """The app's wanted instance count."""
    executor: Executor | None = None
    """Executor of ours to run in. One that is not placed yet takes its own share as well."""


@define
class Stock:
    """What is left of one agent's offers while tasks are being placed on it. Mutable."""

    agent: Agent
    role: str
    address: str
    sample: Offer
    """One of the offers, to show where a refusal came from."""
    pools: list[Pool] = field(factory=list)
    taken: int = 0
    """Tasks placed here in this round."""
    is_closed: bool = False
    """Whether a task that must be alone in its ACCEPT was placed here."""

    @staticmethod
    def of(offers: Iterable[Offer]) -> "Stock":
        """Heap up the offers of one agent; there must be at least one."""
        listed = list(offers)
        first = listed[0]
        pools = [pool for offer in listed for pool in offer.pools]
        # Reserved resources first, so that they are used before what others could use as well.
        pools.sort(key=lambda pool: pool.role == UNRESERVED)
        return Stock(first.agent, first.role, first.address, first, pools)

    @property
    def free_cpus_milli(self) -> int:
        return sum(pool.cpus_milli for pool in self.pools)


def fit(wish: Wish, stock: Stock, now_ms: int, rng: Random) -> Placement | Miss:
    """Place one instance on ``stock`` and take its share; or say what is missing.

    A Miss takes nothing. Ports that the app leaves open are chosen at random from the offered
    ones, so that a port just freed is not used again at once.
    """
    spec = wish.spec
    miss = _unfit_agent(wish, stock, now_ms)
    if miss is not None:
        return miss
    usable = _usable(spec, stock)
    need = _need(wish)
    host = stock.agent.host
    for reason, wanted, offered in (
        (Reason.CPUS, need.cpus_milli, sum(pool.cpus_milli for pool in usable)),
        (Reason.MEM, need.mem_mib, sum(pool.mem_mib for pool in usable)),
        (Reason.DISK, need.disk_mib, sum(pool.disk_mib for pool in usable)),
        (Reason.GPUS, need.gpus, sum(pool.gpus for pool in usable)),
    ):
        if wanted > offered:
            return Miss(reason, host, _amount(reason, wanted), _amount(reason, offered))
    ports = choose_ports(port_requests(spec), usable, rng)
    if ports is None:
        wanted_ports = ", ".join(str(request.host_port) for request in port_requests(spec))
        return Miss(Reason.PORTS, host, wanted_ports, _ranges(usable))
    if need.gpus == 0 and any(pool.gpus for pool in stock.pools):
        return Miss(Reason.SCARCE, host, "no GPU", "an agent with GPUs")
    return _take(wish, stock, ports)


def choose_ports(
    requests: tuple[PortRequest, ...], pools: list[Pool], rng: Random
) -> tuple[int, ...] | None:
    """Choose a host port for each request; None if the pools cannot serve them.

    All are different, but for a fixed one that the requests themselves name twice.

    O(ranges + requests), whatever the size of the ranges.
    """
    ranges = [port_range for pool in pools for port_range in pool.ports]
    fixed = {request.host_port for request in requests if request.host_port}
    if any(not any(r.begin <= port <= r.end for r in ranges) for port in fixed):
        return None
    total = sum(r.end - r.begin + 1 for r in ranges)
    # A fixed port may be asked for twice, once for each protocol: it is one port to Mesos.
    if total < len(fixed) + sum(not request.host_port for request in requests):
        return None
    start = rng.randrange(total) if total else 0
    free = _walk(ranges, start, total, fixed)
    return tuple(request.host_port or next(free) for request in requests)


def _walk(ranges: list[PortRange], start: int, total: int, skip: set[int]) -> Iterator[int]:
    """Yield every port once, from position ``start`` of the ranges laid end to end."""
    for offset in range(total):
        position = (start + offset) % total
        for r in ranges:
            size = r.end - r.begin + 1
            if position < size:
                if r.begin + position not in skip:
                    yield r.begin + position
                break
            position -= size


def _unfit_agent(wish: Wish, stock: Stock, now_ms: int) -> Miss | None:
    """Ask what depends on the agent alone: role, constraints, reservations, maintenance."""
    spec = wish.spec
    host = stock.agent.host
    if spec.role != stock.role:
        return Miss(Reason.ROLE, host, spec.role, stock.role)
    constraint = unmet(spec.constraints, stock.agent, wish.placed, wish.instances)
    if constraint is not None:
        wanted = f"{constraint.field} {constraint.operator} {constraint.value or ''}".strip()
        return Miss(Reason.CONSTRAINT, host, wanted, "not met")
    if not _usable(spec, stock):
        roles = ", ".join(spec.accepted_resource_roles or ())
        return Miss(Reason.RESERVATION, host, roles, "none of these")
    start_ms = stock.sample.unavailable_from_ms
    if start_ms is not None and start_ms <= now_ms:
        return Miss(Reason.MAINTENANCE, host, "a long-running agent", "under maintenance")
    return None


def _usable(spec: AppSpec, stock: Stock) -> list[Pool]:
    accepted = spec.accepted_resource_roles
    if accepted is None:
        return stock.pools
    return [pool for pool in stock.pools if pool.role in accepted]


def _need(wish: Wish) -> Resources:
    """Add up what the task takes and, if it starts one, its executor."""
    need = wish.spec.resources
    if wish.executor is None or wish.executor.is_placed:
        return need
    cpus_milli, mem_mib = need.cpus_milli + OVERHEAD.cpus_milli, need.mem_mib + OVERHEAD.mem_mib
    return evolve(need, cpus_milli=cpus_milli, mem_mib=mem_mib)


def _take(wish: Wish, stock: Stock, ports: tuple[int, ...]) -> Placement:
    """Move a task's share from the stock into a placement. The share must be there."""
    spec, executor = wish.spec, wish.executor
    if executor is not None and not executor.is_placed:
        executor = evolve(executor, pools=_take_share(spec, stock, OVERHEAD, ()))
    shares = _take_share(spec, stock, spec.resources, ports)
    stock.taken += 1
    return Placement(
        agent_id=stock.agent.id,
        host=stock.agent.host,
        pools=shares,
        allocated_role=stock.role,
        host_ports=ports,
        address=stock.address,
        region=stock.agent.region,
        zone=stock.agent.zone,
        executor=executor,
    )


def _take_share(
    spec: AppSpec, stock: Stock, need: Resources, ports: tuple[int, ...]
) -> tuple[Pool, ...]:
    """Take resources and ports out of the pools that the app may use."""
    accepted = spec.accepted_resource_roles
    cpus, mem, disk, gpus = need.cpus_milli, need.mem_mib, need.disk_mib, need.gpus
    wanted_ports = set(ports)
    shares: list[Pool] = []
    for index, pool in enumerate(stock.pools):
        if accepted is not None and pool.role not in accepted:
            continue
        own_ports = sorted(p for p in wanted_ports if _holds(pool, p))
        share = evolve(
            pool,
            cpus_milli=min(cpus, pool.cpus_milli),
            mem_mib=min(mem, pool.mem_mib),
            disk_mib=min(disk, pool.disk_mib),
            gpus=min(gpus, pool.gpus),
            ports=tuple(PortRange(port, port) for port in own_ports),
        )
        if not (share.cpus_milli or share.mem_mib or share.disk_mib or share.gpus or own_ports):
            continue
        cpus -= share.cpus_milli
        mem -= share.mem_mib
        disk -= share.disk_mib
        gpus -= share.gpus
        wanted_ports.difference_update(own_ports)
        shares.append(share)
        stock.pools[index] = _minus(pool, share, own_ports)
    is_complete = not (cpus or mem or disk or gpus or wanted_ports)
    assert is_complete, "took a share that was not there"
    return tuple(shares)


def _minus(pool: Pool, share: Pool, ports: list[int]) -> Pool:
    return evolve(
        pool,
        cpus_milli=pool.cpus_milli - share.cpus_milli,
        mem_mib=pool.mem_mib - share.mem_mib,
        disk_mib=pool.disk_mib - share.disk_mib,
        gpus=pool.gpus - share.gpus,
        ports=without_ports(pool.ports, ports),
    )


def without_ports(ranges: tuple[PortRange, ...], ports: list[int]) -> tuple[PortRange, ...]:
    """Cut single ports out of ranges."""
    for port in ports:
        cut: list[PortRange] = []
        for r in ranges:
            if not r.begin <= port <= r.end:
                cut.append(r)
                continue
            if r.begin < port:
                cut.append(PortRange(r.begin, port - 1))
            if port < r.end:
                cut.append(PortRange(port + 1, r.end))
        ranges = tuple(cut)
    return ranges


def _holds(pool: Pool, port: int) -> bool:
    return any(r.begin <= port <= r.end for r in pool.ports)


def _amount(reason: Reason, value: int) -> str:
    if reason is Reason.CPUS:
        return f"{value / 1000:g} cpus"
    return f"{value} GPUs" if reason is Reason.GPUS else f"{value} MiB"


def _ranges(pools: list[Pool]) -> str:
    texts = [f"{r.begin}-{r.end}" for pool in pools for r in pool.ports]
    return ", ".join(texts[:RANGES_SHOWN]) or "no ports"
