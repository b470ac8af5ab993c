"""Say in a few lines how a deployment would go: what a rehearsal foretells of each app."""

import click

from scheduler.cli.client import Answer
from scheduler.cli.jsonvalues import Fields, fields, objects
from scheduler.cli.output import counted, print_json
from scheduler.cli.session import Session

_DETAILED_MAX = 5
"""Of a plan with more apps the rounds are not shown: `--json` has them."""


def show_course(session: Session, answer: Answer) -> None:
    """Print what was foretold; with ``--json`` the whole answer."""
    body = fields(answer.body)
    if session.as_json:
        print_json(body)
        return
    for line in lines_of(body):
        click.echo(line)


def lines_of(rehearsal: Fields) -> list[str]:
    """Give the lines: apps in the order of the steps, then those that stay as they are."""
    removed, replaced = _apps_to(rehearsal, "Stop"), _apps_to(rehearsal, "Restart")
    changed = {
        change["app"]: [str(one["field"]) for one in objects(change.get("fields"))]
        for change in objects(rehearsal.get("changes"))
    }
    capacities = objects(rehearsal.get("capacity"))
    is_stepwise = len({capacity["step"] for capacity in capacities}) > 1
    lines: list[str] = []
    for capacity in capacities:
        app_id, names = capacity["app"], changed.get(capacity["app"], [])
        # An app that comes or goes has all its fields changed, its id as well.
        is_other = "id" in names
        what = " of the new version" if app_id in replaced else " (new)" if is_other else ""
        head = _head(capacity, " (removed)" if app_id in removed else what)
        lines.append(f"step {capacity['step']}: {head}" if is_stepwise else head)
        if capacity.get("mayStopFirst"):
            lines.append("  may stop one old instance first, if fixed ports are taken everywhere")
        if names and not is_other:
            lines.append(f"  changes {', '.join(names)}")
        if len(capacities) <= _DETAILED_MAX:
            lines += [f"  {line}" for line in _points(objects(capacity.get("points")))]
            if left := capacity.get("pointsLeftOut", 0):
                lines.append(f"  {left} rounds like these are left out")
    moved = {capacity["app"] for capacity in capacities}
    lines += [f"{app_id}: nothing changes" for app_id in changed if app_id not in moved]
    return lines + [
        f"{', '.join(lock['apps'])}: held by deployment {lock['id']}; this would have to wait"
        " for it (--queue) or override it (--force)"
        for lock in objects(rehearsal.get("lockedBy"))
    ]


def _apps_to(rehearsal: Fields, verb: str) -> set[str]:
    actions = (one for step in objects(rehearsal.get("steps")) for one in objects(step["actions"]))
    return {str(one.get("app")) for one in actions if one.get("action") == f"{verb}Application"}


def _head(capacity: Fields, what: str) -> str:
    points = objects(capacity.get("points"))
    before, after = _serving(points[0]), _serving(points[-1])
    fewest = min(_serving(point) for point in points)
    most = max(point["alive"] for point in points)
    return (
        f"{capacity['app']}: {before} → {after}{what} in {counted(capacity['rounds'], 'round')};"
        f" at least {fewest} serve, at most {most} alive"
    )


def _points(points: list[Fields]) -> list[str]:
    """Show each round at its tightest moment, the present before it and the end after it."""
    is_replacing = any(point["oldServing"] for point in points)
    is_replacing = is_replacing and any(point["newServing"] for point in points)
    lines: list[str] = []
    for point in points:
        when = f"round {point['round']}"
        if point is points[0] or point is points[-1]:
            when = "now" if point is points[0] else "then"
        who = f"{point['oldServing']} old + {point['newServing']} new"
        line = f"{when:9} {who if is_replacing else _serving(point)} serve, {point['alive']} alive"
        moves = [f"{point[key]} {key}" for key in ("created", "ended") if point.get(key)]
        waits = ["waits for `egret deployment promote`"] if point.get("awaitsPromotion") else []
        lines.append("; ".join([line, *([", ".join(moves)] if moves else []), *waits]))
    return lines


def _serving(point: Fields) -> int:
    return point["oldServing"] + point["newServing"]
