"""Look at apps and change them: ``egret app …``."""

from typing import Any

import click
from rich.text import Text

from scheduler.cli import app_diff, app_logs, deploy
from scheduler.cli.client import app_path
from scheduler.cli.failures import ExitCode, Failure
from scheduler.cli.jsonvalues import fields, items, objects
from scheduler.cli.manners import DRY_RUN_HELP, Manner, mannered
from scheduler.cli.outcomes import lines_of_deployment
from scheduler.cli.output import (
    BAD,
    GOOD,
    WAITING,
    age_of,
    counted,
    print_json,
    print_table,
)
from scheduler.cli.session import APP_ID, Session, connected
from scheduler.cli.tasks import TASK_COLUMNS, task_row
from scheduler.cli.waiting import reasons_of, refusals_of
from scheduler.cli.waits import follow, waitable

APP_COLUMNS = ["app", "instances", "running", "healthy", "state", "runs"]


@click.group()
def command() -> None:
    """Deploy, look at and change apps."""


command.add_command(deploy.deploy)
command.add_command(app_diff.diff)
command.add_command(app_logs.logs)


@command.command(name="list")
@click.option("--label", metavar="SELECTOR", help="Only apps whose labels match: k, k==v, k!=v.")
@connected
def list_apps(session: Session, label: str | None) -> None:
    """List apps."""
    params = {"embed": "apps.ended"}
    body = session.client.get("/v2/apps", {**params, "label": label} if label else params)
    if session.as_json:
        print_json(body["apps"])
        return
    apps = sorted(body["apps"], key=lambda app: app["id"])
    print_table(
        APP_COLUMNS,
        map(app_row, apps),
        "There are no apps. Deploy one: egret app deploy FILE",
    )


def app_row(app: dict[str, Any]) -> list[str | Text]:
    """Show an app as a row under APP_COLUMNS."""
    return [app["id"], *counts_of(app), state_of(app), _what(app)]


def ended_of(app: dict[str, Any]) -> tuple[int, int]:
    """Give how many instances have done their work, and how many ended badly for good."""
    ended = fields(app.get("ended"))
    return ended.get("finished", 0), ended.get("failed", 0)


def counts_of(app: dict[str, Any]) -> tuple[str, str, str]:
    """Give wanted, running and healthy instances; no checks means no health."""
    healthy = str(app.get("tasksHealthy", 0)) if app.get("healthChecks") else "-"
    return str(app["instances"]), str(app.get("tasksRunning", 0)), healthy


def state_of(app: dict[str, Any]) -> Text:
    """Say in one word how an app is."""
    wanted, running = app["instances"], app.get("tasksRunning", 0)
    finished, failed = ended_of(app)
    if app.get("tasksUnhealthy", 0):
        return Text("unhealthy", BAD)
    if app.get("deployments"):
        return Text("deploying", WAITING)
    if failed:
        return Text("failed", BAD)
    if running == 0 and finished >= wanted:
        return Text("done", GOOD) if wanted else Text("stopped")
    if running + finished < wanted:
        return Text("waiting", WAITING)
    if app.get("healthChecks") and app.get("tasksHealthy", 0) + finished < wanted:
        return Text("waiting", WAITING)
    return Text("ready", GOOD)


def _what(app: dict[str, Any]) -> str:
    image = fields(fields(app.get("container")).get("docker")).get("image")
    text = image or app.get("cmd") or " ".join(map(str, items(app.get("args"))))
    flat = " ".join(str(text).split())
    return flat if len(flat) <= 48 else f"{flat[:47]}…"


@command.command()
@click.argument("app_id", metavar="ID", type=APP_ID)
@connected
def show(session: Session, app_id: str) -> None:
    """Show one app: its tasks, what went wrong last, why it waits, and what Consul lacks of it."""
    app = session.client.get(app_path(app_id), {"embed": "app.rolledBack,app.ended"})["app"]
    if session.as_json:
        print_json(app)
        return
    wanted, running, healthy = counts_of(app)
    health = "" if healthy == "-" else f", {healthy} healthy"
    for count, word in zip(ended_of(app), ("done", "failed"), strict=True):
        health += f", {count} {word}" if count else ""
    click.echo(f"{app['id']}  {state_of(app)}")
    click.echo(f"  instances  {wanted} wanted, {running} running{health}")
    click.echo(f"  resources  {app['cpus']} cpus, {app['mem']} MiB, {app.get('disk', 0)} MiB disk")
    click.echo(f"  runs       {_what(app)}")
    click.echo(f"  version    {app.get('version')}")
    lines = [
        line
        for deployment in app.get("deployments", [])
        for line in lines_of_deployment(session.client, deployment["id"], app_id)
    ]
    for line in lines:
        click.echo(f"  {line}")
    # A deployment's reasons say it already.
    for reason in [] if lines else reasons_of(session.client, {app_id}):
        click.echo(f"  waiting    {reason.removeprefix(f'{app_id}: ')}")
    failure = app.get("lastTaskFailure")
    if failure:
        when = age_of(failure.get("timestamp"))
        label = "last end " if failure.get("state") == "TASK_FINISHED" else "failure  "
        click.echo(f"  {label}  {when} ago: {failure.get('state')} {failure.get('message')}")
    for one in objects(app.get("rolledBack")):
        click.echo(f"  taken back {age_of(one.get('at'))} ago: {one['version']}: {one['reason']}")
    for refusal in refusals_of(session.client):
        if refusal["app"] == app_id:
            click.echo(f"  Consul     {refusal['name']} is not registered: {refusal['reason']}")
    click.echo()
    print_table(TASK_COLUMNS, map(task_row, app.get("tasks", [])), "  It has no tasks.")


