"""Serve /v2/queue: what waits to be launched, since when, and what the offers lacked."""

from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from scheduler.api.appinfo import Json, version_encoded
from scheduler.api.changes import app_id_of, command
from scheduler.api.context import Api
from scheduler.api.replies import json_response
from scheduler.core.events import ResetDelay
from scheduler.core.ids import AppId, Version
from scheduler.core.offer import Offer
from scheduler.core.reports import FUNNEL, Miss, Report
from scheduler.core.tally import Bucket
from scheduler.core.times import format_ms
from scheduler.core.world import World


async def show_queue(api: Api, request: Request) -> Response:
    """GET /v2/queue: every app with something to launch, or with a launch delay that runs.

    ``embed=lastUnusedOffers`` adds the offers that were turned down; ``embed=nearestMiss``, an
    addition to Marathon, the offer that came closest and what it lacked.
    """
    embeds = {one for text in request.query_params.getlist("embed") for one in text.split(",")}
    world = await api.settled_world()
    now_ms = api.runtime.clock()
    keys = dict.fromkeys([*world.waiting, *_delayed(world, now_ms)])
    items = [
        _item(world, app_id, version, now_ms, embeds)
        for app_id, version in keys
        if world.live_app(app_id) is not None and version in world.versions[app_id]
    ]
    return json_response({"queue": items})


async def reset_delay(api: Api, request: Request) -> Response:
    """DELETE /v2/queue/{id}/delay: launch at once, whatever failed before."""
    app_id = app_id_of(request)
    await command(api, lambda request_id: ResetDelay(request_id, app_id))
    return Response(status_code=204)


def _delayed(world: World, now_ms: int) -> list[tuple[AppId, Version]]:
    return [key for key, delay in world.delays.items() if delay.until_ms > now_ms]


def _item(world: World, app_id: AppId, version: Version, now_ms: int, embeds: set[str]) -> Json:
    tally = world.tallies.get(app_id, {}).get(version)
    delay = world.delays.get((app_id, version))
    left_ms = 0 if delay is None else max(0, delay.until_ms - now_ms)
    report = world.reports.by_class.get((app_id, version))
    item: Json = {
        "count": tally.count(Bucket.SCHEDULED) if tally else 0,
        "role": world.spec_at(app_id, version).role,
        "delay": {"timeLeftSeconds": left_ms // 1000, "overdue": left_ms == 0},
        "since": format_ms(_since_ms(world, app_id, version, report, now_ms)),
        "app": orjson.Fragment(version_encoded(world.versions[app_id][version])),
        "processedOffersSummary": _summary(report),
    }
    if "lastUnusedOffers" in embeds:
        item["lastUnusedOffers"] = [
            {"offer": _offer(offer), "reason": [reason], "timestamp": format_ms(at_ms)}
            for offer, reason, at_ms in (report.unused_offers if report else ())
        ]
    if "nearestMiss" in embeds and report is not None and report.nearest is not None:
        item["nearestMiss"] = miss_json(report.nearest)
    return item


def _since_ms(
    world: World, app_id: AppId, version: Version, report: Report | None, now_ms: int
) -> int:
    if report is not None:
        return report.since_ms
    tally = world.tallies.get(app_id, {}).get(version)
    waiting = tally.buckets[Bucket.SCHEDULED] if tally else {}
    return min((world.instances[id_].since_ms for id_ in waiting), default=now_ms)


def _summary(report: Report | None) -> Json:
    report = report or Report(since_ms=0)
    summary: dict[str, Any] = {
        "processedOffersCount": report.processed,
        "unusedOffersCount": report.unused,
        "lastUnusedOfferAt": _time(report.last_unused_ms),
        "lastUsedOfferAt": _time(report.last_used_ms),
        "rejectSummaryLastOffers": _funnel(report.latest, report.latest_processed),
        "rejectSummaryLaunchAttempt": _funnel(report.attempt, report.processed),
    }
    return {name: value for name, value in summary.items() if value is not None}


def _funnel(refusals: Any, processed: int) -> list[Json]:
    """Show each reason with the offers that came as far as its question."""
    steps: list[Json] = []
    for reason in FUNNEL:
        declined = refusals.get(reason, 0)
        steps.append({"reason": reason, "declined": declined, "processed": processed})
        processed -= declined
    return steps


def _time(at_ms: int | None) -> str | None:
    return None if at_ms is None else format_ms(at_ms)


def miss_json(miss: Miss) -> Json:
    """Show what the offer that came closest lacked."""
    return {
        "reason": miss.reason,
        "host": miss.host,
        "wanted": miss.wanted,
        "offered": miss.offered,
    }


def _offer(offer: Offer) -> Json:
    """Show an offer in the shape of Mesos's own JSON, as Marathon does."""
    resources: list[Json] = []
    for pool in offer.pools:
        scalars = (
            ("cpus", pool.cpus_milli / 1000),
            ("mem", float(pool.mem_mib)),
            ("disk", float(pool.disk_mib)),
            ("gpus", float(pool.gpus)),
        )
        resources.extend(
            {"name": name, "scalar": value, "role": pool.role} for name, value in scalars if value
        )
        if pool.ports:
            ranges = [{"begin": ports.begin, "end": ports.end} for ports in pool.ports]
            resources.append({"name": "ports", "ranges": ranges, "role": pool.role})
    return {
        "id": offer.id,
        "hostname": offer.agent.host,
        "agentId": offer.agent.id,
        "resources": resources,
        "attributes": [{"name": name, "text": text} for name, text in offer.agent.attributes],
    }
