"""Serve the v1 scheduler API: read and check a call, then let the master act.

Every refusal carries Mesos's status and sentence. All accepted calls answer 202 with nothing, but
UPDATE_FRAMEWORK, which answers 200 (docs/scheduler-http-api.md and recorded behaviour).
"""

import uuid
from collections.abc import Callable

import orjson
import structlog

from scheduler.local import allocator
from scheduler.local.accept import accept
from scheduler.local.constraints import find_constraints_problem
from scheduler.local.frameworks import (
    Framework,
    find_framework_problem,
    find_suppression_problem,
    find_update_problem,
)
from scheduler.local.httpserver import (
    Dropped,
    Reply,
    Request,
    Response,
    Stream,
    text_response,
)
from scheduler.local.master import Master
from scheduler.local.membership import note_drained
from scheduler.local.reconcile import reconcile_all, reconcile_task
from scheduler.local.recordio import encode_chunk
from scheduler.local.resources import JsonObject
from scheduler.local.schema import (
    SCHEDULER_CALL,
    ConversionError,
    Message,
    check_message,
)
from scheduler.local.tasks import is_uuid

log = structlog.get_logger("egret.local.scheduler_api")

_ACCEPTED = Response(202)


class RefusedError(Exception):
    """A call that is answered with a status and a sentence."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.body.decode())
        self.response = response


def read_call(request: Request, message: Message, kind: str) -> JsonObject:
    """Return the checked JSON of a call.

    Raises:
        RefusedError: wrong method, media type, syntax, or a body that is not the message.
    """
    if request.method != "POST":
        got = f"but received '{request.method}'"
        text = f"405 Method Not Allowed. Expecting one of {{ 'POST' }}, {got}."
        raise RefusedError(text_response(405, text, Allow="POST"))
    media_type = request.headers.get("content-type")
    if media_type is None:
        raise RefusedError(text_response(400, "Expecting 'Content-Type' to be present"))
    if media_type == "application/x-protobuf":
        raise RefusedError(text_response(400, "Failed to parse body into Call protobuf"))
    if media_type != "application/json":
        text = "Expecting 'Content-Type' of application/json or application/x-protobuf"
        raise RefusedError(text_response(415, text))
    try:
        call = orjson.loads(request.body)
    except orjson.JSONDecodeError as error:
        text = "Failed to parse body into JSON: syntax error at line 1 near: "
        raise RefusedError(text_response(400, text)) from error
    try:
        check_message(call, message)
    except ConversionError as error:
        text = f"Failed to convert JSON into Call protobuf: {error}"
        raise RefusedError(text_response(400, text)) from error
    if not isinstance(call.get("type"), str):
        raise invalid(kind, "Expecting 'type' to be present")
    return call


def invalid(kind: str, problem: str) -> RefusedError:
    """Return the refusal of a call that reads well but lacks or contradicts something."""
    return RefusedError(text_response(400, f"Failed to validate {kind}::Call: {problem}"))


_WITH_BODY = frozenset(
    {
        "ACCEPT",
        "DECLINE",
        "KILL",
        "SHUTDOWN",
        "ACKNOWLEDGE",
        "RECONCILE",
        "MESSAGE",
        "REQUEST",
        "ACCEPT_INVERSE_OFFERS",
        "DECLINE_INVERSE_OFFERS",
        "UPDATE_FRAMEWORK",
        "RECONCILE_OPERATIONS",
        "ACKNOWLEDGE_OPERATION_STATUS",
    }
)
_TYPES = _WITH_BODY | {"SUBSCRIBE", "TEARDOWN", "REVIVE", "SUPPRESS", "UNKNOWN"}


def serve_scheduler(master: Master, request: Request) -> Reply:
    """Answer one request of the scheduler API."""
    try:
        call = read_call(request, SCHEDULER_CALL, "scheduler")
        _validate(call)
        _check_accept_header(request)
        if call["type"] == "SUBSCRIBE":
            return _subscribe(master, request, call)
        framework = _find_framework(master, request, call)
        if call["type"] == "UNKNOWN":
            # A real leading master dies of this call on a failed assertion.
            log.error("call_would_kill_a_real_master", framework_id=framework.id)
            return Dropped
        master.count(f"master/messages_{call['type'].lower()}")
        return _act(master, framework, call)
    except RefusedError as refusal:
        return refusal.response


def _act(master: Master, framework: Framework, call: JsonObject) -> Reply:
    quirks, is_accept = master.settings.quirks, call["type"] == "ACCEPT"
    if is_accept and quirks.loses_accept_before():
        return Dropped
    response = _HANDLERS[call["type"]](master, framework, call)
    if is_accept and quirks.loses_accept_after():
        return Dropped
    return response


def _validate(call: JsonObject) -> None:
    kind = call["type"]
    if kind not in _TYPES:
        raise invalid("scheduler", "Expecting 'type' to be present")
    if kind == "SUBSCRIBE":
        if "subscribe" not in call:
            raise invalid("scheduler", "Expecting 'subscribe' to be present")
        _check_same_id(call, "subscribe")
        return
    if "framework_id" not in call:
        raise invalid("scheduler", "Expecting 'framework_id' to be present")
    if kind in _WITH_BODY and kind.lower() not in call:
        raise invalid("scheduler", f"Expecting '{kind.lower()}' to be present")
    if kind == "ACKNOWLEDGE" and not is_uuid(call["acknowledge"]["uuid"]):
        raise invalid("scheduler", "Not a valid UUID")
    if kind == "UPDATE_FRAMEWORK":
        _check_same_id(call, "update_framework")


def _check_same_id(call: JsonObject, body: str) -> None:
    inner = call[body]["framework_info"].get("id", {}).get("value", "")
    if inner != call.get("framework_id", {}).get("value", ""):
        problem = f"'framework_id' differs from '{body}.framework_info.id'"
        raise invalid("scheduler", problem)


def _check_accept_header(request: Request) -> None:
    accepted = request.headers.get("accept", "*/*")
    kinds = {part.split(";")[0].strip() for part in accepted.split(",")}
    if not kinds & {"*/*", "application/*", "application/json", "application/x-protobuf"}:
        text = "Expecting 'Accept' to allow 'application/x-protobuf' or 'application/json'"
        raise RefusedError(text_response(406, text))


def _find_framework(master: Master, request: Request, call: JsonObject) -> Framework:
    framework = master.frameworks.get(call["framework_id"]["value"])
    if framework is None:
        raise RefusedError(text_response(400, "Framework cannot be found"))
    if not framework.is_connected:
        raise RefusedError(text_response(403, "Framework is not subscribed"))
    stream_id = request.headers.get("mesos-stream-id")
    if stream_id is None:
        text = "All non-subscribe calls should include the 'Mesos-Stream-Id' header"
        raise RefusedError(text_response(400, text))
    if stream_id != framework.stream_id:
        text = (
            f"The stream ID '{stream_id}' included in this request didn't match the stream ID "
            f"currently associated with framework ID {framework.id}"
        )
        raise RefusedError(text_response(400, text))
    return framework


def _subscribe(master: Master, request: Request, call: JsonObject) -> Reply:
    if master.settings.quirks.refuses_subscribe():
        return text_response(503, "Master has not finished recovery")
    if "mesos-stream-id" in request.headers:
        text = "Subscribe calls should not include the 'Mesos-Stream-Id' header"
        return text_response(400, text)
    body = call["subscribe"]
    info: JsonObject = body["framework_info"]
    suppressed: list[str] = body.get("suppressed_roles", [])
    constraints: JsonObject = body.get("offer_constraints", {})
    stream_id = str(uuid.uuid4())
    headers = {"Content-Type": "application/json", "Mesos-Stream-Id": stream_id}
    stream = Stream(headers)
    problem = (
        find_framework_problem(info)
        or find_suppression_problem(info, suppressed)
        or find_constraints_problem(constraints, tuple(info.get("roles", [])))
        or _find_identity_problem(master, info)
    )
    if problem is not None:
        stream.send(encode_chunk({"type": "ERROR", "error": {"message": problem}}))
        stream.close()
        return stream
    master.subscribe(info, suppressed, constraints, stream, stream_id)
    return stream


def _find_identity_problem(master: Master, info: JsonObject) -> str | None:
    framework_id = info.get("id", {}).get("value", "")
    if framework_id in master.removed_ids:
        return "Framework has been removed"
    known = master.frameworks.get(framework_id)
    if known is not None and known.info.get("principal") != info.get("principal"):
        return "Changing framework's principal is not allowed."
    return None


def _teardown(master: Master, framework: Framework, _call: JsonObject) -> Response:
    master.remove_framework(framework)
    return _ACCEPTED


def _accept(master: Master, framework: Framework, call: JsonObject) -> Response:
    accept(master, framework, call["accept"])
    return _ACCEPTED


def _decline(master: Master, framework: Framework, call: JsonObject) -> Response:
    body = call["decline"]
    refuse_s = float(body.get("filters", {}).get("refuse_seconds", allocator.REFUSE_DEFAULT_S))
    master.decline(framework, [o["value"] for o in body.get("offer_ids", [])], refuse_s)
    return _ACCEPTED


def _revive(master: Master, framework: Framework, call: JsonObject) -> Response:
    allocator.revive(framework, call.get("revive", {}).get("roles", []))
    master.allocate_soon()
    return _ACCEPTED


def _suppress(_master: Master, framework: Framework, call: JsonObject) -> Response:
    roles = call.get("suppress", {}).get("roles", []) or framework.roles
    framework.suppressed |= set(roles) & set(framework.roles)
    return _ACCEPTED


def _kill(master: Master, framework: Framework, call: JsonObject) -> Response:
    body = call["kill"]
    task_id = body["task_id"]["value"]
    task = framework.tasks.get(task_id)
    if task is None:
        reconcile_task(master, framework, task_id, body.get("agent_id", {}).get("value"))
        return _ACCEPTED
    agent = master.agents.get(task.agent_id)
    if agent is not None:
        agent.door.kill(framework.id, task_id, body.get("kill_policy"))
    return _ACCEPTED


def _shutdown(master: Master, framework: Framework, call: JsonObject) -> Response:
    body = call["shutdown"]
    agent = master.agents.get(body["agent_id"]["value"])
    if agent is not None:
        agent.door.shutdown_executor(framework.id, body["executor_id"]["value"])
    return _ACCEPTED


def _acknowledge(master: Master, framework: Framework, call: JsonObject) -> Response:
    body = call["acknowledge"]
    agent_id = body["agent_id"]["value"]
    master.acknowledge(framework, agent_id, body["task_id"]["value"], body["uuid"])
    note_drained(master, agent_id)
    return _ACCEPTED


def _reconcile(master: Master, framework: Framework, call: JsonObject) -> Response:
    tasks: list[JsonObject] = call["reconcile"].get("tasks", [])
    if not tasks:
        reconcile_all(framework)
    for task in tasks:
        agent_id = task.get("agent_id", {}).get("value")
        reconcile_task(master, framework, task["task_id"]["value"], agent_id)
    return _ACCEPTED


def _message(master: Master, framework: Framework, call: JsonObject) -> Response:
    body = call["message"]
    agent = master.agents.get(body["agent_id"]["value"])
    if agent is not None:
        agent.door.message(framework.id, body["executor_id"]["value"], body["data"])
    return _ACCEPTED


def _ignore(_master: Master, _framework: Framework, _call: JsonObject) -> Response:
    """Accept a call that has no effect here: no maintenance, no operations to reconcile."""
    return _ACCEPTED


def _update_framework(master: Master, framework: Framework, call: JsonObject) -> Response:
    body = call["update_framework"]
    info: JsonObject = body["framework_info"]
    suppressed: list[str] = body.get("suppressed_roles", [])
    constraints: JsonObject = body.get("offer_constraints", {})
    problem = find_framework_problem(info)
    if problem is not None:
        return text_response(400, f"Supplied FrameworkInfo is not valid: {problem}")
    problem = find_suppression_problem(info, suppressed) or find_constraints_problem(
        constraints, tuple(info.get("roles", []))
    )
    if problem is not None:
        return text_response(400, f"'UpdateFramework' call is not valid: {problem}")
    problem = find_update_problem(framework.info, info)
    if problem is not None:
        return text_response(400, f"FrameworkInfo update is not valid: {problem}")
    framework.use_info(info)
    framework.suppressed = set(suppressed)
    framework.constraints = constraints
    for offer in [o for o in master.offers.values() if o.framework_id == framework.id]:
        if offer.role not in framework.roles:
            master.rescind(offer.id)
    return Response(200)


_HANDLERS: dict[str, Callable[[Master, Framework, JsonObject], Response]] = {
    "TEARDOWN": _teardown,
    "ACCEPT": _accept,
    "DECLINE": _decline,
    "REVIVE": _revive,
    "SUPPRESS": _suppress,
    "KILL": _kill,
    "SHUTDOWN": _shutdown,
    "ACKNOWLEDGE": _acknowledge,
    "RECONCILE": _reconcile,
    "MESSAGE": _message,
    "UPDATE_FRAMEWORK": _update_framework,
    "REQUEST": _ignore,
    "ACCEPT_INVERSE_OFFERS": _ignore,
    "DECLINE_INVERSE_OFFERS": _ignore,
    "RECONCILE_OPERATIONS": _ignore,
    "ACKNOWLEDGE_OPERATION_STATUS": _ignore,
}
