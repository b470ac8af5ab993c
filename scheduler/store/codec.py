"""Turn entities into the bytes that are stored, and back.

Messages are defined in ``protos/store.proto``. Only an app's definition is not: it is stored as
the canonical JSON of ``scheduler.spec``, so that it is defined once. Decoding is strict: what
does not give the entity its key promises is CorruptState, never a guess.
"""

from collections.abc import Callable
from sys import intern

from attrs import frozen

from scheduler.core.app import AppSpec
from scheduler.core.deployment import Action, ActionKind, Deployment, GroupChange, Step
from scheduler.core.executors import Executor, ExecutorId
from scheduler.core.group import Group
from scheduler.core.ids import (
    AgentId,
    AppId,
    DeploymentId,
    FrameworkId,
    GroupId,
    InstanceId,
    TaskId,
    Version,
)
from scheduler.core.instance import (
    CheckResult,
    Condition,
    Goal,
    Instance,
    Placement,
    TaskState,
)
from scheduler.core.offer import Agent, Pool, PortRange
from scheduler.core.records import (
    App,
    AppVersion,
    Delay,
    Ended,
    Entity,
    Failure,
    Finished,
    Framework,
    Kind,
    Put,
    Queued,
    RolledBack,
    Rollout,
    put,
)
from scheduler.core.wishes import Removal, Upsert
from scheduler.store import store_pb2 as pb
from scheduler.store.contract import CorruptState
from scheduler.store.finished import change_message, change_of, decode_finished, encode_finished

# ------------------------------------------------------------------ instances


def _encode_instance(it: Instance) -> bytes:
    return pb.Instance(
        id=it.id,
        app_id=it.app_id,
        version=it.version,
        goal=it.goal,
        condition=it.condition,
        incarnation=it.incarnation,
        since_ms=it.since_ms,
        created_at_ms=it.created_at_ms,
        placement=None if it.placement is None else _placement_message(it.placement),
        staged_at_ms=it.staged_at_ms,
        started_at_ms=it.started_at_ms,
        healthy_since_ms=it.healthy_since_ms,
        task_state=it.task_state,
        checks=[_check_message(check) for check in it.checks],
        mesos_healthy=it.mesos_healthy,
        addresses=it.addresses,
        kill_reason=it.kill_reason,
        kill_attempts=it.kill_attempts,
        deregistered=it.deregistered,
        unconfirmed_asks=it.unconfirmed_asks,
        last_message=it.last_message,
        solo=it.solo,
        ready=it.ready,
        proven=it.proven,
        attempts=it.attempts,
        attempts_since_ms=it.attempts_since_ms,
        spare_until_ms=it.spare_until_ms,
        unproven_since_ms=it.unproven_since_ms,
    ).SerializeToString()


def _decode_instance(value: bytes) -> Instance:
    it = pb.Instance.FromString(value)
    # Interned: a hundred thousand instances share a few thousand app ids, versions and hosts.
    return Instance(
        id=InstanceId(it.id),
        app_id=AppId(intern(it.app_id)),
        version=Version(intern(it.version)),
        goal=Goal(it.goal),
        condition=Condition(it.condition),
        incarnation=it.incarnation,
        since_ms=it.since_ms,
        created_at_ms=it.created_at_ms,
        placement=_placement(it.placement) if it.HasField("placement") else None,
        staged_at_ms=it.staged_at_ms if it.HasField("staged_at_ms") else None,
        started_at_ms=it.started_at_ms if it.HasField("started_at_ms") else None,
        healthy_since_ms=it.healthy_since_ms if it.HasField("healthy_since_ms") else None,
        task_state=TaskState(it.task_state) if it.HasField("task_state") else None,
        checks=tuple(_check(check) for check in it.checks),
        mesos_healthy=it.mesos_healthy if it.HasField("mesos_healthy") else None,
        addresses=tuple(it.addresses),
        kill_reason=it.kill_reason if it.HasField("kill_reason") else None,
        kill_attempts=it.kill_attempts,
        deregistered=it.deregistered,
        unconfirmed_asks=it.unconfirmed_asks,
        last_message=it.last_message if it.HasField("last_message") else None,
        solo=it.solo,
        ready=it.ready,
        proven=it.proven,
        attempts=it.attempts,
        attempts_since_ms=it.attempts_since_ms,
        spare_until_ms=it.spare_until_ms if it.HasField("spare_until_ms") else None,
        unproven_since_ms=it.unproven_since_ms if it.HasField("unproven_since_ms") else None,
    )


