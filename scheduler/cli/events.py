"""Follow the scheduler's event stream: ``egret events``."""

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import urlencode

import click
import orjson

from scheduler.cli.failures import ExitCode, Failure
from scheduler.cli.jsonvalues import fields
from scheduler.cli.session import Session, connected
from scheduler.cli.waiting import blocks_of

_SHOWN = ("appId", "taskId", "taskStatus", "host", "id", "message", "reason", "alive", "condition")
_BLOCKS_SHOWN = 3


@click.command(name="events")
@click.option(
    "--type",
    "types",
    multiple=True,
    metavar="TYPE",
    help="Only these; repeatable. egret_deployment_blocked comes only to those who name it.",
)
@connected
def command(session: Session, types: tuple[str, ...]) -> None:
    """Follow what happens, one line for each event, until Ctrl-C."""
    query = urlencode([("event_type", kind) for kind in types])
    lines = session.client.stream(f"/v2/events?{query}", {}, "text/event-stream")
    with contextlib.suppress(KeyboardInterrupt):
        for name, data in parse_events(lines):
            click.echo(
                orjson.dumps({"event": name, **data}).decode()
                if session.as_json
                else say(name, data)
            )
        raise Failure(ExitCode.NOT_REACHABLE, "The scheduler closed the stream.")


def parse_events(lines: Iterable[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each event of a text/event-stream; comments and heartbeats are passed over."""
    name, data = "", ""
    for line in lines:
        if line.startswith("event:"):
            name = line.removeprefix("event:").strip()
        elif line.startswith("data:"):
            data += line.removeprefix("data:").strip()
        elif not line and data:
            yield name, orjson.loads(data)
            name, data = "", ""


def say(name: str, data: dict[str, Any]) -> str:
    """Put an event on one line: when, what, and the fields that tell most."""
    plan = fields(data.get("plan"))
    if plan:
        data = {"id": plan.get("id"), **data}
    shown = [f"{key}={data[key]}" for key in _SHOWN if data.get(key) not in {None, ""}]
    blocks = blocks_of(data)
    if len(blocks) > _BLOCKS_SHOWN:
        blocks[_BLOCKS_SHOWN:] = [f"… and {len(blocks) - _BLOCKS_SHOWN} more"]
    return "  ".join([str(data.get("timestamp", "-")), name, *shown, *blocks])
