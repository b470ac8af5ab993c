"""Compare definition files with what is deployed: ``egret app diff``."""

import difflib
import itertools
from pathlib import Path
from typing import Any

import click
import orjson
from rich.text import Text

from scheduler.cli.client import app_path
from scheduler.cli.deploy import FILES, read_files
from scheduler.cli.failures import ExitCode, Failure
from scheduler.cli.output import BAD, GOOD, console, print_json
from scheduler.cli.session import Session, connected
from scheduler.spec import (
    FEATURE_GPUS,
    FEATURE_SECRETS,
    READ_ONLY,
    InvalidInput,
    SpecRules,
    decode_app,
    to_json,
)


@click.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=FILES)
@click.pass_context
@connected
def diff(session: Session, ctx: click.Context, files: tuple[Path, ...]) -> None:
    """Show what `egret app deploy FILE...` would change; exit code 1 if anything."""
    changes: dict[str, list[str]] = {}
    for app in read_files(files):
        found = session.client.find(app_path(app["id"]))
        lines = compare(app, None if found is None else found["app"])
        if lines:
            changes[app["id"]] = lines
    if session.as_json:
        print_json(changes)
    else:
        for line in itertools.chain.from_iterable(changes.values()):
            style = GOOD if line.startswith("+") else BAD if line.startswith("-") else ""
            console().print(Text(line, style))
    ctx.exit(ExitCode.FAILED if changes else ExitCode.OK)


def compare(wanted: dict[str, Any], present: dict[str, Any] | None) -> list[str]:
    """Give the unified diff from what is deployed to what a file says, both in full form.

    Raises:
        Failure: the file's definition is not valid.
    """
    before = {} if present is None else {k: v for k, v in present.items() if k not in READ_ONLY}
    if present is not None and wanted.get("instances") is None:
        wanted = {**wanted, "instances": present["instances"]}
    role = str(before.get("role", "*"))
    rules = SpecRules(
        default_role=role,
        features=frozenset({FEATURE_GPUS, FEATURE_SECRETS}),
        default_network_name="default",
        allows_group_roles=True,
    )
    try:
        decoded = decode_app(wanted, rules)
    except InvalidInput as error:
        problems = [f"{problem.path}: {problem.message}" for problem in error.problems]
        raise Failure(ExitCode.USAGE, f"{wanted['id']} is not valid.", *problems) from None
    old, new = _lines(before), _lines(to_json(decoded.spec))
    name = wanted["id"]
    return list(difflib.unified_diff(old, new, f"deployed {name}", f"file {name}", lineterm=""))


def _lines(app: dict[str, Any]) -> list[str]:
    if not app:
        return []
    return orjson.dumps(app, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS).decode().split("\n")
