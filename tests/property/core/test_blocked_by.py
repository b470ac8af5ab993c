"""Whatever a deployment is said to wait for is true, in any state that the walks come to."""

from collections import Counter

import pytest

from scheduler.core import World
from scheduler.core.backoff import is_delayed
from scheduler.core.deployments import is_satisfied
from scheduler.core.explain import Block, BlockedBy, blocked_by
from scheduler.core.ids import DeploymentId
from scheduler.core.instance import Condition, Goal, Instance
from scheduler.core.targets import target_of
from tests.property.core.walks import Walk

SEEDS = range(60)
STEPS = 120
ENDING = frozenset({Condition.DRAINING, Condition.KILLING})
STARTING = frozenset({Condition.PROVISIONED, Condition.STAGING, Condition.STARTING})


def unfinished(world: World, deployment_id: DeploymentId) -> list[str]:
    deployment = world.deployments[deployment_id]
    step = deployment.steps[deployment.current_step]
    return [action.app_id for action in step.actions if not is_satisfied(world, action)]


def counted(block: BlockedBy, world: World) -> int:
    """Count the instances that are as a reason says, from the instances themselves."""
    target = target_of(world, block.app_id)
    of_app = [one for one in world.instances.values() if one.app_id == block.app_id]
    new = [one for one in of_app if target.version and one.version == target.config_version]
    return sum(_is_so(one, block.block) for one in (of_app if block.block in ALL else new))


ALL = frozenset({Block.KILL, Block.UNREACHABLE})
"""Reasons that concern the instances of every version."""


def _is_so(one: Instance, block: Block) -> bool:
    is_well = one.condition is Condition.RUNNING and one.healthy_since_ms is not None
    match block:
        case Block.BACKOFF | Block.OFFERS:
            return one.condition is Condition.SCHEDULED and one.goal is Goal.RUNNING
        case Block.KILL:
            return one.condition in ENDING
        case Block.LAUNCH:
            return one.condition in STARTING
        case Block.HEALTH:
            return one.condition is Condition.RUNNING and not is_well
        case Block.READINESS:
            return is_well and not one.ready
        case Block.PROVING:
            return is_well and one.ready and not one.proven
        case Block.UNREACHABLE:
            return one.condition is Condition.UNREACHABLE
        case _:
            return False


def lies(block: BlockedBy, world: World, deployment_id: DeploymentId, now_ms: int) -> list[str]:
    """List what a reason claims and is not so."""
    told: list[str] = []
    target, deployment = target_of(world, block.app_id), world.deployments[deployment_id]
    match block.block:
        case Block.PAUSED:
            return [] if deployment.paused is not None else ["paused"]
        case Block.CONNECTION:
            return [] if not world.connected else ["connected"]
        case Block.BRAKE:
            return [] if world.brake.holds and block.instances > 0 else ["the brake does not hold"]
        case Block.PROMOTION:
            policy = target.spec.update
            is_true = policy is not None and policy.canary_instances and not deployment.promoted
            return [] if is_true else ["nothing to promote"]
        case Block.OTHER:
            return ["it has no reason"]
        case _:
            found = counted(block, world)
    if not found or found != block.instances:
        told.append(f"{found}, not {block.instances}")
    if block.block in {Block.BACKOFF, Block.OFFERS}:
        key = block.app_id, target.config_version
        if is_delayed(world, *key, now_ms) is not (block.block is Block.BACKOFF):
            told.append("it is (not) delayed")
        failure = world.failures.get(block.app_id)
        if "the last one" in block.message and (failure is None or failure.version != key[1]):
            told.append("not the failure of this version")
        report = world.reports.by_class.get(key)
        if "none fits" in block.message:
            assert report is not None
            if report.latest.total() != report.latest_processed:
                told.append("some did fit")
    return told


@pytest.mark.parametrize("seed", SEEDS)
def test_every_unfinished_step_has_a_reason_and_it_is_true(seed: int) -> None:
    walk = Walk(seed)
    walk.connect()
    for _ in range(STEPS):
        walk.step()
        for deployment_id in walk.world.deployments:
            blocks = blocked_by(walk.world, deployment_id, walk.now_ms)
            assert [one.app_id for one in blocks] == unfinished(walk.world, deployment_id)
            for block in blocks:
                assert lies(block, walk.world, deployment_id, walk.now_ms) == [], block


def test_the_walks_meet_the_reasons() -> None:
    """Those that are never met are proved by nothing here; canaries seldom get to serve."""
    seen: Counter[Block] = Counter()
    for seed in SEEDS:
        walk = Walk(seed)
        walk.connect()
        for _ in range(STEPS):
            walk.step()
            for deployment_id in walk.world.deployments:
                seen.update(b.block for b in blocked_by(walk.world, deployment_id, walk.now_ms))
    assert not {*Block} - set(seen) - {Block.OTHER, Block.PROMOTION}
