"""Serve the master's operator API and its older JSON endpoints.

A longer path is served by its longest known prefix, as in Mesos: ``/api/v1/anything`` is the
operator API (docs/operator-http-api.md).
"""

from collections.abc import Callable

from scheduler.local.describe import VERSION, describe_agent, describe_framework, describe_task
from scheduler.local.httpserver import (
    Reply,
    Request,
    Response,
    Stream,
    json_response,
    text_response,
)
from scheduler.local.legacy_api import (
    legacy_agents,
    legacy_frameworks,
    legacy_state,
    legacy_tasks,
    metrics_snapshot,
)
from scheduler.local.master import Master
from scheduler.local.membership import mark_gone, note_drained
from scheduler.local.recordio import encode_chunk
from scheduler.local.resources import JsonObject
from scheduler.local.scheduler_api import RefusedError, invalid, read_call
from scheduler.local.schema import OPERATOR_CALL
from scheduler.local.tasks import Task


def serve_master(master: Master, request: Request, path: str) -> Reply:
    """Answer one request that is not for the scheduler API."""
    if path.startswith("/api/v1"):
        try:
            call = read_call(request, OPERATOR_CALL, "master")
            return _serve_call(master, call)
        except RefusedError as refusal:
            return refusal.response
    for known, view in _VIEWS.items():
        if path == known or path.startswith(known + "/"):
            return view(master)
    if path.startswith("/redirect"):
        host = f"{master.settings.host}:{master.port}"
        return Response(307, b"", {"Location": f"//{host}"})
    return text_response(404, "404 Not Found.")


def _health(_master: Master) -> Response:
    return Response(200)


def _version(_master: Master) -> Response:
    return json_response({"version": VERSION})


_VIEWS: dict[str, Callable[[Master], Response]] = {
    "/state": lambda m: json_response(legacy_state(m)),
    "/tasks": lambda m: json_response({"tasks": legacy_tasks(m)}),
    "/slaves": lambda m: json_response({"slaves": legacy_agents(m), "recovered_slaves": []}),
    "/frameworks": lambda m: json_response(legacy_frameworks(m)),
    "/metrics/snapshot": lambda m: json_response(metrics_snapshot(m)),
    "/health": _health,
    "/version": _version,
}


def _serve_call(master: Master, call: JsonObject) -> Reply:
    kind = call["type"]
    if kind == "SUBSCRIBE":
        return _subscribe(master)
    if kind == "GET_METRICS" and "get_metrics" not in call:
        raise invalid("master", "Expecting 'get_metrics' to be present")
    if kind in _GETTERS:
        return json_response({"type": kind, kind.lower(): _GETTERS[kind](master)})
    if kind not in _ACTIONS:
        raise invalid("master", "Expecting 'type' to be present")
    if kind.lower() not in call:
        raise invalid("master", f"Expecting '{kind.lower()}' to be present")
    return _ACTIONS[kind](master, call[kind.lower()])


def _subscribe(master: Master) -> Stream:
    stream = Stream({"Content-Type": "application/json"})
    master.watchers.add(stream)
    stream.on_close = master.watchers.discard
    subscribed = {"get_state": _get_state(master), "heartbeat_interval_seconds": 15.0}
    stream.send(encode_chunk({"type": "SUBSCRIBED", "subscribed": subscribed}))
    stream.send(encode_chunk({"type": "HEARTBEAT"}))
    return stream


def _get_tasks(master: Master) -> JsonObject:
    frameworks = list(master.frameworks.values())
    everyone = [*frameworks, *master.completed]

    def shown(tasks: list[Task]) -> list[JsonObject]:
        return [describe_task(t) for t in tasks]

    return {
        "tasks": shown([t for f in frameworks for t in f.tasks.values()]),
        "unreachable_tasks": shown([t for f in frameworks for t in f.unreachable.values()]),
        "completed_tasks": shown([t for f in everyone for t in f.completed]),
    }


def _get_frameworks(master: Master) -> JsonObject:
    return {
        "frameworks": [describe_framework(f) for f in master.frameworks.values()],
        "completed_frameworks": [describe_framework(f) for f in master.completed],
    }


