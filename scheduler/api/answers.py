"""Describe the JSON of answers, for OpenAPI; what may be missing is not required."""

from typing import Any

Json = dict[str, Any]

_TEXT: Json = {"type": "string"}
_OPTIONAL_TEXT: Json = {"type": ["string", "null"]}
_WHOLE: Json = {"type": "integer"}
_BOOLEAN: Json = {"type": "boolean"}
_TIME: Json = {"type": "string", "format": "date-time"}
_ANYTHING: Json = {"type": "object"}


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _array(items: Json) -> Json:
    return {"type": "array", "items": items}


def _object(required: tuple[str, ...] = (), **properties: Json) -> Json:
    shown: Json = {"type": "object", "properties": properties}
    return {**shown, "required": list(required)} if required else shown


_ACTION = _object(("action", "app"), action=_TEXT, app=_TEXT, readinessCheckResults=_array({}))
_STEP = _object(("actions",), actions=_array(_ACTION))
_POINT_NUMBERS = dict.fromkeys(
    (
        "round", "oldServing", "newServing", "alive", "created", "ended", "minimum", "maximum",
    ),
    _WHOLE,
)  # fmt: skip
_CAPACITY = _object(
    ("step", "app", "rounds", "mayStopFirst", "pointsLeftOut", "points"),
    step=_WHOLE,
    app=_TEXT,
    rounds=_WHOLE,
    mayStopFirst=_BOOLEAN,
    pointsLeftOut=_WHOLE,
    points=_array(
        _object((*_POINT_NUMBERS, "awaitsPromotion"), **_POINT_NUMBERS, awaitsPromotion=_BOOLEAN)
    ),
)
_COUNTS = dict.fromkeys(("tasksStaged", "tasksRunning", "tasksHealthy"), _WHOLE)
_VERSION_INFO = _object(
    ("lastScalingAt", "lastConfigChangeAt"), lastScalingAt=_TIME, lastConfigChangeAt=_TIME
)
_APP_ALWAYS = (
    "id", "backoffFactor", "backoffSeconds", "cpus", "disk", "executor", "gpus", "instances",
    "killSelection", "labels", "maxLaunchDelaySeconds", "mem", "networks", "requirePorts", "role",
    "unreachableStrategy", "upgradeStrategy", "version", "versionInfo",
)  # fmt: skip

