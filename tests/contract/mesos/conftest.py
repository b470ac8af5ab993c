"""The master under test: an embedded cluster, or a real one with --mesos-master=HOST:PORT.

A real cluster needs two agents with the default resources of the recordings (8 cpus, a thousand
ports each, an attribute `rack` that differs), `posix` isolation, and nobody else's frameworks.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import structlog
from attrs import evolve

from scheduler.local import Cluster, Timing, make_agent_configs
from tests.contract.mesos.client import Json, Scheduler, framework_info
from tests.support import free_ports

# Executors come back to their agent at a moment of their own choice.
TIMING = Timing(
    allocation_interval_s=0.2, update_retry_s=1.0, executor_reregistration_timeout_s=30.0
)
agents_are_soon_missed = pytest.mark.parametrize(
    "embedded", [{"agent_timeout_s": 4.0}], indirect=True, ids=["4s"]
)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    yield
    structlog.configure(**before)


@pytest.fixture
async def embedded(
    request: pytest.FixtureRequest, mesos_master: str | None, tmp_path: Path
) -> AsyncIterator[Cluster | None]:
    """The embedded cluster, or None where a real master is tested; its parameter changes TIMING."""
    if mesos_master is not None:
        yield None
        return
    timing = evolve(TIMING, **getattr(request, "param", {}))
    (port,) = free_ports(1)
    agents = make_agent_configs(2, cpus=8)
    async with Cluster(agents, port=port, work_dir=tmp_path, timing=timing) as cluster:
        yield cluster


@pytest.fixture
def address(embedded: Cluster | None, mesos_master: str | None) -> str:
    """Where the master under test listens."""
    return mesos_master or (embedded.master_address if embedded is not None else "")


@pytest.fixture
def cluster(embedded: Cluster | None) -> Cluster:
    """The embedded cluster, for tests that break it."""
    if embedded is None:
        pytest.skip("the test breaks the cluster: only the embedded one lets it")
    return embedded


Subscribe = Callable[..., Awaitable[Scheduler]]


@pytest.fixture
async def subscribe(address: str) -> AsyncIterator[Subscribe]:
    """Subscribe a scheduler: `await subscribe("name", changes of the FrameworkInfo)`.

    All are torn down after the test.
    """
    schedulers: list[Scheduler] = []

    async def make(name: str, *, acknowledges: bool = True, **changes: object) -> Scheduler:
        extra: Json = {k: changes.pop(k) for k in _OF_SUBSCRIBE if k in changes}
        scheduler = Scheduler(address)
        scheduler.acknowledges = acknowledges
        schedulers.append(scheduler)
        await scheduler.subscribe(framework_info(name, **changes), **extra)
        await scheduler.wait(lambda: scheduler.of("SUBSCRIBED"), "SUBSCRIBED")
        return scheduler

    yield make
    for scheduler in reversed(schedulers):
        await scheduler.close()


_OF_SUBSCRIBE = ("suppressed_roles", "offer_constraints")
