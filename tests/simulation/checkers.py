"""Check the promises on everything that happens: S1 to S13 of ``docs/reliability.md``.

The checkers see three things: what a process sends and receives, what the store has taken, and the
truth about tasks on agents. A broken promise raises ``Violation`` with the story so far.
"""

from collections import Counter
from collections.abc import Sequence

from scheduler.core import effects as fx
from scheduler.core import events as ev
from scheduler.core.app import Operator
from scheduler.core.ids import AppId, FrameworkId, InstanceId, OfferId, TaskId
from scheduler.core.instance import Condition, Instance, TaskState
from scheduler.core.records import Framework, Kind, Put, Record
from scheduler.core.rollout import bounds_of
from scheduler.core.targets import target_of
from scheduler.core.world import Bucket
from scheduler.runtime.turn import Changes
from tests.simulation.mesos import SimTask
from tests.simulation.process import Process, Watch

TASKLESS = (Bucket.SCHEDULED, Bucket.DONE, Bucket.INACTIVE)
"""Buckets that cannot hold a living task, or only one that was given up."""


class Violation(AssertionError):
    """A promise was broken."""


def demand(condition: bool, promise: str, story: str) -> None:
    if not condition:
        raise Violation(f"{promise}: {story}")


class Checkers(Watch):
    """All checkers of one run, incremental: each looks only at what has just happened."""

    def __init__(self) -> None:
        self.stored: dict[InstanceId, Instance] = {}
        self.framework_id: FrameworkId | None = None
        self.sent_launches: dict[TaskId, None] = {}
        self.alive: dict[TaskId, SimTask] = {}
        self.offers: dict[int, dict[OfferId, None]] = {}
        """Process → offers it may use."""
        self.updates: dict[str, ev.StatusUpdate] = {}

    # ------------------------------------------------------------- the store

    def committed(self, records: Sequence[Record]) -> None:
        for record in records:
            if record.kind is Kind.INSTANCE:
                if isinstance(record, Put):
                    assert isinstance(record.value, Instance)
                    self.stored[record.value.id] = record.value
                else:
                    self.stored.pop(InstanceId(record.key), None)
            elif record.kind is Kind.FRAMEWORK:
                assert isinstance(record, Put)
                assert isinstance(record.value, Framework)
                framework_id = record.value.id
                is_same = self.framework_id in {None, framework_id}
                demand(is_same, "S13", f"framework id replaced by {framework_id}")
                self.framework_id = framework_id

    # ------------------------------------------------------------ the process

    def received(self, process: Process, event: ev.Event) -> None:
        offers = self.offers.setdefault(id(process), {})
        match event:
            case ev.OffersReceived():
                offers.update(dict.fromkeys(offer.id for offer in event.offers))
            case ev.OfferRescinded():
                offers.pop(event.offer_id, None)
            case ev.Subscribed() | ev.Disconnected():
                offers.clear()
            case ev.StatusUpdate():
                if event.uuid is not None:
                    self.updates[event.uuid] = event
            case _:
                pass

    def sent(self, process: Process, effect: fx.MesosEffect) -> None:
        match effect:
            case fx.Accept():
                self._check_accept(process, effect)
            case fx.Decline():
                self._use_offers(process, effect.offer_ids)
            case fx.Acknowledge():
                self._check_acknowledge(effect)
            case _:
                pass

    def _check_accept(self, process: Process, effect: fx.Accept) -> None:
        demand(bool(effect.launches), "S8", "an ACCEPT without launches")
        self._use_offers(process, effect.offer_ids)
        for launch in effect.launches:
            instance = launch.instance
            task_id = instance.task_id
            assert task_id is not None
            stored = self.stored.get(instance.id)
            is_stored = stored is not None and stored.incarnation >= instance.incarnation
            demand(is_stored, "S1", f"{task_id} launched before its intent was stored")
            demand(task_id not in self.sent_launches, "S3", f"{task_id} launched twice")
            self.sent_launches[task_id] = None
        for app_id in {launch.spec.id: None for launch in effect.launches}:
            self._check_ceiling(process, app_id)

    def _use_offers(self, process: Process, offer_ids: tuple[OfferId, ...]) -> None:
        offers = self.offers.get(id(process), {})
        for offer_id in offer_ids:
            # A rescind may be received while the batch that uses the offer commits.
            offers.pop(offer_id, None)

    def _check_ceiling(self, process: Process, app_id: AppId) -> None:
        """S4, as the process sees it: tasks that may be alive stay under the ceiling."""
        target = target_of(process.world, app_id)
        if target.version is None:
            return
        spec = target.spec
        ceiling = bounds_of(spec).ceiling
        if spec.update is not None:
            ceiling = max(ceiling, spec.instances + spec.update.canary_instances)
        tallies = process.world.tallies[app_id].values()
        alive = sum(
            tally.total - sum(tally.count(bucket) for bucket in TASKLESS) for tally in tallies
        )
        real = [t for t in self.alive.values() if t.launch.spec.id == app_id]
        seen = sum(1 for t in real if not t.was_out_of_sight)
        returned = sum(1 for t in real if t.was_out_of_sight)
        limit = max(ceiling, spec.instances)
        demand(
            alive <= limit + returned,
            "S4",
            f"{app_id}: {alive} may be alive, at most {limit} (+{returned} returned) allowed",
        )
        demand(seen <= limit, "S4", f"{app_id}: {seen} are alive, at most {limit} allowed")

    def _check_acknowledge(self, effect: fx.Acknowledge) -> None:
        """S2: what an acknowledged update says is in the store."""
        update = self.updates[effect.uuid]
        instance_id = InstanceId(effect.task_id.rpartition("._app.")[0])
        stored = self.stored.get(instance_id)
        if stored is None or stored.task_id != effect.task_id:
            return
        demand(
            not update.state.is_terminal, "S2", f"{update} acknowledged, the store says {stored}"
        )
        if update.state is TaskState.RUNNING:
            early = {Condition.PROVISIONED, Condition.STAGING, Condition.STARTING}
            demand(stored.condition not in early, "S2", f"{update} acknowledged before stored")

    def decided(self, process: Process, changes: Changes) -> None:
        """S5: replacing never takes the serving instances below the floor."""
        world = process.world
        replaced: Counter[AppId] = Counter()
        for before, after in changes:
            if before is None or after is None or after.kill_reason is None:
                continue
            is_replaced = after.kill_reason.startswith("replaced") and before.kill_reason is None
            if is_replaced and before.healthy_since_ms is not None:
                replaced[before.app_id] += 1
        for app_id in replaced:
            target = target_of(world, app_id)
            if target.version is None or not target.is_rolling:
                continue
            floor = bounds_of(target.spec).floor
            wanted = world.tally(app_id, target.config_version)
            serving = sum(t.count(Bucket.SERVING) for t in world.tallies[app_id].values())
            serving += sum(
                t.count(Bucket.PROVING) for t in world.tallies[app_id].values() if t is not wanted
            )
            serving += wanted.count(Bucket.DONE)
            demand(serving >= floor, "S5", f"{app_id}: {serving} serve, the floor is {floor}")

    # -------------------------------------------------------------- the truth

    def launched(self, task: SimTask) -> None:
        """S8: resources and ports of an agent are not given twice; S9: UNIQUE holds."""
        self.alive[task.id] = task
        siblings = [t for t in task.agent.tasks.values() if t.is_alive and t is not task]
        ports = _ports(task)
        for other in siblings:
            demand(not ports & _ports(other), "S8", f"{task.id} and {other.id} share a port")
            theirs, ours = other.launch.instance, task.launch.instance
            is_sibling = theirs.app_id == ours.app_id and theirs.version == ours.version
            if is_sibling and not other.was_out_of_sight:
                for constraint in task.launch.spec.constraints:
                    is_unique = constraint.operator is Operator.UNIQUE
                    demand(not is_unique, "S9", f"{task.id} and {other.id} are on one host")

    def ended(self, task: SimTask) -> None:
        self.alive.pop(task.id, None)


def _ports(task: SimTask) -> set[int]:
    placement = task.launch.instance.placement
    assert placement is not None
    return set(placement.host_ports)