def _placement_message(it: Placement) -> pb.Placement:
    return pb.Placement(
        agent_id=it.agent_id,
        host=it.host,
        pools=[_pool_message(pool) for pool in it.pools],
        allocated_role=it.allocated_role,
        host_ports=it.host_ports,
        address=it.address,
        region=it.region,
        zone=it.zone,
        executor=None if it.executor is None else _executor_message(it.executor),
    )


def _placement(it: pb.Placement) -> Placement:
    return Placement(
        agent_id=AgentId(intern(it.agent_id)),
        host=intern(it.host),
        pools=tuple(_pool(pool) for pool in it.pools),
        allocated_role=intern(it.allocated_role),
        host_ports=tuple(it.host_ports),
        address=intern(it.address),
        region=intern(it.region) if it.HasField("region") else None,
        zone=intern(it.zone) if it.HasField("zone") else None,
        executor=_executor(it.executor) if it.HasField("executor") else None,
    )


def _executor_message(it: Executor) -> pb.Executor:
    return pb.Executor(
        id=it.id,
        user=it.user,
        role=it.role,
        uri=it.uri,
        pools=[_pool_message(pool) for pool in it.pools],
    )


def _executor(it: pb.Executor) -> Executor:
    return Executor(
        id=ExecutorId(intern(it.id)),
        user=intern(it.user) if it.HasField("user") else None,
        role=intern(it.role),
        uri=intern(it.uri),
        pools=tuple(_pool(pool) for pool in it.pools),
    )


def _pool_message(it: Pool) -> pb.Pool:
    return pb.Pool(
        role=it.role,
        cpus_milli=it.cpus_milli,
        mem_mib=it.mem_mib,
        disk_mib=it.disk_mib,
        gpus=it.gpus,
        ports=[port for ports in it.ports for port in (ports.begin, ports.end)],
        reservation=it.reservation,
    )


def _pool(it: pb.Pool) -> Pool:
    ports = list(it.ports)
    return Pool(
        role=intern(it.role),
        cpus_milli=it.cpus_milli,
        mem_mib=it.mem_mib,
        disk_mib=it.disk_mib,
        gpus=it.gpus,
        ports=tuple(
            PortRange(begin, end) for begin, end in zip(ports[::2], ports[1::2], strict=True)
        ),
        reservation=intern(it.reservation),
    )


def _check_message(it: CheckResult) -> pb.CheckResult:
    return pb.CheckResult(
        alive=it.alive,
        consecutive_failures=it.consecutive_failures,
        first_success_ms=it.first_success_ms,
        last_success_ms=it.last_success_ms,
        last_failure_ms=it.last_failure_ms,
        last_failure_cause=it.last_failure_cause,
        relapses=it.relapses,
        consecutive_successes=it.consecutive_successes,
    )


def _check(it: pb.CheckResult) -> CheckResult:
    return CheckResult(
        alive=it.alive if it.HasField("alive") else None,
        consecutive_failures=it.consecutive_failures,
        first_success_ms=it.first_success_ms if it.HasField("first_success_ms") else None,
        last_success_ms=it.last_success_ms if it.HasField("last_success_ms") else None,
        last_failure_ms=it.last_failure_ms if it.HasField("last_failure_ms") else None,
        last_failure_cause=it.last_failure_cause if it.HasField("last_failure_cause") else None,
        relapses=it.relapses,
        consecutive_successes=it.consecutive_successes,
    )


