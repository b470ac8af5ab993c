"""Carry out the commands of the API: all or nothing, answered once, durable before the answer."""

from attrs import evolve

from scheduler.core import backoff
from scheduler.core.app import AppSpec
from scheduler.core.batch import Batch
from scheduler.core.deployment import PAUSED_BY_OPERATOR, Change, Deployment, GroupChange
from scheduler.core.effects import (
    Accepted,
    Answer,
    Killed,
    Refusal,
    Rejected,
    Reply,
)
from scheduler.core.events import (
    CancelDeployment,
    ChangeApps,
    Command,
    KillTasks,
    KillUnknown,
    ReleaseBrake,
    Removal,
    ResetDelay,
    SteerDeployment,
    Steering,
    Upsert,
)
from scheduler.core.ids import AppId, DeploymentId, Version, instance_id_of
from scheduler.core.instance import Goal, Instance
from scheduler.core.lifecycle import step
from scheduler.core.overrides import override
from scheduler.core.planning import circle_in, imagine, is_config_change
from scheduler.core.queueing import begin_queued, drop_queued, enqueue, waiting_for
from scheduler.core.records import App, AppVersion, Outcome
from scheduler.core.reverts import deploy, give_up, revert
from scheduler.core.service_ports import assign
from scheduler.core.signals import Cause, Signal
from scheduler.core.transitions import create, is_held
from scheduler.core.upkeep import has_canaries
from scheduler.core.wishes import app_ids_of
from scheduler.core.world import World


def on_command(batch: Batch, command: Command) -> None:
    """Carry out a command and answer it."""
    match command:
        case ChangeApps():
            answer = _change_apps(batch, command)
        case CancelDeployment():
            answer = _cancel(batch, command)
        case KillTasks():
            answer = _kill_tasks(batch, command)
        case ResetDelay():
            answer = _reset_delay(batch, command)
        case SteerDeployment():
            answer = _steer(batch, command)
        case ReleaseBrake() | KillUnknown():
            answer = override(batch, command)
    batch.emit(Reply(command.request_id, answer))


# -------------------------------------------------------------- changing apps


def _change_apps(
    batch: Batch, command: ChangeApps, deployment_id: DeploymentId | None = None
) -> Answer:
    """Carry out a change, or queue it; ``deployment_id`` is that of a change that was queued."""
    refusal = _refusal(batch.world, command)
    if refusal is not None:
        return refusal
    wanted = command
    upserts = with_service_ports(batch.world, command.upserts)
    if isinstance(upserts, Rejected):
        return upserts
    command = evolve(command, upserts=upserts)
    affected = _affected(command)
    in_the_way = _locks(batch.world, affected)
    too_many = len(batch.world.deployments) - len(in_the_way) >= (
        batch.world.settings.deployments_max
    )
    queued = waiting_for(batch.world, affected)
    if in_the_way and command.queue and not queued and not command.force:
        return enqueue(batch, wanted)
    if queued and not command.force:
        waiting = {app_id for one in queued for app_id in batch.world.queued[one].app_ids}
        return _locked(next(app_id for app_id in affected if app_id in waiting), queued)
    if in_the_way and not command.force:
        is_locked = (app_id for app_id in affected if app_id in batch.world.locks)
        return _locked(next(is_locked), in_the_way)
    if too_many:
        return Rejected(
            Refusal.TOO_MANY, "", "Max number of running deployments reached. Try again later."
        )
    cycle = _cycle(batch.world, command)
    if cycle is not None:
        return cycle
    for lock in in_the_way:
        give_up(batch, batch.world.deployments[lock], "cancelled by a forced change")
    for superseded in queued:
        drop_queued(batch, superseded, "replaced by a forced change")
    version = batch.new_version()
    changes = [
        *(_upsert(batch, upsert, version) for upsert in command.upserts),
        *(_restart(batch, app_id, version) for app_id in command.restarts),
        *(_remove(batch, removal) for removal in command.removals),
    ]
    known = batch.world.groups
    group_changes = [
        *(
            GroupChange(one.id, known.get(one.id), evolve(one, version=version))
            for one in command.groups
        ),
        *(GroupChange(group_id, known.get(group_id), None) for group_id in command.removed_groups),
    ]
    return deploy(batch, version, changes, group_changes, deployment_id=deployment_id)


def settle_queue(batch: Batch) -> None:
    """Begin the queued changes whose apps are free."""
    begin_queued(batch, _change_apps)


def with_service_ports(world: World, upserts: tuple[Upsert, ...]) -> tuple[Upsert, ...] | Rejected:
    """Give the definitions the service ports they leave open, before anything is changed."""

    def present(app_id: AppId) -> AppSpec | None:
        return world.spec_of(app_id) if world.live_app(app_id) is not None else None

    return assign(upserts, world.service_ports, present, *world.settings.service_ports)


