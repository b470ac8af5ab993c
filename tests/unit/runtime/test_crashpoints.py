"""A crash point kills at the passage it names, and never else."""

import os
import signal
import subprocess
import sys

import pytest

PROGRAM = """
from scheduler.runtime.crashpoints import crash_here
for name in ["a", "b", "a", "b", "a"]:
    print(name, end="", flush=True)
    crash_here(name)
"""


@pytest.mark.parametrize(
    ("asked", "printed", "status"),
    [
        ("a", "a", -signal.SIGKILL),
        ("b:2", "abab", -signal.SIGKILL),
        ("a:3", "ababa", -signal.SIGKILL),
        ("c", "ababa", 0),
        ("", "ababa", 0),
    ],
)
def test_the_process_dies_at_the_named_passage(asked: str, printed: str, status: int):
    environment = {**os.environ, "EGRET_CRASHPOINT": asked}
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (ended.stdout, ended.returncode) == (printed, status)
