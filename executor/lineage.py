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
import math
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from executor import logs

MARK_VARIABLE = "EGRET_TASK_ID"

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_PROC = "/proc"
_LOOK_LASTS_S = 0.02
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


class Census:
    """Which living process belongs to which task's mark.

    Looking at every process of the machine is not free, and fifty tasks that are killed at once all
    ask. So a look serves everyone for a moment; it is never older than the last process we started.
    """

    def __init__(self) -> None:
        self._started: dict[int, str] = {}
        self._sessions: dict[int, str] = {}
        self._looked_at = -math.inf
        self._found: dict[str, list[Process]] = {}

    def add_started(self, pid: int, mark: str, *, is_leader: bool) -> None:
        """Note a process we started. The leader's session stays the task's after its end."""
        self._started[pid] = mark
        if is_leader:
            self._sessions[pid] = mark
        self._looked_at = -math.inf

    def remove_ended(self, pid: int) -> None:
        """Note that a process we started was reaped: its number may come again."""
        self._started.pop(pid, None)

    def forget_task(self, mark: str) -> None:
        """Forget the sessions of a task that is over."""
        self._sessions = {pid: owner for pid, owner in self._sessions.items() if owner != mark}

    def members(self, mark: str) -> list[Process]:
        """The living processes of the task with this mark."""
        now = time.monotonic()
        if now - self._looked_at > _LOOK_LASTS_S:
            self._found = self._attribute()
            self._looked_at = now
        return self._found.get(mark, [])

    def send_signal(self, mark: str, number: int, *, group: int = 0) -> int:
        """Signal every process of a task; return how many there were.

        `group` is the task's process group while its leader is known not to be reaped, else 0. It
        gets the signal as a whole, so that a process that forks meanwhile cannot slip through.
        """
        found = self.members(mark)
        if group:
            signal_group(group, number)
        for process in found:
            if not group or process.group != group:
                _ignore_gone(os.kill, process.pid, number)
        return len(found)

    def _attribute(self) -> dict[str, list[Process]]:
        us = os.getpid()
        owners: dict[int, str] = {}
        found: dict[str, list[Process]] = {}
        for process in descendants(us):
            owner = self._sessions.get(process.session) or self._started.get(process.pid)
            if owner is None:
                is_orphan = process.parent == us
                owner = _mark_of(process.pid) if is_orphan else owners.get(process.parent)
            if owner is not None:
                owners[process.pid] = owner
                found.setdefault(owner, []).append(process)
        return found


def signal_group(group: int, number: int) -> None:
    """Signal a process group whose leader is known not to be reaped."""
    _ignore_gone(os.killpg, group, number)


def kill_descendants() -> bool:
    """Kill whatever is left below this process; False if there was nothing."""
    left = descendants(os.getpid())
    for process in left:
        _ignore_gone(os.kill, process.pid, signal.SIGKILL)
    return bool(left)


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


def _mark_of(pid: int) -> str | None:
    try:
        environ = Path(f"{_PROC}/{pid}/environ").read_bytes()
    except OSError:
        return None
    name = f"{MARK_VARIABLE}=".encode()
    values = [entry[len(name) :] for entry in environ.split(b"\0") if entry.startswith(name)]
    return os.fsdecode(values[0]) if values else None