@command.command()
@click.argument("app_id", metavar="ID", type=APP_ID)
@click.argument("instances", type=click.IntRange(min=0))
@mannered
@waitable
@connected
def scale(
    session: Session, app_id: str, instances: int, *, manner: Manner, wait: float | None
) -> None:
    """Run this many instances of an app."""
    message = f"scaling {app_id} to {counted(instances, 'instance')}"
    _change(session, app_id, {"instances": instances}, message, manner=manner, wait=wait)


@command.command()
@click.argument("app_id", metavar="ID", type=APP_ID)
@mannered
@waitable
@connected
def stop(session: Session, app_id: str, *, manner: Manner, wait: float | None) -> None:
    """Run no instance of an app; its definition stays."""
    _change(session, app_id, {"instances": 0}, f"stopping {app_id}", manner=manner, wait=wait)


@command.command()
@click.argument("app_id", metavar="ID", type=APP_ID)
@mannered
@waitable
@connected
def restart(session: Session, app_id: str, *, manner: Manner, wait: float | None) -> None:
    """Replace every task of an app, step by step."""
    answer = session.client.call("POST", app_path(app_id, "restart"), manner.params)
    follow(session, answer, [app_id], wait, f"restarting {app_id}", manner=manner)


@command.command()
@click.argument("app_id", metavar="ID", type=APP_ID)
@click.option(
    "--queue",
    is_flag=True,
    help="Begin when a deployment that holds it is over, instead of overriding it.",
)
@click.option("--dry-run", is_flag=True, help=DRY_RUN_HELP)
@waitable
@connected
def remove(
    session: Session, app_id: str, *, queue: bool, dry_run: bool, wait: float | None
) -> None:
    """Stop an app's tasks and forget the app, whatever deployment holds it."""
    manner = Manner(force=not queue, queue=queue, dry_run=dry_run)
    answer = session.client.call("DELETE", app_path(app_id), manner.params)
    follow(session, answer, [app_id], wait, f"removing {app_id}", manner=manner)


@command.command()
@click.argument("app_id", metavar="ID", type=APP_ID)
@connected
def versions(session: Session, app_id: str) -> None:
    """List the versions kept of an app, the newest first."""
    found = session.client.get(app_path(app_id, "versions"))["versions"]
    if session.as_json:
        print_json(found)
        return
    for version in sorted(found, reverse=True):
        click.echo(version)


@command.command()
@click.argument("app_id", metavar="ID", type=APP_ID)
@click.argument("version", required=False)
@mannered
@waitable
@connected
def rollback(
    session: Session, app_id: str, version: str | None, *, manner: Manner, wait: float | None
) -> None:
    """Take an app back to VERSION, or to the one before the present one."""
    if version is None:
        now = session.client.get(app_path(app_id))["app"]["version"]
        found = session.client.get(app_path(app_id, "versions"))["versions"]
        older = [one for one in sorted(found) if one < now]
        if not older:
            raise Failure(ExitCode.REFUSED, f"{app_id} has no version before {now}.")
        version = older[-1]
    message = f"taking {app_id} back to version {version}"
    _change(session, app_id, {"version": version}, message, manner=manner, wait=wait)


def _change(
    session: Session,
    app_id: str,
    change: dict[str, Any],
    message: str,
    *,
    manner: Manner,
    wait: float | None,
) -> None:
    # Only PUT rolls back; PATCH elsewhere, because a slip in the id must not create an app.
    method = "PUT" if "version" in change else "PATCH"
    params = {**manner.params, "strict": "true"}
    answer = session.client.call(method, app_path(app_id), params, change)
    follow(session, answer, [app_id], wait, message, manner=manner)
