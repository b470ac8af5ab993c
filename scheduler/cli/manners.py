"""Say what to do about deployments in the way of a change: ``--force`` and ``--queue``."""

import functools
from collections.abc import Callable
from typing import Any

import click
from attrs import frozen

from scheduler.cli.failures import ExitCode, Failure

QUEUE_HELP = "Begin when a deployment that is under way is over, instead of being refused."


@frozen
class Manner:
    """With neither, a change of what a deployment holds is refused."""

    force: bool = False
    queue: bool = False

    @property
    def params(self) -> dict[str, str]:
        """The parameters that say so to the API."""
        params = {"force": str(self.force).lower()}
        return {**params, "queue": "true"} if self.queue else params


def mannered(command: Callable[..., None]) -> Callable[..., None]:
    """Add ``--force`` and ``--queue`` to a command; it gets ``manner``."""

    @click.option("--force", is_flag=True, help="Override a deployment that is under way.")
    @click.option("--queue", is_flag=True, help=QUEUE_HELP)
    @functools.wraps(command)
    def run(*args: Any, force: bool, queue: bool, **kwargs: Any) -> None:
        if force and queue:
            raise Failure(
                ExitCode.USAGE, "--force and --queue exclude each other: override it, or wait."
            )
        command(*args, manner=Manner(force, queue), **kwargs)

    return run
