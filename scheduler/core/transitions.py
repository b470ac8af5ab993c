"""Carry out the cells of the life cycle's table: one function for each thing that can be done.

Each takes an instance as it is stored, and a cause, and stores the instance that follows from
them. None looks at other instances: what an app then needs is decided when it is settled.
"""

from attrs import evolve

from scheduler.core import backoff, restarts
from scheduler.core.app import AppSpec
from scheduler.core.batch import Batch
from scheduler.core.deadlines import deadline_of, kill_period_ms
from scheduler.core.effects import InstanceHealthChanged, Kill, Reconcile, UnhealthyKill
from scheduler.core.events import StatusUpdate
from scheduler.core.health import Health, health_of, is_serving
from scheduler.core.ids import AppId, InstanceId, Version, app_path_of
from scheduler.core.instance import Condition, Goal, Instance, TaskState
from scheduler.core.patience import unprobed_until_ms
from scheduler.core.records import Ended, Failure, Kind
from scheduler.core.signals import Cause, Signal, is_draining
from scheduler.core.tally import Bucket
from scheduler.core.targets import target_of
from scheduler.core.timers import Timer

UNCONFIRMED_ASKS_MAX = 1
"""How often Mesos is asked about a launch that it never mentioned, before it is replaced."""
_KILLED_BY_OTHERS = "killed by others"


def ignore(_batch: Batch, _instance: Instance, _cause: Cause) -> None:
    """Do nothing, on purpose: the signal is late, repeated or of no meaning here."""


def illegal(batch: Batch, instance: Instance, cause: Cause) -> None:
    """Count a signal that cannot happen here; it changes nothing."""
    batch.world.illegal[(instance.condition, cause.signal)] += 1


def advance(batch: Batch, instance: Instance, cause: Cause) -> None:
    """Go on to Staging or Starting."""
    update = _update(cause)
    condition = Condition.STAGING if cause.signal is Signal.STAGING else Condition.STARTING
    batch.put(
        evolve(
            instance,
            condition=condition,
            since_ms=batch.now_ms,
            task_state=update.state,
            last_message=update.message or None,
        )
    )


def run(batch: Batch, instance: Instance, cause: Cause) -> None:
    """Reach RUNNING for the first time with this task."""
    update = _update(cause)
    spec = batch.world.spec_at(instance.app_id, instance.version)
    running = evolve(
        instance,
        condition=Condition.RUNNING,
        since_ms=batch.now_ms,
        started_at_ms=batch.now_ms,
        task_state=update.state,
        mesos_healthy=update.healthy,
        addresses=update.addresses,
        ready=not spec.readiness_checks,
        last_message=update.message or None,
    )
    put_health(batch, instance, running)


def refresh(batch: Batch, instance: Instance, cause: Cause) -> None:
    """Take over what a further RUNNING update adds; absence never overwrites knowledge."""
    update = _update(cause)
    healthy = instance.mesos_healthy if update.healthy is None else update.healthy
    addresses = update.addresses or instance.addresses
    if healthy == instance.mesos_healthy and addresses == instance.addresses:
        return
    put_health(batch, instance, evolve(instance, mesos_healthy=healthy, addresses=addresses))


def come_back(batch: Batch, instance: Instance, cause: Cause) -> None:
    """Welcome a task that was out of sight; its instance was kept for this."""
    update = _update(cause)
    if instance.kill_reason is not None:
        # It was being ended when it went out of sight.
        start_kill(batch, instance, Cause(Signal.KILL, reason=instance.kill_reason))
        return
    was_running = instance.started_at_ms is not None
    if cause.signal is Signal.RUNNING and not was_running:
        run(batch, instance, cause)
        return
    returned = evolve(
        instance,
        condition=Condition.RUNNING if was_running else Condition.STAGING,
        since_ms=batch.now_ms,
        task_state=update.state,
        mesos_healthy=instance.mesos_healthy if update.healthy is None else update.healthy,
        addresses=update.addresses or instance.addresses,
        # What it did while nobody saw it is held against nobody.
        unproven_since_ms=instance.unproven_since_ms and batch.now_ms,
    )
    put_health(batch, instance, returned)
    if was_running:
        # What failed too often before it went is told no more.
        judge(batch, batch.world.instances[instance.id], cause)


