"""Say for each handler what it takes and what it answers: the part of OpenAPI no type tells."""

from typing import Any

from attrs import frozen

from scheduler.api import apps, deployments, egret, groups, info, page, queue, tasks
from scheduler.api.context import Handler
from scheduler.api.stream import stream_events

Json = dict[str, Any]

_READ = (400, 404, 503)
_WRITE = (400, 403, 404, 409, 413, 415, 422, 429, 503)


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _array(items: Json) -> Json:
    return {"type": "array", "items": items}


def _object(**properties: Json) -> Json:
    return {"type": "object", "properties": properties, "required": list(properties)}


@frozen
class Operation:
    answer: Json | None = None
    """Schema of a success; None has no body."""
    query: tuple[str, ...] = ()
    body: Json | None = None
    errors: tuple[int, ...] = ()
    statuses: tuple[int, ...] = (200,)
    media_type: str = "application/json"
    other_types: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()


# Marathon takes any text: what is not true is false.
_FLAG: Json = {"type": "string", "examples": ["true", "false"]}
_TEXT: Json = {"type": "string"}
_EMBED: Json = _array(_TEXT)

QUERIES: dict[str, tuple[str, Json]] = {
    "force": ("whether locks by deployments are overridden", _FLAG),
    "queue": ("whether to wait for locks by deployments", _FLAG),
    "partialUpdate": ("whether fields that are not named are kept; true unless told", _FLAG),
    "strict": ("whether unknown fields are refused", _FLAG),
    "dryRun": ("whether only the steps, differences and capacity on the way are shown", _FLAG),
    "keepScale": ("whether apps listed without a count keep theirs", _FLAG),
    "scale": ("whether the apps' instance counts are lowered", _FLAG),
    "wipe": ("whether the instances are forgotten", _FLAG),
    "ifVersion": ("change only this version", _TEXT),
    "embed": ("what to show in addition", _EMBED),
    "cmd": ("part of the command, in any case", _TEXT),
    "id": ("part of the id, in any case", _TEXT),
    "label": ("a label selector", _TEXT),
    "host": ("only tasks on this agent", _TEXT),
    "status": (
        "running or staging",
        _array({"type": "string", "examples": ["running", "staging"]}),
    ),
    "event_type": ("only events of these types", _array(_TEXT)),
    "confirm": ("id of the framework", _TEXT),
    "seconds": ("how long; 0 ends it", _TEXT),
}

_CHANGE = ("force", "queue", "strict", "dryRun", "ifVersion")
_DEPLOYED = {"anyOf": [_ref("Deployed"), _ref("Rehearsal")]}
_KILLED_QUERY = ("scale", "wipe", "force")
_IF_MATCH = ("If-Match",)
_APP = _ref("AppUpdate")
_GROUP_QUERY = (*_CHANGE, "keepScale")
_PLAIN = "text/plain"
_MESSAGE = _object(message=_TEXT)

