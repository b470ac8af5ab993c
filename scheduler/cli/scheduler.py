"""Start the scheduler: ``egret scheduler``."""

import os
import sys

import click

from scheduler.app import run_scheduler
from scheduler.config import CONFIG_VARIABLE, OPTIONS, ConfigError, load_config


@click.command(name="scheduler")
@click.option("--config", metavar="FILE", help=f"TOML file with options. [{CONFIG_VARIABLE}]")
def scheduler_command(**flags: str | bool | None) -> None:
    """Run the scheduler until it is told to stop.

    Tasks run on when it stops or dies, and the next start takes them up again. Every option can
    also be set in the environment or in a file; flags come first.
    """
    given = {name: _as_text(value) for name, value in flags.items() if value not in {None, False}}
    try:
        config = load_config(given, os.environ)
    except ConfigError as error:
        for problem in error.problems:
            click.echo(f"egret scheduler: {problem}", err=True)
        sys.exit(2)
    sys.exit(run_scheduler(config))


def _as_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


for _option in OPTIONS:
    _default = "" if _option.default is None else f", default {_option.default}"
    _help = f"{_option.meaning} [{_option.variable}{_default}]"
    scheduler_command.params.append(
        click.Option([_option.flag, _option.field], is_flag=True, default=None, help=_help)
        if _option.is_switch
        else click.Option([_option.flag, _option.field], metavar=_option.metavar, help=_help)
    )

command = scheduler_command
