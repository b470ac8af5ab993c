"""The master's older JSON endpoints: /state, /tasks, /slaves, /frameworks, /metrics/snapshot.

Only what tools read of them; names as in Mesos, where an agent is still a slave.
"""

import time
from collections import Counter

from scheduler.local.describe import VERSION
from scheduler.local.frameworks import Framework
from scheduler.local.master import Master
from scheduler.local.registry import AgentRecord
from scheduler.local.resources import EMPTY, Bundle, JsonObject, describe_ranges
from scheduler.local.tasks import Task

_STATES = (
    "TASK_STAGING",
    "TASK_STARTING",
    "TASK_RUNNING",
    "TASK_KILLING",
    "TASK_FINISHED",
    "TASK_KILLED",
    "TASK_FAILED",
    "TASK_LOST",
    "TASK_ERROR",
    "TASK_UNREACHABLE",
)


def legacy_state(master: Master) -> JsonObject:
    """Return /state."""
    info = master.info()
    active = [a for a in master.agents.values() if a.is_connected and not a.is_deactivated]
    return {
        "version": VERSION,
        "start_time": master.started_at_s,
        "elected_time": master.started_at_s,
        "id": master.id,
        "pid": info["pid"],
        "hostname": info["hostname"],
        "capabilities": [c["type"] for c in info["capabilities"]],
        "activated_slaves": float(len(active)),
        "deactivated_slaves": float(len(master.agents) - len(active)),
        "unreachable_slaves": float(len(master.unreachable)),
        "leader": info["pid"],
        "leader_info": {k: info[k] for k in ("id", "pid", "port", "hostname")},
        "slaves": legacy_agents(master),
        "recovered_slaves": [{"id": agent_id} for agent_id in sorted(master.recovering)],
        **legacy_frameworks(master),
        "orphan_tasks": [],
        "unregistered_frameworks": [],
    }


def legacy_tasks(master: Master) -> list[JsonObject]:
    """Return the tasks of /tasks."""
    frameworks = [*master.frameworks.values(), *master.completed]
    return [_task(t) for f in frameworks for t in (*f.completed, *f.tasks.values())]


def legacy_frameworks(master: Master) -> JsonObject:
    """Return the frameworks of /state and /frameworks."""
    return {
        "frameworks": [_framework(master, f) for f in master.frameworks.values()],
        "completed_frameworks": [_framework(master, f) for f in master.completed],
    }


def legacy_agents(master: Master) -> list[JsonObject]:
    """Return the agents of /state and /slaves."""
    return [_agent(master, a) for a in master.agents.values()]


def metrics_snapshot(master: Master) -> dict[str, float]:
    """Return /metrics/snapshot: counters of calls, and gauges of frameworks, agents and tasks."""
    metrics = {name: float(value) for name, value in master.metrics.items()}
    frameworks = list(master.frameworks.values())
    states = Counter(t.state for f in frameworks for t in f.tasks.values())
    for state in _STATES:
        metrics[f"master/{state.lower().replace('task_', 'tasks_')}"] = float(states[state])
    active = sum(a.is_connected and not a.is_deactivated for a in master.agents.values())
    metrics |= {
        "master/elected": 1.0,
        "master/uptime_secs": time.time() - master.started_at_s,
        "master/frameworks_active": float(sum(f.is_connected for f in frameworks)),
        "master/frameworks_connected": float(sum(f.is_connected for f in frameworks)),
        "master/frameworks_disconnected": float(sum(not f.is_connected for f in frameworks)),
        "master/slaves_active": float(active),
        "master/slaves_connected": float(sum(a.is_connected for a in master.agents.values())),
        "master/slaves_unreachable": float(len(master.unreachable)),
        "master/outstanding_offers": float(len(master.offers)),
    }
    for name, unit in (("cpus", 1000), ("mem", 1000), ("disk", 1000)):
        total = sum(a.total.scalars.get(name, 0) for a in master.agents.values())
        used = sum(_used(master, a).scalars.get(name, 0) for a in master.agents.values())
        metrics[f"master/{name}_total"] = total / unit
        metrics[f"master/{name}_used"] = used / unit
    return metrics


