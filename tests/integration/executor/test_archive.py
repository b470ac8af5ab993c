"""The archive: one file that runs where nothing but an old Python is."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from executor import OLDEST_PYTHON
from executor.build import build_archive, write_archive
from tests.integration.executor.fake_agent import FakeAgent, grace


def oldest_python() -> str | None:
    """An interpreter of the oldest version supported, on PATH or among pyenv's."""
    name = f"python{OLDEST_PYTHON[0]}.{OLDEST_PYTHON[1]}"
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    # On PATH there may be only a shim that refuses to run: ask each candidate.
    for candidate in [shutil.which(name), *map(str, root.glob(f"versions/*/bin/{name}"))]:
        if (
            candidate
            and subprocess.run([candidate, "-c", ""], check=False, capture_output=True).returncode
            == 0
        ):
            return candidate
    return None


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "egret executor.pyz"
    write_archive(path)
    return path


async def exercise(agent: FakeAgent, python: str, archive: Path, tmp_path: Path) -> None:
    """A launch with everything that may miss a module: fetching, a check, a kill."""
    (tmp_path / "config").write_text("fetched\n")
    await agent.start_executor(argv=(python, "-I", str(archive)), PYTHONPATH="")
    health = {"type": "COMMAND", "command": {"value": "true"}, "delay_seconds": 0}
    command = {"value": "cat config; exec sleep 1000", "uris": [{"value": f"{tmp_path}/config"}]}
    await agent.launch("t1", command, health_check=health, kill_policy=grace(600))
    await agent.until(lambda: any(status.get("healthy") for status in agent.statuses("t1")))
    agent.kill("t1")
    end = await agent.state("t1", "TASK_KILLED")
    assert end["message"] == "Command terminated with signal Terminated"
    assert (agent.sandbox / "tasks/t1/stdout").read_text() == "fetched\n"
    agent.send({"type": "SHUTDOWN"})
    assert await agent.executor_exit() == 0


async def test_it_runs_outside_of_the_environment_that_built_it(
    agent: FakeAgent, archive: Path, tmp_path: Path
) -> None:
    # The interpreter behind the virtual environment sees none of its packages.
    python = os.path.realpath(sys.executable)
    await exercise(agent, python, archive, tmp_path)


async def test_it_runs_on_the_oldest_python(
    agent: FakeAgent, archive: Path, tmp_path: Path
) -> None:
    python = oldest_python()
    if python is None:
        pytest.skip(f"no Python {OLDEST_PYTHON[0]}.{OLDEST_PYTHON[1]} on this machine")
    await exercise(agent, python, archive, tmp_path)


def test_the_same_sources_give_the_same_bytes() -> None:
    assert build_archive() == build_archive()


def test_it_holds_no_compiled_code_and_no_more_than_it_needs(archive: Path) -> None:
    names = zipfile.ZipFile(archive).namelist()
    roots = {name.split("/")[0] for name in names}
    assert roots == {
        "__main__.py", "addict", "executor", "h11", "http_parser", "licenses", "pymesos", "six.py",
    }  # fmt: skip
    assert {Path(name).suffix for name in names if not name.startswith("licenses/")} == {".py"}
    assert "executor/build.py" not in names


def test_the_command_line_builds_it(tmp_path: Path) -> None:
    out = tmp_path / "out.pyz"
    run = [sys.executable, "-m", "executor.build", str(out)]
    done = subprocess.run(run, check=True, capture_output=True, text=True)
    assert "sha256" in done.stdout
    assert out.stat().st_mode & 0o111