def _get_agents(master: Master) -> JsonObject:
    recovered = [{"id": {"value": agent_id}} for agent_id in sorted(master.recovering)]
    return {
        "agents": [describe_agent(a, master.offers) for a in master.agents.values()],
        "recovered_agents": recovered,
    }


def _get_executors(master: Master) -> JsonObject:
    executors = [
        {"executor_info": executor.info, "agent_id": {"value": agent_id}}
        for framework in master.frameworks.values()
        for (agent_id, _), executor in framework.executors.items()
    ]
    return {"executors": executors}


def _get_state(master: Master) -> JsonObject:
    return {
        "get_tasks": _get_tasks(master),
        "get_executors": _get_executors(master),
        "get_frameworks": _get_frameworks(master),
        "get_agents": _get_agents(master),
    }


def _get_metrics(master: Master) -> JsonObject:
    values = metrics_snapshot(master)
    return {"metrics": [{"name": name, "value": value} for name, value in values.items()]}


def _get_master(master: Master) -> JsonObject:
    started = master.started_at_s
    return {"master_info": master.info(), "start_time": started, "elected_time": started}


_GETTERS: dict[str, Callable[[Master], JsonObject]] = {
    "GET_HEALTH": lambda _: {"healthy": True},
    "GET_VERSION": lambda _: {"version_info": {"version": VERSION}},
    "GET_MASTER": _get_master,
    "GET_STATE": _get_state,
    "GET_TASKS": _get_tasks,
    "GET_FRAMEWORKS": _get_frameworks,
    "GET_AGENTS": _get_agents,
    "GET_EXECUTORS": _get_executors,
    "GET_METRICS": _get_metrics,
}


def _teardown(master: Master, body: JsonObject) -> Response:
    framework = master.frameworks.get(body["framework_id"]["value"])
    if framework is None:
        return text_response(400, "No framework found with specified ID")
    master.remove_framework(framework)
    return Response(200)


def _mark_gone(master: Master, body: JsonObject) -> Response:
    agent_id = body["agent_id"]["value"]
    if not mark_gone(master, agent_id):
        return text_response(404, f"Agent '{agent_id}' not found")
    return Response(200)


def _deactivate(master: Master, body: JsonObject) -> Response:
    agent = master.agents.get(body["agent_id"]["value"])
    if agent is None:
        return text_response(400, "Unknown agent")
    agent.is_deactivated = True
    for offer_id in list(agent.offers):
        master.rescind(offer_id)
    return Response(200)


def _reactivate(master: Master, body: JsonObject) -> Response:
    agent = master.agents.get(body["agent_id"]["value"])
    if agent is None or not agent.is_deactivated:
        return text_response(400, "Agent is not deactivated")
    if agent.drain is not None and agent.drain["state"] == "DRAINING":
        return text_response(400, "Agent is still in the DRAINING state")
    agent.is_deactivated, agent.drain = False, None
    return Response(200)


def _drain(master: Master, body: JsonObject) -> Response:
    refused = _deactivate(master, body)
    if refused.status != 200:
        return refused
    agent = master.agents[body["agent_id"]["value"]]
    mark_tasks = bool(body.get("mark_gone", False))
    config: JsonObject = {"mark_gone": mark_tasks}
    grace_ns: int | None = None
    if "max_grace_period" in body:
        config["max_grace_period"] = body["max_grace_period"]
        grace_ns = int(float(body["max_grace_period"].get("seconds", 0)) * 1e9)
    agent.drain = {"state": "DRAINING", "config": config}
    agent.door.drain(grace_ns, mark_gone=mark_tasks)
    note_drained(master, agent.id)
    return Response(200)


_ACTIONS: dict[str, Callable[[Master, JsonObject], Response]] = {
    "TEARDOWN": _teardown,
    "MARK_AGENT_GONE": _mark_gone,
    "DEACTIVATE_AGENT": _deactivate,
    "REACTIVATE_AGENT": _reactivate,
    "DRAIN_AGENT": _drain,
}