def kill_begun(batch: Batch, instance: Instance, cause: Cause) -> None:
    """Note that the task is being killed, whoever asked for it."""
    update = _update(cause)
    if instance.condition is Condition.KILLING:
        return
    reason = "agent is draining" if is_draining(update) else _KILLED_BY_OTHERS
    batch.put(
        evolve(
            instance,
            condition=Condition.KILLING,
            since_ms=batch.now_ms,
            task_state=update.state,
            kill_reason=instance.kill_reason or reason,
            kill_attempts=1,
            healthy_since_ms=None,
        )
    )


def crash(batch: Batch, instance: Instance, cause: Cause) -> None:
    """The task ended by itself: replace it after the back-off."""
    update = _update(cause)
    _remember_failure(batch, instance, update)
    if instance.goal is not Goal.RUNNING:
        end(batch, instance, cause)
        return
    counted = restarts.count_attempt(instance, update.state, batch)
    if counted is None:
        _retire(batch, instance, cause)
        return
    backoff.penalise(batch, instance.app_id, instance.version)
    end(batch, counted, cause)


def crash_in_kill(batch: Batch, instance: Instance, cause: Cause) -> None:
    """The task ended badly and may have been killed, out of sight even: a crash only if not by us.

    An executor kills a task that fails the checks beside it, and says so first: TASK_KILLING, then
    TASK_KILLED as unhealthy (traces: 03-health-checks).
    """
    if instance.kill_reason in {None, _KILLED_BY_OTHERS}:
        crash(batch, instance, cause)
    else:
        end(batch, instance, cause)


def refuse(batch: Batch, instance: Instance, cause: Cause) -> None:
    """Mesos would not run it. It is tried once alone, then the app backs off to its maximum.

    One bad task in a shared ACCEPT can fail its neighbours with the same message (traces:
    06-invalid-launches), so the first refusal blames nobody.
    """
    update = _update(cause)
    is_first = instance.condition is Condition.PROVISIONED and not instance.solo
    if is_first and instance.goal is Goal.RUNNING:
        _reschedule(batch, instance, solo=True, message=update.message)
        return
    _remember_failure(batch, instance, update)
    if instance.goal is Goal.RUNNING:
        backoff.refuse_ms(batch, instance.app_id, instance.version)
    end(batch, instance, cause)


def end(batch: Batch, instance: Instance, cause: Cause) -> None:
    """The task is over: launch the instance again, or do what its goal says."""
    if instance.goal is Goal.STOPPED:
        _retire(batch, instance, cause)
        return
    message = cause.update.message if cause.update is not None else cause.reason
    app_exists = target_of(batch.world, instance.app_id).version is not None
    is_spare = instance.spare_until_ms is not None
    if instance.goal is Goal.RUNNING and app_exists and not is_spare:
        _reschedule(batch, instance, solo=False, message=message)
    else:
        expunge(batch, instance)


def cut_off(batch: Batch, instance: Instance, cause: Cause) -> None:
    """The agent is out of sight: wait for it as the strategy says.

    Where that is over at once (0 s) the instance's timer, which is due, has it looked at when the
    whole batch is taken in: then the disaster brake knows how many are out of sight.
    """
    update = _update(cause)
    gone_ms = update.unreachable_since_ms
    batch.put(
        evolve(
            instance,
            condition=Condition.UNREACHABLE,
            since_ms=batch.now_ms if gone_ms is None else min(gone_ms, batch.now_ms),
            task_state=update.state,
            healthy_since_ms=None,
        )
    )


def stay_cut_off(batch: Batch, instance: Instance, cause: Cause) -> None:
    """It still is out of sight; a master that knew nothing of the task may have learned of it."""
    if instance.task_state is TaskState.UNKNOWN:
        cut_off(batch, instance, cause)


def vanish(batch: Batch, instance: Instance, cause: Cause) -> None:
    """Mesos does not know a task that was there: it has ended, or the master has forgotten it.

    A master that lost its registry says so of all tasks, and they run. So it is taken for out of
    sight, due at once: it is replaced in the same step, but for the disaster brake.
    """
    if instance.goal is not Goal.RUNNING:
        end(batch, instance, cause)
    elif instance.condition is not Condition.UNREACHABLE or (
        instance.task_state is not TaskState.UNKNOWN
    ):
        cut_off(batch, instance, cause)


def lose_sight(batch: Batch, instance: Instance, cause: Cause) -> None:
    """A task that is being ended is out of sight: forget it, or wait for it if it is replaced.

    Its replacement must not start sooner than that of any other task out of sight.
    """
    if instance.goal is Goal.RUNNING:
        cut_off(batch, instance, cause)
    else:
        abandon(batch, instance, cause)


