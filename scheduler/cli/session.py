"""Give every command that talks to the scheduler the same options and the same connection."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, cast

import click
from click.shell_completion import CompletionItem

from scheduler.cli.address import find_server
from scheduler.cli.client import Client, Params
from scheduler.cli.failures import Failure
from scheduler.cli.jsonvalues import fields, objects

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


class GroupIdType(click.ParamType[str]):
    """A group's id; the leading slash may be left out, and alone it means all groups."""

    name = "id"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ARG002
        """Return the absolute id."""
        return f"/{str(value).strip('/')}"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Offer the groups that there are."""
        del param
        root = _ask(ctx, "/v2/groups", {"embed": "group.groups"})
        waiting, found = [fields(root)], list[str]()
        while waiting:
            group = waiting.pop(0)
            found.append(str(group.get("id", "/")))
            waiting += objects(group.get("groups"))
        return _matching(found, incomplete)


class AppIdType(click.ParamType[str]):
    """An app's id; the leading slash may be left out."""

    name = "id"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the absolute id."""
        text = str(value).strip("/")
        if not text:
            self.fail("an app's id looks like /shop/web", param, ctx)
        return f"/{text}"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Offer the apps that there are."""
        del param
        found = [str(app["id"]) for app in objects(fields(_ask(ctx, "/v2/apps")).get("apps"))]
        return _matching(found, incomplete)


def _ask(ctx: click.Context, path: str, params: Params | None = None) -> Any:
    """Ask the scheduler for completions; whoever types ahead is not held up by errors."""
    server = ctx.params.get("server") or ctx.find_root().params.get("server")
    try:
        return Client(find_server(server)).get(path, params)
    except Failure:
        return None


def _matching(ids: Sequence[str], incomplete: str) -> list[CompletionItem]:
    """Give the ids that begin with what was typed, with its slash or without."""
    prefix = incomplete if incomplete.startswith("/") else f"/{incomplete}"
    start = len(prefix) - len(incomplete)
    return [CompletionItem(one[start:]) for one in sorted(ids) if one.startswith(prefix)]


APP_ID = AppIdType()
GROUP_ID = GroupIdType()
