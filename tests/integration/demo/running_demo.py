"""Run `egret local` as a user does, in a home of its own, and see what it leaves behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
EXAMPLES = REPOSITORY / "docs/examples"
EGRET = Path(sys.executable).with_name("egret")
DEADLINE_S = 90


def user_environment(home: Path) -> dict[str, str]:
    """The environment of a user whose temporary files and notes lie below `home`."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("EGRET_")}
    for name in ("tmp", "run"):
        (home / name).mkdir(exist_ok=True)
    return {**kept, "TMPDIR": str(home / "tmp"), "XDG_RUNTIME_DIR": str(home / "run")}


def egret(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [EGRET, *arguments],
        env=user_environment(home),
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )


class Demo:
    """A running `egret local`; its output goes to a file."""

    def __init__(self, home: Path, *arguments: str) -> None:
        self.output = home / "output.txt"
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                [EGRET, "local", *arguments],
                env=user_environment(home),
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()

    def text(self) -> str:
        return self.output.read_text()

    def wait_for(self, *wanted: str) -> str:
        """Wait until the output holds all of these."""
        give_up_at = time.monotonic() + DEADLINE_S
        while not all(one in self.text() for one in wanted):
            if self.process.poll() is not None or time.monotonic() > give_up_at:
                pytest.fail(f"never printed {wanted}:\n{self.text()}")
            time.sleep(0.05)
        return self.text()

    def end(self, number: signal.Signals) -> int:
        """Send a signal and return the exit status."""
        self.process.send_signal(number)
        return self.process.wait(DEADLINE_S)


def processes_below(folder: Path) -> list[str]:
    """Every process that works in a folder, or names it in its command or environment."""
    wanted, found = str(folder).encode(), list[str]()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            told = b"\0".join((entry / name).read_bytes() for name in ("cmdline", "environ"))
            if wanted in told or str((entry / "cwd").readlink()).startswith(str(folder)):
                found.append((entry / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


def files_below(home: Path) -> list[Path]:
    """Whatever lies in the user's temporary and runtime folders."""
    return [path for name in ("tmp", "run") for path in (home / name).rglob("*")]


def await_nothing_left(home: Path) -> None:
    """Fail unless every process is gone soon: the kernel needs a moment to reap the last."""
    give_up_at = time.monotonic() + 30
    while left := processes_below(home):
        if time.monotonic() > give_up_at:
            pytest.fail(f"still running: {left}")
        time.sleep(0.05)
