"""Let tests break a cluster that runs in a process of its own: ``POST /control/<what>``.

Bodies and answers are JSON; agents are named by their index. Counts set how many of the next
messages are hit. ``GET /control/state`` says where everything is.

| what | body |
|---|---|
| kill-agent | ``{"agent": 0, "with_executors": false}`` |
| return-agent, stop-agent, partition-agent, heal-agent | ``{"agent": 0}`` |
| restart-master | ``{"with_memory": true, "down_s": 0, "agents_return_after_s": 0}`` |
| stop-master, rescind-offers, cut-connections | ``{}`` |
| faults | any fields of `Faults`, e.g. ``{"drop_updates": 3, "delay_s": 0.1}`` |
| end-virtual-task | ``{"task_id": "…", "state": "TASK_FAILED", "message": "…"}`` |
"""

from collections.abc import Awaitable, Callable
from typing import Any

import attrs
import orjson

from scheduler.local.cluster import Cluster
from scheduler.local.httpserver import HttpServer, Reply, Request, json_response, text_response
from scheduler.local.resources import JsonObject

_Action = Callable[[Cluster, JsonObject], Awaitable[JsonObject]]


class ControlServer:
    """The control endpoint of one cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._server = HttpServer(self._serve)

    async def start(self, port: int) -> int:
        """Listen on 127.0.0.1 and return the port."""
        return await self._server.start("127.0.0.1", port)

    def stop(self) -> None:
        """Stop listening."""
        self._server.stop()

    async def _serve(self, request: Request) -> Reply:
        name = request.path.removeprefix("/control/")
        if request.method == "GET" and name == "state":
            return json_response(_state(self._cluster))
        action = _ACTIONS.get(name)
        if request.method != "POST" or action is None:
            return text_response(404, f"No such control: {request.method} {request.path}")
        try:
            body = orjson.loads(request.body or b"{}")
            return json_response(await action(self._cluster, body))
        except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
            return text_response(400, f"{type(error).__name__}: {error}")


def _state(cluster: Cluster) -> JsonObject:
    return {
        "master": None if cluster.master is None else cluster.master_address,
        "docker": cluster.docker_available,
        "work_dir": str(cluster.work_dir),
        "faults": attrs.asdict(cluster.faults),
        "agents": [
            {
                "id": a.id,
                "port": a.port,
                "hostname": a.config.hostname,
                "is_alive": a.is_alive,
                "is_partitioned": not a.link.is_up,
                "tasks": len(a.tasks),
                "executor_pids": [
                    e.process.pid for e in a.executors.values() if e.process is not None
                ],
            }
            for a in cluster.agents
        ],
    }


async def _kill_agent(cluster: Cluster, body: JsonObject) -> JsonObject:
    with_executors = bool(body.get("with_executors", False))
    await cluster.kill_agent(body["agent"], with_executors=with_executors)
    return {}


async def _return_agent(cluster: Cluster, body: JsonObject) -> JsonObject:
    await cluster.return_agent(body["agent"])
    return {}


async def _stop_agent(cluster: Cluster, body: JsonObject) -> JsonObject:
    await cluster.stop_agent(body["agent"])
    return {}


async def _partition_agent(cluster: Cluster, body: JsonObject) -> JsonObject:
    cluster.partition_agent(body["agent"])
    return {}


async def _heal_agent(cluster: Cluster, body: JsonObject) -> JsonObject:
    cluster.heal_agent(body["agent"])
    return {}


async def _restart_master(cluster: Cluster, body: JsonObject) -> JsonObject:
    await cluster.restart_master(**body)
    return {"master": cluster.master_address}


async def _stop_master(cluster: Cluster, _body: JsonObject) -> JsonObject:
    cluster.stop_master()
    return {}


async def _rescind_offers(cluster: Cluster, _body: JsonObject) -> JsonObject:
    return {"rescinded": cluster.rescind_offers()}


async def _cut_connections(cluster: Cluster, _body: JsonObject) -> JsonObject:
    cluster.cut_connections()
    return {}


async def _set_faults(cluster: Cluster, body: dict[str, Any]) -> JsonObject:
    known = attrs.fields_dict(type(cluster.faults))
    unknown = sorted(set(body) - set(known))
    if unknown:
        raise KeyError(f"no such fault: {', '.join(unknown)}")
    for name, value in body.items():
        setattr(cluster.faults, name, value)
    return attrs.asdict(cluster.faults)


async def _end_virtual_task(cluster: Cluster, body: JsonObject) -> JsonObject:
    found = cluster.end_virtual_task(body["task_id"], body["state"], body.get("message", ""))
    return {"found": found}


_ACTIONS: dict[str, _Action] = {
    "kill-agent": _kill_agent,
    "return-agent": _return_agent,
    "stop-agent": _stop_agent,
    "partition-agent": _partition_agent,
    "heal-agent": _heal_agent,
    "restart-master": _restart_master,
    "stop-master": _stop_master,
    "rescind-offers": _rescind_offers,
    "cut-connections": _cut_connections,
    "faults": _set_faults,
    "end-virtual-task": _end_virtual_task,
}
