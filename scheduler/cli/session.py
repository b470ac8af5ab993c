"""Give every command that talks to the scheduler the same options and the same connection."""

import functools
from collections.abc import Callable
from typing import Any, cast

import click

from scheduler.cli.address import find_server
from scheduler.cli.client import Client

Command = Callable[..., None]


class Session:
    """What a command works with: the API, and how to print."""

    def __init__(self, client: Client, *, as_json: bool) -> None:
        self.client = client
        self.as_json = as_json


def connected(command: Command) -> Command:
    """Add `--server` and `--json` to a command, whose first argument becomes a Session."""

    @click.option("--server", metavar="URL", help="The scheduler's address.")
    @click.option("--json", "as_json", is_flag=True, help="Print JSON.")
    @functools.wraps(command)
    def run(*args: Any, server: str | None, as_json: bool, **kwargs: Any) -> None:
        given = server or cast(
            "str | None", click.get_current_context().find_root().params.get("server")
        )
        command(Session(Client(find_server(given)), as_json=as_json), *args, **kwargs)

    return run


class AppIdType(click.ParamType[str]):
    """An app's id; the leading slash may be left out."""

    name = "id"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the absolute id."""
        text = str(value).strip("/")
        if not text:
            self.fail("an app's id looks like /shop/web", param, ctx)
        return f"/{text}"


APP_ID = AppIdType()