ANSWERS: dict[str, Json] = {
    "NewApp": {
        "description": "An app that is created, or one of several that are changed.",
        "allOf": [_ref("App"), {"type": "object", "required": ["id"], "properties": {"id": _TEXT}}],
    },
    "AppUpdate": {
        "description": "Fields of an app to be changed, or a version to go back to.",
        "allOf": [_ref("App"), _object(version=_OPTIONAL_TEXT)],
    },
    "AppInfo": {
        "description": "An app as it is stored, and what of it runs.",
        "allOf": [
            _ref("App"),
            _object(
                _APP_ALWAYS,
                **_COUNTS,
                version=_TIME,
                versionInfo=_VERSION_INFO,
                tasksUnhealthy=_WHOLE,
                deployments=_array(_object(("id",), id=_TEXT)),
                tasks=_array(_ref("Task")),
                readinessCheckResults=_array(_ANYTHING),
                lastTaskFailure=_ref("TaskFailure"),
                taskStats=_ANYTHING,
                rolledBack={},
                ended=_object(("finished", "failed"), finished=_WHOLE, failed=_WHOLE),
            ),
        ],
    },
    "Task": _object(
        ("appId", "id", "state", "ports", "servicePorts", "version", "role"),
        appId=_TEXT,
        id=_TEXT,
        host=_TEXT,
        ports=_array(_WHOLE),
        servicePorts=_array(_WHOLE),
        slaveId=_TEXT,
        state=_TEXT,
        stagedAt=_TIME,
        startedAt=_TIME,
        version=_TIME,
        ipAddresses=_array(_object(("ipAddress", "protocol"), ipAddress=_TEXT, protocol=_TEXT)),
        healthCheckResults=_array(_ANYTHING),
        checkResult=_ANYTHING,
        localVolumes=_array(_ANYTHING),
        region=_TEXT,
        zone=_TEXT,
        role=_TEXT,
    ),
    "TaskFailure": _object(
        ("appId", "state", "taskId", "timestamp", "version"),
        appId=_TEXT,
        host=_TEXT,
        message=_TEXT,
        state=_TEXT,
        taskId=_TEXT,
        timestamp=_TIME,
        version=_TIME,
        slaveId=_OPTIONAL_TEXT,
    ),
    "GroupInfo": _object(
        ("id", "dependencies", "version"),
        id=_TEXT,
        apps=_array(_ref("AppInfo")),
        groups=_array(_ref("GroupInfo")),
        pods=_array({}),
        dependencies=_array(_TEXT),
        enforceRole=_BOOLEAN,
        version=_TIME,
    ),
    "Deployed": _object(
        ("version", "deploymentId"), version=_TIME, deploymentId=_OPTIONAL_TEXT
    ),
    "Rehearsal": _object(
        ("steps", "changes", "lockedBy", "capacity"),
        steps=_array(_STEP),
        changes=_array(_object(("app", "fields"), app=_TEXT, fields=_array(_ANYTHING))),
        lockedBy=_array(_object(("id", "apps"), id=_TEXT, apps=_array(_TEXT))),
        capacity=_array(_CAPACITY),
    ),
    "Killed": {
        "anyOf": [
            _object(("tasks",), tasks=_array(_ref("Task"))),
            _object(("task",), task=_ref("Task")),
            _ref("Deployed"),
        ]
    },
    "Deployment": _object(
        (
            "id", "version", "affectedApps", "affectedPods", "steps", "currentActions",
            "currentStep", "totalSteps",
        ),
        id=_TEXT,
        version=_TIME,
        affectedApps=_array(_TEXT),
        affectedPods=_array(_TEXT),
        steps=_array(_STEP),
        currentActions=_array(_ACTION),
        currentStep=_WHOLE,
        totalSteps=_WHOLE,
        egret=_ANYTHING,
    ),
    "Outcome": _object(
        (
            "id", "outcome", "reason", "version", "startedAt", "endedAt", "changes", "reverts",
            "revertedBy",
        ),
        id=_TEXT,
        outcome={
            "type": "string",
            "enum": ["queued", "running", "done", "failed", "reverted", "cancelled"],
        },
        reason=_OPTIONAL_TEXT,
        version=_TIME,
        startedAt=_OPTIONAL_TEXT,
        endedAt=_OPTIONAL_TEXT,
        changes=_array(
            _object(
                ("app", "before", "after"),
                app=_TEXT,
                before=_OPTIONAL_TEXT,
                after=_OPTIONAL_TEXT,
            )
        ),
        reverts=_OPTIONAL_TEXT,
        revertedBy=_OPTIONAL_TEXT,
        currentStep=_WHOLE,
        totalSteps=_WHOLE,
        stepStartedAt=_TIME,
        paused=_OPTIONAL_TEXT,
        failed=_BOOLEAN,
        promoted=_BOOLEAN,
        blockedBy=_array(_ANYTHING),
    ),
    "Queued": _object(
        ("count", "role", "delay", "since", "app", "processedOffersSummary"),
        count=_WHOLE,
        role=_TEXT,
        delay=_object(
            ("timeLeftSeconds", "overdue"), timeLeftSeconds=_WHOLE, overdue=_BOOLEAN
        ),
        since=_TIME,
        app=_ref("AppInfo"),
        processedOffersSummary=_ANYTHING,
        lastUnusedOffers=_array(_ANYTHING),
        nearestMiss=_ANYTHING,
    ),
    "Info": _object(
        ("name", "version", "elected", "marathon_config"),
        name=_TEXT,
        version=_TEXT,
        buildref=_TEXT,
        elected=_BOOLEAN,
        leader=_OPTIONAL_TEXT,
        frameworkId=_OPTIONAL_TEXT,
        marathon_config=_ANYTHING,
        zookeeper_config=_ANYTHING,
        http_config=_ANYTHING,
        egret=_ANYTHING,
    ),
    "Discovery": _object(
        ("mode", "refusals"),
        mode=_TEXT,
        desired=_WHOLE,
        registered=_WHOLE,
        pending=_WHOLE,
        lagSeconds={"type": "number"},
        lastSuccess=_OPTIONAL_TEXT,
        lastError=_OPTIONAL_TEXT,
        failures=_WHOLE,
        refusals=_array(_object(("app", "name", "reason"), app=_TEXT, name=_TEXT, reason=_TEXT)),
    ),
    "UnknownTask": _object(
        ("id", "state", "slaveId", "host", "endedByUs", "killed"),
        id=_TEXT,
        state=_TEXT,
        slaveId=_OPTIONAL_TEXT,
        host=_OPTIONAL_TEXT,
        endedByUs=_BOOLEAN,
        killed=_BOOLEAN,
    ),
    "Brake": _object(
        (
            "engaged",
            "releasedUntil",
            "failing",
            "onceHealthy",
            "killed",
            "unreachable",
            "givenUp",
            "agents",
            "running",
            "wanted",
        ),
        engaged=_BOOLEAN,
        releasedUntil=_OPTIONAL_TEXT,
        failing=_WHOLE,
        onceHealthy=_WHOLE,
        killed=_WHOLE,
        unreachable=_WHOLE,
        givenUp=_WHOLE,
        agents=_WHOLE,
        running=_WHOLE,
        wanted=_WHOLE,
    ),
    "Error": _object(
        ("message",),
        message=_TEXT,
        details=_array(_object(("path", "errors"), path=_TEXT, errors=_array(_TEXT))),
        deployments=_array(_object(("id",), id=_TEXT)),
    ),
}  # fmt: skip
