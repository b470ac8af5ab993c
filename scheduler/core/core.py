"""Decide: ``handle`` takes one event in, ``settle`` then makes the world match what is wanted.

Events are handled one by one and touch one entity each; deployments and placement are looked at
once for the whole batch, for the apps that were touched. Neither does I/O, waits, or knows the
time or chance other than through the batch: the same events give the same bytes.
"""

from itertools import islice

from attrs import evolve

from scheduler.core.asking import begin_round, settle_round
from scheduler.core.batch import Batch
from scheduler.core.commands import on_command, settle_queue
from scheduler.core.deployments import settle_deployment
from scheduler.core.due import pass_deadlines
from scheduler.core.effects import (
    Acknowledge,
    Kill,
    SchedulerDisconnected,
    SchedulerRegistered,
    TaskStatusChanged,
)
from scheduler.core.events import (
    AgentLost,
    CancelDeployment,
    ChangeApps,
    Deregistered,
    Disconnected,
    Event,
    ExecutorLost,
    KillTasks,
    KillUnknown,
    LaunchRefused,
    MesosError,
    OfferRescinded,
    OffersReceived,
    ProbeResult,
    ReadinessResult,
    ReleaseBrake,
    ResetDelay,
    StatusUpdate,
    SteerDeployment,
    Subscribed,
    Tick,
)
from scheduler.core.instance import Condition, Instance, TaskState
from scheduler.core.launches import settle_launches
from scheduler.core.lifecycle import step
from scheduler.core.records import Framework, Kind
from scheduler.core.reverts import fail
from scheduler.core.signals import Cause, Signal, came_too_late, classify, is_executor_gone
from scheduler.core.strays import SILENT, on_stray
from scheduler.core.timers import Timer
from scheduler.core.upkeep import settle_app
from scheduler.core.verdicts import on_probe, on_readiness

_OF_THE_MASTER = SILENT | {TaskState.LOST, TaskState.DROPPED, TaskState.GONE}
"""States that the master tells in the place of an agent that is not there."""
FORGOTTEN_AGENTS_MAX = 100
"""How many agents one step may forget: many may lose their last task at once."""
LATE_MS = 10_000
"""A deadline looked at so late may have been kept: the word of it may still wait to be handled."""
SETTLE_ROUNDS_MAX = 1000
"""An app that is still not at rest after so many looks is a bug, not a busy app."""


def handle(batch: Batch, event: Event) -> None:  # noqa: C901, PLR0912 - the dispatch table
    """Take one event in. Its records are applied to the world before this returns."""
    world = batch.world
    match event:
        case StatusUpdate():
            _on_status(batch, event)
        case OffersReceived():
            for offer in event.offers:
                world.offers.add(offer)
                world.brake.sight.hear_of(offer.agent.id)
        case OfferRescinded():
            world.offers.remove(event.offer_id)
        case ProbeResult():
            on_probe(batch, event)
        case ReadinessResult():
            on_readiness(batch, event)
        case Deregistered():
            instance = world.instance_of(event.task_id)
            if instance is not None:
                step(batch, instance, Cause(Signal.DEREGISTERED))
        case LaunchRefused():
            _on_launch_refused(batch, event)
        case Subscribed():
            _on_subscribed(batch, event)
        case Disconnected() | MesosError():
            _on_disconnected(batch)
        case ExecutorLost():
            world.executors.close(event.agent_id, event.executor_id)
        case AgentLost():
            # A hint that comes unordered with the updates it announces (Mesos: FAILURE); the
            # updates decide, so there is nothing to do.
            pass
        case Tick():
            if event.late_ms >= LATE_MS:
                _catch_up(batch)
        case (
            ChangeApps()
            | CancelDeployment()
            | KillTasks()
            | ResetDelay()
            | SteerDeployment()
            | ReleaseBrake()
            | KillUnknown()
        ):
            on_command(batch, event)


def settle(batch: Batch) -> None:
    """Bring every touched app closer to its target, then answer the offers at hand."""
    world = batch.world
    pass_deadlines(batch)
    failed, world.failed_rollouts = world.failed_rollouts, {}
    for app_id, reason in failed.items():
        fail(batch, app_id, reason)
    for _ in range(SETTLE_ROUNDS_MAX):
        dirty, world.dirty = world.dirty, {}
        if not dirty:
            break
        touched = {lock.deployment_id: None for a in dirty if (lock := world.locks.get(a))}
        for app_id in dirty:
            settle_app(batch, app_id)
        for deployment_id in touched:
            settle_deployment(batch, deployment_id)
        if world.queued:
            settle_queue(batch)
    else:
        raise AssertionError(f"apps do not come to rest: {list(world.dirty)[:5]}")
    settle_launches(batch)
    settle_round(batch)
    _follow_brake(batch)
    _forget_agents(batch)


def resume(batch: Batch) -> None:
    """Take over a loaded world: look at everything once.

    What was asked of Mesos is asked again once we are subscribed; everything else follows from
    the state when it is settled.
    """
    world = batch.world
    _be_patient(batch)
    for rollout in list(world.rollouts.values()):
        # Without a leader nothing could come further.
        batch.put(evolve(rollout, progressed_at_ms=batch.now_ms))
    for instance in list(world.instances.values()):
        if instance.condition is Condition.RUNNING:
            step(batch, instance, Cause(Signal.DEADLINE))
    for app_id in world.apps:
        world.dirty[app_id] = None


