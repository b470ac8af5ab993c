"""Importing pymesos must not take over the process."""

import subprocess
import sys


def test_signals_and_logging_are_as_before() -> None:
    """In a process of its own: other tests may have imported pymesos already."""
    program = """
import logging, signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # Whatever our parent does with it.
import executor.mesos
assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
assert logging.getLogger("pymesos").handlers == []
signal.signal(signal.SIGINT, signal.SIG_IGN)
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_an_ignored_interrupt_stays_ignored() -> None:
    program = """
import signal
signal.signal(signal.SIGINT, signal.SIG_IGN)
import executor.mesos
assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
"""
    subprocess.run([sys.executable, "-c", program], check=True)