def abandon(batch: Batch, instance: Instance, cause: Cause) -> None:
    """Give up a task that is out of sight and was to be killed; try to kill it anyway."""
    _send_kill(batch, instance)
    end(batch, evolve(instance, goal=cause.goal or instance.goal), cause)


def start_kill(batch: Batch, instance: Instance, cause: Cause) -> None:
    """Begin to end the task: out of discovery first, where it may be registered."""
    goal = cause.goal or instance.goal
    drains = batch.world.settings.discovery and instance.condition is Condition.RUNNING
    ending = evolve(
        instance,
        goal=goal,
        condition=Condition.DRAINING if drains else Condition.KILLING,
        since_ms=batch.now_ms,
        kill_reason=cause.reason,
        kill_attempts=0 if drains else 1,
        deregistered=False,
        healthy_since_ms=None,
    )
    batch.put(ending)
    if not drains:
        _send_kill(batch, ending)


def retarget(batch: Batch, instance: Instance, cause: Cause) -> None:
    """Already being ended: only what comes after it changes."""
    if cause.goal is not None and cause.goal is not instance.goal:
        batch.put(evolve(instance, goal=cause.goal))


def withdraw(batch: Batch, instance: Instance, cause: Cause) -> None:
    """Give up an instance that waits to be launched, or has lost its task for good."""
    if cause.goal is not None and cause.goal is not Goal.RUNNING:
        expunge(batch, instance)


def drained(batch: Batch, instance: Instance, cause: Cause) -> None:
    """Discovery has let the task go, or has had its time: kill it."""
    killing = evolve(
        instance,
        condition=Condition.KILLING,
        since_ms=batch.now_ms,
        kill_attempts=1,
        deregistered=cause.signal is Signal.DEREGISTERED,
    )
    batch.put(killing)
    _send_kill(batch, killing)


def kill_again(batch: Batch, instance: Instance, _cause: Cause) -> None:
    """The kill had no effect in time: it may have been lost, so send it once more.

    Periods in which nobody was there to send it count as attempts. Otherwise the next deadline
    would be past as well, and a leader back after an hour would send the kills of a whole hour.
    """
    world = batch.world
    spec = world.spec_at(instance.app_id, instance.version)
    periods = (batch.now_ms - instance.since_ms) // kill_period_ms(spec, world.settings)
    again = evolve(instance, kill_attempts=1 + max(instance.kill_attempts, periods))
    batch.put(again)
    _send_kill(batch, again)


def confirm(batch: Batch, instance: Instance, cause: Cause) -> None:
    """Nothing was heard of a launch: ask about it; the next time replace it under a new id."""
    if instance.unconfirmed_asks >= UNCONFIRMED_ASKS_MAX:
        _send_kill(batch, instance)
        end(batch, instance, cause)
        return
    asked = evolve(instance, unconfirmed_asks=instance.unconfirmed_asks + 1, since_ms=batch.now_ms)
    batch.put(asked)
    assert asked.task_id is not None
    assert asked.placement is not None
    batch.emit(Reconcile(((asked.task_id, asked.placement.agent_id),)))


def overdue(batch: Batch, instance: Instance, _cause: Cause) -> None:
    """The task does not get past its start: kill it, so that it is launched again."""
    start_kill(batch, instance, Cause(Signal.KILL, reason="did not start in time"))


def give_up(batch: Batch, instance: Instance, cause: Cause) -> None:
    """Stop counting on a task out of sight: it is replaced, but known if it returns.

    One that Mesos does not know at all is over.

    While the disaster brake holds (most tasks are out of sight at once, so the network is suspect)
    none is given up; they are looked at again when it lets go.
    """
    if batch.world.brake.holds:
        batch.world.brake.hold_back(instance.id)
        return
    assert instance.placement is not None
    agent_id = instance.placement.agent_id
    if batch.world.brake.sight.give_up(agent_id, batch.now_ms):
        memory_ms = batch.world.settings.brake_memory_ms
        batch.world.wake_at(batch.now_ms + memory_ms, Timer.SIGHT + agent_id)
    if instance.task_state is TaskState.UNKNOWN:
        end(batch, instance, evolve(cause, reason="Mesos does not know the task"))
        return
    inactive = evolve(instance, condition=Condition.UNREACHABLE_INACTIVE)
    batch.put(inactive)
    if is_held(batch, instance):
        create(batch, instance.app_id, instance.version)
    if _is_overdue(batch, inactive):
        expunge(batch, inactive)


def expunge_lost(batch: Batch, instance: Instance, _cause: Cause) -> None:
    """Forget an instance that had been given up already."""
    expunge(batch, instance)


