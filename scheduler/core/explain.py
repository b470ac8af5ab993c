"""Say why an unfinished deployment is not finished yet, in words a program can act on.

Asked from outside (API, CLI, metrics), never by a decision. Every app of the present step that is
not at its target gets one reason: the first of a fixed order that applies, so that the answer to
"what is it waiting for" is the thing to look at first. Nothing here is stored.
"""

from collections.abc import Iterator
from enum import StrEnum

from attrs import frozen

from scheduler.core.backoff import is_delayed
from scheduler.core.deadlines import deadline_of
from scheduler.core.deployment import Action, Deployment
from scheduler.core.deployments import is_satisfied
from scheduler.core.ids import AppId, DeploymentId, InstanceId
from scheduler.core.reports import FUNNEL, Miss
from scheduler.core.tally import Bucket
from scheduler.core.targets import Target, target_of
from scheduler.core.upkeep import (
    awaits_promotion,
    is_held_up,
    is_stop_first_held_up,
    launch_room_of,
)
from scheduler.core.world import World


class Block(StrEnum):
    """What holds a deployment up, in the order in which it is asked."""

    PAUSED = "paused"
    BACKOFF = "backoff"
    OFFERS = "offers"
    KILL = "kill"
    LAUNCH = "launch"
    HEALTH = "health"
    READINESS = "readiness"
    PROVING = "minHealthySeconds"
    UNREACHABLE = "unreachable"
    BRAKE = "brake"
    PROMOTION = "promotion"
    CONNECTION = "mesosConnection"
    OTHER = "other"
    """None of these. Never a guess: what it waits for has to be looked for."""


@frozen
class BlockedBy:
    """One app's reason. ``instances`` counts those concerned; ``until_ms`` is known for delays."""

    app_id: AppId
    block: Block
    message: str
    instances: int = 0
    until_ms: int | None = None
    refusals: tuple[tuple[str, int], ...] = ()
    """OFFERS only: why the latest offers were not used, most frequent first."""
    nearest: Miss | None = None


def blocked_by(world: World, deployment_id: DeploymentId, now_ms: int) -> list[BlockedBy]:
    """List what each app of a deployment's present step waits for; empty if it has ended."""
    return [block for block in blocks_of(world, deployment_id, now_ms) if block is not None]


def blocks_of(world: World, deployment_id: DeploymentId, now_ms: int) -> Iterator[BlockedBy | None]:
    """Yield the same one by one, for who must not look at thousands of apps at a stretch.

    An app that waits for nothing is None: it takes a while to look at as well.
    """
    deployment = world.deployments.get(deployment_id)
    if deployment is None or deployment.current_step >= len(deployment.steps):
        return
    for action in deployment.steps[deployment.current_step].actions:
        is_done = is_satisfied(world, action)
        yield None if is_done else _why(world, deployment, action, now_ms)


def _why(world: World, deployment: Deployment, action: Action, now_ms: int) -> BlockedBy:
    app_id = action.app_id
    if deployment.paused is not None:
        return BlockedBy(app_id, Block.PAUSED, deployment.paused)
    if not world.connected:
        return BlockedBy(app_id, Block.CONNECTION, "not subscribed to a Mesos master")
    target = target_of(world, app_id)
    if target.version is None:
        return _ending(world, app_id) or _unexplained(app_id)
    counts = _Counts(world, app_id, target)
    if counts.scheduled:
        waiting = _waiting(world, app_id, target, counts, now_ms)
        if waiting is not None:
            return waiting
    return (
        _running(app_id, counts)
        or _ending(world, app_id)
        or _held_up(world, app_id, target, counts, now_ms)
        or _unreachable(world, app_id, counts.unreachable)
        or _unapproved(world, app_id)
        or _unexplained(app_id)
    )


class _Counts:
    """The instances of the wanted version by what holds them up, and those being ended."""

    def __init__(self, world: World, app_id: AppId, target: Target) -> None:
        wanted = world.tally(app_id, target.config_version)
        tallies = world.tallies.get(app_id, {}).values()
        self.scheduled = wanted.count(Bucket.SCHEDULED)
        self.pending = wanted.count(Bucket.PENDING)
        self.unhealthy = wanted.count(Bucket.UNHEALTHY) + wanted.count(Bucket.UNPROVEN)
        self.unready = self.unproven = 0
        for instance_id in wanted.buckets[Bucket.PROVING]:
            if world.instances[instance_id].ready:
                self.unproven += 1
            else:
                self.unready += 1
        self.doomed = sum(tally.count(Bucket.DOOMED) for tally in tallies)
        self.recycling = sum(tally.count(Bucket.RECYCLING) for tally in tallies)
        self.old = sum(tally.active for tally in tallies) - wanted.active
        self.unreachable = [i for tally in tallies for i in tally.buckets[Bucket.UNREACHABLE]]


