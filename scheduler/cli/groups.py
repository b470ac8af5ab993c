"""List, show, deploy, scale and remove groups of apps: ``egret group …``."""

from collections.abc import Iterator
from pathlib import Path

import click

from scheduler.cli.apps import APP_COLUMNS, app_row
from scheduler.cli.client import Answer, Client, group_path
from scheduler.cli.deploy import FILES
from scheduler.cli.failures import ExitCode, Failure
from scheduler.cli.jsonvalues import Fields, fields, items, objects
from scheduler.cli.manners import Manner, mannered
from scheduler.cli.outcomes import outcome_of
from scheduler.cli.output import print_json, print_table
from scheduler.cli.session import GROUP_ID, Session, connected
from scheduler.cli.waits import deployment_of, follow, waitable
from scheduler.spec import READ_ONLY, InvalidInput, parse_json

_EMBED = {
    "embed": "group.groups,group.apps,group.apps.counts,group.apps.deployments,group.apps.ended"
}
_NAMED_MAX = 20


@click.group()
def command() -> None:
    """Deploy, look at and change groups of apps."""


@command.command(name="list")
@connected
def list_groups(session: Session) -> None:
    """List all groups, with what runs in them."""
    root = fields(session.client.get("/v2/groups", _EMBED))
    if session.as_json:
        print_json(root)
        return
    rows = [_row(group) for group in _walk(root) if group["id"] != "/" or objects(group["apps"])]
    columns = ["group", "apps", "instances", "running", "depends on", "version"]
    print_table(columns, rows, "There are no groups.")


def _row(group: Fields) -> list[str]:
    apps = list(_apps_in(group))
    return [
        str(group["id"]),
        str(len(apps)),
        str(sum(app["instances"] for app in apps)),
        str(sum(app.get("tasksRunning", 0) for app in apps)),
        ", ".join(map(str, items(group.get("dependencies")))) or "-",
        str(group.get("version", "-")),
    ]


def _walk(group: Fields) -> Iterator[Fields]:
    waiting = [group]
    while waiting:
        one = waiting.pop(0)
        yield one
        waiting[:0] = objects(one.get("groups"))


def _apps_in(group: Fields) -> Iterator[Fields]:
    return (app for one in _walk(group) for app in objects(one.get("apps")))


@command.command()
@click.argument("group_id", metavar="ID", type=GROUP_ID)
@connected
def show(session: Session, group_id: str) -> None:
    """Show one group: what it depends on, and all apps in it."""
    group = fields(session.client.get(group_path(group_id), _EMBED))
    if session.as_json:
        print_json(group)
        return
    click.echo(group["id"])
    click.echo(f"  version     {group.get('version')}")
    for other in items(group.get("dependencies")):
        click.echo(f"  depends on  {other}")
    click.echo()
    rows = [app_row(app) for app in sorted(_apps_in(group), key=lambda app: app["id"])]
    print_table(APP_COLUMNS, rows, "  It has no apps.")


@command.command()
@click.argument("file", metavar="FILE", type=FILES)
@click.option("--remove-others", is_flag=True, help="Remove the apps that FILE leaves out.")
@mannered
@waitable
@connected
def deploy(
    session: Session, file: Path, *, remove_others: bool, manner: Manner, wait: float | None
) -> None:
    """Make a group what FILE says, as one deployment; - is stdin.

    Apps of the group that FILE does not list are removed by that, and only with --remove-others.
    Apps that are listed without `instances` keep theirs.
    """
    group = read_group(file)
    others = removed_by(_put(session.client, group, {"dryRun": "true"}))
    if others and not remove_others and not manner.dry_run:
        raise Failure(
            ExitCode.USAGE,
            f"{file} leaves out {len(others)} apps that run: they would be removed.",
            *others[:_NAMED_MAX],
            "If that is what you want, add --remove-others.",
        )
    answer = _put(session.client, group, manner.params)
    _follow(session, answer, wait, f"deploying group {group.get('id', '/')}", manner)


def read_group(file: Path) -> Fields:
    """Read a group's file; what GET adds to an app's definition is left out.

    Raises:
        Failure: it cannot be read, or is no group.
    """
    try:
        with click.open_file(str(file), "rb") as stream:
            value = parse_json(stream.read())
    except OSError as error:
        raise Failure(ExitCode.USAGE, f"{file} cannot be read: {error.strerror}.") from None
    except InvalidInput as error:
        problems = [f"{problem.path}: {problem.message}" for problem in error.problems]
        raise Failure(ExitCode.USAGE, f"{file} is no group.", *problems) from None
    group = fields(value)
    if not {"apps", "groups"} & group.keys():
        raise Failure(
            ExitCode.USAGE,
            f"{file} is no group: it has neither apps nor groups.",
            "`egret app deploy` takes single apps.",
        )
    for app in _apps_in(group):
        for name in READ_ONLY & app.keys():
            del app[name]
    return group


def _put(client: Client, group: Fields, params: dict[str, str]) -> Answer:
    query = {"strict": "true", "keepScale": "true", **params}
    return client.call("PUT", "/v2/groups", query, group)


def removed_by(rehearsal: Answer) -> list[str]:
    """Name the apps that a rehearsed deployment stops for good."""
    actions = [
        action
        for step in objects(fields(rehearsal.body).get("steps"))
        for action in objects(step.get("actions"))
    ]
    return sorted(str(one["app"]) for one in actions if one.get("action") == "StopApplication")


@command.command()
@click.argument("group_id", metavar="ID", type=GROUP_ID)
@click.argument("factor", type=click.FloatRange(min=0))
@mannered
@waitable
@connected
def scale(
    session: Session, group_id: str, factor: float, *, manner: Manner, wait: float | None
) -> None:
    """Multiply the instances of every app in a group by FACTOR, rounded up."""
    answer = session.client.call("PUT", group_path(group_id), manner.params, {"scaleBy": factor})
    _follow(session, answer, wait, f"scaling group {group_id} by {factor:g}", manner)


@command.command()
@click.argument("group_id", metavar="ID", type=GROUP_ID)
@click.option("--yes", is_flag=True, help="Do it: every app in the group ends.")
@mannered
@waitable
@connected
def remove(
    session: Session, group_id: str, *, yes: bool, manner: Manner, wait: float | None
) -> None:
    """Stop every app in a group, and forget them and the group."""
    client = session.client
    apps = [app["id"] for app in _apps_in(fields(client.get(group_path(group_id), _EMBED)))]
    if not yes and not manner.dry_run:
        raise Failure(
            ExitCode.USAGE,
            f"This removes group {group_id} with {len(apps)} apps.",
            *apps[:_NAMED_MAX],
            "If that is what you want, add --yes.",
        )
    answer = client.call("DELETE", group_path(group_id), manner.params)
    message = f"removing group {group_id} with {len(apps)} apps"
    follow(session, answer, apps, wait, message, manner=manner)


def _follow(
    session: Session, answer: Answer, wait: float | None, message: str, manner: Manner
) -> None:
    """Follow a deployment; JSON names the apps that it is to leave behind."""
    deployment_id, _ = deployment_of(answer)
    named = session.as_json and deployment_id is not None
    kept = _kept_by(session.client, str(deployment_id)) if named else []
    follow(session, answer, kept, wait, message, manner=manner)


def _kept_by(client: Client, deployment_id: str) -> list[str]:
    changes = objects(outcome_of(client, deployment_id)["changes"])
    return [change["app"] for change in changes if change["after"] is not None]
