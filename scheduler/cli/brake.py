"""Look at the disaster brake, and let it go: ``egret brake …``."""

import click

from scheduler.cli.jsonvalues import Fields, fields
from scheduler.cli.output import print_json
from scheduler.cli.session import Session, connected


@click.group()
def command() -> None:
    """See whether kills and replacements are held back, and let them go on."""


@command.command()
@connected
def show(session: Session) -> None:
    """Show whether the brake holds, and by what figures."""
    _print(session, fields(session.client.get("/v2/egret/brake")))


@command.command()
@click.option(
    "--seconds",
    type=click.IntRange(min=0),
    default=600,
    show_default=True,
    help="For how long; 0 lets the brake hold again.",
)
@connected
def release(session: Session, *, seconds: int) -> None:
    """Let them go on for a while: what fails has really failed, what is lost is lost."""
    params = {"seconds": str(seconds)}
    _print(session, fields(session.client.call("POST", "/v2/egret/brake/release", params).body))


def _print(session: Session, brake: Fields) -> None:
    if session.as_json:
        print_json(brake)
        return
    if brake["engaged"]:
        state = "holds: nothing is killed for its health or given up as out of sight"
    elif brake.get("releasedUntil"):
        state = f"is released until {brake['releasedUntil']}"
    else:
        state = "does not hold"
    click.echo(f"the brake {state}")
    click.echo(
        f"  failing      {brake['failing']} of {brake['onceHealthy']} that were healthy once;"
        f" {brake['killed']} killed for it lately"
    )
    click.echo(
        f"  unreachable  {brake['unreachable']} waited for and {brake['givenUp']} given up lately,"
        f" on {brake['agents']} agents"
    )
    click.echo(f"  running      {brake['running']} of {brake['wanted']} that are wanted")
