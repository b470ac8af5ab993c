"""Kill what an embedded cluster leaves behind when it dies without a chance to clean up.

Started as a script of its own (standard library only): it waits until its standard input ends,
which the kernel sees to whatever kills the cluster, and then kills every process that carries the
cluster's mark in its environment, every container with it as a label, and the temporary directory.
Usage: ``guard.py NAME=VALUE DOCKER-BINARY DIRECTORY`` (the latter two may be empty: none).
"""

import os
import shutil
import signal
import subprocess
import sys
import time

ATTEMPTS_MAX = 500
"""A process in the middle of a system call may take a while to die, but not for ever."""


def kill_marked(mark: str, one_of: frozenset[str] = frozenset()) -> int:
    """Kill every process whose environment holds `mark` (NAME=value); return how many.

    With `one_of` only those that hold one of these as well.
    """
    wanted, others = mark.encode(), {other.encode() for other in one_of}
    killed = 0
    for name in os.listdir("/proc"):  # noqa: PTH208 (as below)
        if not name.isdigit() or int(name) == os.getpid():
            continue
        try:
            with open(f"/proc/{name}/environ", "rb") as file:  # noqa: PTH123 (starts in 10 ms)
                variables = set(file.read().split(b"\0"))
            if wanted in variables and (not others or others & variables):
                os.kill(int(name), signal.SIGKILL)
                killed += 1
        except OSError:
            continue  # It ended meanwhile, or belongs to another user.
    return killed


def remove_containers(docker: str, label: str) -> None:
    """Remove the containers with the label, running or not."""
    listing = [docker, "ps", "-aq", "--filter", f"label={label}"]
    found = subprocess.run(listing, capture_output=True, check=False, text=True).stdout.split()
    if found:
        subprocess.run([docker, "rm", "-f", *found], capture_output=True, check=False)


def main() -> None:
    """Wait for the end of the cluster, then kill until nothing is left."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while sys.stdin.buffer.read(1024):
        pass
    mark, docker, directory = sys.argv[1:4]
    for _ in range(ATTEMPTS_MAX):
        if not kill_marked(mark):
            break
        time.sleep(0.01)
    if docker:
        remove_containers(docker, mark)
    if directory:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
