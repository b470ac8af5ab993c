"""Say why an instance waits: ``egret queue``, and the reasons that other commands show."""

from collections.abc import Set as AbstractSet

import click

from scheduler.cli.client import Client
from scheduler.cli.jsonvalues import Fields, fields, objects
from scheduler.cli.output import age_of, counted, print_json, print_table
from scheduler.cli.session import Session, connected

_PARAMS = {"embed": "nearestMiss"}

# What each reason of the queue means to somebody who can do something about it.
_MEANINGS = {
    "UnfulfilledRole": "the offers are for another role",
    "UnfulfilledConstraint": "no agent meets the constraints",
    "NoCorrespondingReservationFound": "no agent has the reservation",
    "AgentMaintenance": "the agents are in maintenance",
    "InsufficientCpus": "not enough cpus on any agent",
    "InsufficientMemory": "not enough memory on any agent",
    "InsufficientDisk": "not enough disk on any agent",
    "InsufficientGpus": "not enough gpus on any agent",
    "InsufficientPorts": "the wanted ports are free on no agent",
    "DeclinedScarceResources": "the agents with gpus are kept for apps that need them",
}


@click.command(name="queue")
@connected
def command(session: Session) -> None:
    """Show what waits to be launched, since when, and why."""
    items = session.client.get("/v2/queue", _PARAMS)["queue"]
    if session.as_json:
        print_json(items)
        return
    rows = [
        [item["app"]["id"], str(item["count"]), age_of(item.get("since")), why(item)]
        for item in items
    ]
    print_table(["app", "instances", "waits", "because"], rows, "Nothing waits.")


def reasons_of(client: Client, app_ids: AbstractSet[str]) -> list[str]:
    """List why instances of these apps wait, one line for each app that does."""
    items = client.get("/v2/queue", _PARAMS)["queue"]
    return [
        f"{item['app']['id']}: {item['count']} to launch, {why(item)}"
        for item in items
        if item["app"]["id"] in app_ids and item["count"]
    ]


def refusals_of(client: Client) -> list[Fields]:
    """List the services that Consul does not hold though an app asks for them, with the reason."""
    return objects(fields(client.find("/v2/egret/discovery")).get("refusals"))


def blocks_of(explained: Fields) -> list[str]:
    """List what an unfinished deployment waits for, one line for each app."""
    blocks = objects(explained.get("blockedBy"))
    return [f"{block['app']} waits: {_block(block)}" for block in blocks]


def _block(block: Fields) -> str:
    count = block.get("instances", 0)
    text = str(block["message"]).removeprefix("waits ")
    if count:
        text = f"{counted(count, 'instance')}: {text}"
    until = block.get("until")
    return f"{text}, until {until}" if until else text


def why(item: Fields) -> str:
    """Give the reason of one queue item in words."""
    delay = fields(item.get("delay"))
    if not delay.get("overdue", True):
        seconds = delay.get("timeLeftSeconds", 0)
        when = f"in {seconds} s" if seconds else "in a moment"
        return f"a task failed, the next try is {when} (egret app show tells more)"
    summary = fields(item.get("processedOffersSummary"))
    refusals = _refusals(summary, "rejectSummaryLastOffers") or _refusals(
        summary, "rejectSummaryLaunchAttempt"
    )
    if not refusals:
        if summary.get("processedOffersCount", 0):
            return "waiting for the next offers"
        return "no offers from Mesos yet"
    worst = max(refusals, key=lambda one: int(one["declined"]))
    text = _MEANINGS.get(worst["reason"], str(worst["reason"]))
    return text + _nearest(item.get("nearestMiss"))


def _refusals(summary: Fields, attempt: str) -> list[Fields]:
    return [one for one in objects(summary.get(attempt)) if one.get("declined", 0)]


def _nearest(miss: Fields | None) -> str:
    if not miss:
        return ""
    return (
        f" (closest: {miss.get('host')} offers {miss.get('offered')}, wanted {miss.get('wanted')})"
    )
