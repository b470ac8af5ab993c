"""Say in a few lines how a deployment would go: what a rehearsal foretells of each app."""

import click

from scheduler.cli.client import Answer
from scheduler.cli.jsonvalues import Fields, fields, objects
from scheduler.cli.output import print_json
from scheduler.cli.session import Session

_VERBS = {"RestartApplication": " of the new version", "StopApplication": " (removed)"}
"""What is said of the instances at the end, by the action of the plan."""


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
    lines: list[str] = []
    moved: set[str] = set()
    for capacity in objects(rehearsal.get("capacity")):
        moved.add(capacity["app"])
        lines += _lines_of_app(capacity, actions.get((capacity["step"], capacity["app"]), ""))
    unmoved = (change["app"] for change in objects(rehearsal.get("changes")))
    return lines + [f"{app_id}: nothing changes" for app_id in unmoved if app_id not in moved]


def _lines_of_app(capacity: Fields, action: str) -> list[str]:
    points = objects(capacity.get("points"))
    before, after = _serving(points[0]), _serving(points[-1])
    rounds = capacity["rounds"]
    fewest = min(_serving(point) for point in points)
    most = max(point["alive"] for point in points)
    lines = [
        (
            f"{capacity['app']}: {before} → {after}{_VERBS.get(action, '')}"
            f" in {rounds} round{'' if rounds == 1 else 's'};"
            f" at least {fewest} serve, at most {most} alive"
        )
    ]
    lines += [
        f"  waits for `egret deployment promote` with {point['newServing']} new serving"
        f" beside {point['oldServing']} old"
        for point in points
        if point.get("awaitsPromotion")
    ]
    if capacity.get("mayStopFirst"):
        lines.append("  may stop one old instance first, if fixed ports are taken everywhere")
    return lines


def _serving(point: Fields) -> int:
    return point["oldServing"] + point["newServing"]
