"""Say in a few lines how a deployment would go: what a rehearsal foretells of each app."""

import click

from scheduler.cli.client import Answer
from scheduler.cli.jsonvalues import Fields, fields, objects
from scheduler.cli.output import counted, print_json
from scheduler.cli.session import Session

_VERBS = {"RestartApplication": " of the new version", "StopApplication": " (removed)"}
"""What is said of the instances at the end, by the action of the plan."""
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
    actions = {
        (number, action.get("app")): str(action.get("action"))
        for number, step in enumerate(objects(rehearsal.get("steps")), start=1)
        for action in objects(step.get("actions"))
    }
    fields_of = {
        change["app"]: [str(one["field"]) for one in objects(change.get("fields"))]
        for change in objects(rehearsal.get("changes"))
    }
    capacities = objects(rehearsal.get("capacity"))
    lines: list[str] = []
    moved: set[str] = set()
    for capacity in capacities:
        moved.add(capacity["app"])
        lines += _lines_of_app(capacity, actions.get((capacity["step"], capacity["app"]), ""))
        if changed := fields_of.get(capacity["app"]):
            lines.append(f"  changes {', '.join(changed)}")
        if len(capacities) <= _DETAILED_MAX:
            lines += [f"  {line}" for line in _points(objects(capacity.get("points")))]
            if left := capacity.get("pointsLeftOut", 0):
                lines.append(f"  {left} rounds like these are left out")
    lines += [f"{app_id}: nothing changes" for app_id in fields_of if app_id not in moved]
    return lines + [
        f"{', '.join(lock['apps'])}: held by deployment {lock['id']}; this would have to wait"
        " for it (--queue) or override it (--force)"
        for lock in objects(rehearsal.get("lockedBy"))
    ]


def _lines_of_app(capacity: Fields, action: str) -> list[str]:
    points = objects(capacity.get("points"))
    before, after = _serving(points[0]), _serving(points[-1])
    rounds = capacity["rounds"]
    fewest = min(_serving(point) for point in points)
    most = max(point["alive"] for point in points)
    lines = [
        (
            f"{capacity['app']}: {before} → {after}{_VERBS.get(action, '')}"
            f" in {counted(rounds, 'round')};"
            f" at least {fewest} serve, at most {most} alive"
        )
    ]
    if capacity.get("mayStopFirst"):
        lines.append("  may stop one old instance first, if fixed ports are taken everywhere")
    return lines


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
