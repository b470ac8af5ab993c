"""Create or update the apps of definition files: ``egret app deploy``.

All apps of all files go to the scheduler in one request: they are deployed together or, if one of
them is refused, not at all.
"""

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import click
import orjson

from scheduler.cli.client import Answer, Client, app_path
from scheduler.cli.failures import ExitCode, Failure
from scheduler.cli.manners import Manner, mannered
from scheduler.cli.session import Session, connected
from scheduler.cli.waits import follow, waitable
from scheduler.spec import READ_ONLY, InvalidInput, parse_json, read_apps

App = dict[str, Any]
FILES = click.Path(path_type=Path, dir_okay=False, allow_dash=True)


@click.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=FILES)
@mannered
@waitable
@connected
def deploy(
    session: Session,
    files: tuple[Path, ...],
    *,
    manner: Manner,
    wait: float | None,
) -> None:
    """Create or update the apps in FILEs: one app, an array of apps, or a group; - is stdin.

    A file holds the whole definition: what it leaves out takes its default, except `instances`,
    which stays as it is. With --dry-run nothing is changed: it is shown how many instances would
    serve and be alive on the way.
    """
    apps = read_files(files)
    keep_instances(session.client, apps)
    answer = put_apps(session.client, apps, manner)
    ids = [app["id"] for app in apps]
    follow(session, answer, ids, wait, f"deploying {', '.join(ids)}", manner=manner)


def read_files(files: Sequence[Path]) -> list[App]:
    """Read the apps of all files; read-only fields are dropped, and said to be.

    Raises:
        Failure: a file cannot be read, is no definition, or an app is defined twice.
    """
    origins: dict[str, Path] = {}
    apps: list[App] = []
    for file in files:
        for app in _read(file):
            app_id = str(app["id"])
            if app_id in origins:
                raise Failure(
                    ExitCode.USAGE, f"{app_id} is defined in {origins[app_id]} and in {file}."
                )
            origins[app_id] = file
            dropped = sorted(READ_ONLY & set(app))
            if dropped:
                click.echo(f"{file}: read-only, not sent: {', '.join(dropped)}", err=True)
            apps.append({name: value for name, value in app.items() if name not in READ_ONLY})
    if not apps:
        raise Failure(ExitCode.USAGE, "There is no app in what was given.")
    return apps


def _read(file: Path) -> list[App]:
    try:
        body = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise Failure(ExitCode.USAGE, f"{file} cannot be read: {error.strerror}.") from None
    try:
        return read_apps(_unwrapped(body))
    except InvalidInput as error:
        problems = [f"{problem.path}: {problem.message}" for problem in error.problems]
        raise Failure(ExitCode.USAGE, f"{file} is no app definition.", *problems) from None


def _unwrapped(body: bytes) -> bytes:
    """Take off the ``{"app": …}`` that GET puts around one app."""
    value = parse_json(body)
    if isinstance(value, dict) and set(cast("App", value)) == {"app"}:
        return orjson.dumps(value["app"])
    return body


def put_apps(client: Client, apps: Sequence[App], manner: Manner) -> Answer:
    """Send definitions; fields that the scheduler does not know are an error.

    A rehearsal changes nothing and is answered with what would change.

    Raises:
        Failure: refused, with every problem under the id of its app.
    """
    params = {"partialUpdate": "false", "strict": "true", **manner.params}
    if len(apps) == 1:
        return client.call("PUT", app_path(apps[0]["id"]), params, apps[0])
    try:
        return client.call("PUT", "/v2/apps", params, list(apps))
    except Failure as failure:
        named = [_name_app(line, apps) for line in failure.advice]
        raise Failure(failure.code, failure.message, *named) from None


def _name_app(line: str, apps: Sequence[App]) -> str:
    """Replace the index in ``/(3)/cmd: …`` by the app's id."""
    match = re.match(r"/\((\d+)\)(/[^ ]*)?: ", line)
    if match is None or int(match.group(1)) >= len(apps):
        return line
    return f"{apps[int(match.group(1))]['id']} at {match.group(2) or '/'}: {line[match.end() :]}"


def keep_instances(client: Client, apps: Sequence[App]) -> None:
    """Give apps whose file names no count the count they have: a deploy is no scaling."""
    for app in apps:
        if app.get("instances") is not None:
            continue
        found = client.find(app_path(app["id"]))
        if found is not None and found["app"]["instances"] != 1:
            app["instances"] = found["app"]["instances"]
            click.echo(f"{app['id']}: keeping {app['instances']} instances", err=True)
