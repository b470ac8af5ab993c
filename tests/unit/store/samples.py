"""One entity of each kind with every field set, and one with as few as there can be."""

import orjson
from attrs import evolve

from scheduler.core.app import AppSpec
from scheduler.core.deployment import Action, ActionKind, Change, Deployment, GroupChange, Step
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
from scheduler.core.instance import CheckResult, Condition, Goal, Instance, Placement, TaskState
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
    Outcome,
    Queued,
    RolledBack,
    Rollout,
)
from scheduler.core.wishes import Removal, Upsert
from scheduler.store import Codec

V1 = Version("2026-11-24T22:17:03.000Z")
V2 = Version("2026-11-24T22:18:03.000Z")
WEB = AppId("/shop/web")


def encode_spec(spec: AppSpec) -> bytes:
    """Stand in for the spec room: these tests are about bytes, not about definitions."""
    return orjson.dumps({"id": spec.id, "cmd": spec.cmd, "instances": spec.instances})


def decode_spec(text: bytes) -> AppSpec:
    return AppSpec(**orjson.loads(text))


CODEC = Codec(encode_spec, decode_spec)

FULL_INSTANCE = Instance(
    id=InstanceId("shop_web.instance-1"),
    app_id=WEB,
    version=V1,
    goal=Goal.DECOMMISSIONED,
    condition=Condition.KILLING,
    incarnation=3,
    since_ms=1_764_022_623_001,
    created_at_ms=1_764_022_623_000,
    placement=Placement(
        agent_id=AgentId("a-S1"),
        host="h1",
        pools=(
            Pool("*", 100, 32, 1, 1, (PortRange(31000, 31004), PortRange(31010, 31010)), "[]"),
            Pool("shop", mem_mib=7),
        ),
        allocated_role="shop",
        host_ports=(31000, 31010),
        address="10.0.0.1",
        region="eu",
        zone="eu-1",
        executor=Executor(
            ExecutorId("egret-shop_web.instance-1._app.3"), "www", "shop",
            "http://10.0.0.9:8080/downloads/e.pyz", (Pool("shop", 100, 32),),
        ),
    ),
    staged_at_ms=1_764_022_623_002,
    started_at_ms=0,
    healthy_since_ms=1_764_022_623_004,
    task_state=TaskState.RUNNING,
    checks=(CheckResult(), CheckResult(alive=False, consecutive_failures=2, first_success_ms=1,
            last_success_ms=2, last_failure_ms=3, last_failure_cause="timeout", relapses=4,
            consecutive_successes=5)),
    mesos_healthy=False,
    addresses=("10.1.0.1", "fd00::1"),
    kill_reason="unhealthy",
    kill_attempts=2,
    deregistered=True,
    unconfirmed_asks=1,
    last_message="exit \u00e4 \u2603",
    solo=True,
    ready=True,
    proven=True,
    attempts=2,
    attempts_since_ms=1_764_022_623_005,
    spare_until_ms=1_764_022_623_006,
    unproven_since_ms=1_764_022_623_007,
)  # fmt: skip
# As it was stored by earlier releases; the golden bytes are from their time.
INSTANCE_WITHOUT_UNPROVEN = evolve(FULL_INSTANCE, unproven_since_ms=None)
INSTANCE_WITHOUT_RELAPSES = evolve(
    INSTANCE_WITHOUT_UNPROVEN,
    checks=tuple(
        evolve(check, relapses=0, consecutive_successes=0) for check in FULL_INSTANCE.checks
    ),
)

FULL_DEPLOYMENT = Deployment(
    id=DeploymentId("d1"),
    version=V2,
    started_at_ms=5,
    steps=(
        Step((Action(ActionKind.START, WEB), Action(ActionKind.STOP, AppId("/old")))),
        Step(()),
    ),
    changes=(Change(WEB, None, V2), Change(AppId("/old"), V1, None)),
    current_step=1,
    step_started_at_ms=6,
    reverts=DeploymentId("d0"),
    paused="no progress",
    promoted=True,
    untried=True,
    group_changes=(
        GroupChange(GroupId("/shop"), None, Group(GroupId("/shop"), V2)),
        GroupChange(GroupId("/old"), Group(GroupId("/old"), V1, ("/db",), enforce_role=True), None),
    ),
)

FULL_VERSION = AppVersion(AppSpec(WEB, cmd="sleep 9", instances=3), V2, V1, V1)

SAMPLES: dict[str, Entity] = {
    "framework": Framework(FrameworkId("f-0001"), 1_764_022_623_000),
    "group": Group(GroupId("/shop"), V1, ("/db", "../cache"), enforce_role=False),
    "group, least": Group(GroupId("/shop"), V1),
    "version": FULL_VERSION,
    "app": App(WEB, V2, removed=True),
    "app, least": App(WEB, V2),
    "agent": Agent(AgentId("a-S1"), "h1", (("rack", "r1"), ("disk", "ssd")), "eu", "eu-1"),
    "agent, least": Agent(AgentId("a-S1"), "h1"),
    "deployment": FULL_DEPLOYMENT,
    "deployment, without untried": evolve(FULL_DEPLOYMENT, untried=False, group_changes=()),
    "deployment, least": Deployment(DeploymentId("d1"), V2, 0, (), ()),
    "instance": FULL_INSTANCE,
    "instance, without unproven": INSTANCE_WITHOUT_UNPROVEN,
    "instance, checks without relapses": INSTANCE_WITHOUT_RELAPSES,
    "instance, least": Instance(InstanceId("shop_web.instance-2"), WEB, V1),
    "delay": Delay(WEB, V1, 1150, 1_764_022_623_000, 1_764_022_622_000),
    "failure": Failure(WEB, TaskId("t"), TaskState.FAILED, "exit 1", "h1", AgentId("a-S1"), V1, 9),
    "failure, least": Failure(WEB, TaskId("t"), TaskState.LOST, "", "", None, V1, 9),
    "ended": Ended(InstanceId("shop_web.instance-1"), WEB, 3, 9),
    "queued": Queued(
        DeploymentId("d2"),
        9,
        (Upsert(FULL_VERSION.spec, V1), Upsert(FULL_VERSION.spec, None)),
        (Removal(WEB, V1), Removal(WEB, None)),
        (WEB,),
        (Group(GroupId("/shop"), V1, ("/db",)),),
        (GroupId("/old"),),
    ),
    "rollout": Rollout(WEB, DeploymentId("d1"), 3, 9),
    "rolled back": RolledBack(WEB, V2, 9, "no progress"),
    "finished": Finished(
        DeploymentId("d1"),
        Outcome.REVERTED,
        V2,
        9,
        8,
        (Change(WEB, V1, V2), Change(AppId("/old"), V1, None)),
        "no progress",
        DeploymentId("d0"),
        DeploymentId("d2"),
    ),
    "finished, least": Finished(DeploymentId("d1"), Outcome.DONE, V2, 9),
}
