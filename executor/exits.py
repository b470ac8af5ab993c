"""Say how a process ended, in the words Mesos uses."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass


@dataclass(frozen=True)
class Exit:
    """An exit code or the signal that ended the process; exactly one of them is set."""

    code: int | None = None
    signal: int | None = None
    dumped_core: bool = False

    @property
    def is_success(self) -> bool:
        """Whether the process exited with 0."""
        return self.code == 0

    @property
    def message(self) -> str:
        """`Command exited with status 1`, `Command terminated with signal Killed`."""
        if self.signal is None:
            return f"Command exited with status {self.code}"
        name = signal.strsignal(self.signal) or f"Unknown signal {self.signal}"
        return f"Command terminated with signal {name}" + (
            " (core dumped)" if self.dumped_core else ""
        )


def read_wait_status(status: int) -> Exit:
    """Decode what waitpid returned."""
    if os.WIFSIGNALED(status):
        return Exit(signal=os.WTERMSIG(status), dumped_core=os.WCOREDUMP(status))
    return Exit(code=os.WEXITSTATUS(status))
