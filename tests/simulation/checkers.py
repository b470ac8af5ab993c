"""Check the promises on everything that happens: see ``docs/reliability.md`` for the list.

The checkers see what a process receives, handles, decides and sends, what the store has taken, and
the truth about tasks on agents. Each looks only at what has just happened; a broken promise raises
``Violation`` at the moment it is broken.
"""

from collections import Counter
from collections.abc import Sequence

from attrs import evolve

from scheduler.core import effects as fx
from scheduler.core import events as ev
from scheduler.core.app import Operator
from scheduler.core.deployment import ActionKind, Change, Deployment
from scheduler.core.ids import AgentId, AppId, Epoch, FrameworkId, InstanceId, OfferId, TaskId
from scheduler.core.instance import Condition, Goal, Instance, TaskState
from scheduler.core.offer import Offer, Pool
from scheduler.core.records import Put, Record
from scheduler.core.strays import SILENT
from scheduler.core.targets import target_of
from scheduler.runtime.turn import Changes
from tests.simulation import counting
from tests.simulation.absence import Absence
from tests.simulation.answers import check_answer
from tests.simulation.illness import Illness
from tests.simulation.ledger import Ledger
from tests.simulation.mesos import SimTask
from tests.simulation.process import Process, Watch
from tests.simulation.progress import Progress
from tests.simulation.restarting import Restarting
from tests.simulation.scaling import Scaling
from tests.simulation.violation import demand

REFUSED_S = 60
"""For so long at least an offer is declined that nothing waits for: others shall have it."""
LATE_MS = 5_000
"""Longer than anything that Mesos says is on its way."""
_EARLY = frozenset({Condition.PROVISIONED, Condition.STAGING, Condition.STARTING})


