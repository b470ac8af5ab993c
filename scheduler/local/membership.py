"""Keep the master's books of agents: they come, fall silent, return, leave, and are given up.

What their tasks' frameworks are told depends on how an agent went, and on what the framework
understands (docs/high-availability-framework-guide.md, docs/agent-recovery.md; the sentences are
those of Mesos 1.12).
"""

import asyncio
import time

from attrs import frozen

from scheduler.local.describe import describe_agent, last_container, nanoseconds
from scheduler.local.frameworks import Framework, MasterExecutor
from scheduler.local.master import Master
from scheduler.local.registry import AgentDoor, AgentRecord
from scheduler.local.resources import Bundle, JsonObject, parse_resources
from scheduler.local.tasks import Task, master_status


def register_agent(master: Master, info: JsonObject, total: Bundle, door: AgentDoor) -> str:
    """A new agent comes: it gets an id and its resources are offered at once."""
    agent_id = master.next_id("agent")
    info = {**info, "id": {"value": agent_id}}
    _enlist(master, AgentRecord(agent_id, info, total, total, door))
    return agent_id


def _enlist(master: Master, agent: AgentRecord) -> None:
    master.agents[agent.id] = agent
    master.set_free(agent, agent.free)
    master.allocate_soon()
    if master.watchers:
        body = {"agent": describe_agent(agent, master.offers)}
        master.announce({"type": "AGENT_ADDED", "agent_added": body})


@frozen
class Running:
    """What an agent that comes back says it runs; executors with their framework's id."""

    tasks: list[Task]
    executors: list[tuple[str, JsonObject]]
    frameworks: list[JsonObject]


def reregister_agent(
    master: Master, info: JsonObject, total: Bundle, door: AgentDoor, running: Running
) -> None:
    """An agent comes back with what it runs; the master learns what it has forgotten.

    An agent marked gone is told to shut down. Tasks that were unreachable come back to life
    with an update of the master's own; tasks that the agent no longer knows are lost.
    """
    agent_id = info["id"]["value"]
    if agent_id in master.gone:
        door.shutdown("Agent has been marked gone")
        return
    was_unreachable = master.unreachable.pop(agent_id, None) is not None
    master.recovering.discard(agent_id)
    _cancel_timer(master, agent_id)
    old = master.agents.pop(agent_id, None)
    agent = AgentRecord(agent_id, info, total, total, door)
    if old is not None:
        for offer_id in list(old.offers):
            _void(master, offer_id)
        agent.registered_at_s = old.registered_at_s
        agent.is_deactivated, agent.drain = old.is_deactivated, old.drain
    master.agents[agent_id] = agent
    for framework_info in running.frameworks:
        _recover_framework(master, framework_info)
    for framework_id, executor in running.executors:
        _recover_executor(master, framework_id, agent, executor)
    reported = {(t.framework_id, t.id) for t in running.tasks}
    for task in running.tasks:
        _recover_task(master, agent, task, was_unreachable=was_unreachable)
    for framework in master.frameworks.values():
        for task in [t for t in framework.tasks.values() if t.agent_id == agent_id]:
            if (framework.id, task.id) not in reported:
                _lose_unknown(master, framework, task)
    _enlist(master, agent)


def _void(master: Master, offer_id: str) -> None:
    offer = master.take_offer(offer_id)
    framework = master.frameworks.get(offer.framework_id) if offer else None
    if framework is not None:
        framework.send({"type": "RESCIND", "rescind": {"offer_id": {"value": offer_id}}})


def _recover_framework(master: Master, info: JsonObject) -> None:
    framework_id = info["id"]["value"]
    if framework_id in master.frameworks or framework_id in master.removed_ids:
        return
    framework = Framework(framework_id, info, master.settings.quirks.on_event)
    framework.recovered = True
    master.frameworks[framework_id] = framework
    master.await_failover(framework)


