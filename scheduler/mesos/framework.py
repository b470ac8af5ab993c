"""Describe our framework to Mesos: FrameworkInfo, SUBSCRIBE and UPDATE_FRAMEWORK bodies.

Everything is said exactly as configured; nothing is added by guessing at the master's version.
"""

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

JsonObject = dict[str, Any]
"""A message of the Mesos v1 API as it is built here, to be sent as JSON."""

WEEK_S = 7 * 24 * 3600

CAPABILITIES = (
    "MULTI_ROLE",
    "PARTITION_AWARE",
    "TASK_KILLING_STATE",
    "RESERVATION_REFINEMENT",
    "REGION_AWARE",
)
"""What Egret understands. GPU_RESOURCES is left to the operator: it brings offers of scarce GPU
agents. MULTI_ROLE and RESERVATION_REFINEMENT decide the form of resources that
``parse`` and ``task_info`` read and write."""


@frozen
class Framework:
    """What FrameworkInfo says of us (mesos.proto).

    Changing user or principal later is ignored or refused by the master; failover_timeout is
    what keeps tasks alive while we are away.
    """

    name: str = "egret"
    user: str = "root"
    roles: tuple[str, ...] = ("*",)
    principal: str | None = None
    hostname: str | None = None
    webui_url: str | None = None
    failover_timeout_s: int = WEEK_S
    capabilities: tuple[str, ...] = CAPABILITIES
    labels: tuple[tuple[str, str], ...] = ()
    offer_filters: Mapping[str, JsonObject] = field(factory=dict[str, JsonObject], hash=False)
    """``OfferFilters`` by role: the least an offer must have to be sent (Mesos 1.10+)."""


@frozen
class OfferWishes:
    """What may change while we are subscribed. UPDATE_FRAMEWORK replaces the whole of it."""

    suppressed_roles: tuple[str, ...] = ()
    offer_constraints: JsonObject | None = field(default=None, hash=False)
    """``OfferConstraints`` (Mesos 1.11+); None removes them."""


def framework_info(framework: Framework, framework_id: str | None) -> JsonObject:
    """Build the FrameworkInfo; checkpoint is always on, else tasks die with the agent."""
    info: JsonObject = {
        "name": framework.name,
        "user": framework.user,
        "roles": list(framework.roles),
        "checkpoint": True,
        "failover_timeout": float(framework.failover_timeout_s),
        "capabilities": [{"type": capability} for capability in framework.capabilities],
    }
    optional = {
        "principal": framework.principal,
        "hostname": framework.hostname,
        "webui_url": framework.webui_url,
        "id": {"value": framework_id} if framework_id else None,
        "labels": labels(framework.labels) if framework.labels else None,
        "offer_filters": dict(framework.offer_filters) or None,
    }
    info.update({name: value for name, value in optional.items() if value is not None})
    return info


def labels(pairs: tuple[tuple[str, str], ...]) -> JsonObject:
    """Build a Labels message."""
    return {"labels": [{"key": key, "value": value} for key, value in pairs]}


def subscribe_call(info: JsonObject, wishes: OfferWishes) -> JsonObject:
    """Build SUBSCRIBE; its framework_id must equal the one inside ``info`` (traces, 07)."""
    call: JsonObject = {
        "type": "SUBSCRIBE",
        "subscribe": {"framework_info": info, **_wishes(wishes)},
    }
    if "id" in info:
        call["framework_id"] = info["id"]
    return call


def update_framework_call(info: JsonObject, wishes: OfferWishes) -> JsonObject:
    """Build UPDATE_FRAMEWORK; what is absent from it is taken away by the master (traces)."""
    return {
        "type": "UPDATE_FRAMEWORK",
        "framework_id": info["id"],
        "update_framework": {"framework_info": info, **_wishes(wishes)},
    }


def _wishes(wishes: OfferWishes) -> JsonObject:
    body: JsonObject = {}
    if wishes.suppressed_roles:
        body["suppressed_roles"] = list(wishes.suppressed_roles)
    if wishes.offer_constraints is not None:
        body["offer_constraints"] = wishes.offer_constraints
    return body
