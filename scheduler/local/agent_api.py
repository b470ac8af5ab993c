"""Serve an agent's port: the executor API, its state, and the files of the sandboxes."""

from scheduler.local.agents import Agent
from scheduler.local.describe import VERSION
from scheduler.local.executor_api import serve_executor
from scheduler.local.executors import AgentTask
from scheduler.local.files import browse, list_files, read_file, read_text
from scheduler.local.httpserver import (
    Reply,
    Request,
    Response,
    json_response,
    text_response,
)
from scheduler.local.resources import JsonObject
from scheduler.local.scheduler_api import RefusedError, invalid, read_call
from scheduler.local.schema import OPERATOR_CALL


def serve_agent(agent: Agent, request: Request) -> Reply:
    """Answer one request on the agent's port."""
    path = request.path.removeprefix("/slave(1)")
    if path.startswith("/api/v1/executor"):
        return serve_executor(agent, request)
    if path.startswith("/api/v1"):
        return _serve_operator(agent, request)
    if path == "/health":
        return Response(200)
    if path == "/version":
        return json_response({"version": VERSION})
    if path == "/state":
        return json_response(describe_state(agent))
    if path in {"/files/read", "/files/browse"}:
        root, wanted = agent.settings.work_dir, request.query.get("path", "")
        if path == "/files/browse":
            return browse(root, wanted)
        return read_text(root, wanted, request.query)
    return text_response(404, "404 Not Found.")


def _serve_operator(agent: Agent, request: Request) -> Reply:
    try:
        call = read_call(request, OPERATOR_CALL, "agent")
        kind, root = call["type"], agent.settings.work_dir
        if kind == "GET_HEALTH":
            body: JsonObject = {"type": kind, "get_health": {"healthy": True}}
            return json_response(body)
        if kind == "GET_VERSION":
            return json_response(
                {"type": kind, "get_version": {"version_info": {"version": VERSION}}}
            )
        if kind == "LIST_FILES" and "list_files" in call:
            return list_files(root, call["list_files"]["path"])
        if kind == "READ_FILE" and "read_file" in call:
            return read_file(root, call["read_file"])
        raise invalid("agent", "Expecting 'type' to be present")
    except RefusedError as refusal:
        return refusal.response


def sandbox_of(task: AgentTask) -> str | None:
    """Return a task's sandbox: its own in a shared executor, else the executor's."""
    if task.executor is None:
        return None
    directory = task.executor.directory
    return str(directory / "tasks" / task.id if task.executor.is_shared else directory)


def describe_state(agent: Agent) -> JsonObject:
    """Return the agent's /state; like Mesos it shows one executor for each command task."""
    frameworks: list[JsonObject] = []
    for framework_id, info in agent.frameworks.items():
        live = [t for t in agent.tasks.values() if t.framework_id == framework_id]
        ended = [t for t in agent.completed if t.framework_id == framework_id]
        frameworks.append(
            {
                "id": framework_id,
                "name": info.get("name", ""),
                "executors": _executors(live),
                "completed_executors": _executors(ended),
            }
        )
    # A framework whose last executor here has ended; what it left can still be read.
    past = {t.framework_id: None for t in agent.completed if t.framework_id not in agent.frameworks}
    return {
        "id": agent.id,
        "pid": f"slave(1)@127.0.0.1:{agent.port}",
        "hostname": agent.config.hostname,
        "version": VERSION,
        "frameworks": frameworks,
        "completed_frameworks": [
            {
                "id": framework_id,
                "executors": [],
                "completed_executors": _executors(
                    [t for t in agent.completed if t.framework_id == framework_id]
                ),
            }
            for framework_id in past
        ],
    }


def _executors(tasks: list[AgentTask]) -> list[JsonObject]:
    shown: dict[str, JsonObject] = {}
    for task in tasks:
        executor = shown.setdefault(
            task.shown_executor_id,
            {
                "id": task.shown_executor_id,
                "source": task.shown_executor_id,
                "container": task.executor.container_id if task.executor else "",
                "directory": sandbox_of(task),
                "tasks": [],
            },
        )
        executor["tasks"].append({"id": task.id, "name": task.info["name"], "state": task.state})
    return list(shown.values())
