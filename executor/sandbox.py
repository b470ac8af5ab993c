"""Make the directory and the environment that a task runs in."""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

from executor.messages import Launch
from executor.processes import owner_of
from executor.settings import OWN_PREFIX, TOKEN_VARIABLE


def make_sandbox(root: Path, launch: Launch) -> Path:
    """Create the task's directory below the executor's sandbox, owned by the task's user.

    Raises:
        OSError, executor.processes.CannotStart: it cannot be made, or the user is unknown.
    """
    path = root / launch.sandbox
    path.mkdir(parents=True, exist_ok=True)
    owner = owner_of(launch.command.user)
    if owner is not None:
        os.chown(path, *owner)
    return path


def task_environment(own: Mapping[str, str], launch: Launch, sandbox: Path) -> dict[str, str]:
    """The environment of a task: ours, without what is ours alone, and what the command asks for.

    The agent's token must never reach a task: with it a task could speak as the executor.
    """
    env = {
        name: value
        for name, value in own.items()
        if name != TOKEN_VARIABLE and not name.startswith(OWN_PREFIX)
    }
    env.update(dict.fromkeys(("MESOS_SANDBOX", "MESOS_DIRECTORY", "PWD"), str(sandbox)))
    if not launch.is_alone:
        # Mesos sets it for every executor but its own command executor.
        env["MESOS_TASK_ID"] = launch.task_id
    env.update(launch.command.environment)
    return env


@contextmanager
def open_output(sandbox: Path, user: str = "") -> Generator[tuple[int, int]]:
    """Open the sandbox's `stdout` and `stderr` for appending, as file descriptors to hand down."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
    owner = owner_of(user)
    opened: list[int] = []
    try:
        for name in ("stdout", "stderr"):
            opened.append(os.open(sandbox / name, flags, 0o644))
            if owner is not None:
                os.fchown(opened[-1], *owner)
        yield opened[0], opened[1]
    finally:
        for descriptor in opened:
            os.close(descriptor)