class Checkers(Watch):
    """All checkers of one run that look at single things as they happen."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        ledger.follow = self._stored
        self.illness = Illness(ledger)
        self.absence = Absence(ledger)
        self.restarting = Restarting(ledger)
        self.progress = Progress(ledger)
        self.scaling = Scaling()
        self.sent_launches: dict[TaskId, None] = {}
        self.alive: dict[TaskId, SimTask] = {}
        self.ended_at_ms: dict[TaskId, int] = {}
        """Tasks that have ended in truth → when."""
        self.offers: dict[Process, dict[OfferId, Offer]] = {}
        """Process → offers that it knows of and may use."""
        self.updates: dict[str, ev.StatusUpdate] = {}
        self.allowed_kills: dict[TaskId, None] = {}
        """Unknown tasks that an operator asked to kill."""
        self.released: dict[Process, None] = {}
        """Processes of which an operator has released the brake."""
        self.killed_ill: dict[Process, dict[InstanceId, int]] = {}
        """Process → instances that were healthy once and that it killed for their health → when."""
        self.left_mixed: dict[AppId, None] = {}
        """Apps whose last deployment was stopped on its way, as a user asked."""

        self.processes: dict[Epoch, Process] = {}
        self._writer: Process | None = None
        self.proofs: dict[Process, int] = {}
        """Process → number of the last batch that was committed while it led."""
        self.unproved: dict[Process, None] = {}
        """Processes that have lost the connection and not asked the store since."""

    # ------------------------------------------------------------- the store

    def committed(self, epoch: Epoch, records: Sequence[Record]) -> None:
        self._writer = self.processes[epoch]
        self.ledger.committed(epoch, records)
        deployments = [
            record.value
            for record in records
            if isinstance(record, Put) and isinstance(record.value, Deployment)
        ]
        self.progress.committed(self._writer, deployments)

    def _stored(self, before: Instance | None, after: Instance | None) -> None:
        """Look at one instance's record, as the process that decided it has written it."""
        assert self._writer is not None
        self.illness.stored(self._writer, before, after)
        self.absence.stored(self._writer, before, after)
        self.restarting.stored(self._writer, before, after)
        if (instance := after or before) is not None:
            self.progress.stored(instance)

    def proved(self, epoch: Epoch) -> None:
        process = self.processes[epoch]
        self.proofs[process] = process.turns.decided
        self.unproved.pop(process, None)

    def loaded(self, process: Process) -> None:
        """S14, S7: nothing is skipped, and a new leader knows all that was ever written."""
        self.processes[process.epoch] = process
        damage = process.store.damage
        demand(damage is None, "S14", f"epoch {process.epoch} leads in spite of: {damage}")
        self.illness.loaded(process)
        for difference in self.ledger.differences(process.world):
            demand(False, "S7", f"epoch {process.epoch} begins otherwise: {difference}")

    # ------------------------------------------------------------ the process

    def subscribing(self, process: Process, framework_id: FrameworkId | None) -> None:
        """S13: once we have an identity we never ask for another. S6: who has lost the connection
        to a successor finds out in the store before it takes it back.
        """
        known = self.ledger.framework
        is_same = known is None or framework_id == known.id or process.epoch < self.ledger.epoch
        demand(is_same, "S13", f"subscribes as {framework_id}, the store says {known}")
        asks = process.turns._pending is not None
        is_unaware = process in self.unproved and not asks and is_replaced(process)
        demand(not is_unaware, "S6", f"{process.name} takes the subscription back")

    def posted(self, process: Process, command: ev.Command) -> None:
        if isinstance(command, ev.KillUnknown):
            self.allowed_kills.update(dict.fromkeys(command.task_ids))
        if isinstance(command, ev.ChangeApps):
            self.ledger.removals_asked.update({r.app_id: None for r in command.removals})

    def handling(self, process: Process, event: ev.Event) -> None:
        self.scaling.handling(process, event)

    def handled(self, process: Process, event: ev.Event) -> None:
        """Follow the offers; S12: what Mesos reports is known or listed from then on."""
        self.absence.handled(event)
        self.restarting.handled(process, event)
        self.scaling.handled(process, event)
        self.progress.handled(process, event)
        offers = self.offers.setdefault(process, {})
        match event:
            case ev.OffersReceived():
                offers.update({offer.id: offer for offer in event.offers})
            case ev.OfferRescinded():
                offers.pop(event.offer_id, None)
            case ev.Subscribed() | ev.Disconnected():
                offers.clear()
                if isinstance(event, ev.Disconnected):
                    self.unproved[process] = None
            case ev.ReleaseBrake():
                self.released[process] = None
            case ev.StatusUpdate():
                if event.uuid is not None:
                    self.updates[event.uuid] = event
                if event.state.is_terminal or event.state in SILENT:
                    return
                world, task_id = process.world, event.task_id
                is_known = world.instance_of(task_id) is not None or task_id in world.unknown_tasks
                demand(is_known, "S12", f"{task_id} is {event.state}, neither known nor listed")
            case _:
                pass

    def probed(self, process: Process, task_id: TaskId, *, is_well: bool) -> None:
        self.illness.probed(process, task_id, is_well=is_well)

    def sent(self, process: Process, effect: fx.MesosEffect) -> None:
        """S1: nothing is sent unless it was committed by the sender while it led."""
        is_proved = self.proofs.get(process) == process.turns.decided
        told = f"{process.name} was replaced and sends {type(effect).__name__}"
        demand(is_proved or not is_replaced(process), "S1", told)
        match effect:
            case fx.Accept():
                self._check_accept(process, effect)
            case fx.Decline():
                told = f"{effect.offer_ids} are declined for {effect.refuse_s} s"
                demand(effect.refuse_s >= REFUSED_S, "L4", told)
                self._use_offers(process, effect.offer_ids)
            case fx.Acknowledge():
                self._check_acknowledge(effect)
            case fx.Kill():
                self._check_kill(effect)
            case _:
                pass

    def _check_accept(self, process: Process, effect: fx.Accept) -> None:
        demand(bool(effect.launches), "S8", "an ACCEPT without launches")
        demand(self.ledger.framework is not None, "S13", "a launch before we had an identity")
        offers = self._use_offers(process, effect.offer_ids)
        _check_resources(effect, offers)
        for launch in effect.launches:
            self._check_launch(process, launch)
        for app_id in {launch.spec.id: None for launch in effect.launches}:
            self._check_ceiling(process, app_id)
            self._check_canaries(process, app_id, effect)

    def _check_launch(self, process: Process, launch: fx.Launch) -> None:
        instance = launch.instance
        task_id = instance.task_id
        assert task_id is not None
        # A leader that was replaced meanwhile does not know; Mesos listens to it no more. What it
        # launches may have ended since, and its version may be forgotten.
        is_stale = process.epoch < self.ledger.epoch
        stored = self.ledger.instances.get(instance.id)
        is_stored = stored is not None and stored.incarnation >= instance.incarnation
        has_ended = is_stale and self.ledger.has_ended(instance.id, instance.incarnation)
        demand(is_stored or has_ended, "S1", f"{task_id} launched before its intent was stored")
        version = self.ledger.versions.get((instance.app_id, instance.version))
        if version is None and is_stale:
            version = self.ledger.versions_ever.get(instance.app_id, {}).get(instance.version)
        is_right = version is not None and version.spec == launch.spec
        demand(is_right, "S1", f"{task_id} launched as something else than {instance.version}")
        demand(task_id not in self.sent_launches, "S3", f"{task_id} launched twice")
        self.sent_launches[task_id] = None
        delay = self.ledger.delays.get((instance.app_id, instance.version))
        is_over = delay is None or process.now_ms >= delay.until_ms or is_stale
        demand(is_over, "back-off", f"{instance.app_id}: {task_id} launched in spite of {delay}")

    def _use_offers(self, process: Process, offer_ids: tuple[OfferId, ...]) -> list[Offer]:
        """S8: an offer is used once, and only while it stands, as far as one could know."""
        offers = self.offers.setdefault(process, {})
        for offer_id in offer_ids:
            demand(offer_id in offers, "S8", f"{offer_id} was used and did not stand")
        return [offers.pop(offer_id) for offer_id in offer_ids]

    def _check_ceiling(self, process: Process, app_id: AppId) -> None:
        """S4, by the records and by the truth: tasks that may be alive stay under the ceiling."""
        target = target_of(process.world, app_id)
        if target.version is None:
            return
        spec = target.spec
        instances = self.ledger.instances_of(app_id)
        limit = max(counting.ceiling_of(spec), spec.instances)
        alive = sum(map(counting.may_live, instances))
        real, returned = self._alive_and_returned(app_id)
        if target.is_paused:
            # Nothing is ended then: what came back stays beside the others, and runs again.
            return
        if max(real, alive) <= limit:
            # Nothing is too many: who is back, and known to be, is counted like all others.
            self._welcome(app_id)
        told = f"{app_id}: {alive} may be alive, at most {limit} (+{returned} returned) allowed"
        demand(alive <= limit + returned, "S4", told)
        told = f"{app_id}: {real - returned} are alive, at most {limit} allowed"
        demand(real - returned <= limit, "S4", told)

    def _alive_and_returned(self, app_id: AppId) -> tuple[int, int]:
        """Count the tasks of an app that run in truth, and those of them that were out of sight."""
        real = [t for t in self.alive.values() if t.launch.spec.id == app_id]
        return len(real), sum(t.was_out_of_sight for t in real)

    def _welcome(self, app_id: AppId) -> None:
        """Excuse no more those of which it is on record that they came back."""
        for task in self.alive.values():
            if not task.was_out_of_sight or task.launch.spec.id != app_id:
                continue
            stored = self.ledger.instances.get(task.launch.instance.id)
            if stored is None or stored.task_id != task.id:
                continue
            lost_ms = self.absence.lost_ms[task.agent.agent.id][-1]
            is_back = task.agent.is_visible and stored.condition is Condition.RUNNING
            # What was said of its absence has been heard by then, and will not come again.
            if is_back and stored.since_ms >= lost_ms + LATE_MS:
                task.was_out_of_sight = False

    def _check_canaries(self, process: Process, app_id: AppId, effect: fx.Accept) -> None:
        """S4: no more of a new version are launched than may be tried beside the old one."""
        target = target_of(process.world, app_id)
        deployment = process.world.deployment_of(app_id)
        if target.version is None or deployment is None or target.is_promoted:
            return
        spec, policy = target.spec, target.spec.update
        launched = [launch.instance for launch in effect.launches]
        is_canary = any(i.app_id == app_id and i.version == target.config_version for i in launched)
        if policy is None or not policy.auto_pause or not policy.canary_instances or not is_canary:
            return
        active = [i for i in self.ledger.instances_of(app_id) if counting.fills_a_place(i)]
        is_old_left = any(i.version != target.config_version for i in active)
        new = sum(
            i.version == target.config_version and i.created_at_ms >= deployment.started_at_ms
            for i in active
        )
        if target.is_rolling and is_old_left:
            # One that came back from out of sight had been replaced meanwhile.
            _, returned = self._alive_and_returned(app_id)
            canaries = min(policy.canary_instances, spec.instances) + returned
            demand(new <= canaries, "S4", f"{app_id}: {new} canaries, at most {canaries} allowed")

    def _check_acknowledge(self, effect: fx.Acknowledge) -> None:
        """S2: what an acknowledged update says is in the store."""
        update = self.updates[effect.uuid]
        instance_id = InstanceId(effect.task_id.rpartition("._app.")[0])
        stored = self.ledger.instances.get(instance_id)
        if stored is None or stored.task_id != effect.task_id:
            return

        def told() -> str:
            return f"{stored.app_id}: {update} acknowledged, the store says {stored}"

        demand(not update.state.is_terminal, "S2", told)
        if update.state is TaskState.RUNNING:
            demand(stored.condition not in _EARLY, "S2", told)

    def _check_kill(self, effect: fx.Kill) -> None:
        """S12: a task is killed only if it is on record that it shall end, or has."""
        name, _, incarnation = effect.task_id.rpartition("._app.")
        instance_id = InstanceId(name)
        stored = self.ledger.instances.get(instance_id)
        if stored is not None and stored.task_id == effect.task_id:
            is_meant = stored.kill_reason is not None
            told = f"{effect.task_id} is killed, the store says"
            demand(is_meant, "S12", lambda: f"{told} {stored}")
            return
        is_allowed = effect.task_id in self.allowed_kills
        is_ours = is_allowed or self.ledger.has_ended(instance_id, int(incarnation))
        demand(is_ours, "S12", f"{effect.task_id} is killed without proof that it is ours")

    def replied(self, process: Process, command: ev.Command, answer: fx.Answer) -> None:
        self.scaling.replied(process, command, answer)
        leads = process.epoch >= self.ledger.epoch
        check_answer(self.ledger, process.world if leads else None, command, answer)

    def published(self, process: Process, fact: fx.Fact) -> None:
        match fact:
            case fx.UnhealthyKill():
                self._check_brake(process, fact)
            case fx.DeploymentStepDone():
                self._check_step(fact)
            case fx.DeploymentStarted():
                if not fact.deployment.changes:
                    self.ledger.empty_deployments[fact.deployment.id] = None
                for change in fact.deployment.changes:
                    self.left_mixed.pop(change.app_id, None)
            case fx.DeploymentFailed():
                self.progress.published(process, fact)
                changes = fact.deployment.changes
                self.left_mixed.update({change.app_id: None for change in changes})
            case _:
                pass

    def _check_brake(self, process: Process, fact: fx.UnhealthyKill) -> None:
        """Brake: while most checks fail at once nothing is killed for being unhealthy.

        What it has killed lately counts as failing until it is found healthy again.
        """
        if process.world.brake.released_until_ms is not None:
            return
        settings = process.world.settings
        once_healthy = failing = 0
        others = [i for i in process.world.instances.values() if i.id != fact.instance.id]
        # The killed one counted when it was decided.
        for instance in [*others, fact.instance]:
            if instance.condition is not Condition.RUNNING:
                continue
            if _was_healthy(instance):
                once_healthy += 1
                failing += any(check.alive is False for check in instance.checks)
        killed = self.killed_ill.setdefault(process, {})
        if process not in self.released:
            since_ms = process.now_ms - settings.brake_linger_ms
            lately = sum(at_ms > since_ms for at_ms in killed.values())
            once_healthy, failing = once_healthy + lately, failing + lately
        if _was_healthy(fact.instance):
            killed[fact.instance.id] = process.now_ms
        is_held = (
            once_healthy >= settings.brake_instances_min
            and failing * 1000 > once_healthy * settings.brake_share_milli
        )
        told = f"{fact.task_id} killed while {failing} of {once_healthy} fail"
        # With several events in one step the counts in between are not known.
        demand(not is_held or process.handled_in_batch > 1, "brake", told)

    def _shrinks(self, change: Change) -> bool:
        if change.before is None or change.after is None:
            return False
        known = self.ledger.versions_ever[change.app_id]
        before, after = known[change.before], known[change.after]
        is_same = before.config_version == after.config_version
        return is_same and after.spec.instances < before.spec.instances

    def _check_step(self, fact: fx.DeploymentStepDone) -> None:
        """S10: a step is over only when its apps are as it wants them."""
        for action in fact.step.actions:
            if action.kind is ActionKind.START:
                continue
            change = next(c for c in fact.deployment.changes if c.app_id == action.app_id)
            app = self.ledger.app(action.app_id)
            if (None if app is None or app.removed else app.version) != change.after:
                # The next change of the app has begun in the same step: it was queued.
                continue
            version = None
            if change.after is not None:
                version = self.ledger.versions_ever[action.app_id][change.after]
            # Who only asks for fewer has them when the surplus is gone.
            shrinks = action.kind is ActionKind.SCALE and self._shrinks(change)
            is_there = (counting.is_counted if shrinks else counting.is_complete)(
                self.ledger.instances_of(action.app_id),
                None if version is None else version.config_version,
                None if version is None else version.spec,
            )
            told = f"{action.app_id}: {action.kind} of {fact.deployment.id} is not done"
            demand(is_there, "S10", told)

    # ------------------------------------------------------------- decisions

    def decided(self, process: Process, changes: Changes) -> None:
        """S5: replacing and scaling down never take more than they may; the brake holds."""
        killed = self.killed_ill.setdefault(process, {})
        for _, after in changes:
            if after is not None and after.condition is Condition.RUNNING and _was_healthy(after):
                killed.pop(after.id, None)
        if process.epoch < self.ledger.epoch:
            # A leader that was replaced, and does not know it yet: none of this will be written.
            return
        replaced: Counter[AppId] = Counter()
        scaled: Counter[AppId] = Counter()
        for before, after in changes:
            if _is_given_up(before, after):
                self._check_giving_up(process, after)
            if before is None or after is None or after.kill_reason is None:
                continue
            if before.kill_reason is not None:
                continue
            if after.kill_reason.startswith("replaced") and self._did_serve(before, after):
                replaced[before.app_id] += 1
            deployment = process.world.deployment_of(before.app_id)
            # A step that begins changes the target: then two of them were at work in this step.
            is_new = deployment is not None and deployment.step_started_at_ms == after.since_ms
            if after.kill_reason == "scaled down" and not is_new:
                scaled[before.app_id] += 1
        for app_id in replaced:
            self._check_floor(process, app_id)
        for app_id in scaled:
            self._check_scaling(process, app_id)

    def _check_giving_up(self, process: Process, given_up: Instance | None) -> None:
        """Brake: while most of all is out of sight on several agents nothing is given up.

        What was given up before is remembered by the scheduler and not counted here.
        """
        world, settings = process.world, process.world.settings
        if given_up is None or process in self.released:
            # What was missing then counts no more, also when the release is over.
            return
        others = [i for i in world.instances.values() if i.condition is Condition.UNREACHABLE]
        missing = [i for i in others if i.id != given_up.id] + [given_up]
        agents = {i.placement.agent_id for i in missing if i.placement is not None}
        # A deployment that fails in this step changes what is wanted after the brake was asked.
        wanted = max(self.ledger.wanted(), world.brake.wanted)
        # More may run than are wanted; in the same step some of them may be ended.
        ran = (Condition.RUNNING, Condition.DRAINING, Condition.KILLING)
        whole = max(wanted, sum(i.condition in ran for i in world.instances.values()))
        is_held = (
            min(len(missing), self.ledger.wanted(), world.brake.wanted)
            >= settings.brake_instances_min
            and len(missing) * 1000 > whole * settings.brake_share_milli
            and len(agents) >= settings.brake_agents_min
        )
        told = f"{given_up.task_id} given up while {len(missing)} of {whole} are out of sight"
        demand(not is_held or process.handled_in_batch > 1, "brake", told)

    def _check_floor(self, process: Process, app_id: AppId) -> None:
        target = target_of(process.world, app_id)
        if target.version is None or not target.is_rolling:
            return
        serving = sum(
            self._counts_as_serving(instance, is_new=instance.version == target.config_version)
            for instance in self.ledger.instances_of(app_id)
        )
        least = counting.floor_of(target.spec)
        demand(serving >= least, "S5", f"{app_id}: {serving} serve, the floor is {least}")

    def _did_serve(self, before: Instance, after: Instance) -> bool:
        """Whether an instance served when its kill was decided: its checks are kept."""
        spec = self.ledger.versions[before.app_id, before.version].spec
        as_it_ran = evolve(after, condition=Condition.RUNNING, goal=Goal.RUNNING)
        return before.condition is Condition.RUNNING and counting.serves(as_it_ran, spec)

    def _counts_as_serving(self, instance: Instance, *, is_new: bool) -> bool:
        if counting.is_done(instance):
            return is_new
        spec = self.ledger.versions[instance.app_id, instance.version].spec
        is_proven = instance.ready and instance.proven
        return counting.serves(instance, spec) and (is_proven or not is_new)

    def _check_scaling(self, process: Process, app_id: AppId) -> None:
        target = target_of(process.world, app_id)
        if target.version is None:
            return
        active = [i for i in self.ledger.instances_of(app_id) if counting.fills_a_place(i)]
        if target.is_rolling:
            active = [i for i in active if i.version == target.config_version]
        told = f"{app_id}: scaled down to {len(active)}, {target.instances} are wanted"
        demand(len(active) >= target.instances, "S5", told)

    # -------------------------------------------------------------- the truth

    def launched(self, task: SimTask) -> None:
        """S8: ports of an agent are not given twice; S9: UNIQUE holds."""
        self.alive[task.id] = task
        ports = _ports(task)
        for other in task.agent.tasks.values():
            if not other.is_alive or other is task:
                continue
            demand(not ports & _ports(other), "S8", f"{task.id} and {other.id} share a port")
            theirs, ours = other.launch.instance, task.launch.instance
            is_sibling = theirs.app_id == ours.app_id and theirs.version == ours.version
            if is_sibling and not other.was_out_of_sight:
                for constraint in task.launch.spec.constraints:
                    is_unique = constraint.operator is Operator.UNIQUE
                    demand(not is_unique, "S9", f"{task.id} and {other.id} are on one host")

    def ended(self, task: SimTask, now_ms: int) -> None:
        self.alive.pop(task.id, None)
        self.ended_at_ms[task.id] = now_ms

    def lost_sight(self, agent_id: AgentId, now_ms: int) -> None:
        self.absence.lost_ms[agent_id].append(now_ms)