def _refusal(world: World, command: ChangeApps) -> Rejected | None:
    """Check every expectation of a change before anything is changed."""
    affected = _affected(command)
    seen: set[AppId] = set()
    for app_id in affected:
        if app_id in seen:
            return Rejected(Refusal.INVALID, app_id, f"App '{app_id}' is named twice")
        seen.add(app_id)
    for upsert in command.upserts:
        app = world.live_app(upsert.spec.id)
        if app is None and upsert.expect is not None:
            return _not_found(upsert.spec.id)
        if app is not None and upsert.expect is None:
            message = f"An app with id [{upsert.spec.id}] already exists."
            return Rejected(Refusal.EXISTS, upsert.spec.id, message)
        if app is not None and app.version != upsert.expect:
            return _stale(upsert.spec.id, app.version)
    for removal in command.removals:
        app = world.live_app(removal.app_id)
        if app is None:
            return _not_found(removal.app_id)
        if removal.expect is not None and app.version != removal.expect:
            return _stale(removal.app_id, app.version)
    for app_id in command.restarts:
        if world.live_app(app_id) is None:
            return _not_found(app_id)
    return None


def _cycle(world: World, command: ChangeApps) -> Rejected | None:
    """Refuse a change that closes a circle of dependencies, before anything is changed."""
    has_dependencies = any(upsert.spec.dependencies for upsert in command.upserts)
    groups = [*world.groups.values(), *command.groups]
    if not has_dependencies and not any(group.dependencies for group in groups):
        return None
    imagined = imagine(world)
    imagined.groups.update({group.id: group for group in command.groups})
    for group_id in command.removed_groups:
        imagined.groups.pop(group_id, None)
    for upsert in command.upserts:
        spec = upsert.spec
        version = AppVersion(spec, Version(""), Version(""), Version(""))
        imagined.apps[spec.id] = App(spec.id, Version(""))
        imagined.versions[spec.id] = {Version(""): version}
    for removal in command.removals:
        imagined.apps.pop(removal.app_id, None)
    return circle_in(imagined)


def _upsert(batch: Batch, upsert: Upsert, version: Version) -> Change:
    """Store a new version of an app, unless it is what the app has already."""
    world, spec = batch.world, upsert.spec
    app = world.live_app(spec.id)
    if app is None:
        _switch(batch, AppVersion(spec, version, version, version))
        return Change(spec.id, before=None, after=version)
    current = world.version_of(spec.id)
    if current.spec == spec:
        return Change(spec.id, before=current.version, after=current.version)
    if is_config_change(current.spec, spec):
        new = AppVersion(spec, version, config_version=version, last_scaling_at=version)
        backoff.forgive(batch, spec.id)
    else:
        new = AppVersion(spec, version, current.config_version, last_scaling_at=version)
    _switch(batch, new)
    return Change(spec.id, before=current.version, after=version)


def _restart(batch: Batch, app_id: AppId, version: Version) -> Change:
    current = batch.world.version_of(app_id)
    backoff.forgive(batch, app_id)
    _switch(batch, AppVersion(current.spec, version, version, current.last_scaling_at))
    return Change(app_id, before=current.version, after=version)


def _remove(batch: Batch, removal: Removal) -> Change:
    app = batch.world.apps[removal.app_id]
    batch.put(evolve(app, removed=True))
    return Change(app.id, before=app.version, after=None)


def _switch(batch: Batch, version: AppVersion) -> None:
    """Store a version and make it the wanted one; versions before switches (design: store)."""
    batch.put(version)
    batch.put(App(version.app_id, version.version))


# ---------------------------------------------------------------- deployments


def _cancel(batch: Batch, command: CancelDeployment) -> Answer:
    if command.deployment_id in batch.world.queued:
        drop_queued(batch, command.deployment_id, "cancelled")
        return Accepted(batch.new_version(), command.deployment_id)
    deployment = batch.world.deployments.get(command.deployment_id)
    if deployment is None:
        return _no_deployment(command.deployment_id)
    if command.force:
        give_up(batch, deployment, "cancelled by force")
        return Accepted(deployment.version, deployment.id)
    return revert(batch, deployment, "cancelled", Outcome.CANCELLED)


def _steer(batch: Batch, command: SteerDeployment) -> Answer:
    """Pause, resume or promote. Resuming and promoting start every deadline afresh.

    Pausing what has failed already leaves the reason: it is what an operator must know.
    """
    if command.deployment_id in batch.world.queued:
        message = f"Deployment {command.deployment_id} has not begun yet: it waits for others."
        return Rejected(Refusal.STALE, command.deployment_id, message)
    deployment = batch.world.deployments.get(command.deployment_id)
    if deployment is None:
        return _no_deployment(command.deployment_id)
    match command.verb:
        case Steering.PAUSE:
            batch.put(evolve(deployment, paused=deployment.paused or PAUSED_BY_OPERATOR))
        case Steering.RESUME:
            batch.put(evolve(deployment, paused=None))
            _start_deadlines_afresh(batch, deployment)
        case Steering.PROMOTE:
            why_not = _why_not_promoted(batch.world, deployment)
            if why_not is not None:
                return Rejected(Refusal.STALE, deployment.id, why_not)
            batch.put(evolve(deployment, promoted=True))
            _start_deadlines_afresh(batch, deployment)
    return Accepted(deployment.version, deployment.id)


