"""Ask what became of a deployment, and tell everything but a success as a failure."""

from urllib.parse import quote

from scheduler.cli.client import Client, app_path
from scheduler.cli.failures import ExitCode, Failure
from scheduler.cli.jsonvalues import Fields, fields, objects
from scheduler.cli.waiting import blocks_of, reasons_of

APPS_SHOWN = 20
"""Of a deployment of more apps, so many are looked at one by one."""
_ENDED = {"embed": "app.ended"}
"""Has an app shown with how many instances have done their work."""


def outcome_of(client: Client, deployment_id: str) -> Fields:
    """Return how a deployment is, or what became of it.

    Raises:
        Failure: the scheduler does not know it (6).
    """
    return fields(client.get(path_of(deployment_id)))


def path_of(deployment_id: str) -> str:
    """Give the API path that knows a deployment even when it is over."""
    return f"/v2/egret/deployments/{quote(deployment_id, safe='')}"


def is_under_way(found: Fields) -> bool:
    """Tell whether it goes on by itself: what has failed does not, though it may hold its apps."""
    return found["outcome"] in {"queued", "running"}


def failure_of(client: Client, found: Fields) -> Failure | None:
    """Say why a deployment that goes on no more is no success; None if it is one."""
    if found["outcome"] == "done":
        return _fallen(client, found)
    return Failure(
        ExitCode.FAILED,
        f"Deployment {sentence(found)}.",
        *_last_failures(client, found),
        *_next(found),
    )


def sentence(found: Fields) -> str:
    """Say what became of a deployment, beginning with its id, without a full stop."""
    deployment_id, reason = found["id"], found["reason"]
    match found["outcome"]:
        case "reverted":
            return f"{deployment_id} has failed and is taken back: {reason}"
        case "failed":
            return f"{deployment_id} has failed: {reason}"
        case "cancelled":
            # The reason is a participle: cancelled by force, replaced by a forced change.
            return f"{deployment_id} was {reason}"
        case outcome:
            return f"{deployment_id} is {outcome}"


def progress_lines(client: Client, found: Fields) -> list[str]:
    """Say how far a deployment is, how its apps are and what it waits for."""
    if found["outcome"] == "queued":
        return ["queued", *blocks_of(found)]
    changes = objects(found["changes"])
    lines = [f"step {found['currentStep']} of {found['totalSteps']}"]
    lines += [_app_line(client, change["app"]) for change in changes[:APPS_SHOWN]]
    if len(changes) > APPS_SHOWN:
        lines.append(f"… and {len(changes) - APPS_SHOWN} more apps")
    return [*lines, *blocks_of(found)]


def lines_of_deployment(client: Client, deployment_id: str, app_id: str) -> list[str]:
    """Say of one of its apps how far a deployment is, and what it waits for."""
    found = client.find(path_of(deployment_id))
    if found is None:
        return []
    if not is_under_way(found):
        return [f"deploying  {sentence(found)}"]
    lines = [f"deploying  {deployment_id}, step {found['currentStep']} of {found['totalSteps']}"]
    blocks = [line.removeprefix(f"{app_id} waits: ") for line in blocks_of(found)]
    return [*lines, *(f"because    {line}" for line in blocks[:APPS_SHOWN])]


def _app_line(client: Client, app_id: str) -> str:
    body = client.find(app_path(app_id), _ENDED)
    if body is None:
        return f"{app_id}: being removed"
    app = body["app"]
    line = f"{app_id}: {app.get('tasksRunning', 0)} of {app['instances']} running"
    if app.get("healthChecks"):
        line += f", {app.get('tasksHealthy', 0)} healthy"
    finished = fields(app.get("ended")).get("finished", 0)
    line += f", {finished} done" if finished else ""
    failure = fields(app.get("lastTaskFailure"))
    if _is_bad(failure) and failure.get("version") == app.get("version"):
        line += f", last failure: {failure.get('message') or failure.get('state')}"
    return line


def _next(found: Fields) -> list[str]:
    """Say what the user can do about it."""
    back = found["revertedBy"]
    if back is not None:
        return [f"Deployment {back} takes its changes back: `egret deployment watch {back}`."]
    if found["outcome"] == "failed" and found["endedAt"] is None:
        resume, cancel = (
            f"`egret deployment {verb} {found['id']}`" for verb in ("resume", "cancel")
        )
        return [f"It holds its apps until {resume} lets it try again or {cancel} takes it back."]
    return []


def _is_bad(failure: Fields) -> bool:
    """Tell a failure from the end of a task that has done its work."""
    return bool(failure) and failure.get("state") != "TASK_FINISHED"


def _last_failures(client: Client, found: Fields) -> list[str]:
    lines: list[str] = []
    for change in objects(found["changes"])[:APPS_SHOWN]:
        body = client.find(app_path(change["app"]))
        failure = fields(fields(fields(body).get("app")).get("lastTaskFailure"))
        if _is_bad(failure) and failure.get("version") == change["after"]:
            lines.append(
                f"{change['app']}: last failure: {failure.get('state')} {failure.get('message')}"
            )
    return lines


def _fallen(client: Client, found: Fields) -> Failure | None:
    """See that what was deployed still stands: without checks, to have run for a moment will do."""
    for change in objects(found["changes"]):
        if change["after"] is None:
            continue
        app = fields(fields(client.find(app_path(change["app"]), _ENDED)).get("app"))
        if app.get("version") != change["after"]:
            continue
        ready = app.get("tasksHealthy" if app.get("healthChecks") else "tasksRunning", 0)
        if ready + fields(app.get("ended")).get("finished", 0) < app["instances"]:
            return Failure(
                ExitCode.FAILED,
                f"The deployment of {change['app']} was done,"
                f" but now {ready} of {app['instances']} instances run.",
                *reasons_of(client, {change["app"]}),
                *_last_failures(client, found),
            )
    return None
