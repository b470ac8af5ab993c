"""Name how a command can fail, and with which exit code, so that scripts can tell.

The codes are a promise: docs/cli.md lists them.
"""

from enum import IntEnum

import click


class ExitCode(IntEnum):
    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_REACHABLE = 3
    REFUSED = 4
    TIMEOUT = 5
    NOT_FOUND = 6


class Failure(Exception):
    """What went wrong, in one sentence, and what the user can do about it."""

    def __init__(self, code: ExitCode, message: str, *advice: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.advice = advice

    def show(self) -> None:
        """Print the message and the advice on standard error."""
        click.echo(f"egret: {self.message}", err=True)
        for line in self.advice:
            click.echo(f"  {line}", err=True)
