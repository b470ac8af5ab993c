"""End the framework for good: ``egret framework teardown``, the only way to a Mesos TEARDOWN."""

import click

from scheduler.cli.failures import ExitCode, Failure
from scheduler.cli.output import print_json
from scheduler.cli.session import Session, connected


@click.group()
def command() -> None:
    """End the framework and all its tasks."""


@command.command()
@click.option("--yes", is_flag=True, help="Do it: every task ends.")
@connected
def teardown(session: Session, *, yes: bool) -> None:
    """Kill every task and remove the framework from Mesos, for good."""
    client = session.client
    framework_id = client.get("/v2/info").get("frameworkId")
    if framework_id is None:
        raise Failure(ExitCode.REFUSED, "There is no framework: it has not registered yet.")
    tasks = len(client.get("/v2/tasks")["tasks"])
    if not yes:
        raise Failure(
            ExitCode.USAGE,
            f"This ends framework {framework_id} at {client.server.url} with its {tasks} tasks.",
            "If that is what you want, add --yes.",
        )
    answer = client.call("POST", "/v2/egret/teardown", {"confirm": framework_id})
    if session.as_json:
        print_json(answer.body)
    else:
        click.echo(answer.body["message"])
