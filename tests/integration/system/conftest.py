"""The whole chain as a user meets it: `egret scheduler` on a cluster, over HTTP.

With --mesos-master=HOST:PORT it runs on a real cluster, whose agents must be on this machine: tasks
are found and killed by their processes. Nobody else's frameworks may be there.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.scheduler.processes import Cluster
from tests.integration.system.site import Egret, Mesos

Make = Callable[..., Egret]


@pytest.fixture(scope="session")
def mesos(mesos_master: str | None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesos]:
    """A cluster that all tests share; one for each test worker."""
    if mesos_master is not None:
        yield Mesos(mesos_master)
        return
    folder = tmp_path_factory.mktemp("cluster")
    cluster = Cluster(folder, "--cpus", "8", "--mem", "16000")
    yield Mesos(cluster.master, cluster)
    cluster.close()


@pytest.fixture
def fragile(
    request: pytest.FixtureRequest, mesos_master: str | None, tmp_path: Path
) -> Iterator[Mesos]:
    """An embedded cluster of the test's own, to break; its parameter is further flags of it."""
    if mesos_master is not None:
        pytest.skip("the test breaks the cluster: only the embedded one lets it")
    # Executors come back to their agent at a moment of their own choice.
    flags = ("--update-retry", "1", "--executor-timeout", "30", *getattr(request, "param", ()))
    cluster = Cluster(tmp_path, *flags)
    yield Mesos(cluster.master, cluster)
    cluster.close()


@pytest.fixture
def make_egret(tmp_path: Path) -> Iterator[Make]:
    """Make schedulers, started: `make_egret(mesos, "--flag", …)`."""
    made: list[Egret] = []

    def make(mesos: Mesos, *flags: str) -> Egret:
        folder = tmp_path / f"egret-{len(made)}"
        folder.mkdir()
        made.append(Egret(folder, mesos, *flags))
        made[-1].up()
        return made[-1]

    yield make
    for one in made:
        one.down()


@pytest.fixture
def egret(make_egret: Make, mesos: Mesos) -> Egret:
    """A scheduler without discovery on the shared cluster."""
    return make_egret(mesos)


@pytest.fixture
def many(mesos: Mesos) -> int:
    """How many instances a large app has here."""
    return 50 if mesos.is_real else 20
