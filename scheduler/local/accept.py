"""Carry out an ACCEPT: check its offers, check each task, launch what is right.

The order of the checks and their sentences are Mesos's: a wrong offer drops every task, an invalid
resource fails every task, anything else only the task (or its group) that it is wrong in.
"""

import asyncio
from typing import Any

from attrs import define

from scheduler.local import allocator
from scheduler.local.frameworks import Framework, MasterExecutor
from scheduler.local.master import Master
from scheduler.local.registry import AgentRecord, Offer
from scheduler.local.resources import (
    EMPTY,
    Bundle,
    JsonObject,
    describe,
    find_invalid,
    parse_resources,
)
from scheduler.local.tasks import Task, master_status
from scheduler.local.validation import find_executor_problem, find_task_problem


@define(eq=False)
class _Acceptance:
    """One ACCEPT under way: what is left of its offers."""

    master: Master
    framework: Framework
    agent: AgentRecord
    role: str
    rest: Bundle


def accept(master: Master, framework: Framework, call: JsonObject) -> None:
    """Launch the tasks of an ACCEPT and return what its offers have left."""
    offer_ids = [str(o["value"]) for o in call.get("offer_ids", [])]
    operations: list[JsonObject] = call.get("operations", [])
    problem = _find_offers_problem(master, framework, offer_ids)
    if problem is not None:
        for offer_id in offer_ids:
            if _is_own(master.offers.get(offer_id), framework):
                master.return_offer(offer_id)
        for task in _all_tasks(operations):
            _refuse_task(
                master,
                framework,
                task,
                "TASK_DROPPED",
                message=f"Task launched with invalid offers: {problem}",
                reason="REASON_INVALID_OFFERS",
            )
        return
    offers = [o for o in map(master.take_offer, offer_ids) if o is not None]
    rest = EMPTY
    for offer in offers:
        rest = rest.plus(offer.resources)
    agent, role = master.agents[offers[0].agent_id], offers[0].role
    acceptance = _Acceptance(master, framework, agent, role, rest)
    _run_operations(acceptance, operations)
    master.add_free(agent, acceptance.rest)
    refuse_s = float(call.get("filters", {}).get("refuse_seconds", allocator.REFUSE_DEFAULT_S))
    now_s = asyncio.get_running_loop().time()
    allocator.refuse(framework, (role, agent.id), acceptance.rest, refuse_s, now_s)


def _is_own(offer: Offer | None, framework: Framework) -> bool:
    return offer is not None and offer.framework_id == framework.id


def _find_offers_problem(master: Master, framework: Framework, offer_ids: list[str]) -> str | None:
    if not offer_ids:
        return "No offers specified"
    seen: set[str] = set()
    first: Offer | None = None
    for offer_id in offer_ids:
        if offer_id in seen:
            return f"Duplicate offer {offer_id} in offer list"
        seen.add(offer_id)
    for offer_id in offer_ids:
        offer = master.offers.get(offer_id)
        if offer is None:
            return f"Offer {offer_id} is no longer valid"
        if not _is_own(offer, framework):
            owner = f"Offer {offer_id} has invalid framework {offer.framework_id}"
            return f"{owner} while framework {framework.id} is expected"
        if first is None:
            first = offer
        elif first.agent_id != offer.agent_id:
            return (
                "Aggregated offers must belong to one single agent. Offer "
                f"{offer_id} uses agent {offer.agent_id} and agent {first.agent_id}"
            )
        elif first.role != offer.role:
            return (
                "Aggregated offers must be allocated to the same role. Offer "
                f"{offer_id} uses role '{offer.role}' but another is using role '{first.role}'"
            )
    return None


def _all_tasks(operations: list[JsonObject]) -> list[JsonObject]:
    tasks: list[JsonObject] = []
    for operation in operations:
        tasks += operation.get("launch", {}).get("task_infos", [])
        tasks += operation.get("launch_group", {}).get("task_group", {}).get("tasks", [])
    return tasks


def _refuse_task(
    master: Master, framework: Framework, task: JsonObject, state: str, *, message: str, reason: str
) -> None:
    master.count(f"master/{state.lower()}/source_master/{reason.lower()}")
    framework.send_status(
        master_status(task["task_id"]["value"], state, message, reason, task["agent_id"]["value"])
    )


def _run_operations(acceptance: _Acceptance, operations: list[JsonObject]) -> None:
    tasks = _all_tasks(operations)
    invalid = next((p for p in map(_find_invalid_in, tasks) if p is not None), None)
    for operation in operations:
        kind = operation.get("type")
        if kind == "LAUNCH":
            _launch(acceptance, operation, invalid)
        elif kind == "LAUNCH_GROUP":
            _launch_group(acceptance, operation, invalid)
        elif "id" in operation and kind in _RESOURCE_OPERATIONS:
            _refuse_operation(acceptance, operation)


_RESOURCE_OPERATIONS = frozenset(
    {"RESERVE", "UNRESERVE", "CREATE", "DESTROY", "GROW_VOLUME", "SHRINK_VOLUME"}
)


def _refuse_operation(acceptance: _Acceptance, operation: JsonObject) -> None:
    """Answer a reservation or volume operation: this cluster has neither (with an id; Mesos is
    silent about refused ones without).
    """
    agent = acceptance.agent
    where = f"on agent {agent.id} at {agent.pid} ({agent.hostname})"
    status = {
        "operation_id": operation["id"],
        "state": "OPERATION_ERROR",
        "message": f"{operation['type']} is not supported by the embedded cluster; {where}",
    }
    body = {"status": status}
    acceptance.framework.send({"type": "UPDATE_OPERATION_STATUS", "update_operation_status": body})