# ---------------------------------------------------------------- deployments


def _encode_deployment(it: Deployment) -> bytes:
    return pb.Deployment(
        id=it.id,
        version=it.version,
        started_at_ms=it.started_at_ms,
        steps=[
            pb.Step(actions=[pb.Action(kind=act.kind, app_id=act.app_id) for act in step.actions])
            for step in it.steps
        ],
        changes=[change_message(change) for change in it.changes],
        current_step=it.current_step,
        step_started_at_ms=it.step_started_at_ms,
        reverts=it.reverts,
        paused=it.paused,
        promoted=it.promoted,
        untried=it.untried,
        group_changes=[
            pb.GroupChange(
                group_id=one.group_id,
                before=None if one.before is None else _group_message(one.before),
                after=None if one.after is None else _group_message(one.after),
            )
            for one in it.group_changes
        ],
    ).SerializeToString()


def _decode_deployment(value: bytes) -> Deployment:
    it = pb.Deployment.FromString(value)
    return Deployment(
        id=DeploymentId(it.id),
        version=Version(it.version),
        started_at_ms=it.started_at_ms,
        steps=tuple(
            Step(tuple(Action(ActionKind(act.kind), AppId(act.app_id)) for act in step.actions))
            for step in it.steps
        ),
        changes=tuple(change_of(change) for change in it.changes),
        current_step=it.current_step,
        step_started_at_ms=it.step_started_at_ms,
        reverts=DeploymentId(it.reverts) if it.HasField("reverts") else None,
        paused=it.paused if it.HasField("paused") else None,
        promoted=it.promoted,
        untried=it.untried,
        group_changes=tuple(
            GroupChange(
                GroupId(one.group_id),
                before=_group(one.before) if one.HasField("before") else None,
                after=_group(one.after) if one.HasField("after") else None,
            )
            for one in it.group_changes
        ),
    )


# ------------------------------------------------------------------- the rest


def _encode_framework(it: Framework) -> bytes:
    return pb.Framework(id=it.id, registered_at_ms=it.registered_at_ms).SerializeToString()


def _decode_framework(value: bytes) -> Framework:
    it = pb.Framework.FromString(value)
    if not it.id:
        raise ValueError("it has no framework id")
    return Framework(id=FrameworkId(it.id), registered_at_ms=it.registered_at_ms)


def _group_message(it: Group) -> pb.Group:
    return pb.Group(
        id=it.id,
        version=it.version,
        dependencies=it.dependencies,
        enforce_role=it.enforce_role,
    )


def _encode_group(it: Group) -> bytes:
    return _group_message(it).SerializeToString()


def _decode_group(value: bytes) -> Group:
    return _group(pb.Group.FromString(value))


def _group(it: pb.Group) -> Group:
    return Group(
        id=GroupId(it.id),
        version=Version(it.version),
        dependencies=tuple(it.dependencies),
        enforce_role=it.enforce_role if it.HasField("enforce_role") else None,
    )


def _encode_app(it: App) -> bytes:
    return pb.App(id=it.id, version=it.version, removed=it.removed).SerializeToString()


def _decode_app(value: bytes) -> App:
    it = pb.App.FromString(value)
    return App(id=AppId(intern(it.id)), version=Version(intern(it.version)), removed=it.removed)


def _encode_agent(it: Agent) -> bytes:
    return pb.Agent(
        id=it.id,
        host=it.host,
        attributes=[pb.Pair(name=name, value=value) for name, value in it.attributes],
        region=it.region,
        zone=it.zone,
    ).SerializeToString()


def _decode_agent(value: bytes) -> Agent:
    it = pb.Agent.FromString(value)
    return Agent(
        id=AgentId(intern(it.id)),
        host=intern(it.host),
        attributes=tuple((pair.name, pair.value) for pair in it.attributes),
        region=it.region if it.HasField("region") else None,
        zone=it.zone if it.HasField("zone") else None,
    )


