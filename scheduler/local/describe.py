"""Tell offers, tasks, frameworks and agents the way the v1 APIs do."""

from typing import Any

from scheduler.local.frameworks import Framework
from scheduler.local.registry import AgentRecord, Offer
from scheduler.local.resources import JsonObject
from scheduler.local.tasks import Task

VERSION = "1.12.0"
"""The Mesos whose behaviour is followed."""


def describe_framework(framework: Framework) -> JsonObject:
    """Return a framework as the operator API tells it."""
    return {
        "framework_info": framework.info,
        "active": framework.is_connected,
        "connected": framework.is_connected,
        "recovered": framework.recovered,
        "registered_time": nanoseconds(framework.registered_at_s),
        "reregistered_time": nanoseconds(framework.reregistered_at_s),
        "unregistered_time": nanoseconds(framework.unregistered_at_s),
    }


def describe_agent(agent: AgentRecord, offers: dict[str, Offer]) -> JsonObject:
    """Return an agent as the operator API tells it."""
    body: JsonObject = {
        "agent_info": agent.info,
        "active": agent.is_connected and not agent.is_deactivated,
        "deactivated": agent.is_deactivated,
        "version": VERSION,
        "pid": agent.pid,
        "registered_time": nanoseconds(agent.registered_at_s),
        "total_resources": agent.total.to_json(old_format=True),
        "offered_resources": [
            resource
            for offer_id in agent.offers
            for resource in offers[offer_id].resources.to_json(
                offers[offer_id].role, old_format=True
            )
        ],
    }
    if agent.drain is not None:
        body["drain_info"] = agent.drain
    return body


def describe_offer(offer: Offer, framework: Framework, agent: AgentRecord) -> JsonObject:
    """Return an offer as the framework is told it."""
    multi_role = "MULTI_ROLE" in framework.capabilities
    old_format = "RESERVATION_REFINEMENT" not in framework.capabilities
    role = offer.role if multi_role else None
    host = "127.0.0.1"
    address = {"hostname": agent.hostname, "ip": host, "port": agent.info["port"]}
    body: JsonObject = {
        "id": {"value": offer.id},
        "framework_id": {"value": framework.id},
        "agent_id": {"value": agent.id},
        "hostname": agent.hostname,
        "url": {"scheme": "http", "address": address, "path": "/slave(1)"},
        "resources": offer.resources.to_json(role, old_format=old_format),
    }
    for name in ("domain", "attributes"):
        if name in agent.info:
            body[name] = agent.info[name]
    if multi_role:
        body["allocation_info"] = {"role": offer.role}
    return body


def describe_task(task: Task) -> JsonObject:
    """Return a task as the operator API tells it."""
    body: JsonObject = {
        "name": task.info["name"],
        "task_id": {"value": task.id},
        "framework_id": {"value": task.framework_id},
        "agent_id": {"value": task.agent_id},
        "state": task.state,
        "resources": task.info.get("resources", []),
    }
    if "executor" in task.info:
        body["executor_id"] = task.info["executor"]["executor_id"]
    if task.statuses:
        body["statuses"] = task.statuses
        body["status_update_state"] = task.statuses[-1]["state"]
    for name in ("labels", "discovery", "container", "health_check"):
        if name in task.info:
            body[name] = task.info[name]
    return body


def last_container(task: Task) -> dict[str, Any]:
    """Return the container status a task's updates last carried, as keyword arguments."""
    for status in reversed(task.statuses):
        if "container_status" in status:
            return {"container_status": status["container_status"]}
    return {}


def nanoseconds(seconds: float) -> JsonObject:
    """Return a TimeInfo."""
    return {"nanoseconds": int(seconds * 1e9)}
