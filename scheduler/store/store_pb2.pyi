from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Framework(_message.Message):
    __slots__ = ("id", "registered_at_ms")
    ID_FIELD_NUMBER: _ClassVar[int]
    REGISTERED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    id: str
    registered_at_ms: int
    def __init__(self, id: _Optional[str] = ..., registered_at_ms: _Optional[int] = ...) -> None: ...

class Group(_message.Message):
    __slots__ = ("id", "version", "dependencies", "enforce_role")
    ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    DEPENDENCIES_FIELD_NUMBER: _ClassVar[int]
    ENFORCE_ROLE_FIELD_NUMBER: _ClassVar[int]
    id: str
    version: str
    dependencies: _containers.RepeatedScalarFieldContainer[str]
    enforce_role: bool
    def __init__(self, id: _Optional[str] = ..., version: _Optional[str] = ..., dependencies: _Optional[_Iterable[str]] = ..., enforce_role: _Optional[bool] = ...) -> None: ...

class AppVersion(_message.Message):
    __slots__ = ("spec", "version", "config_version", "last_scaling_at")
    SPEC_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    CONFIG_VERSION_FIELD_NUMBER: _ClassVar[int]
    LAST_SCALING_AT_FIELD_NUMBER: _ClassVar[int]
    spec: bytes
    version: str
    config_version: str
    last_scaling_at: str
    def __init__(self, spec: _Optional[bytes] = ..., version: _Optional[str] = ..., config_version: _Optional[str] = ..., last_scaling_at: _Optional[str] = ...) -> None: ...

class App(_message.Message):
    __slots__ = ("id", "version", "removed")
    ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    REMOVED_FIELD_NUMBER: _ClassVar[int]
    id: str
    version: str
    removed: bool
    def __init__(self, id: _Optional[str] = ..., version: _Optional[str] = ..., removed: _Optional[bool] = ...) -> None: ...