OPERATIONS: dict[Handler, Operation] = {
    page.show_page: Operation(_TEXT, media_type="text/html"),
    page.show_script: Operation(_TEXT, media_type="text/javascript"),
    page.show_style: Operation(_TEXT, media_type="text/css"),
    info.ping: Operation(_TEXT, statuses=(200, 204), media_type=_PLAIN),
    info.show_metrics: Operation(_TEXT, media_type=_PLAIN, other_types=("application/json",)),
    info.show_prometheus: Operation(_TEXT, media_type=_PLAIN),
    info.download: Operation(_TEXT, errors=(404,), media_type="application/octet-stream"),
    info.show_info: Operation(_ref("Info"), ("embed",)),
    info.show_leader: Operation(_object(leader=_TEXT), errors=(404,)),
    info.abdicate: Operation(_MESSAGE, errors=(403, 404, 409, 503)),
    egret.show_discovery: Operation(_ref("Discovery"), errors=(503,)),
    egret.list_unknown_tasks: Operation(_object(tasks=_array(_ref("UnknownTask"))), errors=(503,)),
    egret.kill_unknown_tasks: Operation(
        body=_object(ids=_array(_TEXT)), errors=_WRITE, statuses=(202,)
    ),
    egret.show_brake: Operation(_ref("Brake"), errors=(503,)),
    egret.release_brake: Operation(_ref("Brake"), ("seconds",), errors=_WRITE),
    info.teardown: Operation(_MESSAGE, ("confirm",), errors=(403, 409, 422, 503)),
    info.no_pods: Operation(errors=(403, 404), statuses=()),
    info.refuse_pods: Operation(errors=(403, 404, 422), statuses=()),
    stream_events: Operation(
        _TEXT, ("event_type",), errors=(405, 503), media_type="text/event-stream"
    ),
    apps.list_apps: Operation(
        _object(apps=_array(_ref("AppInfo"))), ("cmd", "id", "label", "embed"), errors=_READ
    ),
    apps.show_app: Operation(
        {
            "anyOf": [
                _object(app=_ref("AppInfo")),
                {"type": "object", "properties": {"*": _array(_ref("AppInfo"))}},
            ]
        },
        ("embed",),
        errors=_READ,
    ),
    apps.list_versions: Operation(_object(versions=_array(_TEXT)), errors=_READ),
    apps.show_version: Operation(_ref("AppInfo"), ("embed",), errors=(*_READ, 422)),
    apps.create_app: Operation(
        {"anyOf": [_ref("AppInfo"), _ref("Rehearsal")]},
        ("force", "queue", "strict", "dryRun"),
        _ref("NewApp"),
        _WRITE,
        (200, 201),
    ),
    apps.put_apps: Operation(
        _DEPLOYED, (*_CHANGE, "partialUpdate"), _array(_ref("NewApp")), _WRITE
    ),
    apps.patch_apps: Operation(_DEPLOYED, _CHANGE, _array(_ref("NewApp")), _WRITE),
    apps.put_app: Operation(
        _DEPLOYED, (*_CHANGE, "partialUpdate"), _APP, _WRITE, (200, 201), headers=_IF_MATCH
    ),
    apps.patch_app: Operation(_DEPLOYED, _CHANGE, _APP, _WRITE, headers=_IF_MATCH),
    apps.delete_app: Operation(
        _DEPLOYED, ("force", "queue", "dryRun", "ifVersion"), errors=_WRITE, headers=_IF_MATCH
    ),
    apps.restart_app: Operation(_DEPLOYED, ("force", "queue", "dryRun"), errors=_WRITE),
    tasks.list_app_tasks: Operation(_object(tasks=_array(_ref("Task"))), errors=_READ),
    tasks.list_tasks: Operation(_object(tasks=_array(_ref("Task"))), ("status",), errors=_READ),
    tasks.delete_app_tasks: Operation(_ref("Killed"), ("host", *_KILLED_QUERY), errors=_WRITE),
    tasks.delete_app_task: Operation(_ref("Killed"), _KILLED_QUERY, errors=_WRITE),
    tasks.delete_tasks: Operation(
        _ref("Killed"), _KILLED_QUERY, _object(ids=_array(_TEXT)), _WRITE
    ),
    groups.show_group: Operation(_ref("GroupInfo"), ("embed",), errors=_READ),
    groups.list_group_apps: Operation(_array(_ref("AppInfo")), ("embed",), errors=_READ),
    groups.list_group_versions: Operation(_array(_TEXT), errors=_READ),
    groups.show_group_version: Operation(_ref("GroupInfo"), errors=(*_READ, 422)),
    groups.create_group: Operation(
        _DEPLOYED, ("force", "queue", "strict", "dryRun"), _ref("Group"), _WRITE, (200, 201)
    ),
    groups.put_group: Operation(_DEPLOYED, _GROUP_QUERY, _ref("Group"), _WRITE, headers=_IF_MATCH),
    groups.patch_group: Operation(query=("force",), body=_ref("Group"), errors=_WRITE),
    groups.delete_group: Operation(
        _DEPLOYED, ("force", "queue", "dryRun", "ifVersion"), errors=_WRITE, headers=_IF_MATCH
    ),
    deployments.list_deployments: Operation(_array(_ref("Deployment")), ("embed",), errors=(503,)),
    deployments.show_deployment: Operation(_ref("Outcome"), errors=(404, 503)),
    deployments.cancel_deployment: Operation(
        _ref("Deployed"), ("force",), errors=_WRITE, statuses=(200, 202)
    ),
    deployments.abort_deployment: Operation(_ref("Deployed"), errors=_WRITE),
    deployments.pause_deployment: Operation(_ref("Deployed"), errors=_WRITE),
    deployments.promote_deployment: Operation(_ref("Deployed"), errors=_WRITE),
    deployments.resume_deployment: Operation(_ref("Deployed"), errors=_WRITE),
    queue.show_queue: Operation(_object(queue=_array(_ref("Queued"))), ("embed",), errors=(503,)),
    queue.reset_delay: Operation(errors=_WRITE, statuses=(204,)),
}