def _recover_executor(
    master: Master, framework_id: str, agent: AgentRecord, info: JsonObject
) -> None:
    framework = master.frameworks.get(framework_id)
    if framework is None:
        return
    role = framework.roles[0] if framework.roles else "*"
    for resource in info.get("resources", []):
        role = resource.get("allocation_info", {}).get("role", role)
    resources = parse_resources(info.get("resources", []), role)
    key = (agent.id, info["executor_id"]["value"])
    framework.executors[key] = MasterExecutor(info, resources)
    agent.free = agent.free.minus(resources)


def _recover_task(master: Master, agent: AgentRecord, task: Task, *, was_unreachable: bool) -> None:
    framework = master.frameworks.get(task.framework_id)
    if framework is None:
        agent.door.shutdown_framework(task.framework_id)
        return
    known = framework.tasks.pop(task.id, None) or framework.unreachable.pop(task.id, None)
    if known is not None:
        task.statuses = task.statuses or known.statuses
    framework.tasks[task.id] = task
    agent.tasks.add((framework.id, task.id))
    if task.is_terminal:
        task.released = True
        # Its end may have been acknowledged here while the agent could not hear of it.
        for ended in [t for t in framework.completed if t.id == task.id]:
            framework.completed.remove(ended)
    else:
        agent.free = agent.free.minus(task.resources)
    if was_unreachable:
        message = "Unreachable agent re-reregistered"  # Mesos's own spelling
        reason = "REASON_AGENT_REREGISTERED"
        more = last_container(task)
        framework.send_status(master_status(task.id, task.state, message, reason, agent.id, **more))


def _lose_unknown(master: Master, framework: Framework, task: Task) -> None:
    task.released = True
    already_ended = task.is_terminal
    task.state = "TASK_DROPPED"
    master.forget_task(framework, task)
    if not already_ended:
        message = "Reconciliation: task unknown to the agent"
        framework.send_status(
            master_status(task.id, "TASK_DROPPED", message, "REASON_RECONCILIATION", task.agent_id)
        )


def on_agent_disconnected(master: Master, agent_id: str) -> None:
    """The agent's connection broke: it may come back until the timeout."""
    agent = master.agents.get(agent_id)
    if agent is None or not agent.is_connected:
        return
    agent.is_connected = False
    for offer_id in list(agent.offers):
        master.rescind(offer_id)
    for framework in list(master.frameworks.values()):
        if framework.checkpoints:
            continue
        message = f"Agent {agent.hostname} disconnected"
        for task in [t for t in framework.tasks.values() if t.agent_id == agent_id]:
            _end_task(
                master, framework, task, "TASK_LOST", said=(message, "REASON_AGENT_DISCONNECTED")
            )
    expect_agent(master, agent_id)


def expect_agent(master: Master, agent_id: str) -> None:
    """Declare the agent unreachable unless it is heard of within the timeout."""
    _cancel_timer(master, agent_id)
    master.timers[agent_id] = asyncio.get_running_loop().call_later(
        master.settings.timing.agent_timeout_s, lambda: mark_unreachable(master, agent_id)
    )


def heard_of_agent(master: Master, agent_id: str) -> None:
    """The agent answers pings again."""
    _cancel_timer(master, agent_id)


def _cancel_timer(master: Master, agent_id: str) -> None:
    timer = master.timers.pop(agent_id, None)
    if timer is not None:
        timer.cancel()


