"""Compare definition files with what is deployed: ``egret app diff``.

The scheduler itself says what would change, by a rehearsal of the deployment: it alone knows which
defaults and ports it would fill in.
"""

import difflib
from pathlib import Path
from typing import Any

import click
import orjson
from rich.text import Text

from scheduler.cli.deploy import FILES, keep_instances, put_apps, read_files
from scheduler.cli.failures import ExitCode
from scheduler.cli.jsonvalues import Fields, fields, objects
from scheduler.cli.manners import Manner
from scheduler.cli.output import BAD, GOOD, console, print_json
from scheduler.cli.session import Session, connected


@click.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=FILES)
@click.pass_context
@connected
def diff(session: Session, ctx: click.Context, files: tuple[Path, ...]) -> None:
    """Show what `egret app deploy FILE...` would change; exit code 1 if anything."""
    apps = read_files(files)
    keep_instances(session.client, apps)
    answer = put_apps(session.client, apps, Manner(dry_run=True))
    changes = [one for one in objects(fields(answer.body).get("changes")) if one.get("fields")]
    if session.as_json:
        print_json(changes)
    else:
        for line in (line for change in changes for line in lines_of(change)):
            style = GOOD if line.startswith("+") else BAD if line.startswith("-") else ""
            console().print(Text(line, style))
    ctx.exit(ExitCode.FAILED if changes else ExitCode.OK)


def lines_of(change: Fields) -> list[str]:
    """Give the unified diff of the fields of one app that would change."""
    changed = objects(change.get("fields"))
    before = {one["field"]: one.get("before") for one in changed}
    after = {one["field"]: one.get("after") for one in changed}
    name = change["app"]
    return list(
        difflib.unified_diff(
            _lines(before), _lines(after), f"deployed {name}", f"file {name}", lineterm=""
        )
    )


def _lines(values: dict[str, Any]) -> list[str]:
    given = {name: value for name, value in values.items() if value is not None}
    option = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS
    return orjson.dumps(given, option=option).decode().split("\n") if given else []