def look(batch: Batch, instance: Instance, cause: Cause) -> None:
    """Look at a running task whose time has come: proved, condemned, or judged again."""
    spec = batch.world.spec_at(instance.app_id, instance.version)
    deadline_ms = deadline_of(instance, spec, batch.world.settings)
    if deadline_ms is None or deadline_ms > batch.now_ms:
        judge(batch, instance, cause)
    elif instance.spare_until_ms is not None:
        batch.put(evolve(instance, spare_until_ms=None))
    elif instance.healthy_since_ms is not None:
        batch.put(evolve(instance, proven=True, unproven_since_ms=None))
    elif fatal_check(instance, spec) is not None:
        judge(batch, instance, cause)
    elif batch.world.brake.holds:
        batch.world.brake.hold_back(instance.id)
    elif (look_ms := unprobed_until_ms(batch.world, instance, spec, batch.now_ms)) is not None:
        batch.world.wake_at(look_ms, instance.id)
    else:
        _condemn(batch, instance, "not healthy in time (update.healthyDeadlineSeconds)")


def judge(batch: Batch, instance: Instance, _cause: Cause) -> None:
    """Kill a running task that has failed a check too often in a row.

    While the disaster brake holds (most checks fail at once, so the prober is suspect) nothing is
    killed; the instance is looked at again when it lets go.
    """
    spec = batch.world.spec_at(instance.app_id, instance.version)
    reason = fatal_check(instance, spec)
    if reason is None:
        return
    if batch.world.brake.holds:
        batch.world.brake.hold_back(instance.id)
        return
    assert instance.task_id is not None
    batch.publish(UnhealthyKill(instance, instance.task_id, reason))
    _condemn(batch, instance, reason)
    forget_ms = batch.world.brake.remember_kill(instance, batch.now_ms)
    batch.world.wake_at(forget_ms, Timer.BRAKE)


def _condemn(batch: Batch, instance: Instance, reason: str) -> None:
    """Kill a running task for its health: an end like any other to its restart policy.

    An app without one is launched again at once, as Marathon does; its checks, with their grace
    and their intervals, keep such a loop slow.
    """
    counted = restarts.count_attempt(instance, TaskState.FAILED, batch)
    if counted is None:
        cause = Cause(Signal.KILL, reason=reason, goal=Goal.STOPPED)
        start_kill(batch, instance, cause)
        return
    if batch.world.spec_at(instance.app_id, instance.version).restart_policy is not None:
        backoff.penalise(batch, instance.app_id, instance.version)
    start_kill(batch, counted, Cause(Signal.KILL, reason=reason))


def fatal_check(instance: Instance, spec: AppSpec) -> str | None:
    """Name the check that condemns an instance, None if there is none.

    Marathon: maxConsecutiveFailures 0 never kills.
    """
    for check, result in zip(spec.health_checks, instance.checks, strict=False):
        limit = check.max_consecutive_failures
        if result.alive is False and 0 < limit <= result.consecutive_failures:
            cause = result.last_failure_cause or "no cause given"
            return f"{check.protocol} check failed {result.consecutive_failures} times: {cause}"
    return None


# ------------------------------------------------------------------- helpers


def put_health(batch: Batch, before: Instance, after: Instance) -> None:
    """Store an instance whose health may have changed, and tell of it when it has."""
    spec = batch.world.spec_at(after.app_id, after.version)
    serving = is_serving(after, spec)
    since_ms = (after.healthy_since_ms or batch.now_ms) if serving else None
    proves_at_once = spec.update is None or spec.update.min_healthy_s == 0
    # Proved once for each task: what fails later is the health checks' matter.
    proven = after.proven or (serving and proves_at_once)
    unproven_ms = None if proven else after.unproven_since_ms
    after = evolve(after, healthy_since_ms=since_ms, proven=proven, unproven_since_ms=unproven_ms)
    if after == before:
        return
    batch.put(after)
    was, is_now = health_of(before, spec), health_of(after, spec)
    if was is not is_now and is_now in {Health.HEALTHY, Health.UNHEALTHY}:
        batch.publish(InstanceHealthChanged(after, healthy=is_now is Health.HEALTHY))


def create(batch: Batch, app_id: AppId, config_version: Version) -> None:
    """Add an instance of an app, to be launched."""
    name = app_path_of(app_id, separator="_")
    batch.put(
        Instance(
            id=InstanceId(f"{name}.instance-{batch.new_uuid()}"),
            app_id=app_id,
            version=config_version,
            since_ms=batch.now_ms,
            created_at_ms=batch.now_ms,
        )
    )
    batch.world.revive_wanted = True


