"""Refuse JSON that Mesos could not read as the protobuf message it stands for.

Mesos answers such calls with 400 and an exact sentence, and reads the rest leniently: unknown
fields and unknown enum values are ignored, a number may come as a string (as Mesos 1.12 does it).
Only fields whose type or presence matters here are listed.
"""

from __future__ import annotations

import base64
import binascii
import math
from typing import Any, TypeAlias, cast

from attrs import frozen

from scheduler.local.resources import JsonObject

Message: TypeAlias = "dict[str, Field]"


@frozen
class Field:
    """How one field is read: `kind` is a scalar's name or the fields of a message."""

    kind: str | Message
    required: bool = False
    repeated: bool = False


class ConversionError(ValueError):
    """The JSON cannot be read as the message; the text is Mesos's."""


_KIND_OF_JSON = {
    "str": "string",
    "int": "number",
    "float": "number",
    "bool": "boolean",
    "dict": "object",
    "list": "array",
}


def check_message(value: Any, message: Message) -> None:
    """Check a decoded JSON value against a message.

    Raises:
        ConversionError: a field has a wrong type (found first), or required fields are missing.
    """
    if not isinstance(value, dict):
        raise ConversionError("Expecting a JSON object")
    missing: list[str] = []
    _check(cast("JsonObject", value), message, "", missing)
    if missing:
        raise ConversionError(f"Missing required fields: {', '.join(missing)}")


def _check(value: dict[str, Any], message: Message, path: str, missing: list[str]) -> None:
    for name, rule in message.items():
        item = value.get(name)
        if item is None:
            if rule.required:
                missing.append(path + name)
            continue
        if rule.repeated:
            if not isinstance(item, list):
                raise _unexpected(item, name)
            for index, element in enumerate(cast("list[Any]", item)):
                _check_one(element, rule, name, f"{path}{name}[{index}].", missing)
        else:
            _check_one(item, rule, name, f"{path}{name}.", missing)


def _check_one(item: Any, rule: Field, name: str, path: str, missing: list[str]) -> None:
    if not isinstance(rule.kind, str):
        if not isinstance(item, dict):
            raise _unexpected(item, name)
        _check(cast("JsonObject", item), rule.kind, path, missing)
    elif not _is_kind(item, rule.kind):
        raise _unexpected(item, name)
    elif rule.kind == "bytes":
        _check_base64(item, name)


def _is_kind(item: Any, kind: str) -> bool:
    if kind == "number":
        return _is_number(item)
    if kind == "boolean":
        return isinstance(item, bool)
    return isinstance(item, str)


def _is_number(item: Any) -> bool:
    if isinstance(item, bool) or not isinstance(item, int | float | str):
        return False
    try:
        return math.isfinite(float(item))
    except ValueError:
        return False


def _check_base64(text: str, name: str) -> None:
    try:
        base64.b64decode(text, validate=True)
    except binascii.Error as error:
        allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/="
        bad = next((c for c in text if c not in allowed), "=")
        problem = f"Failed to base64 decode bytes field '{name}': Invalid character '{bad}'"
        raise ConversionError(problem) from error


def _unexpected(item: Any, name: str) -> ConversionError:
    kind = _KIND_OF_JSON.get(type(item).__name__, "null")
    return ConversionError(f"Not expecting a JSON {kind} for field '{name}'")


def _optional(kind: str | Message) -> Field:
    return Field(kind)


def _required(kind: str | Message) -> Field:
    return Field(kind, required=True)


def _many(kind: str | Message) -> Field:
    return Field(kind, repeated=True)


