"""Print for people on a terminal, plainly into a pipe, and as JSON where asked."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import click
import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

GOOD, BAD, WAITING = "green", "red", "yellow"


def console() -> Console:
    """Return a console on standard output as it is now."""
    return Console(highlight=False, soft_wrap=True)


def print_json(value: Any) -> None:
    """Print a value as JSON with sorted keys left as the scheduler sent them."""
    click.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str | Text]], empty: str) -> None:
    """Print rows: with lines and colours on a terminal, else in plain columns.

    Where there are no rows, `empty` is said on standard error, so that a pipe stays clean.
    """
    listed = list(rows)
    if not listed:
        click.echo(empty, err=True)
        return
    out = console()
    if out.is_terminal:
        out.print(make_table(columns, listed))
        return
    plain = [[name.upper() for name in columns], *([str(cell) for cell in row] for row in listed)]
    widths = [max(len(row[index]) for row in plain) for index in range(len(columns))]
    for row in plain:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo(line.rstrip())


def make_table(columns: Sequence[str], rows: Iterable[Sequence[str | Text]]) -> Table:
    """Return a table for a terminal."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        table.add_column(name.upper(), overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def counted(number: int, noun: str) -> str:
    """Give a number with its noun: ``1 instance``, ``2 instances``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def age_of(timestamp: str | None, now: datetime | None = None) -> str:
    """Say how long ago a moment was: ``42s``, ``3m``, ``5h``, ``2d``; ``-`` for none."""
    if not timestamp:
        return "-"
    try:
        then = datetime.fromisoformat(timestamp)
    except ValueError:
        return timestamp
    seconds = max(0, int(((now or datetime.now(UTC)) - then).total_seconds()))
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"
