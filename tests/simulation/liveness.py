"""Look from time to time whether what must happen within a bound has happened.

L2: a launch or a kill that got lost is taken up again. L4: offers are answered. S15, L5: discovery
holds nothing of tasks long ended, and in the end exactly what serves. Bounds run while nothing
hinders: the time in which faults strike does not count.
"""

from scheduler.core.ids import OfferId, TaskId
from scheduler.core.instance import Condition
from scheduler.discovery import is_advertised
from tests.simulation.catalog import FOREIGN, Catalog
from tests.simulation.checkers import Checkers
from tests.simulation.mesos import SimMesos, Subscription
from tests.simulation.process import Process
from tests.simulation.violation import demand

LOOK_MS = 2_500
OFFER_MS = 5_000
DISCOVERY_MS = 60_000
SLACK_MS = 15_000


class Liveness:
    """What was waiting at the last looks, and since when."""

    def __init__(self, checkers: Checkers, mesos: SimMesos, catalog: Catalog) -> None:
        self._checkers = checkers
        self._mesos = mesos
        self._catalog = catalog
        self._subscription: Subscription | None = None
        self._looked_ms = 0
        self._heard_ms = 0
        """Since when the leader has been heard; later by the time in which it could not act."""
        self._offers: dict[OfferId, int] = {}
        self._waiting: dict[tuple[TaskId, Condition, int], int] = {}
        self._held_ms: dict[TaskId, int] = {}
        """Until when the disaster brake kept the entry of a task that had ended out of sight."""

    def look(self, leader: Process, now_ms: int, healed_ms: int | None) -> None:
        """Look at the leader; ``healed_ms`` is None as long as there are faults."""
        # An outage of the store that began and ended between two looks is within every bound.
        is_prompt = leader.turns.error is None and not leader.is_frozen
        is_heard = leader.is_alive and leader.world.connected
        passed_ms, self._looked_ms = now_ms - self._looked_ms, now_ms
        if leader.subscription is not self._subscription or not is_heard:
            self._subscription = leader.subscription
            self._offers = {}
            self._waiting = {}
            self._heard_ms = now_ms
            self._checkers.illness.rest()
            self._checkers.progress.rest()
        elif not is_prompt:
            self._excuse(passed_ms)
        if is_heard and is_prompt:
            self._checkers.illness.look(leader, now_ms)
            self._checkers.absence.look(leader, now_ms, self._heard_ms)
            self._checkers.progress.look(leader, now_ms, self._heard_ms)
            self._look_at_offers(leader, now_ms)
            self._look_at_tasks(leader, now_ms)
        if healed_ms is not None:
            self._look_at_discovery(leader, now_ms, healed_ms)

    def _excuse(self, ms: int) -> None:
        """Give all that waits the time in which the leader could not act."""
        # Who stood still asks Mesos anew before anything is condemned.
        self._heard_ms = self._looked_ms
        self._offers = {key: since_ms + ms for key, since_ms in self._offers.items()}
        self._waiting = {key: since_ms + ms for key, since_ms in self._waiting.items()}
        self._checkers.illness.excuse(ms)

    def _look_at_offers(self, leader: Process, now_ms: int) -> None:
        """L4: every offer is used or declined while the connection stands."""
        at_hand = self._checkers.offers.get(leader, {})
        known, self._offers = self._offers, {}
        for offer_id in at_hand:
            since_ms = self._offers[offer_id] = known.get(offer_id, now_ms)
            told = f"{offer_id} was not answered in {now_ms - since_ms} ms"
            demand(now_ms - since_ms < OFFER_MS + LOOK_MS, "L4", told)

    def _look_at_tasks(self, leader: Process, now_ms: int) -> None:
        """L2: nothing stays as it was sent off without another try."""
        settings = leader.world.settings
        jump_ms = self._mesos.options.clock_jump_ms
        bounds = {
            # Asked about, waited for once more, and replaced; asked late after a new beginning.
            Condition.PROVISIONED: 3 * settings.launch_confirm_timeout_ms,
            Condition.DRAINING: settings.deregister_timeout_ms,
            Condition.KILLING: settings.kill_retry_ms,
        }
        known, self._waiting = self._waiting, {}
        for instance in leader.world.instances.values():
            bound_ms = bounds.get(instance.condition)
            task_id = instance.task_id
            if bound_ms is None or task_id is None:
                continue
            key = (task_id, instance.condition, instance.kill_attempts)
            since_ms = self._waiting[key] = known.get(key, now_ms)
            is_late = now_ms - since_ms > bound_ms + jump_ms + SLACK_MS
            told = f"{task_id} is {instance.condition} for {now_ms - since_ms} ms"
            demand(not is_late, "L2", told)

    def _look_at_discovery(self, leader: Process, now_ms: int, healed_ms: int) -> None:
        """S15: no entry of ours outlives its task for long, and we never touch another's.

        While the disaster brake holds, the entries of tasks out of sight stay, as is promised:
        some may have ended, which nobody can know. They must go soon after it lets go.
        """
        demand(FOREIGN in self._catalog.entries, "S15", "an entry of somebody else is gone")
        if self._mesos.options.is_discovery_down:
            return
        for task_id in self._catalog.entries:
            ended_ms = self._checkers.ended_at_ms.get(task_id)
            if ended_ms is None:
                continue
            if _is_held(leader, task_id):
                self._held_ms[task_id] = now_ms
            for_ms = now_ms - max(ended_ms, healed_ms, self._held_ms.get(task_id, 0))
            told = f"{task_id} is in discovery {for_ms} ms after its end"
            demand(for_ms <= DISCOVERY_MS, "S15", told)


def _is_held(leader: Process, task_id: TaskId) -> bool:
    instance = leader.world.instance_of(task_id)
    is_out_of_sight = instance is not None and instance.condition is Condition.UNREACHABLE
    return leader.is_alive and leader.world.brake.holds and is_out_of_sight


def unlike_discovery(leader: Process, catalog: Catalog) -> list[str]:
    """L5: name what discovery should not hold, or does not."""
    settings = leader.world.settings
    if not settings.discovery or leader.mesos.options.is_discovery_down:
        return []
    world = leader.world
    wanted = {
        instance.task_id
        for instance in world.instances.values()
        if instance.task_id is not None
        and is_advertised(instance, world.spec_at(instance.app_id, instance.version))
    }
    held = catalog.entries.keys() - {FOREIGN}
    return [f"{task_id} is in discovery or serves, not both" for task_id in sorted(wanted ^ held)]
