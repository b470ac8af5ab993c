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

from scheduler.cli.client import Answer, Client
from scheduler.cli.course import show_course
from scheduler.cli.failures import ExitCode, Failure
from scheduler.cli.jsonvalues import Fields, fields, objects
from scheduler.cli.manners import ACT, Manner
from scheduler.cli.outcomes import failure_of, is_under_way, outcome_of, progress_lines
from scheduler.cli.output import print_json
from scheduler.cli.session import Session
from scheduler.cli.waiting import blocks_of, reasons_of

POLL_S = 0.5
DEFAULT_WAIT_S = 300.0


def waitable(command: Callable[..., None]) -> Callable[..., None]:
    """Add ``--wait`` and ``--timeout`` to a command; it gets ``wait``, seconds or None."""

    @click.option("--wait", is_flag=True, help="Return when it is done; 1 if it fails.")
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
    manner: Manner = ACT,
) -> None:
    """Say what was accepted and, if wanted, wait until it is done.

    What is queued may have to wait for its turn first; that is said, too. Of what was only
    rehearsed it is shown how it would go.

    Raises:
        Failure: it was not done in time (5), or failed, was taken back or cancelled (1).
    """
    if manner.dry_run:
        show_course(session, answer)
        return
    deployment_id, version = deployment_of(answer)
    may_wait = manner.queue and deployment_id is not None
    found = outcome_of(session.client, str(deployment_id)) if may_wait else {}
    is_queued = found.get("outcome") == "queued"
    if not session.as_json:
        suffix = f" (deployment {deployment_id})" if deployment_id else ""
        when = ", when its turn comes" if is_queued else ""
        lines = [f"{message}{when}{suffix}", *(f"  {line}" for line in blocks_of(found))]
        click.echo("\n".join(lines if is_queued else lines[:1]), err=wait_s is not None)
    if wait_s is not None and deployment_id:
        await_deployment(session.client, deployment_id, wait_s, quiet=session.as_json)
    if session.as_json:
        said = {"deploymentId": deployment_id, "version": version, "apps": list(app_ids)}
        print_json({**said, "queued": is_queued} if manner.queue else said)
    elif wait_s is not None:
        click.echo("done")


def deployment_of(answer: Answer) -> tuple[str | None, str | None]:
    """Read the deployment's id and version from an accepted change."""
    body = fields(answer.body)
    deployment_id = answer.headers.get("Marathon-Deployment-Id") or body.get("deploymentId")
    return deployment_id, body.get("version")


def await_deployment(client: Client, deployment_id: str, wait_s: float, *, quiet: bool) -> None:
    """Return when a deployment is done.

    Raises:
        Failure: it failed, was taken back or cancelled (1); the time is over, with what it waits
            for (5); the scheduler does not know it (6).
    """
    found: list[Fields] = []

    def look() -> Progress:
        found[:] = [outcome_of(client, deployment_id)]
        if is_under_way(found[0]):
            return Progress(done=False, lines=tuple(progress_lines(client, found[0])))
        return Progress(done=True, lines=())

    watch(
        look,
        wait_s,
        quiet=quiet,
        what=f"Deployment {deployment_id}",
        advice=lambda: [*reasons_of(client, unexplained_in(found[0])), goes_on(deployment_id)],
    )
    failure = failure_of(client, found[0])
    if failure is not None:
        raise failure


def goes_on(deployment_id: str) -> str:
    """Say what the user can do about a deployment that takes longer."""
    verbs = (f"`egret deployment {verb} {deployment_id}`" for verb in ("watch", "cancel"))
    return "It goes on; {} follows it, {} ends it.".format(*verbs)


def unexplained_in(found: Fields) -> set[str]:
    """Name the apps of a deployment of which it does not say itself what they wait for."""
    explained = {block["app"] for block in objects(found.get("blockedBy"))}
    return {change["app"] for change in objects(found["changes"])} - explained


def watch(
    probe: Callable[[], Progress],
    wait_s: float,
    *,
    quiet: bool,
    what: str,
    advice: Callable[[], list[str]],
) -> None:
    """Poll until done, and show each change: in place on a terminal, else line by line.

    A scheduler that has answered once and does not any more is waited for: deployments outlive it.
    """
    give_up_at = time.monotonic() + wait_s
    console = Console(stderr=True, highlight=False, quiet=quiet)
    shown: tuple[str, ...] = ()
    with Live(console=console, auto_refresh=False, transient=True) as live:
        probe_again = probe
        while True:
            progress = probe_again()
            probe_again = functools.partial(_patiently, probe)
            if progress.lines != shown:
                shown = progress.lines
                if console.is_terminal:
                    live.update(Text("\n".join(shown)), refresh=True)
                elif shown and not quiet:
                    click.echo("; ".join(shown), err=True)
            if progress.done:
                return
            left_s = give_up_at - time.monotonic()
            if left_s <= 0:
                break
            time.sleep(min(POLL_S, left_s))
    raise Failure(ExitCode.TIMEOUT, f"{what} is not done after {wait_s:g} s.", *shown, *advice())


def _patiently(probe: Callable[[], Progress]) -> Progress:
    try:
        return probe()
    except Failure as failure:
        if failure.code is not ExitCode.NOT_REACHABLE:
            raise
        return Progress(done=False, lines=(f"waiting for the scheduler: {failure.message}",))
