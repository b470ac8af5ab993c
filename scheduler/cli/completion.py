"""Print the script that lets a shell complete commands: ``egret completion``."""

import click
from click.shell_completion import get_completion_class

from scheduler.cli.failures import ExitCode, Failure

SHELLS = ("bash", "zsh", "fish")


@click.command(name="completion")
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the completion script of SHELL.

    For bash: egret completion bash > ~/.local/share/bash-completion/completions/egret
    """
    kind = get_completion_class(shell)
    if kind is None:
        raise Failure(ExitCode.FAILED, f"There is no completion for {shell}.")
    root = ctx.find_root()
    try:
        click.echo(kind(root.command, {}, "egret", "_EGRET_COMPLETE").source())
    except RuntimeError as error:
        raise Failure(ExitCode.FAILED, f"{shell}: {error}") from None
