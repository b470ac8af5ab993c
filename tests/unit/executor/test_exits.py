"""The words for an exit."""

import signal

import pytest

from executor.exits import read_wait_status


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (0, "Command exited with status 0"),
        (7 << 8, "Command exited with status 7"),
        (255 << 8, "Command exited with status 255"),
        (signal.SIGKILL, "Command terminated with signal Killed"),
        (signal.SIGTERM, "Command terminated with signal Terminated"),
        (signal.SIGSEGV | 0x80, "Command terminated with signal Segmentation fault (core dumped)"),
    ],
)
def test_a_wait_status_reads_as_mesos_writes_it(status: int, message: str) -> None:
    exit_ = read_wait_status(status)
    assert exit_.message == message
    assert exit_.is_success == (status == 0)
