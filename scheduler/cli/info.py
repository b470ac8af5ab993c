"""Show the scheduler's version, framework and configuration: ``egret info``."""

import click

from scheduler.cli.jsonvalues import Fields, fields
from scheduler.cli.output import print_json
from scheduler.cli.session import Session, connected


@click.command(name="info")
@connected
def command(session: Session) -> None:
    """Show the scheduler's version, framework and configuration."""
    info = fields(session.client.get("/v2/info", {"embed": "egret"}))
    if session.as_json:
        print_json(info)
        return
    own = fields(info.get("egret"))
    server = session.client.server
    version = own.get("version") or info.get("buildref")
    state = "connected" if own.get("mesosConnected") else "not connected"
    click.echo(f"server     {server.url} ({server.origin})")
    click.echo(f"version    {version}, as Marathon {info.get('version')}")
    click.echo(f"leader     {info.get('leader') or 'none'}")
    click.echo(f"framework  {info.get('frameworkId') or 'not registered yet'}")
    click.echo(f"Mesos      {mesos_url(info) or 'no master found'}, {state}")
    for name, value in sorted(fields(info.get("marathon_config")).items()):
        click.echo(f"  {name} = {value}")


def mesos_url(info: Fields) -> str | None:
    """Return the base URL of the scheduler's Mesos master, if it has found one."""
    master = fields(info.get("egret")).get("mesosMaster")
    if not master:
        return None
    address = str(master).rpartition("@")[2]
    return address if "://" in address else f"http://{address}"