def _waiting(
    world: World, app_id: AppId, target: Target, counts: _Counts, now_ms: int
) -> BlockedBy | None:
    """Say why instances that wait to be launched are not; None if others are in their way."""
    version, count = target.config_version, counts.scheduled
    if is_delayed(world, app_id, version, now_ms):
        delay = world.delays[(app_id, version)]
        failure = world.failures.get(app_id)
        is_its_own = failure is not None and failure.version == version
        last = f"; the last one: {failure.message}" if failure and is_its_own else ""
        message = f"backing off after failures{last}"
        return BlockedBy(app_id, Block.BACKOFF, message, count, until_ms=delay.until_ms)
    if launch_room_of(world, app_id, version) <= 0:
        return None
    if is_stop_first_held_up(world, app_id, target, now_ms):
        message = "its fixed ports are taken, and too much fails or is out of sight to stop others"
        return BlockedBy(app_id, Block.BRAKE, message, counts.old)
    report = world.reports.by_class.get((app_id, version))
    if report is None or not report.latest_processed:
        return BlockedBy(app_id, Block.OFFERS, "no offer was free for it yet", count)
    refusals = sorted(report.latest.items(), key=lambda item: (-item[1], FUNNEL.index(item[0])))
    nearest = report.nearest
    unfit = report.latest.total()
    used = report.latest_processed - unfit
    message = f"{unfit} offers, none fits"
    if used:
        rest = f"{unfit} did not fit" if unfit else "there were no more"
        message = f"the latest offers took {used} of its tasks, {rest}"
    if nearest is not None:
        wanted = f"{nearest.wanted} wanted, {nearest.offered} offered"
        message += f"; the nearest so far, {nearest.host}: {nearest.reason} ({wanted})"
    named = tuple((str(reason), number) for reason, number in refusals)
    return BlockedBy(app_id, Block.OFFERS, message, count, refusals=named, nearest=nearest)


def _running(app_id: AppId, counts: _Counts) -> BlockedBy | None:
    for block, count, message in (
        (Block.LAUNCH, counts.pending, "launched, not running yet"),
        (Block.HEALTH, counts.unhealthy, "running, not healthy"),
        (Block.READINESS, counts.unready, "healthy, not ready"),
        (Block.PROVING, counts.unproven, "healthy, not for long enough"),
    ):
        if count:
            return BlockedBy(app_id, block, message, count)
    return None


def _ending(world: World, app_id: AppId) -> BlockedBy | None:
    """Name how many tasks are still being ended, if any."""
    tallies = world.tallies.get(app_id, {}).values()
    count = sum(t.count(Bucket.DOOMED) + t.count(Bucket.RECYCLING) for t in tallies)
    return BlockedBy(app_id, Block.KILL, "tasks are being ended", count) if count else None


def _held_up(
    world: World, app_id: AppId, target: Target, counts: _Counts, now_ms: int
) -> BlockedBy | None:
    if not is_held_up(world, app_id, target, now_ms):
        return None
    message = "too much fails or is out of sight at once: nothing is replaced meanwhile"
    return BlockedBy(app_id, Block.BRAKE, message, counts.old)


def _unreachable(world: World, app_id: AppId, ids: list[InstanceId]) -> BlockedBy | None:
    """Say until when tasks out of sight are waited for, or that the disaster brake holds them."""
    if not ids:
        return None
    instances = [world.instances[instance_id] for instance_id in ids]
    deadlines = [
        deadline_of(one, world.spec_at(app_id, one.version), world.settings) for one in instances
    ]
    until_ms = min((at_ms for at_ms in deadlines if at_ms is not None), default=None)
    if world.brake.holds and until_ms is not None:
        message = "too much fails or is out of sight at once: nothing is given up meanwhile"
        return BlockedBy(app_id, Block.BRAKE, message, len(ids))
    message = "tasks are out of sight and waited for, as unreachableStrategy says"
    return BlockedBy(app_id, Block.UNREACHABLE, message, len(ids), until_ms=until_ms)


def _unapproved(world: World, app_id: AppId) -> BlockedBy | None:
    if not awaits_promotion(world, app_id):
        return None
    return BlockedBy(app_id, Block.PROMOTION, "the canaries serve and wait to be promoted")


def _unexplained(app_id: AppId) -> BlockedBy:
    return BlockedBy(app_id, Block.OTHER, "not at its target, for none of the known reasons")