_ID: Message = {"value": _required("string")}
_RANGES: Message = {"range": _many({"begin": _required("number"), "end": _required("number")})}
_RESOURCE: Message = {
    "name": _required("string"),
    "type": _required("string"),
    "scalar": _optional({"value": _required("number")}),
    "ranges": _optional(_RANGES),
    "set": _optional({"item": _many("string")}),
    "role": _optional("string"),
    "allocation_info": _optional({"role": _optional("string")}),
    "reservations": _many({"type": _optional("string"), "role": _optional("string")}),
    "disk": _optional({}),
    "revocable": _optional({}),
}
_DURATION: Message = {"nanoseconds": _required("number")}
_SECRET: Message = {
    "type": _optional("string"),
    "reference": _optional({"name": _required("string"), "key": _optional("string")}),
    "value": _optional({"data": _required("bytes")}),
}
_ENVIRONMENT: Message = {
    "variables": _many(
        {
            "name": _required("string"),
            "type": _optional("string"),
            "value": _optional("string"),
            "secret": _optional(_SECRET),
        }
    )
}
_COMMAND: Message = {
    "value": _optional("string"),
    "shell": _optional("boolean"),
    "arguments": _many("string"),
    "user": _optional("string"),
    "environment": _optional(_ENVIRONMENT),
    "uris": _many(
        {
            "value": _required("string"),
            "executable": _optional("boolean"),
            "extract": _optional("boolean"),
            "cache": _optional("boolean"),
            "output_file": _optional("string"),
        }
    ),
}
_EXECUTOR: Message = {
    "executor_id": _required(_ID),
    "framework_id": _optional(_ID),
    "type": _optional("string"),
    "command": _optional(_COMMAND),
    "resources": _many(_RESOURCE),
    "name": _optional("string"),
    "source": _optional("string"),
    "data": _optional("bytes"),
    "shutdown_grace_period": _optional(_DURATION),
}
_HEALTH_CHECK: Message = {
    "type": _optional("string"),
    "delay_seconds": _optional("number"),
    "interval_seconds": _optional("number"),
    "timeout_seconds": _optional("number"),
    "grace_period_seconds": _optional("number"),
    "consecutive_failures": _optional("number"),
    "http": _optional({"port": _required("number"), "path": _optional("string")}),
    "tcp": _optional({"port": _required("number")}),
    "command": _optional(_COMMAND),
}
_KILL_POLICY: Message = {"grace_period": _optional(_DURATION)}
_TASK: Message = {
    "name": _required("string"),
    "task_id": _required(_ID),
    "agent_id": _required(_ID),
    "resources": _many(_RESOURCE),
    "command": _optional(_COMMAND),
    "executor": _optional(_EXECUTOR),
    "container": _optional({"type": _required("string")}),
    "health_check": _optional(_HEALTH_CHECK),
    "kill_policy": _optional(_KILL_POLICY),
    "data": _optional("bytes"),
    "labels": _optional({"labels": _many({"key": _required("string")})}),
    "discovery": _optional({"visibility": _required("string")}),
}
_FRAMEWORK: Message = {
    "user": _required("string"),
    "name": _required("string"),
    "id": _optional(_ID),
    "failover_timeout": _optional("number"),
    "checkpoint": _optional("boolean"),
    "role": _optional("string"),
    "roles": _many("string"),
    "hostname": _optional("string"),
    "principal": _optional("string"),
    "webui_url": _optional("string"),
    "capabilities": _many({"type": _optional("string")}),
}
_FILTERS: Message = {"refuse_seconds": _optional("number")}
_OPERATION: Message = {
    "type": _optional("string"),
    "id": _optional(_ID),
    "launch": _optional({"task_infos": _many(_TASK)}),
    "launch_group": _optional(
        {"executor": _required(_EXECUTOR), "task_group": _required({"tasks": _many(_TASK)})}
    ),
}

SCHEDULER_CALL: Message = {
    "type": _optional("string"),
    "framework_id": _optional(_ID),
    "subscribe": _optional(
        {"framework_info": _required(_FRAMEWORK), "suppressed_roles": _many("string")}
    ),
    "accept": _optional(
        {
            "offer_ids": _many(_ID),
            "operations": _many(_OPERATION),
            "filters": _optional(_FILTERS),
        }
    ),
    "decline": _optional({"offer_ids": _many(_ID), "filters": _optional(_FILTERS)}),
    "revive": _optional({"roles": _many("string")}),
    "suppress": _optional({"roles": _many("string")}),
    "kill": _optional(
        {
            "task_id": _required(_ID),
            "agent_id": _optional(_ID),
            "kill_policy": _optional(_KILL_POLICY),
        }
    ),
    "shutdown": _optional({"executor_id": _required(_ID), "agent_id": _required(_ID)}),
    "acknowledge": _optional(
        {
            "agent_id": _required(_ID),
            "task_id": _required(_ID),
            "uuid": _required("bytes"),
        }
    ),
    "acknowledge_operation_status": _optional(
        {"uuid": _required("bytes"), "operation_id": _required(_ID)}
    ),
    "reconcile": _optional(
        {"tasks": _many({"task_id": _required(_ID), "agent_id": _optional(_ID)})}
    ),
    "reconcile_operations": _optional({}),
    "message": _optional(
        {"agent_id": _required(_ID), "executor_id": _required(_ID), "data": _required("bytes")}
    ),
    "request": _optional({"requests": _many({})}),
    "update_framework": _optional(
        {"framework_info": _required(_FRAMEWORK), "suppressed_roles": _many("string")}
    ),
    "accept_inverse_offers": _optional({}),
    "decline_inverse_offers": _optional({}),
}

_STATUS: Message = {
    "task_id": _required(_ID),
    "state": _required("string"),
    "message": _optional("string"),
    "data": _optional("bytes"),
    "uuid": _optional("bytes"),
    "timestamp": _optional("number"),
    "healthy": _optional("boolean"),
}

EXECUTOR_CALL: Message = {
    "type": _optional("string"),
    "executor_id": _required(_ID),
    "framework_id": _required(_ID),
    "subscribe": _optional(
        {
            "unacknowledged_tasks": _many(_TASK),
            "unacknowledged_updates": _many({"status": _required(_STATUS)}),
        }
    ),
    "update": _optional({"status": _required(_STATUS)}),
    "message": _optional({"data": _required("bytes")}),
}

_AGENT: Message = {"agent_id": _required(_ID)}

OPERATOR_CALL: Message = {
    "type": _optional("string"),
    "drain_agent": _optional(
        {
            "agent_id": _required(_ID),
            "max_grace_period": _optional({"seconds": _optional("number")}),
            "mark_gone": _optional("boolean"),
        }
    ),
    "deactivate_agent": _optional(_AGENT),
    "reactivate_agent": _optional(_AGENT),
    "mark_agent_gone": _optional(_AGENT),
    "teardown": _optional({"framework_id": _required(_ID)}),
    "read_file": _optional({"path": _required("string"), "offset": _required("number")}),
    "list_files": _optional({"path": _required("string")}),
}
