"""List and kill tasks: ``egret task …``."""

import click
from rich.text import Text

from scheduler.cli.client import Client, app_path
from scheduler.cli.failures import ExitCode, Failure
from scheduler.cli.jsonvalues import Fields, fields, items, objects
from scheduler.cli.outcomes import path_of
from scheduler.cli.output import BAD, GOOD, WAITING, age_of, counted, print_json, print_table
from scheduler.cli.session import APP_ID, Session, connected
from scheduler.cli.waits import deployment_of

TASK_COLUMNS = ["task", "state", "health", "address", "running for", "version"]


@click.group()
def command() -> None:
    """List and kill tasks."""


@command.command(name="list")
@click.argument("app_id", metavar="[ID]", type=APP_ID, required=False)
@click.option("--unknown", is_flag=True, help="Tasks that Mesos reports and Egret does not know.")
@connected
def list_tasks(session: Session, app_id: str | None, *, unknown: bool) -> None:
    """List the tasks of one app, or of all."""
    if unknown:
        _list_unknown(session)
        return
    path = "/v2/tasks" if app_id is None else app_path(app_id, "tasks")
    tasks = session.client.get(path)["tasks"]
    if session.as_json:
        print_json(tasks)
        return
    rows = [task_row(task) for task in sorted(tasks, key=lambda task: (task["appId"], task["id"]))]
    print_table(TASK_COLUMNS, rows, "There are no tasks.")


def _list_unknown(session: Session) -> None:
    tasks = objects(session.client.get("/v2/egret/unknown-tasks")["tasks"])
    if session.as_json:
        print_json(tasks)
        return
    rows = [[task["id"], state_text(task), str(task["host"] or "-"), _fate(task)] for task in tasks]
    print_table(["task", "state", "host", "what becomes of it"], rows, "Every task is known.")


def _fate(task: Fields) -> str:
    if task["killed"]:
        return "is being killed: it is ours and has ended by our records"
    if task["endedByUs"]:
        return "will be killed: it is ours and has ended by our records"
    return "left alone: our records do not show that it is ours (egret task kill --unknown)"


def task_row(task: Fields) -> list[str | Text]:
    """Show a task as a row under TASK_COLUMNS."""
    return [
        task["id"],
        state_text(task),
        health_text(task),
        address_of(task),
        age_of(task.get("startedAt")),
        task.get("version", "-"),
    ]


def state_text(task: Fields) -> Text:
    """Give the state without Mesos's prefix."""
    state = str(task.get("state", "")).removeprefix("TASK_").lower()
    return Text(state, GOOD if state == "running" else WAITING)


def health_text(task: Fields) -> Text:
    """Sum up what the health checks say; ``-`` where none has spoken."""
    results = objects(task.get("healthCheckResults"))
    if not results:
        return Text("-")
    if all(one.get("alive") for one in results):
        return Text("healthy", GOOD)
    return Text("unhealthy", BAD)


def address_of(task: Fields) -> str:
    """Give the addresses of a task's ports, or its host where it has none."""
    host = str(task.get("host", "-"))
    return " ".join(f"{host}:{port}" for port in items(task.get("ports"))) or host


@command.command()
@click.argument("task_ids", metavar="TASK...", nargs=-1, required=True)
@click.option("--scale", is_flag=True, help="Also want that many instances fewer.")
@click.option("--force", is_flag=True, help="With --scale: override a deployment under way.")
@click.option("--unknown", is_flag=True, help="Tasks that `task list --unknown` shows.")
@connected
def kill(
    session: Session, task_ids: tuple[str, ...], *, scale: bool, force: bool, unknown: bool
) -> None:
    """Kill tasks; they are replaced by new ones, unless --scale or --unknown."""
    if unknown:
        session.client.call("POST", "/v2/egret/unknown-tasks/kill", None, {"ids": list(task_ids)})
        _report([{"id": task_id} for task_id in task_ids], task_ids)
        return
    client = session.client
    # Whoever scales is answered with a deployment: which tasks there are must be asked before.
    present = objects(client.get("/v2/tasks")["tasks"]) if scale and not session.as_json else []
    params = {"scale": str(scale).lower(), "force": str(force).lower()}
    answer = client.call("POST", "/v2/tasks/delete", params, {"ids": list(task_ids)})
    if session.as_json:
        print_json(answer.body)
        return
    killed = objects(fields(answer.body).get("tasks"))
    deployment_id, _ = deployment_of(answer)
    if deployment_id is not None:
        killed = [task for task in present if any(_names(one, task["id"]) for one in task_ids)]
        _report_scaling(client, deployment_id)
    _report(killed, task_ids)


def _report_scaling(client: Client, deployment_id: str) -> None:
    """Say how many instances of each app are wanted now."""
    for change in objects(fields(client.find(path_of(deployment_id))).get("changes")):
        version = client.find(app_path(change["app"], "versions", str(change["after"])))
        wanted = counted(fields(version).get("instances", 0), "instance")
        click.echo(f"{change['app']}: {wanted} wanted now (deployment {deployment_id})")


def _names(wanted: str, task_id: str) -> bool:
    """Tell whether a task, or the instance that it belongs to, is meant."""
    return wanted == task_id or task_id.startswith(f"{wanted}.")


def _report(killed: list[Fields], wanted: tuple[str, ...]) -> None:
    found = {task["id"] for task in killed}
    for task_id in sorted(found):
        click.echo(f"killing {task_id}")
    missing = [one for one in wanted if not any(_names(one, task_id) for task_id in found)]
    if missing:
        raise Failure(
            ExitCode.NOT_FOUND,
            f"No such task: {', '.join(missing)}.",
            "`egret task list` lists them.",
        )
