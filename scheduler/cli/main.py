"""Gather the commands. Each module is imported when its command is wanted: help stays quick."""

import importlib
from importlib.metadata import version
from typing import Any

import click

from scheduler.cli.failures import Failure

# Command → (module, what it does). The command in the module is called `command`.
COMMANDS: dict[str, tuple[str, str]] = {
    "app": ("apps", "Deploy, look at and change apps."),
    "brake": ("brake", "See whether kills for bad health are held back, and let them go on."),
    "completion": ("completion", "Print the script that completes commands in a shell."),
    "deployment": ("deployments", "List, watch and steer deployments."),
    "doctor": ("doctor", "Check what a working scheduler needs."),
    "events": ("events", "Follow what happens, one line for each event."),
    "framework": ("framework", "End the framework and all its tasks."),
    "group": ("groups", "Deploy, look at and change groups of apps."),
    "info": ("info", "Show the scheduler's version, framework and configuration."),
    "leader": ("leader", "Show which scheduler leads."),
    "local": ("local", "Run a whole cluster on this machine, with apps on it."),
    "queue": ("waiting", "Show what waits to be launched, and why."),
    "scheduler": ("scheduler", "Run the scheduler."),
    "task": ("tasks", "List and kill tasks."),
}


class Commands(click.Group):
    """The group of all commands, loaded one by one."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; a failure is shown and becomes the exit code."""
        try:
            return super().invoke(ctx)
        except Failure as failure:
            failure.show()
            ctx.exit(failure.code)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's
        """Name the commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a command."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"scheduler.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_) for name, (_, help_) in COMMANDS.items()])


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="The scheduler is found by --server, $EGRET_SERVER, the configuration file, or a "
    "running `egret local`, in this order. Every command explains itself with --help.",
)
@click.version_option(version("egret"), prog_name="egret")
@click.option("--server", metavar="URL", help="The scheduler's address.")
def main(server: str | None) -> None:
    """Egret runs services on Apache Mesos."""