class Pair(_message.Message):
    __slots__ = ("name", "value")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: str
    def __init__(self, name: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...

class Agent(_message.Message):
    __slots__ = ("id", "host", "attributes", "region", "zone")
    ID_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    REGION_FIELD_NUMBER: _ClassVar[int]
    ZONE_FIELD_NUMBER: _ClassVar[int]
    id: str
    host: str
    attributes: _containers.RepeatedCompositeFieldContainer[Pair]
    region: str
    zone: str
    def __init__(self, id: _Optional[str] = ..., host: _Optional[str] = ..., attributes: _Optional[_Iterable[_Union[Pair, _Mapping]]] = ..., region: _Optional[str] = ..., zone: _Optional[str] = ...) -> None: ...

class Action(_message.Message):
    __slots__ = ("kind", "app_id")
    KIND_FIELD_NUMBER: _ClassVar[int]
    APP_ID_FIELD_NUMBER: _ClassVar[int]
    kind: str
    app_id: str
    def __init__(self, kind: _Optional[str] = ..., app_id: _Optional[str] = ...) -> None: ...

class Step(_message.Message):
    __slots__ = ("actions",)
    ACTIONS_FIELD_NUMBER: _ClassVar[int]
    actions: _containers.RepeatedCompositeFieldContainer[Action]
    def __init__(self, actions: _Optional[_Iterable[_Union[Action, _Mapping]]] = ...) -> None: ...

class Change(_message.Message):
    __slots__ = ("app_id", "before", "after")
    APP_ID_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    app_id: str
    before: str
    after: str
    def __init__(self, app_id: _Optional[str] = ..., before: _Optional[str] = ..., after: _Optional[str] = ...) -> None: ...

class Deployment(_message.Message):
    __slots__ = ("id", "version", "started_at_ms", "steps", "changes", "current_step", "step_started_at_ms", "reverts", "paused", "promoted", "untried", "group_changes")
    ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    CURRENT_STEP_FIELD_NUMBER: _ClassVar[int]
    STEP_STARTED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    REVERTS_FIELD_NUMBER: _ClassVar[int]
    PAUSED_FIELD_NUMBER: _ClassVar[int]
    PROMOTED_FIELD_NUMBER: _ClassVar[int]
    UNTRIED_FIELD_NUMBER: _ClassVar[int]
    GROUP_CHANGES_FIELD_NUMBER: _ClassVar[int]
    id: str
    version: str
    started_at_ms: int
    steps: _containers.RepeatedCompositeFieldContainer[Step]
    changes: _containers.RepeatedCompositeFieldContainer[Change]
    current_step: int
    step_started_at_ms: int
    reverts: str
    paused: str
    promoted: bool
    untried: bool
    group_changes: _containers.RepeatedCompositeFieldContainer[GroupChange]
    def __init__(self, id: _Optional[str] = ..., version: _Optional[str] = ..., started_at_ms: _Optional[int] = ..., steps: _Optional[_Iterable[_Union[Step, _Mapping]]] = ..., changes: _Optional[_Iterable[_Union[Change, _Mapping]]] = ..., current_step: _Optional[int] = ..., step_started_at_ms: _Optional[int] = ..., reverts: _Optional[str] = ..., paused: _Optional[str] = ..., promoted: _Optional[bool] = ..., untried: _Optional[bool] = ..., group_changes: _Optional[_Iterable[_Union[GroupChange, _Mapping]]] = ...) -> None: ...

class GroupChange(_message.Message):
    __slots__ = ("group_id", "before", "after")
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    group_id: str
    before: Group
    after: Group
    def __init__(self, group_id: _Optional[str] = ..., before: _Optional[_Union[Group, _Mapping]] = ..., after: _Optional[_Union[Group, _Mapping]] = ...) -> None: ...

class Pool(_message.Message):
    __slots__ = ("role", "cpus_milli", "mem_mib", "disk_mib", "gpus", "ports", "reservation")
    ROLE_FIELD_NUMBER: _ClassVar[int]
    CPUS_MILLI_FIELD_NUMBER: _ClassVar[int]
    MEM_MIB_FIELD_NUMBER: _ClassVar[int]
    DISK_MIB_FIELD_NUMBER: _ClassVar[int]
    GPUS_FIELD_NUMBER: _ClassVar[int]
    PORTS_FIELD_NUMBER: _ClassVar[int]
    RESERVATION_FIELD_NUMBER: _ClassVar[int]
    role: str
    cpus_milli: int
    mem_mib: int
    disk_mib: int
    gpus: int
    ports: _containers.RepeatedScalarFieldContainer[int]
    reservation: str
    def __init__(self, role: _Optional[str] = ..., cpus_milli: _Optional[int] = ..., mem_mib: _Optional[int] = ..., disk_mib: _Optional[int] = ..., gpus: _Optional[int] = ..., ports: _Optional[_Iterable[int]] = ..., reservation: _Optional[str] = ...) -> None: ...

class Placement(_message.Message):
    __slots__ = ("agent_id", "host", "pools", "allocated_role", "host_ports", "address", "region", "zone", "executor")
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    POOLS_FIELD_NUMBER: _ClassVar[int]
    ALLOCATED_ROLE_FIELD_NUMBER: _ClassVar[int]
    HOST_PORTS_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    REGION_FIELD_NUMBER: _ClassVar[int]
    ZONE_FIELD_NUMBER: _ClassVar[int]
    EXECUTOR_FIELD_NUMBER: _ClassVar[int]
    agent_id: str
    host: str
    pools: _containers.RepeatedCompositeFieldContainer[Pool]
    allocated_role: str
    host_ports: _containers.RepeatedScalarFieldContainer[int]
    address: str
    region: str
    zone: str
    executor: Executor
    def __init__(self, agent_id: _Optional[str] = ..., host: _Optional[str] = ..., pools: _Optional[_Iterable[_Union[Pool, _Mapping]]] = ..., allocated_role: _Optional[str] = ..., host_ports: _Optional[_Iterable[int]] = ..., address: _Optional[str] = ..., region: _Optional[str] = ..., zone: _Optional[str] = ..., executor: _Optional[_Union[Executor, _Mapping]] = ...) -> None: ...

class Executor(_message.Message):
    __slots__ = ("id", "user", "role", "uri", "pools")
    ID_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    URI_FIELD_NUMBER: _ClassVar[int]
    POOLS_FIELD_NUMBER: _ClassVar[int]
    id: str
    user: str
    role: str
    uri: str
    pools: _containers.RepeatedCompositeFieldContainer[Pool]
    def __init__(self, id: _Optional[str] = ..., user: _Optional[str] = ..., role: _Optional[str] = ..., uri: _Optional[str] = ..., pools: _Optional[_Iterable[_Union[Pool, _Mapping]]] = ...) -> None: ...

class CheckResult(_message.Message):
    __slots__ = ("alive", "consecutive_failures", "first_success_ms", "last_success_ms", "last_failure_ms", "last_failure_cause", "relapses", "consecutive_successes")
    ALIVE_FIELD_NUMBER: _ClassVar[int]
    CONSECUTIVE_FAILURES_FIELD_NUMBER: _ClassVar[int]
    FIRST_SUCCESS_MS_FIELD_NUMBER: _ClassVar[int]
    LAST_SUCCESS_MS_FIELD_NUMBER: _ClassVar[int]
    LAST_FAILURE_MS_FIELD_NUMBER: _ClassVar[int]
    LAST_FAILURE_CAUSE_FIELD_NUMBER: _ClassVar[int]
    RELAPSES_FIELD_NUMBER: _ClassVar[int]
    CONSECUTIVE_SUCCESSES_FIELD_NUMBER: _ClassVar[int]
    alive: bool
    consecutive_failures: int
    first_success_ms: int
    last_success_ms: int
    last_failure_ms: int
    last_failure_cause: str
    relapses: int
    consecutive_successes: int
    def __init__(self, alive: _Optional[bool] = ..., consecutive_failures: _Optional[int] = ..., first_success_ms: _Optional[int] = ..., last_success_ms: _Optional[int] = ..., last_failure_ms: _Optional[int] = ..., last_failure_cause: _Optional[str] = ..., relapses: _Optional[int] = ..., consecutive_successes: _Optional[int] = ...) -> None: ...

class Instance(_message.Message):
    __slots__ = ("id", "app_id", "version", "goal", "condition", "incarnation", "since_ms", "created_at_ms", "placement", "staged_at_ms", "started_at_ms", "healthy_since_ms", "task_state", "checks", "mesos_healthy", "addresses", "kill_reason", "kill_attempts", "deregistered", "unconfirmed_asks", "last_message", "ready", "solo", "proven", "attempts", "attempts_since_ms", "spare_until_ms", "unproven_since_ms")
    ID_FIELD_NUMBER: _ClassVar[int]
    APP_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    GOAL_FIELD_NUMBER: _ClassVar[int]
    CONDITION_FIELD_NUMBER: _ClassVar[int]
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    SINCE_MS_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    PLACEMENT_FIELD_NUMBER: _ClassVar[int]
    STAGED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    HEALTHY_SINCE_MS_FIELD_NUMBER: _ClassVar[int]
    TASK_STATE_FIELD_NUMBER: _ClassVar[int]
    CHECKS_FIELD_NUMBER: _ClassVar[int]
    MESOS_HEALTHY_FIELD_NUMBER: _ClassVar[int]
    ADDRESSES_FIELD_NUMBER: _ClassVar[int]
    KILL_REASON_FIELD_NUMBER: _ClassVar[int]
    KILL_ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    DEREGISTERED_FIELD_NUMBER: _ClassVar[int]
    UNCONFIRMED_ASKS_FIELD_NUMBER: _ClassVar[int]
    LAST_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    READY_FIELD_NUMBER: _ClassVar[int]
    SOLO_FIELD_NUMBER: _ClassVar[int]
    PROVEN_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_SINCE_MS_FIELD_NUMBER: _ClassVar[int]
    SPARE_UNTIL_MS_FIELD_NUMBER: _ClassVar[int]
    UNPROVEN_SINCE_MS_FIELD_NUMBER: _ClassVar[int]
    id: str
    app_id: str
    version: str
    goal: str
    condition: str
    incarnation: int
    since_ms: int
    created_at_ms: int
    placement: Placement
    staged_at_ms: int
    started_at_ms: int
    healthy_since_ms: int
    task_state: str
    checks: _containers.RepeatedCompositeFieldContainer[CheckResult]
    mesos_healthy: bool
    addresses: _containers.RepeatedScalarFieldContainer[str]
    kill_reason: str
    kill_attempts: int
    deregistered: bool
    unconfirmed_asks: int
    last_message: str
    ready: bool
    solo: bool
    proven: bool
    attempts: int
    attempts_since_ms: int
    spare_until_ms: int
    unproven_since_ms: int
    def __init__(self, id: _Optional[str] = ..., app_id: _Optional[str] = ..., version: _Optional[str] = ..., goal: _Optional[str] = ..., condition: _Optional[str] = ..., incarnation: _Optional[int] = ..., since_ms: _Optional[int] = ..., created_at_ms: _Optional[int] = ..., placement: _Optional[_Union[Placement, _Mapping]] = ..., staged_at_ms: _Optional[int] = ..., started_at_ms: _Optional[int] = ..., healthy_since_ms: _Optional[int] = ..., task_state: _Optional[str] = ..., checks: _Optional[_Iterable[_Union[CheckResult, _Mapping]]] = ..., mesos_healthy: _Optional[bool] = ..., addresses: _Optional[_Iterable[str]] = ..., kill_reason: _Optional[str] = ..., kill_attempts: _Optional[int] = ..., deregistered: _Optional[bool] = ..., unconfirmed_asks: _Optional[int] = ..., last_message: _Optional[str] = ..., ready: _Optional[bool] = ..., solo: _Optional[bool] = ..., proven: _Optional[bool] = ..., attempts: _Optional[int] = ..., attempts_since_ms: _Optional[int] = ..., spare_until_ms: _Optional[int] = ..., unproven_since_ms: _Optional[int] = ...) -> None: ...

class Delay(_message.Message):
    __slots__ = ("app_id", "version", "delay_ms", "until_ms", "last_failure_ms")
    APP_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    DELAY_MS_FIELD_NUMBER: _ClassVar[int]
    UNTIL_MS_FIELD_NUMBER: _ClassVar[int]
    LAST_FAILURE_MS_FIELD_NUMBER: _ClassVar[int]
    app_id: str
    version: str
    delay_ms: int
    until_ms: int
    last_failure_ms: int
    def __init__(self, app_id: _Optional[str] = ..., version: _Optional[str] = ..., delay_ms: _Optional[int] = ..., until_ms: _Optional[int] = ..., last_failure_ms: _Optional[int] = ...) -> None: ...

class Failure(_message.Message):
    __slots__ = ("app_id", "task_id", "state", "message", "host", "agent_id", "version", "at_ms")
    APP_ID_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    AT_MS_FIELD_NUMBER: _ClassVar[int]
    app_id: str
    task_id: str
    state: str
    message: str
    host: str
    agent_id: str
    version: str
    at_ms: int
    def __init__(self, app_id: _Optional[str] = ..., task_id: _Optional[str] = ..., state: _Optional[str] = ..., message: _Optional[str] = ..., host: _Optional[str] = ..., agent_id: _Optional[str] = ..., version: _Optional[str] = ..., at_ms: _Optional[int] = ...) -> None: ...

class Ended(_message.Message):
    __slots__ = ("instance_id", "app_id", "incarnation", "at_ms")
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    APP_ID_FIELD_NUMBER: _ClassVar[int]
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    AT_MS_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    app_id: str
    incarnation: int
    at_ms: int
    def __init__(self, instance_id: _Optional[str] = ..., app_id: _Optional[str] = ..., incarnation: _Optional[int] = ..., at_ms: _Optional[int] = ...) -> None: ...

class Rollout(_message.Message):
    __slots__ = ("app_id", "deployment_id", "serving", "progressed_at_ms")
    APP_ID_FIELD_NUMBER: _ClassVar[int]
    DEPLOYMENT_ID_FIELD_NUMBER: _ClassVar[int]
    SERVING_FIELD_NUMBER: _ClassVar[int]
    PROGRESSED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    app_id: str
    deployment_id: str
    serving: int
    progressed_at_ms: int
    def __init__(self, app_id: _Optional[str] = ..., deployment_id: _Optional[str] = ..., serving: _Optional[int] = ..., progressed_at_ms: _Optional[int] = ...) -> None: ...

class Upsert(_message.Message):
    __slots__ = ("spec", "expect")
    SPEC_FIELD_NUMBER: _ClassVar[int]
    EXPECT_FIELD_NUMBER: _ClassVar[int]
    spec: bytes
    expect: str
    def __init__(self, spec: _Optional[bytes] = ..., expect: _Optional[str] = ...) -> None: ...

class Removal(_message.Message):
    __slots__ = ("app_id", "expect")
    APP_ID_FIELD_NUMBER: _ClassVar[int]
    EXPECT_FIELD_NUMBER: _ClassVar[int]
    app_id: str
    expect: str
    def __init__(self, app_id: _Optional[str] = ..., expect: _Optional[str] = ...) -> None: ...

class Queued(_message.Message):
    __slots__ = ("id", "queued_at_ms", "upserts", "removals", "restarts", "groups", "removed_groups")
    ID_FIELD_NUMBER: _ClassVar[int]
    QUEUED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    UPSERTS_FIELD_NUMBER: _ClassVar[int]
    REMOVALS_FIELD_NUMBER: _ClassVar[int]
    RESTARTS_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    REMOVED_GROUPS_FIELD_NUMBER: _ClassVar[int]
    id: str
    queued_at_ms: int
    upserts: _containers.RepeatedCompositeFieldContainer[Upsert]
    removals: _containers.RepeatedCompositeFieldContainer[Removal]
    restarts: _containers.RepeatedScalarFieldContainer[str]
    groups: _containers.RepeatedCompositeFieldContainer[Group]
    removed_groups: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, id: _Optional[str] = ..., queued_at_ms: _Optional[int] = ..., upserts: _Optional[_Iterable[_Union[Upsert, _Mapping]]] = ..., removals: _Optional[_Iterable[_Union[Removal, _Mapping]]] = ..., restarts: _Optional[_Iterable[str]] = ..., groups: _Optional[_Iterable[_Union[Group, _Mapping]]] = ..., removed_groups: _Optional[_Iterable[str]] = ...) -> None: ...

