"""Follow a deployment until it is done, saying on the way what it waits for."""

import functools
import time
from collections.abc import Callable, Sequence
from typing import Any

import click
from attrs import frozen
from rich.console import Console
from rich.live import Live
from rich.text import Text

from scheduler.cli.client import Answer, Client, app_path
from scheduler.cli.failures import ExitCode, Failure
from scheduler.cli.jsonvalues import fields
from scheduler.cli.output import print_json
from scheduler.cli.session import Session
from scheduler.cli.waiting import blocks_of, reasons_of

POLL_S = 0.5
EXPLAINED = {"embed": "egret"}
"""Has deployments shown with what they wait for."""
DEFAULT_WAIT_S = 300.0


def waitable(command: Callable[..., None]) -> Callable[..., None]:
    """Add ``--wait`` and ``--timeout`` to a command; it gets ``wait``, seconds or None."""

    @click.option("--wait", is_flag=True, help="Return when it is done.")
    @click.option(
        "--timeout",
        type=click.FloatRange(min=0),
        default=DEFAULT_WAIT_S,
        show_default=True,
        metavar="SECONDS",
        help="Longest --wait; after it the exit code is 5.",
    )
    @functools.wraps(command)
    def run(*args: Any, wait: bool, timeout: float, **kwargs: Any) -> None:
        command(*args, wait=timeout if wait else None, **kwargs)

    return run


@frozen
class Progress:
    """What to say while a deployment runs."""

    done: bool
    lines: tuple[str, ...]


def follow(
    session: Session,
    answer: Answer,
    app_ids: Sequence[str],
    wait_s: float | None,
    message: str,
    *,
    is_removal: bool = False,
) -> None:
    """Say what was accepted and, if wanted, wait until it is done.

    Raises:
        Failure: it did not happen in time (5), or was given up or replaced (1).
    """
    deployment_id, version = deployment_of(answer)
    if not session.as_json:
        suffix = f" (deployment {deployment_id})" if deployment_id else ""
        click.echo(f"{message}{suffix}", err=wait_s is not None)
    if wait_s is not None and deployment_id:
        await_deployment(session.client, deployment_id, app_ids, wait_s, quiet=session.as_json)
        if not is_removal:
            _check_outcome(session.client, app_ids, version)
    if session.as_json:
        print_json({"deploymentId": deployment_id, "version": version, "apps": list(app_ids)})
    elif wait_s is not None:
        click.echo("done")


def deployment_of(answer: Answer) -> tuple[str | None, str | None]:
    """Read the deployment's id and version from an accepted change."""
    body = fields(answer.body)
    deployment_id = answer.headers.get("Marathon-Deployment-Id") or body.get("deploymentId")
    return deployment_id, body.get("version")


def await_deployment(
    client: Client, deployment_id: str, app_ids: Sequence[str], wait_s: float, *, quiet: bool
) -> None:
    """Return when a deployment is no longer under way.

    Raises:
        Failure: the time is over; with what it waits for.
    """
    watch(
        lambda: progress_of(client, deployment_id, app_ids),
        wait_s,
        quiet=quiet,
        what=f"Deployment {deployment_id}",
        advice=lambda: [
            *reasons_of(client, set(app_ids)),
            "It goes on; `egret deployment watch` follows it, `egret deployment cancel` ends it.",
        ],
    )


def watch(
    probe: Callable[[], Progress],
    wait_s: float,
    *,
    quiet: bool,
    what: str,
    advice: Callable[[], list[str]],
) -> None:
    """Poll until done, and show each change: in place on a terminal, else line by line."""
    give_up_at = time.monotonic() + wait_s
    console = Console(stderr=True, highlight=False, quiet=quiet)
    shown: tuple[str, ...] = ()
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while True:
            progress = probe()
            if progress.lines != shown:
                shown = progress.lines
                if console.is_terminal:
                    live.update(Text("\n".join(shown)), refresh=True)
                elif not quiet:
                    click.echo("; ".join(shown), err=True)
            if progress.done:
                return
            left_s = give_up_at - time.monotonic()
            if left_s <= 0:
                break
            time.sleep(min(POLL_S, left_s))
    raise Failure(ExitCode.TIMEOUT, f"{what} is not done after {wait_s:g} s.", *shown, *advice())


def progress_of(client: Client, deployment_id: str, app_ids: Sequence[str]) -> Progress:
    """Look at a deployment and the apps it changes."""
    deployments = client.get("/v2/deployments", EXPLAINED)
    found = next((one for one in deployments if one["id"] == deployment_id), None)
    if found is None:
        return Progress(done=True, lines=())
    lines = [*(_app_line(client, one) for one in app_ids), *blocks_of(found)]
    step = f"step {found['currentStep']} of {found['totalSteps']}"
    return Progress(done=False, lines=(step, *lines))


def _app_line(client: Client, app_id: str) -> str:
    body = client.find(app_path(app_id))
    if body is None:
        return f"{app_id}: being removed"
    app = body["app"]
    line = f"{app_id}: {app.get('tasksRunning', 0)} of {app['instances']} running"
    if app.get("healthChecks"):
        line += f", {app.get('tasksHealthy', 0)} healthy"
    failure = app.get("lastTaskFailure")
    if failure and failure.get("version") == app.get("version"):
        line += f", last failure: {failure.get('message') or failure.get('state')}"
    return line


def _check_outcome(client: Client, app_ids: Sequence[str], version: str | None) -> None:
    """See that what was deployed is what there is now: a deployment also ends when cancelled."""
    for app_id in app_ids:
        body = client.find(app_path(app_id))
        if body is None:
            raise Failure(ExitCode.FAILED, f"{app_id} was removed while it was being deployed.")
        app = body["app"]
        ready = app.get("tasksHealthy" if app.get("healthChecks") else "tasksRunning", 0)
        if ready >= app["instances"]:
            continue
        advice = reasons_of(client, {app_id})
        failure = fields(app.get("lastTaskFailure"))
        if failure:
            advice.append(f"last failure: {failure.get('state')} {failure.get('message')}")
        if version is not None and app.get("version") != version:
            advice.append(f"It was cancelled or replaced: the app is at {app.get('version')}.")
        raise Failure(
            ExitCode.FAILED,
            f"The deployment of {app_id} ended, but {ready} of {app['instances']} instances run.",
            *advice,
        )
