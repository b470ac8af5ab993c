"""Start processes and learn of their ends.

One `waitpid` loop serves the whole executor: as a subreaper it also inherits processes that it did
not start, and those must be reaped too. asyncio's own child handling would compete with it.
"""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Callable

from executor import lineage
from executor.exits import Exit, read_wait_status


class CannotStart(Exception):
    """The process could not be started: no such file, no such user, not allowed."""


@dataclass(frozen=True)
class Program:
    """What to run, where and as whom.

    The first argument is the process's name, and what to run unless `executable` says otherwise.
    `env` is the whole environment. An empty user, or our own, is no change of user.
    """

    argv: tuple[str, ...]
    executable: str
    cwd: str
    env: Mapping[str, str]
    user: str = ""


@dataclass
class Child:
    """A process we started, the leader of its own session. `exit` is None while it lives."""

    pid: int
    exit: Exit | None = None


class Processes:
    """The children of this executor. Must be used on one thread: the one that reaps."""

    def __init__(self) -> None:
        self.census = lineage.Census()
        self._waiting: dict[int, tuple[Child, Callable[[], None]]] = {}

    def start(
        self,
        program: Program,
        output: tuple[int, int],
        *,
        mark: str,
        is_leader: bool,
        on_exit: Callable[[], None],
    ) -> Child:
        """Start a process in its own session; `on_exit` is called once its exit is known.

        Args:
            program: what to run, where and as whom.
            output: file descriptors for standard output and standard error.
            mark: the task it belongs to; also in its environment, see `executor.lineage`.
            is_leader: whether what it leaves in its session still belongs to the task.
            on_exit: called on the loop's thread.

        Raises:
            CannotStart: with the reason.
        """
        account = _account(program.user)
        try:
            process = subprocess.Popen(
                list(program.argv),
                executable=program.executable or None,
                cwd=program.cwd,
                env={**program.env, lineage.MARK_VARIABLE: mark},
                stdin=subprocess.DEVNULL,
                stdout=output[0],
                stderr=output[1],
                start_new_session=True,
                # Safe here: the executor has one thread.
                preexec_fn=lineage.die_with_parent,  # noqa: PLW1509
                user=account.pw_uid if account else None,
                group=account.pw_gid if account else None,
                extra_groups=(
                    os.getgrouplist(account.pw_name, account.pw_gid) if account else None
                ),
            )
        except (OSError, subprocess.SubprocessError, ValueError) as error:
            raise CannotStart(str(error)) from error
        # The object must not wait for the process behind our back.
        process.returncode = 0
        child = Child(process.pid)
        self._waiting[child.pid] = (child, on_exit)
        self.census.add_started(child.pid, mark, is_leader=is_leader)
        return child

    def reap(self) -> None:
        """Collect every child that ended. To be called on SIGCHLD."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self.census.remove_ended(pid)
            child, on_exit = self._waiting.pop(pid, (None, None))
            if child is not None and on_exit is not None:
                child.exit = read_wait_status(status)
                on_exit()


def _account(user: str) -> pwd.struct_passwd | None:
    if not user:
        return None
    try:
        account = pwd.getpwnam(user)
    except KeyError as error:
        raise CannotStart(f"there is no user '{user}' on this agent") from error
    if account.pw_uid == os.geteuid():
        return None
    if os.geteuid() != 0:
        raise CannotStart(f"only root can run a task as another user ('{user}')")
    return account


def owner_of(user: str) -> tuple[int, int] | None:
    """The uid and gid that a task's files must get, None where they are ours anyway."""
    account = _account(user)
    return (account.pw_uid, account.pw_gid) if account else None
