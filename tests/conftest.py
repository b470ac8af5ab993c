"""What all tests share; helpers to import are in tests/support.py.

**Async tests** are plain `async def test_…` functions: pytest-asyncio runs each on a loop of its
own (`asyncio_mode = "auto"`), async fixtures too; no marker is needed. Use nothing else (no anyio
marker, no `asyncio.run` in a test).

**Waiting**: poll for the condition with `tests.support.eventually`; never sleep and hope.

**Parallel runs** (`make test` uses two workers): bind to port 0, write to `tmp_path`, and mark
tests that truly cannot run beside each other with `@pytest.mark.xdist_group("name")`.

**Real parts**: `consul` gives the address of a real Consul; `--mesos-master=HOST:PORT` makes the
integration tests use a real Mesos master in place of the embedded cluster.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support import running_consul

REPOSITORY = Path(__file__).resolve().parent.parent

# No deadline: how long an example takes says more about the machine than about the code. In CI the
# examples are always the same ones, so that a red run is about the change.
settings.register_profile("default", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--mesos-master",
        metavar="HOST:PORT",
        help="run the integration tests on this Mesos master, not on the embedded cluster",
    )


@pytest.fixture(scope="session")
def mesos_master(request: pytest.FixtureRequest) -> str | None:
    """The `HOST:PORT` given with --mesos-master, or None: use the embedded cluster."""
    return request.config.getoption("--mesos-master")


@pytest.fixture(scope="session")
def consul_binary() -> Path:
    """The Consul to test with: $EGRET_TEST_CONSUL, else `make tools`'s, else the one on PATH."""
    candidates = [
        os.environ.get("EGRET_TEST_CONSUL"),
        REPOSITORY / ".tools/bin/consul",
        shutil.which("consul"),
    ]
    for candidate in candidates:
        if candidate and os.access(candidate, os.X_OK):
            return Path(candidate)
    reason = "no Consul here: run `make tools`"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def consul(consul_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL of a real Consul agent in development mode, one for each test worker.

    Tests share it: use service names and keys of your own, and one of your own
    (`tests.support.running_consul`) where you stop it or need it empty.
    """
    with running_consul(consul_binary, tmp_path_factory.mktemp("consul")) as url:
        yield url
