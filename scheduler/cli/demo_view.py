"""Draw `egret local`: a table that updates on a terminal, plain lines on change elsewhere."""

import sys
from collections.abc import Sequence
from pathlib import Path

import click
from attrs import frozen
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from scheduler.cli.demo_state import AppView, Snapshot, TaskView
from scheduler.cli.output import BAD, GOOD, WAITING, make_table

_LINES_BESIDE_TABLE = 15
_COLUMNS = ("app", "instances", "agent", "address", "health", "pid")


@frozen
class Places:
    """Where everything is, for people to look at."""

    server: str
    mesos: str
    consul: str | None
    work_dir: Path
    is_announced: bool
    """Whether other terminals find the scheduler without --server."""

    @property
    def command(self) -> str:
        """How to call egret from another terminal."""
        path = egret_path()
        return path if self.is_announced else f"{path} --server {self.server}"


class Screen:
    """Shows snapshots until it is closed."""

    def __init__(self, places: Places, app_ids: Sequence[str], *, is_plain: bool) -> None:
        self._places = places
        self._app_ids = app_ids
        self._console = Console(highlight=False)
        self._told: dict[str, str] = {}
        self._live: Live | None = None
        if not is_plain and self._console.is_terminal:
            self._live = Live(console=self._console, auto_refresh=False)
            self._live.start()

    @property
    def is_live(self) -> bool:
        """Whether it draws in place."""
        return self._live is not None

    def show(self, snapshot: Snapshot) -> None:
        """Show how things are now."""
        if self._live is not None:
            self._live.update(self._draw(snapshot), refresh=True)
            return
        lines = {app.id: plain_line(app) for app in snapshot.apps}
        gone = {app_id: f"{app_id}: removed" for app_id in self._told if app_id not in lines}
        for app_id, line in {**lines, **gone}.items():
            if self._told.get(app_id) != line:
                click.echo(line)
        self._told = lines

    def close(self) -> None:
        """Leave the last picture on the terminal."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _draw(self, snapshot: Snapshot) -> RenderableType:
        room = max(6, self._console.height - _LINES_BESIDE_TABLE - len(snapshot.waiting))
        cap = _cap([len(app.tasks) for app in snapshot.apps], room)
        rows = [row for app in snapshot.apps for row in _rows(app, cap)]
        parts: list[RenderableType] = [Text(), make_table(_COLUMNS, rows)]
        parts += [Text(f"waiting  {line}", WAITING) for line in snapshot.waiting]
        parts.append(Text("\n".join(["", *places_lines(self._places), "", *self._hints(snapshot)])))
        return Group(*parts)

    def _hints(self, snapshot: Snapshot) -> list[str]:
        return hint_lines(self._places, snapshot, self._app_ids)


def _cap(counts: Sequence[int], room: int) -> int:
    """Return how many tasks of each app fit: one large app must not hide the others."""
    cap = max(counts, default=1)
    while cap > 1 and sum(min(count, cap) + (count > cap) for count in counts) > room:
        cap -= 1
    return cap


def _rows(app: AppView, cap: int) -> list[list[str | Text]]:
    count = Text(f"{app.running}/{app.wanted}", GOOD if app.is_ready else WAITING)
    if not app.tasks:
        state = app.lack or ("done" if app.done else "-")
        return [[app.id, count, "-", "-", Text(state), "-"]]
    rows: list[list[str | Text]] = [
        [
            app.id if index == 0 else "",
            count if index == 0 else "",
            task.agent,
            address_of(task),
            _health(app, task),
            str(task.pid or "-"),
        ]
        for index, task in enumerate(app.tasks[:cap])
    ]
    left = len(app.tasks) - cap
    return [*rows, ["", "", f"… {left} more", "", "", ""]] if left > 0 else rows


def address_of(task: TaskView) -> str:
    """Give the addresses of its ports; its host where it has none."""
    return " ".join(f"{task.host}:{port}" for port in task.ports) or task.host


def _health(app: AppView, task: TaskView) -> Text:
    if task.state != "running":
        return Text(task.state, WAITING)
    if task.health == "unhealthy":
        return Text("unhealthy", BAD)
    if app.healthy is not None and task.health != "healthy":
        return Text("running, no check has passed yet", WAITING)
    word = "running" if app.healthy is None else "healthy"
    if task.is_registered is False:
        return Text(f"{word}, not in Consul yet", WAITING)
    return Text(f"{word}, in Consul" if task.is_registered else word, GOOD)


def plain_line(app: AppView) -> str:
    """Say how an app is on one line."""
    addresses = ", ".join(address_of(task) for task in app.tasks if task.ports)
    state = app.lack or f"ready, {app.running} of {app.wanted} running"
    if app.is_ready and app.healthy is not None and app.running:
        state += " and healthy"
    if app.done:
        state += f", {app.done} done"
    return f"{app.id}: {state}" + (f" ({addresses})" if app.is_ready and addresses else "")


def places_lines(places: Places) -> list[str]:
    """List the addresses, two on a line: everything is to fit on a terminal of 24 lines."""
    consul = f"{places.consul}/ui" if places.consul else "off"
    pairs = [
        ("Web page", f"{places.server}/", "API", f"{places.server}/v2/apps"),
        ("Mesos", f"{places.mesos}/state", "Metrics", f"{places.server}/metrics"),
        ("Consul", consul, "Logs", str(places.work_dir)),
    ]
    return [f"{a:9} {b:29}  {c:8} {d}" for a, b, c, d in pairs]


def hint_lines(places: Places, snapshot: Snapshot, app_ids: Sequence[str]) -> list[str]:
    """Give commands to copy and paste; they name what runs at this moment."""
    tasks = [(app, task) for app in snapshot.apps for task in app.tasks if task.state == "running"]
    lines = ["Try, in another terminal:"]
    with_port = next(((a, t) for a, t in tasks if t.ports and a.is_ready), None)
    if with_port is not None:
        _, task = with_port
        lines.append(f"  curl http://{task.host}:{task.ports[0]}/")
    if app_ids:
        lines.append(f"  {places.command} app scale {app_ids[0]} 5")
    killable = next((t for _, t in tasks if t.pid is not None), None)
    if killable is not None:
        lines.append(f"  kill -9 {killable.pid}        # a task dies; watch it replaced")
    lines += [f"  {places.command} app list", "Ctrl-C here ends everything."]
    return lines


def egret_path() -> str:
    """Return the command of this environment, from here if it is below."""
    path = Path(sys.prefix) / "bin" / "egret"
    if not path.exists():
        return "egret"
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