def _on_status(batch: Batch, update: StatusUpdate) -> None:
    """Take in what Mesos says of a task; it is acknowledged once that is durable."""
    world = batch.world
    world.reconciliation.heard_of(update.task_id)
    if world.brake.sight.missing and update.agent_id is not None and _shows_agent(update):
        world.brake.sight.hear_of(update.agent_id)
    instance = world.instance_of(update.task_id)
    if instance is None:
        on_stray(batch, update)
    else:
        if instance.task_state is not update.state:
            batch.publish(TaskStatusChanged(instance, update))
        step(batch, instance, Cause(_signal_of(batch, instance, update), update))
    if update.uuid is not None and update.agent_id is not None:
        batch.emit(Acknowledge(update.task_id, update.agent_id, update.uuid))


def _shows_agent(update: StatusUpdate) -> bool:
    """Whether an update shows that the task's agent is there, or that a person knows of its end."""
    return update.state not in _OF_THE_MASTER


def _signal_of(batch: Batch, instance: Instance, update: StatusUpdate) -> Signal:
    """Sort an update; what it says of the task's executor is noted."""
    place = instance.placement
    if is_executor_gone(update) and place is not None and place.executor is not None:
        batch.world.executors.close(place.agent_id, place.executor.id)
        if came_too_late(instance):
            return Signal.LOST
    return classify(update)


def _on_launch_refused(batch: Batch, event: LaunchRefused) -> None:
    """Have the tasks of a refused ACCEPT wait again; an invalid call holds one at least to blame.

    Which one is not said, so each is what it would be had Mesos refused it by itself: tried alone
    next, and blamed if that is refused as well.
    """
    for task_id in event.task_ids:
        instance = batch.world.instance_of(task_id)
        if instance is None or instance.condition is not Condition.PROVISIONED:
            continue
        cause = Cause(Signal.LOST, reason=event.message)
        if event.is_invalid:
            answer = StatusUpdate(task_id, TaskState.ERROR, agent_id=None, message=event.message)
            cause = Cause(Signal.REFUSED, update=answer)
        step(batch, instance, cause)


def _on_subscribed(batch: Batch, event: Subscribed) -> None:
    world = batch.world
    again = world.framework is not None
    if world.framework is None:
        batch.put(Framework(event.framework_id, registered_at_ms=batch.now_ms))
    assert world.framework is not None
    assert world.framework.id == event.framework_id, "Mesos gave us another framework id"
    world.connected = True
    _be_patient(batch)
    world.master = event.master
    world.offers.clear()
    world.suppressed = False
    # A SUPPRESS decided before may only now arrive, and on this subscription.
    world.revive_wanted = bool(world.waiting)
    world.revived_at_ms = None
    begin_round(batch)
    _kill_again(batch)
    batch.publish(SchedulerRegistered(event.framework_id, event.master, again=again))


def _kill_again(batch: Batch) -> None:
    """Send every kill that is under way once more: it may have got lost with the connection."""
    for instance in batch.world.instances.values():
        if instance.condition is Condition.KILLING and instance.task_id is not None:
            placement = instance.placement
            agent_id = None if placement is None else placement.agent_id
            batch.emit(Kill(instance.task_id, agent_id, grace_s=None))


def _on_disconnected(batch: Batch) -> None:
    world = batch.world
    world.offers.clear()
    if world.connected:
        world.connected = False
        world.reconciliation.next_ms = None
        if world.framework is not None:
            # Nothing new, but a commit: if another leader has taken the subscription from us, we
            # find out here, before we take it back from it.
            batch.put(world.framework)
        batch.publish(SchedulerDisconnected())


def _follow_brake(batch: Batch) -> None:
    """Let the brake see what the batch has changed."""
    until_ms = batch.world.brake.follow(batch.now_ms)
    if until_ms is not None:
        batch.world.wake_at(until_ms, Timer.BRAKE)


def _forget_agents(batch: Batch) -> None:
    """Delete what is stored of agents that the last task has left; the next one brings it back."""
    world = batch.world
    for agent_id in list(islice(world.vacated, FORGOTTEN_AGENTS_MAX)):
        del world.vacated[agent_id]
        if agent_id in world.agents and agent_id not in world.tasks_on:
            batch.delete(Kind.AGENT, agent_id)
    if world.vacated:
        world.wake_at(batch.now_ms, "")


def _catch_up(batch: Batch) -> None:
    """Condemn nothing for a time in which nothing could be decided: first hear what has become.

    What was said meanwhile waits, perhaps behind much else; the rest is asked anew.
    """
    _be_patient(batch)
    if batch.world.connected:
        begin_round(batch)


def _be_patient(batch: Batch) -> None:
    """Give everybody time to speak who could not reach us until now."""
    world = batch.world
    world.patient_until_ms = batch.now_ms + world.settings.launch_confirm_timeout_ms