def _find_invalid_in(task: JsonObject) -> str | None:
    executor = task.get("executor", {})
    return find_invalid([*task.get("resources", []), *executor.get("resources", [])])


def _launch(acceptance: _Acceptance, operation: JsonObject, invalid: str | None) -> None:
    framework = acceptance.framework
    launched: list[JsonObject] = []
    for info in operation.get("launch", {}).get("task_infos", []):
        problem = invalid
        if problem is None and "id" in operation:
            problem = "The `id` field cannot be set on LAUNCH operations"
        if problem is None:
            problem = _find_problem(acceptance, info)
        if problem is not None:
            _refuse_task(
                acceptance.master,
                framework,
                info,
                "TASK_ERROR",
                message=problem,
                reason="REASON_TASK_INVALID",
            )
            continue
        launched.append(_admit(acceptance, info))
    if launched and not acceptance.master.settings.quirks.loses_launch():
        acceptance.agent.door.launch(framework.info, launched, None)


def _find_problem(acceptance: _Acceptance, info: JsonObject) -> str | None:
    framework, agent, role = acceptance.framework, acceptance.agent, acceptance.role
    problem = find_task_problem(info, framework, agent.id)
    if problem is not None:
        return problem
    resources = [*info.get("resources", [])]
    executor = info.get("executor")
    if executor is not None:
        known = framework.executors.get((agent.id, executor["executor_id"]["value"]))
        problem = find_executor_problem(executor, framework, known, role)
        if problem is not None:
            return problem
        if known is None:
            resources += executor.get("resources", [])
    if not acceptance.rest.contains(parse_resources(resources, role)):
        return (
            f"Total resources {describe(resources, role)} required by task and its executor is "
            f"more than available {describe(acceptance.rest.to_json(role), role)}"
        )
    return None


def _admit(acceptance: _Acceptance, info: JsonObject) -> JsonObject:
    """Take a checked task into the books and return its TaskInfo as the agent gets it."""
    framework, agent, role = acceptance.framework, acceptance.agent, acceptance.role
    info = {**info, "resources": _allocated(info.get("resources", []), role)}
    executor_id: str | None = None
    if "executor" in info:
        info["executor"] = _admit_executor(acceptance, info["executor"])
        executor_id = info["executor"]["executor_id"]["value"]
    resources = parse_resources(info["resources"], role)
    acceptance.rest = acceptance.rest.minus(resources)
    task = Task(info, framework.id, agent.id, role, resources, executor_id)
    acceptance.master.add_task(framework, task)
    return info


def _admit_executor(acceptance: _Acceptance, executor: JsonObject) -> JsonObject:
    framework, agent, role = acceptance.framework, acceptance.agent, acceptance.role
    key = (agent.id, executor["executor_id"]["value"])
    executor = {
        **executor,
        "framework_id": {"value": framework.id},
        "resources": _allocated(executor.get("resources", []), role),
    }
    executor.setdefault("type", "CUSTOM")
    if key not in framework.executors:
        resources = parse_resources(executor["resources"], role)
        framework.executors[key] = MasterExecutor(executor, resources)
        acceptance.rest = acceptance.rest.minus(resources)
    return executor


def _allocated(resources: list[JsonObject], role: str) -> list[JsonObject]:
    return [{**r, "allocation_info": r.get("allocation_info", {"role": role})} for r in resources]


def _launch_group(acceptance: _Acceptance, operation: JsonObject, invalid: str | None) -> None:
    framework = acceptance.framework
    group = operation["launch_group"]
    tasks: list[JsonObject] = group["task_group"].get("tasks", [])
    problem = invalid
    reason = "REASON_TASK_GROUP_INVALID"
    if problem is None and "id" in operation:
        problem = "The `id` field cannot be set on LAUNCH_GROUP operations"
    if problem is None:
        problem = _find_group_problem(acceptance, group["executor"], tasks)
    if problem is not None:
        for info in tasks:
            _refuse_task(
                acceptance.master, framework, info, "TASK_ERROR", message=problem, reason=reason
            )
        return
    executor = _admit_executor(acceptance, group["executor"])
    admitted = [_admit(acceptance, {**info, "executor": executor}) for info in tasks]
    if not acceptance.master.settings.quirks.loses_launch():
        acceptance.agent.door.launch(framework.info, admitted, executor)


def _find_group_problem(
    acceptance: _Acceptance, executor: JsonObject, tasks: list[JsonObject]
) -> str | None:
    framework, agent, role = acceptance.framework, acceptance.agent, acceptance.role
    if "type" not in executor:
        return "'ExecutorInfo.type' must be set"
    if "framework_id" not in executor:
        # Of a single task's executor the master fills it in.
        return "'ExecutorInfo.framework_id' must be set"
    executor_id = executor["executor_id"]["value"]
    known = framework.executors.get((agent.id, executor_id))
    problem = find_executor_problem(executor, framework, known, role)
    if problem is not None:
        return problem
    given = {r.get("name") for r in executor.get("resources", [])}
    for name in ("cpus", "mem", "disk"):
        if name not in given:
            return f"Executor '{executor_id}' uses no {name}"
    resources: list[dict[str, Any]] = []
    for info in tasks:
        problem = find_task_problem(info, framework, agent.id, in_group=True)
        if problem is not None:
            return f"Task '{info['task_id']['value']}' is invalid: {problem}"
        resources += info.get("resources", [])
    if known is None:
        resources += executor.get("resources", [])
    needed = parse_resources(resources, role)
    if not acceptance.rest.contains(needed):
        text = describe(needed.to_json(role), role)
        return (
            f"Total resources {text} required by task group and its executor are more than "
            f"available {describe(acceptance.rest.to_json(role), role)}"
        )
    return None