def _was_healthy(instance: Instance) -> bool:
    return any(check.first_success_ms is not None for check in instance.checks)


def is_replaced(process: Process) -> bool:
    """Whether another was elected since; the process may not know it yet."""
    return process.epoch < process.store.epoch


def _is_given_up(before: Instance | None, after: Instance | None) -> bool:
    return (
        before is not None
        and after is not None
        and before.condition is Condition.UNREACHABLE
        and after.condition is Condition.UNREACHABLE_INACTIVE
    )


def _check_resources(effect: fx.Accept, offers: list[Offer]) -> None:
    """S8: no more is launched than was offered, and only on the agent that offered it."""
    offered = [pool for offer in offers for pool in offer.pools]
    taken = [
        pool
        for launch in effect.launches
        for pool in (launch.instance.placement.pools if launch.instance.placement else ())
    ]
    for needed, there in zip(_amounts(taken), _amounts(offered), strict=True):
        demand(needed <= there, "S8", lambda: f"{taken} launched on {offered}")
    for offer in offers:
        is_there = offer.agent.id == effect.agent_id
        demand(is_there, "S8", f"{offer.id} of {offer.agent.id} used for {effect.agent_id}")


def _amounts(pools: list[Pool]) -> tuple[int, int, int]:
    return (
        sum(pool.cpus_milli for pool in pools),
        sum(pool.mem_mib for pool in pools),
        sum(port.end - port.begin + 1 for pool in pools for port in pool.ports),
    )


def _ports(task: SimTask) -> set[int]:
    placement = task.launch.instance.placement
    assert placement is not None
    return set(placement.host_ports)
