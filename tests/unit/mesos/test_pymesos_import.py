"""What importing pymesos does to a process, and that ours undoes it. Each in a fresh one."""

import subprocess
import sys

import pytest


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("handler", ["SIG_IGN", "SIG_DFL", "default_int_handler"])
def test_the_sigint_disposition_is_left_as_it_was(handler: str):
    """Plain pymesos keeps SIGINT for itself, and fails on a handler that cannot be called."""
    said = run(
        "import signal\n"
        f"signal.signal(signal.SIGINT, signal.{handler})\n"
        "import scheduler.mesos.pymesos_import\n"
        f"print(signal.getsignal(signal.SIGINT) == signal.{handler})\n"
    )
    assert said.strip() == "True"


def test_a_handler_of_ours_is_kept():
    said = run(
        "import signal\n"
        "def ours(*_): pass\n"
        "signal.signal(signal.SIGINT, ours)\n"
        "import scheduler.mesos.driver\n"
        "print(signal.getsignal(signal.SIGINT) is ours)\n"
    )
    assert said.strip() == "True"


def test_no_log_handler_stays_behind():
    said = run(
        "import logging\n"
        "import scheduler.mesos.pymesos_import\n"
        "logger = logging.getLogger('pymesos')\n"
        "print(logger.handlers, logger.level)\n"
    )
    assert said.strip() == "[] 0"


def test_no_other_module_of_the_scheduler_imports_pymesos():
    said = run(
        "import pathlib, re\n"
        "import scheduler\n"
        "root = pathlib.Path(scheduler.__file__).parent\n"
        "print(sorted(str(file.relative_to(root)) for file in root.rglob('*.py')\n"
        "    if re.search(r'^\\s*(from|import) pymesos\\b', file.read_text(), re.M)))\n"
    )
    assert said.strip() == "['mesos/pymesos_import.py']"
