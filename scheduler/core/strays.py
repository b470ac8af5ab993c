"""Answer for tasks that no instance stands for: kept, listed, and killed only with proof.

Three kinds of stray. A task of an earlier incarnation, or of an instance with a tombstone, is
ours and has ended as far as our records go: if Mesos says that it runs, it is killed; a few in
each round of reconciliation, never many at once. Any other task of our framework id is a riddle
(an old store restored, a second scheduler): it is listed and left alone, because killing it could
kill a cluster.
"""

from scheduler.core.batch import Batch
from scheduler.core.effects import Kill, UnknownTask
from scheduler.core.events import StatusUpdate
from scheduler.core.ids import InstanceId, TaskId, instance_id_of
from scheduler.core.instance import TaskState
from scheduler.core.timers import Timer
from scheduler.core.world import World

SILENT = frozenset({TaskState.UNKNOWN, TaskState.UNREACHABLE})
"""States that do not say that the task exists: Mesos answers them for any id."""


def on_stray(batch: Batch, update: StatusUpdate) -> None:
    """Take in an update for a task that is not the present one of any instance."""
    world = batch.world
    if update.state.is_terminal or update.state in SILENT:
        # A stray out of sight is no stray to count: it is met again when it comes back.
        world.unknown_tasks.pop(update.task_id, None)
        world.condemned.pop(update.task_id, None)
        return
    known = world.unknown_tasks.get(update.task_id)
    if known is None or known.state is not update.state:
        ended_by_us = has_ended(world, update.task_id)
        batch.publish(UnknownTask(update, ended_by_us=ended_by_us))
    world.unknown_tasks[update.task_id] = update
    _condemn(batch, update.task_id)


def look_at_stray(batch: Batch, task_id: TaskId) -> None:
    """Kill a condemned stray once more, or judge one that the disaster brake had spared."""
    world = batch.world
    if task_id in world.condemned:
        kill_stray(batch, task_id)
    elif task_id in world.unknown_tasks:
        _condemn(batch, task_id)


def _condemn(batch: Batch, task_id: TaskId) -> None:
    """Kill a stray that is proved to be ours and ended, if that many may be killed now."""
    world = batch.world
    if task_id in world.condemned or not has_ended(world, task_id):
        return
    if world.brake.holds:
        world.brake.hold_back(Timer.STRAY + task_id)
    elif world.stray_kills_left > 0:
        world.stray_kills_left -= 1
        world.condemned[task_id] = None
        kill_stray(batch, task_id)


def kill_stray(batch: Batch, task_id: TaskId) -> None:
    """Kill a stray that is proved to be ours and ended, again and again until it is gone."""
    world = batch.world
    update = world.unknown_tasks.get(task_id)
    if update is None:
        return
    batch.emit(Kill(task_id, update.agent_id, grace_s=None))
    world.wake_at(batch.now_ms + world.settings.kill_retry_ms, Timer.STRAY + task_id)


def renew_kills(world: World) -> None:
    """Allow a few strays to be killed in the round of reconciliation that begins."""
    share = len(world.instances) // 100
    world.stray_kills_left = max(world.settings.unknown_kill_max, share)


def has_ended(world: World, task_id: TaskId) -> bool:
    """Whether our own records show that we launched this task and that it has ended."""
    instance_id = instance_id_of(task_id)
    if instance_id is None:
        return False
    incarnation = int(task_id.rpartition(".")[2])
    instance = world.instances.get(instance_id)
    if instance is not None:
        return incarnation <= instance.incarnation and instance.task_id != task_id
    tombstone = world.ended.get(InstanceId(instance_id))
    return tombstone is not None and incarnation <= tombstone.incarnation