def mark_unreachable(master: Master, agent_id: str) -> None:
    """An agent has been silent too long: its tasks become unreachable (or lost)."""
    _cancel_timer(master, agent_id)
    since = nanoseconds(time.time())
    agent = master.agents.get(agent_id)
    if agent is None:
        if agent_id in master.recovering:
            # It was in the registry and never came back; what ran there nobody knows.
            master.recovering.discard(agent_id)
            master.unreachable[agent_id] = since
            _tell_agent_failed(master, agent_id)
        return
    master.unreachable[agent_id] = since
    for offer_id in list(agent.offers):
        master.rescind(offer_id)
    _remove_record(master, agent)
    for framework in master.frameworks.values():
        for task in [t for t in framework.tasks.values() if t.agent_id == agent_id]:
            if task.is_terminal:
                continue
            task.state, task.released = "TASK_UNREACHABLE", True
            del framework.tasks[task.id]
            framework.unreachable[task.id] = task
            framework.send_status(
                master_status(
                    task.id,
                    "TASK_UNREACHABLE",
                    "health check timed out",
                    "REASON_AGENT_REMOVED",
                    agent_id,
                    unreachable_time=since,
                )
            )
    _tell_agent_failed(master, agent_id)


def _remove_record(master: Master, agent: AgentRecord) -> None:
    master.agents.pop(agent.id, None)
    master.idle.pop(agent.id, None)
    for framework in master.frameworks.values():
        for key in [k for k in framework.executors if k[0] == agent.id]:
            del framework.executors[key]
    body = {"agent_id": {"value": agent.id}}
    master.announce({"type": "AGENT_REMOVED", "agent_removed": body})


def _tell_agent_failed(master: Master, agent_id: str) -> None:
    for framework in master.frameworks.values():
        framework.send({"type": "FAILURE", "failure": {"agent_id": {"value": agent_id}}})


def _end_task(
    master: Master, framework: Framework, task: Task, state: str, *, said: tuple[str, str]
) -> None:
    message, reason = said
    if task.is_terminal:
        master.forget_task(framework, task)
        return
    master.give_back(task)
    task.state = state
    master.forget_task(framework, task)
    status = master_status(task.id, state, message, reason, task.agent_id)
    task.note_status(status)
    framework.send_status(status)


def remove_agent(master: Master, agent_id: str) -> None:
    """An agent unregisters (stopped gracefully): its tasks are lost for everyone."""
    agent = master.agents.get(agent_id)
    if agent is None:
        return
    for offer_id in list(agent.offers):
        master.rescind(offer_id)
    message = f"Agent {agent.hostname} removed: the agent unregistered"
    for framework in master.frameworks.values():
        for task in [t for t in framework.tasks.values() if t.agent_id == agent_id]:
            _end_task(master, framework, task, "TASK_LOST", said=(message, "REASON_AGENT_REMOVED"))
    _remove_record(master, agent)
    _tell_agent_failed(master, agent_id)


def note_drained(master: Master, agent_id: str) -> None:
    """End a draining once the last terminal update is acknowledged, as Mesos does."""
    agent = master.agents.get(agent_id)
    if agent is None or agent.drain is None or agent.tasks:
        return
    if agent.drain["state"] == "DRAINING":
        agent.drain = {**agent.drain, "state": "DRAINED"}
        if agent.drain["config"]["mark_gone"]:
            mark_gone(master, agent_id)


def mark_gone(master: Master, agent_id: str) -> bool:
    """The operator says that an agent is gone for good; returns whether it was known."""
    if agent_id in master.gone:
        return True
    agent = master.agents.get(agent_id)
    if agent is None and agent_id not in master.unreachable:
        return False
    master.gone.add(agent_id)
    was_reachable = master.unreachable.pop(agent_id, None) is None
    for offer_id in list(agent.offers) if agent else []:
        master.rescind(offer_id)
    for framework in master.frameworks.values():
        aware = framework.is_partition_aware
        reason = "REASON_AGENT_REMOVED_BY_OPERATOR" if aware else "REASON_AGENT_REMOVED"
        held = [*framework.tasks.values(), *framework.unreachable.values()]
        for task in [t for t in held if t.agent_id == agent_id]:
            message = "Agent has been marked gone"
            _end_task(master, framework, task, "TASK_GONE_BY_OPERATOR", said=(message, reason))
    if agent is not None:
        _remove_record(master, agent)
        agent.door.shutdown("Agent has been marked gone")
    if was_reachable:
        _tell_agent_failed(master, agent_id)
    return True
