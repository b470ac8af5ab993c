"""Show which scheduler leads: ``egret leader``."""

import click

from scheduler.cli.output import print_json
from scheduler.cli.session import Session, connected


@click.command(name="leader")
@connected
def command(session: Session) -> None:
    """Show which scheduler leads."""
    body = session.client.get("/v2/leader")
    if session.as_json:
        print_json(body)
    else:
        click.echo(body["leader"])