def _used(master: Master, agent: AgentRecord) -> Bundle:
    offered = _offered(master, agent)
    return agent.total.minus(agent.free).minus(offered)


def _offered(master: Master, agent: AgentRecord) -> Bundle:
    offered = EMPTY
    for offer_id in agent.offers:
        offered = offered.plus(master.offers[offer_id].resources)
    return offered


def _agent(master: Master, agent: AgentRecord) -> JsonObject:
    body: JsonObject = {
        "id": agent.id,
        "hostname": agent.hostname,
        "port": agent.info["port"],
        "attributes": {a["name"]: _attribute(a) for a in agent.info.get("attributes", [])},
        "pid": agent.pid,
        "registered_time": agent.registered_at_s,
        "resources": _resources(agent.total),
        "used_resources": _resources(_used(master, agent)),
        "offered_resources": _resources(_offered(master, agent)),
        "reserved_resources": {},
        "unreserved_resources": _resources(agent.total),
        "active": agent.is_connected and not agent.is_deactivated,
        "deactivated": agent.is_deactivated,
        "version": VERSION,
    }
    if "domain" in agent.info:
        body["domain"] = agent.info["domain"]
    return body


def _attribute(attribute: JsonObject) -> str | float:
    if "text" in attribute:
        return attribute["text"]["value"]
    if "scalar" in attribute:
        return attribute["scalar"]["value"]
    spans = attribute["ranges"]["range"]
    return describe_ranges(tuple((s["begin"], s["end"]) for s in spans))


def _framework(master: Master, framework: Framework) -> JsonObject:
    info = framework.info
    offered = EMPTY
    for offer in master.offers.values():
        if offer.framework_id == framework.id:
            offered = offered.plus(offer.resources)
    used = EMPTY
    for task in framework.tasks.values():
        if not task.released:
            used = used.plus(task.resources)
    for executor in framework.executors.values():
        used = used.plus(executor.resources)
    return {
        "id": framework.id,
        "name": info.get("name", ""),
        "user": info.get("user", ""),
        "hostname": info.get("hostname", ""),
        "webui_url": info.get("webui_url", ""),
        "principal": info.get("principal", ""),
        "roles": list(framework.roles),
        "failover_timeout": framework.failover_timeout_s,
        "checkpoint": framework.checkpoints,
        "capabilities": sorted(framework.capabilities),
        "active": framework.is_connected,
        "connected": framework.is_connected,
        "recovered": framework.recovered,
        "registered_time": framework.registered_at_s,
        "reregistered_time": framework.reregistered_at_s,
        "unregistered_time": framework.unregistered_at_s,
        "used_resources": _resources(used),
        "offered_resources": _resources(offered),
        "tasks": [_task(t) for t in framework.tasks.values()],
        "unreachable_tasks": [_task(t) for t in framework.unreachable.values()],
        "completed_tasks": [_task(t) for t in framework.completed],
        "executors": [
            {"executor_id": executor_id, "slave_id": agent_id}
            for agent_id, executor_id in framework.executors
        ],
    }


def _task(task: Task) -> JsonObject:
    statuses = [
        {k: s[k] for k in ("state", "timestamp", "healthy", "container_status") if k in s}
        for s in task.statuses
    ]
    body: JsonObject = {
        "id": task.id,
        "name": task.info["name"],
        "framework_id": task.framework_id,
        # Mesos leaves it empty for the command executor.
        "executor_id": task.executor_id or "",
        "slave_id": task.agent_id,
        "state": task.state,
        "resources": _resources(task.resources),
        "role": task.role,
        "statuses": statuses,
    }
    if "labels" in task.info:
        body["labels"] = task.info["labels"].get("labels", [])
    for name in ("discovery", "container"):
        if name in task.info:
            body[name] = task.info[name]
    return body


def _resources(bundle: Bundle) -> JsonObject:
    body: JsonObject = {
        name: bundle.scalars.get(name, 0) / 1000 for name in ("disk", "mem", "gpus", "cpus")
    }
    for name, spans in bundle.ranges.items():
        if spans:
            body[name] = describe_ranges(spans)
    return body