class Finished(_message.Message):
    __slots__ = ("id", "outcome", "version", "ended_at_ms", "started_at_ms", "changes", "reason", "reverts", "reverted_by")
    ID_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REVERTS_FIELD_NUMBER: _ClassVar[int]
    REVERTED_BY_FIELD_NUMBER: _ClassVar[int]
    id: str
    outcome: str
    version: str
    ended_at_ms: int
    started_at_ms: int
    changes: _containers.RepeatedCompositeFieldContainer[Change]
    reason: str
    reverts: str
    reverted_by: str
    def __init__(self, id: _Optional[str] = ..., outcome: _Optional[str] = ..., version: _Optional[str] = ..., ended_at_ms: _Optional[int] = ..., started_at_ms: _Optional[int] = ..., changes: _Optional[_Iterable[_Union[Change, _Mapping]]] = ..., reason: _Optional[str] = ..., reverts: _Optional[str] = ..., reverted_by: _Optional[str] = ...) -> None: ...

class RolledBack(_message.Message):
    __slots__ = ("app_id", "version", "at_ms", "reason")
    APP_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    AT_MS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    app_id: str
    version: str
    at_ms: int
    reason: str
    def __init__(self, app_id: _Optional[str] = ..., version: _Optional[str] = ..., at_ms: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...
