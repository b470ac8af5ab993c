"""Serve an agent's v1 executor API: SUBSCRIBE, UPDATE, MESSAGE (docs/executor-http-api.md).

An executor hears ACKNOWLEDGED as soon as the agent has the update safe, before its scheduler has
seen it; what it sends again on SUBSCRIBE and the agent already has is only acknowledged.
"""

from scheduler.local.agents import Agent
from scheduler.local.executors import AgentExecutor
from scheduler.local.httpserver import Reply, Request, Response, Stream, text_response
from scheduler.local.resources import JsonObject
from scheduler.local.scheduler_api import RefusedError, invalid, read_call
from scheduler.local.schema import EXECUTOR_CALL


def serve_executor(agent: Agent, request: Request) -> Reply:
    """Answer one request of the executor API."""
    try:
        call = read_call(request, EXECUTOR_CALL, "executor")
        kind = call["type"]
        if kind not in {"SUBSCRIBE", "UPDATE", "MESSAGE", "HEARTBEAT"}:
            raise invalid("executor", "Expecting 'type' to be present")
        if kind != "HEARTBEAT" and kind.lower() not in call:
            raise invalid("executor", f"Expecting '{kind.lower()}' to be present")
        executor = _find_executor(agent, call)
    except RefusedError as refusal:
        return refusal.response
    if kind == "SUBSCRIBE":
        return _subscribe(agent, executor, call["subscribe"])
    if executor.stream is None:
        return text_response(403, "Executor is not subscribed")
    if kind == "UPDATE":
        _take_update(agent, executor, call["update"]["status"])
    elif kind == "MESSAGE":
        agent.on_message(executor, call["message"]["data"])
    return Response(202)


def _find_executor(agent: Agent, call: JsonObject) -> AgentExecutor:
    framework_id = call["framework_id"]["value"]
    if framework_id not in agent.frameworks:
        raise RefusedError(text_response(400, "Framework cannot be found"))
    executor = agent.executors.get((framework_id, call["executor_id"]["value"]))
    if executor is None:
        raise RefusedError(text_response(400, "Executor cannot be found"))
    return executor


def _subscribe(agent: Agent, executor: AgentExecutor, body: JsonObject) -> Stream:
    stream = Stream({"Content-Type": "application/json"})
    if executor.stream is not None:
        executor.stream.on_close = None
        executor.stream.close()
    executor.stream = stream
    executor.beat(stream, agent.settings.timing.executor_heartbeat_interval_s)
    stream.on_close = lambda _: _on_closed(executor, stream)
    executor.disarm()
    info = {**agent.config.info(agent.port), "id": {"value": agent.id}}
    subscribed = {
        "executor_info": executor.info,
        "framework_info": agent.frameworks[executor.framework_id],
        "agent_info": info,
        "container_id": {"value": executor.container_id},
    }
    executor.send({"type": "SUBSCRIBED", "subscribed": subscribed})
    was_here, executor.has_subscribed = executor.has_subscribed, True
    for update in body.get("unacknowledged_updates", []):
        _take_update(agent, executor, update["status"])
    if was_here:
        _drop_lost_launches(agent, executor, body)
    queued, executor.queued = executor.queued, []
    for event in queued:
        executor.send(event)
    if executor.is_ending:
        executor.send({"type": "SHUTDOWN"})
    return stream


def _on_closed(executor: AgentExecutor, stream: Stream) -> None:
    if executor.stream is stream:
        executor.stream = None


def _drop_lost_launches(agent: Agent, executor: AgentExecutor, body: JsonObject) -> None:
    """Tasks whose LAUNCH was on its way when the agent died never reached the executor."""
    has = {t["task_id"]["value"] for t in body.get("unacknowledged_tasks", [])}
    waiting = {
        event["launch"]["task"]["task_id"]["value"]
        for event in executor.queued
        if event["type"] == "LAUNCH"
    }
    for task in executor.live_tasks:
        if task.state == "TASK_STAGING" and task.id not in has | waiting:
            message = "Task launched during agent restart"
            agent.report(task, "TASK_DROPPED", message, "REASON_AGENT_RESTARTED")


def _take_update(agent: Agent, executor: AgentExecutor, status: JsonObject) -> None:
    task_id = status["task_id"]["value"]
    uid = status.get("uuid", "")
    key = (executor.framework_id, task_id)
    task = agent.tasks.get(key)
    is_known = agent.updates.holds(*key, uid) or (
        task is not None and any(s.get("uuid") == uid for s in task.statuses)
    )
    if task is not None and not is_known:
        agent.on_status(task, status)
    acknowledged = {"task_id": {"value": task_id}, "uuid": uid}
    executor.send({"type": "ACKNOWLEDGED", "acknowledged": acknowledged})
