"""Model discovery: entries that outlive every scheduler, and a process that keeps them in step.

What is modelled is what the core and the turns are responsible for: which tasks are advertised, and
that no task is killed before its entry is gone. How entries are written to a real Consul is tested
with the room ``discovery``; only its rule for who is advertised is used here.
"""

from collections.abc import Callable

from scheduler.core.app import AppSpec
from scheduler.core.ids import Epoch, InstanceId, TaskId
from scheduler.core.instance import Condition, Instance
from scheduler.core.world import World
from scheduler.discovery import is_advertised
from tests.simulation.clock import Clock
from tests.simulation.faults import Faults

SYNC_MS = 50
RETRY_MS = 2_000
LOOK_MS = 10_000
FOREIGN = TaskId("somebody else's")


class Catalog:
    """What Consul holds."""

    def __init__(self) -> None:
        self.entries: dict[TaskId, None] = {FOREIGN: None}
        self.epoch = 0

    def write(self, epoch: Epoch, puts: list[TaskId], deletes: list[TaskId]) -> bool:
        """Change entries, unless a later leader has written already."""
        if epoch < self.epoch:
            return False
        self.epoch = epoch
        self.entries.update(dict.fromkeys(puts))
        for task_id in deletes:
            self.entries.pop(task_id, None)
        return True


class Follower:
    """One process's part: follows the instances, and confirms what it has taken out."""

    def __init__(
        self, catalog: Catalog, faults: Faults, clock: Clock, epoch: Epoch, world: World
    ) -> None:
        self.confirm: Callable[[TaskId], None] = lambda _: None
        self.is_alive: Callable[[], bool] = lambda: False
        self.is_frozen: Callable[[], bool] = lambda: False
        self._catalog = catalog
        self._faults = faults
        self._clock = clock
        self._epoch = epoch
        self._world = world
        self._tracked: dict[InstanceId, tuple[Instance, AppSpec]] = {}
        """As they are durable; the world may be a step ahead."""
        self._is_braked = world.brake.holds
        self._wanted: dict[TaskId, None] = {}
        self._draining: dict[TaskId, None] = {}
        self._is_awaited = False

    def start(self) -> None:
        """Take over what there is: the world as it was loaded, the entries as they were left."""
        for instance in self._world.instances.values():
            self._follow(instance)
        self._sync_in(SYNC_MS)
        self._clock.after(LOOK_MS, self._look)

    def changed(self, before: Instance | None, after: Instance | None) -> None:
        """Follow one instance."""
        gone = None if before is None else before.task_id
        if gone is not None and (after is None or after.task_id != gone):
            self._wanted.pop(gone, None)
            self._draining.pop(gone, None)
        if after is not None:
            self._follow(after)
        elif before is not None:
            self._tracked.pop(before.id, None)
        self._sync_in(SYNC_MS)

    def follow_brake(self) -> None:
        """Judge all anew when the brake has engaged or let go: that may change no instance."""
        if self._world.brake.holds is self._is_braked:
            return
        self._is_braked = self._world.brake.holds
        for instance, spec in self._tracked.values():
            self._judge(instance, spec)
        self._sync_in(SYNC_MS)

    def _follow(self, instance: Instance) -> None:
        spec = self._world.spec_at(instance.app_id, instance.version)
        self._tracked[instance.id] = instance, spec
        self._judge(instance, spec)

    def _judge(self, instance: Instance, spec: AppSpec) -> None:
        task_id = instance.task_id
        if task_id is None:
            return
        if is_advertised(instance, spec, is_prober_suspect=self._world.brake.holds):
            self._wanted[task_id] = None
        else:
            self._wanted.pop(task_id, None)
        if instance.condition is Condition.DRAINING and not instance.deregistered:
            self._draining[task_id] = None

    def _sync_in(self, delay_ms: int) -> None:
        if not self._is_awaited:
            self._is_awaited = True
            self._clock.after(delay_ms, self._sync)

    def _look(self) -> None:
        """Compare from time to time, whatever happened."""
        if self.is_alive():
            self._sync_in(SYNC_MS)
            self._clock.after(LOOK_MS, self._look)

    def _sync(self) -> None:
        self._is_awaited = False
        if not self.is_alive():
            return
        o = self._faults.options
        if o.is_discovery_down:
            return
        if self.is_frozen():
            self._sync_in(RETRY_MS)
            return
        if self._faults.chance(o.p_discovery_lost, "discovery does not answer"):
            self._sync_in(RETRY_MS)
            return
        held = self._catalog.entries
        puts = [task_id for task_id in self._wanted if task_id not in held]
        deletes = [t for t in held if t not in self._wanted and t != FOREIGN]
        if not self._catalog.write(self._epoch, puts, deletes):
            return
        draining, self._draining = self._draining, {}
        for task_id in draining:
            self.confirm(task_id)
