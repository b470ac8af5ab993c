"""Steer deployments, and say what has come of it: ``egret deployment pause``, ``cancel``, ….

The scheduler accepts what changes nothing (to pause what has failed, to cancel what has not begun),
so each command looks at the deployment before or after, and says what is true of it then.
"""

from urllib.parse import quote

import click

from scheduler.cli.client import Answer, Client
from scheduler.cli.failures import Failure
from scheduler.cli.jsonvalues import Fields, fields, objects
from scheduler.cli.outcomes import path_of, sentence
from scheduler.cli.output import print_json
from scheduler.cli.session import Session, connected


@click.command()
@click.argument("deployment_id", metavar="ID")
@click.option("--force", is_flag=True, help="Only stop it; keep what it has changed so far.")
@connected
def cancel(session: Session, deployment_id: str, *, force: bool) -> None:
    """Cancel a deployment and take back what it changed; one that is queued is just dropped."""
    answer = _ask(session.client, "DELETE", deployment_id, {"force": str(force).lower()})
    _say(session, answer, _end(session.client, deployment_id, is_forced=force))


@click.command()
@click.argument("deployment_id", metavar="ID")
@connected
def abort(session: Session, deployment_id: str) -> None:
    """Take back what a deployment changed, as `cancel` does."""
    answer = _ask(session.client, "POST", f"{deployment_id}/abort")
    _say(session, answer, _end(session.client, deployment_id, is_forced=False))


@click.command()
@click.argument("deployment_id", metavar="ID")
@connected
def pause(session: Session, deployment_id: str) -> None:
    """Replace nothing more for the time being; what runs goes on."""
    before = _look(session.client, deployment_id)
    answer = _ask(session.client, "POST", f"{deployment_id}/pause")
    if before.get("failed"):
        reason = before.get("reason")
        says = f"has failed and goes on by your word only, paused or not: {reason}"
    elif before.get("paused"):
        says = "was paused already"
    else:
        says = f"is paused; {_resume(deployment_id)} lets it go on"
    _say(session, answer, f"{deployment_id} {says}")


@click.command()
@click.argument("deployment_id", metavar="ID")
@connected
def resume(session: Session, deployment_id: str) -> None:
    """Let a paused deployment go on; its deadlines start afresh."""
    before = _look(session.client, deployment_id)
    answer = _ask(session.client, "POST", f"{deployment_id}/resume")
    says = "goes on" if before.get("paused") else "was not paused"
    _say(session, answer, f"{deployment_id} {says}; its deadlines start afresh")


@click.command()
@click.argument("deployment_id", metavar="ID")
@connected
def promote(session: Session, deployment_id: str) -> None:
    """Approve the canaries of a deployment: the other instances follow."""
    before = _look(session.client, deployment_id)
    answer = _ask(session.client, "POST", f"{deployment_id}/promote")
    waits = any(block["reason"] == "promotion" for block in objects(before.get("blockedBy")))
    says = "the other instances follow" if waits else "the other instances do not wait for canaries"
    _say(session, answer, f"{deployment_id} is promoted; {says}")


def _end(client: Client, deployment_id: str, *, is_forced: bool) -> str:
    found = _look(client, deployment_id)
    if found.get("startedAt") is None:
        return f"{deployment_id} is cancelled; it had not begun and has changed nothing"
    if is_forced:
        return f"{deployment_id} is stopped; what it has changed stays"
    back = found.get("revertedBy")
    if not objects(_look(client, str(back)).get("changes")):
        return f"{deployment_id} is cancelled; there was nothing to take back"
    return f"{deployment_id} is cancelled; deployment {back} takes its changes back"


def _resume(deployment_id: str) -> str:
    return f"`egret deployment resume {deployment_id}`"


def _look(client: Client, deployment_id: str) -> Fields:
    return fields(client.find(path_of(deployment_id)))


def _ask(client: Client, method: str, path: str, params: dict[str, str] | None = None) -> Answer:
    """Steer; what is over already is refused, and it is said how it ended."""
    try:
        return client.call(method, f"/v2/deployments/{quote(path)}", params)
    except Failure as failure:
        ended = _look(client, path.partition("/")[0])
        if not ended.get("endedAt"):
            raise
        raise Failure(failure.code, failure.message, *failure.advice, sentence(ended)) from None


def _say(session: Session, answer: Answer, text: str) -> None:
    if session.as_json:
        print_json(answer.body)
    else:
        click.echo(text)