def _why_not_promoted(world: World, deployment: Deployment) -> str | None:
    """Say why there is nothing to promote; None where a step's canaries wait, or are on their way.

    Who promotes too early, or what stands still, would believe that all goes on.
    """
    if deployment.paused is not None:
        return (
            f"Deployment {deployment.id} is paused ({deployment.paused}): "
            "resume it before its canaries are promoted."
        )
    actions = deployment.steps[deployment.current_step].actions
    if any(has_canaries(world, action.app_id) for action in actions):
        return None
    return f"No canaries of deployment {deployment.id} wait to be promoted in its present step."


def _start_deadlines_afresh(batch: Batch, deployment: Deployment) -> None:
    for change in deployment.changes:
        rollout = batch.world.rollouts.get(change.app_id)
        if rollout is not None:
            batch.put(evolve(rollout, progressed_at_ms=batch.now_ms))
        for instance in list(batch.world.instances_of(change.app_id)):
            if instance.unproven_since_ms is not None:
                batch.put(evolve(instance, unproven_since_ms=batch.now_ms))


def _no_deployment(deployment_id: DeploymentId) -> Rejected:
    message = f"DeploymentPlan {deployment_id} does not exist"
    return Rejected(Refusal.NOT_FOUND, deployment_id, message)


# ---------------------------------------------------------------------- tasks


def _kill_tasks(batch: Batch, command: KillTasks) -> Answer:
    world = batch.world
    instances: list[Instance] = []
    for task_id in dict.fromkeys(command.task_ids):
        instance_id = instance_id_of(task_id)
        instance = None if instance_id is None else world.instances.get(instance_id)
        if instance is None or instance.task_id != task_id:
            message = f"Task '{task_id}' does not exist"
            return Rejected(Refusal.NOT_FOUND, task_id, message)
        instances.append(instance)
    answer: Answer = Killed(tuple(instances))
    if command.scale and instances:
        answer = _scale_down(batch, command, instances)
        if isinstance(answer, Rejected):
            return answer
    goal = Goal.DECOMMISSIONED if command.scale or command.wipe else None
    for instance in instances:
        current = world.instances[instance.id]
        if command.wipe and not command.scale and is_held(batch, current):
            create(batch, current.app_id, current.version)
        step(batch, current, Cause(Signal.KILL, reason="killed by an operator", goal=goal))
    return answer


def _scale_down(batch: Batch, command: KillTasks, instances: list[Instance]) -> Answer:
    """Lower the instance count of each app by the number of its tasks that are killed.

    One that is being ended for good already is missed by nobody, so a kill may be repeated.
    """
    world = batch.world
    killed: dict[AppId, int] = {}
    for instance in instances:
        if instance.goal is not Goal.DECOMMISSIONED:
            killed[instance.app_id] = killed.get(instance.app_id, 0) + 1
    upserts: list[Upsert] = []
    for app_id, count in killed.items():
        app = world.live_app(app_id)
        if app is None:
            return _not_found(app_id)
        spec = world.spec_of(app_id)
        left = max(0, spec.instances - count)
        upserts.append(Upsert(evolve(spec, instances=left), expect=app.version))
    change = ChangeApps(command.request_id, upserts=tuple(upserts), force=command.force)
    return _change_apps(batch, change)


def _reset_delay(batch: Batch, command: ResetDelay) -> Answer:
    world = batch.world
    waits = any(app_id == command.app_id for app_id, _version in world.waiting)
    delayed = any(app_id == command.app_id for app_id, _version in world.delays)
    if world.live_app(command.app_id) is None or not (waits or delayed):
        message = f"Application {command.app_id} not found in tasks queue."
        return Rejected(Refusal.NOT_FOUND, command.app_id, message)
    backoff.forgive(batch, command.app_id)
    world.revive_wanted = True
    return Accepted(world.apps[command.app_id].version, None)


# -------------------------------------------------------------------- helpers


def _affected(command: ChangeApps) -> list[AppId]:
    return app_ids_of(command.upserts, command.removals, command.restarts)


def _locks(world: World, app_ids: list[AppId]) -> list[DeploymentId]:
    locks = (world.locks.get(app_id) for app_id in app_ids)
    return list(dict.fromkeys(lock.deployment_id for lock in locks if lock is not None))


def _locked(app_id: AppId, in_the_way: list[DeploymentId]) -> Rejected:
    message = (
        "App is locked by one or more deployments. Override with the option '?force=true'. "
        "View details at '/v2/deployments/<DEPLOYMENT_ID>'."
    )
    return Rejected(Refusal.LOCKED, app_id, message, tuple(in_the_way))


def _not_found(app_id: AppId) -> Rejected:
    return Rejected(Refusal.NOT_FOUND, app_id, f"App '{app_id}' does not exist")


def _stale(app_id: AppId, version: Version) -> Rejected:
    return Rejected(Refusal.STALE, app_id, f"App '{app_id}' has changed: it is at {version} now")
