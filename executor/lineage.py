"""Find all processes of a task, also those that left its session or lost their parents.

A task starts in a session of its own. What it starts may open further sessions, and an orphan is
handed to its nearest subreaper, which is us. So every process of a task is a descendant of this
executor at any time, and belongs to the task if its session is the task's, if its parent belongs,
or if it still carries the task's mark in its environment. Only a process that did all three (own
session, orphaned, environment cleared) is nobody's; it ends with the executor.

Linux only, as Mesos is: without /proc a task is only its session's process group.
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from executor import logs

MARK_VARIABLE = "EGRET_TASK_ID"

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_PROC = "/proc"
_LIBC = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Process:
    """A living process, as the kernel tells it."""

    pid: int
    parent: int
    group: int
    session: int


def become_subreaper() -> None:
    """Have orphaned descendants handed to this process instead of init."""
    if _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        logs.warning("no_subreaper", errno=ctypes.get_errno())


def die_with_parent() -> None:
    """Ask for SIGKILL when the parent dies: nobody could stop this process any more.

    Runs between fork and exec, after the change of user, which would undo it.
    """
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def descendants(root: int) -> list[Process]:
    """All living descendants of a process, parents before their children."""
    children: dict[int, list[Process]] = {}
    for process in _all_processes():
        children.setdefault(process.parent, []).append(process)
    found: list[Process] = []
    waiting = [root]
    while waiting:
        for child in children.get(waiting.pop(), []):
            found.append(child)
            waiting.append(child.pid)
    return found


def members(mark: str, session: int) -> list[Process]:
    """The living processes of the task with this mark and this session (0: it has none yet)."""
    found: dict[int, Process] = {}
    us = os.getpid()
    for process in descendants(us):
        if (
            process.session == session
            or process.parent in found
            or (process.parent == us and _carries(process.pid, mark))
        ):
            found[process.pid] = process
    return list(found.values())


def send_signal(mark: str, session: int, number: int, *, group: int = 0) -> int:
    """Signal every process of a task; return how many there were.

    `group` is the task's process group while its leader is known not to be reaped, else 0. It gets
    the signal as a whole, so that a process that forks meanwhile cannot slip through.
    """
    found = members(mark, session)
    if group:
        signal_group(group, number)
    for process in found:
        if not group or process.group != group:
            _ignore_gone(os.kill, process.pid, number)
    return len(found)


def signal_group(group: int, number: int) -> None:
    """Signal a process group whose leader is known not to be reaped."""
    _ignore_gone(os.killpg, group, number)


def kill_descendants() -> None:
    """Kill whatever is left below this process."""
    for process in descendants(os.getpid()):
        _ignore_gone(os.kill, process.pid, signal.SIGKILL)


def _ignore_gone(send: Callable[[int, int], None], target: int, number: int) -> None:
    try:
        send(target, number)
    except ProcessLookupError:
        return  # It ended by itself in the meantime.
    except PermissionError:
        logs.warning("signal_not_permitted", target=target, signal=number)


def _all_processes() -> Iterator[Process]:
    try:
        names = os.listdir(_PROC)
    except FileNotFoundError:
        return
    for name in names:
        if name.isdigit():
            try:
                with open(f"{_PROC}/{name}/stat", "rb") as file:
                    stat = file.read()
            except OSError:
                continue  # It ended while we looked.
            # The name in parentheses may hold anything; the fields follow its last one.
            state, parent, group, session = stat[stat.rindex(b")") + 2 :].split(None, 4)[:4]
            if state not in b"ZX":
                yield Process(int(name), int(parent), int(group), int(session))


def _carries(pid: int, mark: str) -> bool:
    try:
        environ = Path(f"{_PROC}/{pid}/environ").read_bytes()
    except OSError:
        return False
    return f"{MARK_VARIABLE}={mark}".encode() in environ.split(b"\0")