def _encode_delay(it: Delay) -> bytes:
    return pb.Delay(
        app_id=it.app_id,
        version=it.version,
        delay_ms=it.delay_ms,
        until_ms=it.until_ms,
        last_failure_ms=it.last_failure_ms,
    ).SerializeToString()


def _decode_delay(value: bytes) -> Delay:
    it = pb.Delay.FromString(value)
    return Delay(
        app_id=AppId(intern(it.app_id)),
        version=Version(intern(it.version)),
        delay_ms=it.delay_ms,
        until_ms=it.until_ms,
        last_failure_ms=it.last_failure_ms,
    )


def _encode_failure(it: Failure) -> bytes:
    return pb.Failure(
        app_id=it.app_id,
        task_id=it.task_id,
        state=it.state,
        message=it.message,
        host=it.host,
        agent_id=it.agent_id,
        version=it.version,
        at_ms=it.at_ms,
    ).SerializeToString()


def _decode_failure(value: bytes) -> Failure:
    it = pb.Failure.FromString(value)
    return Failure(
        app_id=AppId(intern(it.app_id)),
        task_id=TaskId(it.task_id),
        state=TaskState(it.state),
        message=it.message,
        host=it.host,
        agent_id=AgentId(it.agent_id) if it.HasField("agent_id") else None,
        version=Version(intern(it.version)),
        at_ms=it.at_ms,
    )


def _encode_ended(it: Ended) -> bytes:
    return pb.Ended(
        instance_id=it.instance_id,
        app_id=it.app_id,
        incarnation=it.incarnation,
        at_ms=it.at_ms,
    ).SerializeToString()


def _decode_ended(value: bytes) -> Ended:
    it = pb.Ended.FromString(value)
    return Ended(
        instance_id=InstanceId(it.instance_id),
        app_id=AppId(intern(it.app_id)),
        incarnation=it.incarnation,
        at_ms=it.at_ms,
    )


def _encode_rollout(it: Rollout) -> bytes:
    return pb.Rollout(
        app_id=it.app_id,
        deployment_id=it.deployment_id,
        serving=it.serving,
        progressed_at_ms=it.progressed_at_ms,
    ).SerializeToString()


def _decode_rollout(value: bytes) -> Rollout:
    it = pb.Rollout.FromString(value)
    return Rollout(
        app_id=AppId(intern(it.app_id)),
        deployment_id=DeploymentId(it.deployment_id),
        serving=it.serving,
        progressed_at_ms=it.progressed_at_ms,
    )


def _encode_rolled_back(it: RolledBack) -> bytes:
    return pb.RolledBack(
        app_id=it.app_id,
        version=it.version,
        at_ms=it.at_ms,
        reason=it.reason,
    ).SerializeToString()


def _decode_rolled_back(value: bytes) -> RolledBack:
    it = pb.RolledBack.FromString(value)
    return RolledBack(
        app_id=AppId(intern(it.app_id)),
        version=Version(intern(it.version)),
        at_ms=it.at_ms,
        reason=it.reason,
    )


# ------------------------------------------------------------------- the codec

_ENCODERS: dict[type, Callable[..., bytes]] = {
    Framework: _encode_framework,
    Group: _encode_group,
    App: _encode_app,
    Agent: _encode_agent,
    Deployment: _encode_deployment,
    Instance: _encode_instance,
    Delay: _encode_delay,
    Failure: _encode_failure,
    Ended: _encode_ended,
    Rollout: _encode_rollout,
    RolledBack: _encode_rolled_back,
    Finished: encode_finished,
}

