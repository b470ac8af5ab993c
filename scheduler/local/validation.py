"""Find what a master refuses in a TaskInfo and an ExecutorInfo, in its own words."""

from collections.abc import Callable

from scheduler.local.frameworks import Framework, MasterExecutor
from scheduler.local.resources import JsonObject, parse_resources

ID_CHARS_MAX = 255


def find_task_problem(
    info: JsonObject, framework: Framework, agent_id: str, *, in_group: bool = False
) -> str | None:
    """Return what is wrong with a task, resources against the offer aside, or None."""
    problem = find_id_problem(info["task_id"]["value"])
    if problem is not None:
        return problem
    if info["task_id"]["value"] in framework.tasks:
        return f"Task has duplicate ID: {info['task_id']['value']}"
    if info["agent_id"]["value"] != agent_id:
        wrong = info["agent_id"]["value"]
        return f"Task uses invalid agent {wrong} while agent {agent_id} is expected"
    checks: list[Callable[[JsonObject], str | None]] = [
        _find_kill_policy_problem,
        _find_health_check_problem,
        _find_resources_problem,
        _find_command_problem if in_group else _find_either_problem,
    ]
    return next((p for p in (check(info) for check in checks) if p is not None), None)


def find_id_problem(text: str) -> str | None:
    """Return what is wrong with a task or executor id, or None."""
    if not text:
        return "ID must not be empty"
    if len(text) > ID_CHARS_MAX:
        return f"ID must not be greater than {ID_CHARS_MAX} characters"
    if text in {".", ".."}:
        return f"'{text}' is disallowed"
    if any(c in "/\\" or ord(c) < 32 or ord(c) == 127 for c in text):
        return f"'{text}' contains invalid characters"
    return None


def find_executor_problem(
    executor: JsonObject, framework: Framework, known: MasterExecutor | None, role: str
) -> str | None:
    """Return what is wrong with an executor, or None."""
    executor_id = executor["executor_id"]["value"]
    problem = find_id_problem(executor_id)
    if problem is not None:
        return problem
    owner = executor.get("framework_id", {}).get("value", framework.id)
    if owner != framework.id:
        said = f"Actual: {owner} vs Expected: {framework.id}"
        return f"ExecutorInfo has an invalid FrameworkID ({said})"
    if executor.get("type", "CUSTOM") == "CUSTOM" and "command" not in executor:
        return "'ExecutorInfo.command' must be set for 'CUSTOM' executor"
    if known is not None and not _is_same_executor(executor, known, role):
        line = "-" * 60
        return (
            "ExecutorInfo is not compatible with existing ExecutorInfo with same ExecutorID.\n"
            f"{line}\nExisting ExecutorInfo:\n{known.info}\n{line}\nTask's ExecutorInfo:\n"
            f"{executor}\n{line}\n"
        )
    return None


def _is_same_executor(executor: JsonObject, known: MasterExecutor, role: str) -> bool:
    if parse_resources(executor.get("resources", []), role) != known.resources:
        return False
    ignored = {"resources", "framework_id", "type"}
    mine = {k: v for k, v in executor.items() if k not in ignored}
    theirs = {k: v for k, v in known.info.items() if k not in ignored}
    return mine == theirs


def _find_kill_policy_problem(info: JsonObject) -> str | None:
    grace = info.get("kill_policy", {}).get("grace_period", {}).get("nanoseconds", 0)
    if float(grace) < 0:
        return "Task's 'kill_policy.grace_period' must be non-negative"
    return None


def _find_health_check_problem(info: JsonObject) -> str | None:
    check = info.get("health_check", {})
    kind = check.get("type")
    head = "Task uses invalid health check: "
    for name in ("delay_seconds", "interval_seconds", "timeout_seconds", "grace_period_seconds"):
        if float(check.get(name, 0)) < 0:
            return f"{head}Expecting '{name}' to be non-negative"
    if kind in {"HTTP", "TCP", "COMMAND"} and kind.lower() not in check:
        return f"{head}Expecting '{kind.lower()}' to be set for {kind} health check"
    return None


def _find_resources_problem(info: JsonObject) -> str | None:
    return None if info.get("resources") else "Task uses no resources"


def _find_either_problem(info: JsonObject) -> str | None:
    if ("command" in info) == ("executor" in info):
        return "Task should have at least one (but not both) of CommandInfo or ExecutorInfo present"
    return _find_command_problem(info)


def _find_command_problem(info: JsonObject) -> str | None:
    command = info.get("command", {})
    for variable in command.get("environment", {}).get("variables", []):
        if variable.get("type", "VALUE") == "VALUE" and "value" not in variable:
            name = variable["name"]
            return (
                f"Task's `CommandInfo` is invalid: Environment variable '{name}' of type 'VALUE' "
                "must have a value set"
            )
    return None