def expunge(batch: Batch, instance: Instance) -> None:
    """Forget an instance; what it launched stays known by its tombstone."""
    batch.delete(Kind.INSTANCE, instance.id)
    tallies = batch.world.tallies.get(instance.app_id, {}).values()
    if any(tally.count(Bucket.SCHEDULED) for tally in tallies):
        # Another may have waited for the room that this one took.
        batch.world.revive_wanted = True
    if instance.incarnation == 0:
        return
    batch.put(
        Ended(
            instance_id=instance.id,
            app_id=instance.app_id,
            incarnation=instance.incarnation,
            at_ms=batch.now_ms,
        )
    )
    ended = batch.world.ended
    if len(ended) > batch.world.settings.ended_max:
        batch.delete(Kind.ENDED, next(iter(ended)))


def _reschedule(batch: Batch, instance: Instance, *, solo: bool, message: str) -> None:
    """Send an instance back to wait for a place, in the version that is wanted now."""
    target = target_of(batch.world, instance.app_id)
    version = instance.version
    if target.version is not None and not target.holds_old_version:
        version = target.config_version
    # What the version before has spent or missed is held against no other.
    is_same = version == instance.version
    batch.put(
        Instance(
            id=instance.id,
            app_id=instance.app_id,
            version=version,
            goal=instance.goal,
            incarnation=instance.incarnation,
            since_ms=batch.now_ms,
            created_at_ms=instance.created_at_ms,
            solo=solo,
            last_message=message or None,
            attempts=instance.attempts if is_same else 0,
            attempts_since_ms=instance.attempts_since_ms if is_same else 0,
            unproven_since_ms=instance.unproven_since_ms if is_same else None,
        )
    )
    batch.world.revive_wanted = True


def _retire(batch: Batch, instance: Instance, cause: Cause) -> None:
    """Leave an ended instance as it is: its restart policy does not launch it again.

    One of the version that is being rolled out fails the rollout, unless it ended well: the place
    it fills serves nobody.
    """
    update = cause.update
    message = update.message if update is not None else cause.reason
    is_new = target_of(batch.world, instance.app_id).brings(instance.version)
    if is_new and (update is None or update.state is not TaskState.FINISHED):
        batch.world.failed_rollouts[instance.app_id] = (
            f"{instance.id} has ended and restartPolicy allows no more restarts: "
            f"{message or instance.kill_reason or 'no reason given'}"
        )
    batch.put(
        Instance(
            id=instance.id,
            app_id=instance.app_id,
            version=instance.version,
            goal=Goal.STOPPED,
            incarnation=instance.incarnation,
            since_ms=batch.now_ms,
            created_at_ms=instance.created_at_ms,
            task_state=None if update is None else update.state,
            last_message=message or instance.kill_reason or None,
        )
    )


def is_held(batch: Batch, instance: Instance) -> bool:
    """Whether an instance is of a version that stays for now, though another is to replace it.

    Settling would replace it by the new version, which is not approved yet, or not at all.
    """
    target = target_of(batch.world, instance.app_id)
    if target.version is None or not target.is_rolling or instance.goal is not Goal.RUNNING:
        return False
    return target.is_paused or (
        target.holds_old_version and instance.version != target.config_version
    )


def _is_overdue(batch: Batch, instance: Instance) -> bool:
    """Whether a condition's time is over in the moment it begins (strategies of 0 s)."""
    world = batch.world
    spec = world.spec_at(instance.app_id, instance.version)
    deadline_ms = deadline_of(instance, spec, world.settings)
    return deadline_ms is not None and deadline_ms <= batch.now_ms


def _send_kill(batch: Batch, instance: Instance) -> None:
    task_id = instance.task_id
    assert task_id is not None
    agent_id = instance.placement.agent_id if instance.placement is not None else None
    batch.emit(Kill(task_id=task_id, agent_id=agent_id, grace_s=None))


def _remember_failure(batch: Batch, instance: Instance, update: StatusUpdate) -> None:
    placement = instance.placement
    batch.put(
        Failure(
            app_id=instance.app_id,
            task_id=update.task_id,
            state=update.state,
            message=update.message,
            host=placement.host if placement is not None else "",
            agent_id=placement.agent_id if placement is not None else None,
            version=instance.version,
            at_ms=batch.now_ms,
        )
    )


def _update(cause: Cause) -> StatusUpdate:
    assert cause.update is not None, f"{cause.signal} without an update"
    return cause.update
