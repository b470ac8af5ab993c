"""Say how a change is to be made: ``--force``, ``--queue``, ``--dry-run``."""

import functools
from collections.abc import Callable
from typing import Any

import click
from attrs import frozen

from scheduler.cli.failures import ExitCode, Failure

QUEUE_HELP = "Begin when a deployment that is under way is over, instead of being refused."
DRY_RUN_HELP = "Change nothing; show how it would go."


@frozen
class Manner:
    """With neither force nor queue, a change of what a deployment holds is refused."""

    force: bool = False
    queue: bool = False
    dry_run: bool = False

    @property
    def params(self) -> dict[str, str]:
        """The parameters that say so to the API."""
        params = {"force": str(self.force).lower()}
        if self.queue:
            params["queue"] = "true"
        if self.dry_run:
            params["dryRun"] = "true"
        return params


ACT = Manner()
"""Do it, unless a deployment is in the way."""


def mannered(command: Callable[..., None]) -> Callable[..., None]:
    """Add the three options to a command; it gets ``manner``."""

    @click.option("--force", is_flag=True, help="Override a deployment that is under way.")
    @click.option("--queue", is_flag=True, help=QUEUE_HELP)
    @click.option("--dry-run", is_flag=True, help=DRY_RUN_HELP)
    @functools.wraps(command)
    def run(*args: Any, force: bool, queue: bool, dry_run: bool, **kwargs: Any) -> None:
        if force and queue:
            raise Failure(
                ExitCode.USAGE, "--force and --queue exclude each other: override it, or wait."
            )
        command(*args, manner=Manner(force, queue, dry_run), **kwargs)

    return run
