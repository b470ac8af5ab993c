"""List, watch and steer deployments: ``egret deployment …``."""

from typing import Any

import click

from scheduler.cli import steering
from scheduler.cli.failures import ExitCode, Failure
from scheduler.cli.jsonvalues import Fields, fields, items
from scheduler.cli.outcomes import failure_of, outcome_of, sentence
from scheduler.cli.output import age_of, print_json, print_table
from scheduler.cli.session import Session, connected
from scheduler.cli.waiting import blocks_of, reasons_of
from scheduler.cli.waits import DEFAULT_WAIT_S, Progress, await_deployment, watch

EXPLAINED = {"embed": "egret"}
"""Has deployments shown with what they wait for."""
_NONE = "No deployment is under way."


@click.group()
def command() -> None:
    """List, watch and steer deployments."""


for _steer in (steering.pause, steering.resume, steering.promote, steering.abort, steering.cancel):
    command.add_command(_steer)


@command.command(name="list")
@connected
def list_deployments(session: Session) -> None:
    """List the deployments under way, and what each waits for."""
    deployments = session.client.get("/v2/deployments", EXPLAINED)
    if session.as_json:
        print_json(deployments)
        return
    rows = [
        [
            one["id"],
            age_of(one.get("version")),
            _step(one),
            ", ".join(_action(action) for action in one.get("currentActions", [])) or "-",
            _why(fields(one.get("egret"))),
        ]
        for one in deployments
    ]
    print_table(["deployment", "for", "step", "now", "because"], rows, _NONE)


def _why(explained: Fields) -> str:
    if explained.get("failed"):
        return f"has failed: {explained.get('paused')}"
    return "; ".join(blocks_of(explained)) or "-"


def _step(deployment: dict[str, Any]) -> str:
    if "queuedAt" in fields(deployment.get("egret")):
        return "queued"
    return f"{deployment['currentStep']}/{deployment['totalSteps']}"


def _action(action: dict[str, Any]) -> str:
    verb = str(action["action"]).removesuffix("Application").lower()
    return f"{verb} {action.get('app') or action.get('pod')}"


@command.command(name="watch")
@click.argument("deployment_id", metavar="[ID]", required=False)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    default=DEFAULT_WAIT_S,
    show_default=True,
    metavar="SECONDS",
    help="Longest wait; after it the exit code is 5.",
)
@connected
def watch_deployments(session: Session, deployment_id: str | None, *, timeout: float) -> None:
    """Follow one deployment, or all that are under way; the exit code is 0 if all is done."""
    if deployment_id is not None:
        await_deployment(session.client, deployment_id, timeout, quiet=session.as_json)
        seen = 1
    else:
        seen = _watch_all(session, timeout)
    if session.as_json:
        print_json({"done": True})
    else:
        click.echo("done" if seen else _NONE)


def _watch_all(session: Session, wait_s: float) -> int:
    """Return when no deployment goes on any more and each that was seen is done; says how many.

    Raises:
        Failure: one is not.
    """
    client = session.client
    seen: dict[str, list[str]] = {}
    watch(
        lambda: _progress_of_all(session, seen),
        wait_s,
        quiet=session.as_json,
        what="A deployment",
        advice=lambda: reasons_of(client, {app_id for apps in seen.values() for app_id in apps}),
    )
    outcomes = [outcome_of(client, deployment_id) for deployment_id in seen]
    undone = [one for one in outcomes if one["outcome"] != "done"]
    if len(undone) == 1 and (failure := failure_of(client, undone[0])) is not None:
        raise failure
    if undone:
        message = f"Of {len(seen)} deployments {len(undone)} did not come about."
        raise Failure(ExitCode.FAILED, message, *map(sentence, undone))
    return len(seen)


def _progress_of_all(session: Session, seen: dict[str, list[str]]) -> Progress:
    deployments = session.client.get("/v2/deployments", EXPLAINED)
    seen.update((one["id"], items(one["affectedApps"])) for one in deployments)
    going = [one for one in deployments if not fields(one.get("egret")).get("failed")]
    # What is queued goes on only behind something that goes on.
    if not any("queuedAt" not in fields(one.get("egret")) for one in going):
        return Progress(done=True, lines=())
    apps = {app["id"]: app for app in session.client.get("/v2/apps")["apps"]}
    lines: list[str] = []
    for one in going:
        lines.append(f"{one['id']}: step {one['currentStep']} of {one['totalSteps']}")
        lines += [f"  {_state(app_id, apps.get(app_id))}" for app_id in one["affectedApps"]]
        lines += [f"  {line}" for line in blocks_of(fields(one.get("egret")))]
    return Progress(done=False, lines=tuple(lines))


def _state(app_id: str, app: dict[str, Any] | None) -> str:
    if app is None:
        return f"{app_id}: being removed"
    return f"{app_id}: {app.get('tasksRunning', 0)} of {app['instances']} running"