_DECODERS: dict[Kind, Callable[[bytes], Entity]] = {
    Kind.FRAMEWORK: _decode_framework,
    Kind.GROUP: _decode_group,
    Kind.APP: _decode_app,
    Kind.AGENT: _decode_agent,
    Kind.DEPLOYMENT: _decode_deployment,
    Kind.INSTANCE: _decode_instance,
    Kind.DELAY: _decode_delay,
    Kind.FAILURE: _decode_failure,
    Kind.ENDED: _decode_ended,
    Kind.ROLLOUT: _decode_rollout,
    Kind.ROLLED_BACK: _decode_rolled_back,
    Kind.FINISHED: decode_finished,
}


@frozen
class Codec:
    """The two directions; what turns an app's definition into bytes is handed in."""

    encode_spec: Callable[[AppSpec], bytes]
    decode_spec: Callable[[bytes], AppSpec]

    def encode(self, entity: Entity) -> bytes:
        """Give the bytes to store: equal entities give equal bytes."""
        if isinstance(entity, AppVersion):
            return self._encode_version(entity)
        if isinstance(entity, Queued):
            return self._encode_queued(entity)
        return _ENCODERS[type(entity)](entity)

    def decode(self, kind: str, key: str, value: bytes) -> Put:
        """Give back the record that was stored under ``kind`` and ``key``.

        Raises:
            CorruptState: the bytes are none of this kind, or belong to another key.
        """
        try:
            known = Kind(kind)
            match known:
                case Kind.VERSION:
                    entity = self._decode_version(value)
                case Kind.QUEUED:
                    entity = self._decode_queued(value)
                case _:
                    entity = _DECODERS[known](value)
        except Exception as error:
            # Whatever a decoder stumbles over, a protobuf, a word or the JSON of a definition:
            # the record is damaged, and the one thing to know is which.
            raise CorruptState(
                f"stored record {kind} {key!r} cannot be decoded: {type(error).__name__}: {error}"
            ) from error
        record = put(entity)
        if record.key != key:
            raise CorruptState(f"stored record {kind} {key!r} holds the value of {record.key!r}")
        return record

    def _encode_version(self, it: AppVersion) -> bytes:
        return pb.AppVersion(
            spec=self.encode_spec(it.spec),
            version=it.version,
            config_version=it.config_version,
            last_scaling_at=it.last_scaling_at,
        ).SerializeToString()

    def _decode_version(self, value: bytes) -> AppVersion:
        it = pb.AppVersion.FromString(value)
        return AppVersion(
            spec=self.decode_spec(it.spec),
            version=Version(intern(it.version)),
            config_version=Version(intern(it.config_version)),
            last_scaling_at=Version(it.last_scaling_at),
        )

    def _encode_queued(self, it: Queued) -> bytes:
        return pb.Queued(
            id=it.id,
            queued_at_ms=it.queued_at_ms,
            upserts=[
                pb.Upsert(spec=self.encode_spec(one.spec), expect=one.expect) for one in it.upserts
            ],
            removals=[pb.Removal(app_id=one.app_id, expect=one.expect) for one in it.removals],
            restarts=it.restarts,
            groups=[_group_message(group) for group in it.groups],
            removed_groups=it.removed_groups,
        ).SerializeToString()

    def _decode_queued(self, value: bytes) -> Queued:
        it = pb.Queued.FromString(value)
        return Queued(
            id=DeploymentId(it.id),
            queued_at_ms=it.queued_at_ms,
            upserts=tuple(
                Upsert(
                    spec=self.decode_spec(one.spec),
                    expect=Version(one.expect) if one.HasField("expect") else None,
                )
                for one in it.upserts
            ),
            removals=tuple(
                Removal(
                    app_id=AppId(one.app_id),
                    expect=Version(one.expect) if one.HasField("expect") else None,
                )
                for one in it.removals
            ),
            restarts=tuple(AppId(app_id) for app_id in it.restarts),
            groups=tuple(_group(group) for group in it.groups),
            removed_groups=tuple(GroupId(group_id) for group_id in it.removed_groups),
        )
