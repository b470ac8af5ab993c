"""Keep what Consul should hold in step with the instances, on the loop; the thread does the rest.

Each change of an instance is turned into changes of entries, in some ten microseconds and without
waiting for anything. The whole desired set is kept, so nothing is lost while Consul is away.
"""

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from enum import StrEnum

import structlog
from attrs import define, frozen

from scheduler.core.app import AppSpec
from scheduler.core.events import Deregistered
from scheduler.core.ids import AppId, Epoch, InstanceId, TaskId, Version
from scheduler.core.instance import Condition, Instance
from scheduler.discovery.agent import AgentRegistry
from scheduler.discovery.catalog import CatalogRegistry
from scheduler.discovery.claims import Claims
from scheduler.discovery.client import ConsulAddress
from scheduler.discovery.desired import entries_of, is_advertised
from scheduler.discovery.entry import ServiceEntry
from scheduler.discovery.names import DefaultDiscovery, Plan, Refusal, plan_of
from scheduler.discovery.registry import Registry
from scheduler.discovery.sync import PERIOD_S, SyncLoop, SyncStatus

log = structlog.get_logger(__name__)

PLANS_MAX = 10_000


class Mode(StrEnum):
    """Where entries are kept (--consul-mode)."""

    CATALOG = "catalog"
    AGENT = "agent"


@frozen
class DiscoverySettings:
    """What an operator chooses."""

    address: ConsulAddress
    mode: Mode = Mode.CATALOG
    default: DefaultDiscovery = DefaultDiscovery.ALL
    agent_url: str | None = None
    """Mode ``agent``: ``http://{host}:8500``; None uses the one Consul address for all hosts."""
    period_s: float = PERIOD_S


@frozen
class DiscoveryStatus:
    """The sync's state and every service that is not registered although an app asks for it."""

    mode: Mode
    sync: SyncStatus
    refusals: tuple[Refusal, ...]


@define(eq=False)
class _Tracked:
    """An instance, and the entries it is to have now."""

    instance: Instance
    spec: AppSpec
    plan: Plan
    names: frozenset[str]
    entries: dict[str, ServiceEntry]


class Discovery:
    """The room's door; every method is to be called on the loop."""

    def __init__(
        self,
        settings: DiscoverySettings,
        report: Callable[[Deregistered], None],
        on_stale: Callable[[], None],
        clock: Callable[[], int],
    ) -> None:
        """Make an idle discovery.

        Args:
            settings: where Consul is, and what is registered.
            report: told, on the loop, of each draining task that has no entry any more.
            on_stale: told, on the loop, when Consul shows that another leader has taken over.
            clock: tells epoch ms.
        """
        self._settings = settings
        self._report = report
        self._on_stale = on_stale
        self._clock = clock
        self._owner = ""
        self._sync: SyncLoop | None = None
        self._is_prober_suspect = False
        self._plans: dict[tuple[AppId, Version], Plan] = {}
        self._clear()

    def _clear(self) -> None:
        self._tracked: dict[InstanceId, _Tracked] = {}
        self._claims = Claims()
        self._apps: Counter[AppId] = Counter()
        self._unplanned: dict[AppId, tuple[Refusal, ...]] = {}
        self._failing: set[InstanceId] = set()

    def start(
        self, owner: str, epoch: Epoch, instances: Iterable[tuple[Instance, AppSpec]]
    ) -> None:
        """Begin a leader's term with the whole truth; ``run`` is to follow.

        Args:
            owner: marks what is ours in Consul, for ever: unique to this framework among all that
                share the Consul, and the same for all its leaders (the framework id is both).
            epoch: our term; Consul refuses writes of earlier ones.
            instances: all there are, each with its spec.
        """
        self._owner = owner
        loop = asyncio.get_running_loop()

        def on_gone(task_id: TaskId) -> None:
            _tell(loop, self._report, Deregistered(task_id))

        def on_stale() -> None:
            _tell(loop, self._on_stale)

        self._sync = SyncLoop(
            self._registry(owner, epoch),
            on_gone=on_gone,
            on_stale=on_stale,
            clock=self._clock,
            period_s=self._settings.period_s,
        )
        self.resync(instances)

    async def run(self) -> None:
        """Sync until ``stop``, or until another leader has taken over. Entries stay in place.

        After ``stop`` the thread still ends the request it is in, however slowly that is answered.
        Whoever cannot wait for that cancels this: nobody hears of the thread any more, and neither
        the loop nor the process waits for it.

        Raises:
            Exception: whatever fault there is in the thread.
        """
        sync = self._sync
        if sync is None:
            return
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = loop.create_future()

        def work() -> None:
            error: Exception | None = None
            try:
                sync.run()
            except Exception as fault:  # noqa: BLE001 - handed to who waits
                error = fault
            _tell(loop, _end, ended, error)

        threading.Thread(target=work, name="egret-discovery", daemon=True).start()
        try:
            await ended
        finally:
            sync.stop()

    def stop(self) -> None:
        """End the term and ``run``; nothing is removed from Consul."""
        if self._sync is not None:
            self._sync.stop()
            self._sync = None

    def resync(self, instances: Iterable[tuple[Instance, AppSpec]]) -> None:
        """Set the whole truth; older instances first, so that a contested name has one answer."""
        if self._sync is None:
            return
        self._clear()
        draining: set[TaskId] = set()
        known = sorted(instances, key=lambda pair: (pair[0].created_at_ms, pair[0].id))
        for instance, spec in known:
            self._track(instance, spec)
            if _is_awaited(instance) and instance.task_id is not None:
                draining.add(instance.task_id)
        entries: dict[str, ServiceEntry | None] = {}
        for tracked in self._tracked.values():
            tracked.entries = self._entries(tracked)
            entries.update(tracked.entries)
        self._sync.submit(entries, draining, is_whole=True)

    def changed(
        self, before: Instance | None, after: Instance | None, spec: AppSpec | None
    ) -> None:
        """Take in a committed change of one instance; ``spec`` is that of ``after``'s version."""
        if self._sync is None:
            return
        if after is None or spec is None:
            if before is not None:
                self._untrack(before.id)
            return
        tracked = self._tracked.get(after.id)
        if tracked is not None and tracked.instance.version != after.version:
            self._untrack(after.id)
            tracked = None
        if tracked is None:
            tracked = self._track(after, spec)
        is_unmoved = _place_of(tracked.instance) == _place_of(after)
        tracked.instance = after
        changes = self._refresh(tracked, is_unmoved=is_unmoved)
        draining: tuple[TaskId, ...] = ()
        if _is_awaited(after) and after.task_id is not None:
            draining = (after.task_id,)
        if changes or draining:
            self._sync.submit(changes, draining)

    def set_prober_suspect(self, *, is_suspect: bool) -> None:
        """While so many checks fail that the prober is suspect, no failed probe deregisters."""
        if self._sync is None or is_suspect is self._is_prober_suspect:
            self._is_prober_suspect = is_suspect
            return
        self._is_prober_suspect = is_suspect
        changes: dict[str, ServiceEntry | None] = {}
        for instance_id in sorted(self._failing):
            changes.update(self._refresh(self._tracked[instance_id]))
        if changes:
            self._sync.submit(changes)

    def status(self) -> DiscoveryStatus:
        """Tell how far Consul is, and all refusals."""
        sync = SyncStatus() if self._sync is None else self._sync.status()
        unplanned = tuple(each for refusals in self._unplanned.values() for each in refusals)
        refusals = unplanned + self._claims.refusals() + sync.refusals
        return DiscoveryStatus(self._settings.mode, sync, refusals)

    def _registry(self, owner: str, epoch: Epoch) -> Registry:
        settings = self._settings
        if settings.mode is Mode.CATALOG:
            return CatalogRegistry(settings.address, owner, epoch)
        agent_url = settings.agent_url or settings.address.url
        return AgentRegistry(settings.address, owner, epoch, agent_url=agent_url)

    def _plan(self, instance: Instance, spec: AppSpec) -> Plan:
        key = (instance.app_id, instance.version)
        plan = self._plans.get(key)
        if plan is None:
            if len(self._plans) >= PLANS_MAX:
                self._plans.clear()
            plan = self._plans[key] = plan_of(spec, self._settings.default)
            for refusal in plan.refusals:
                _log_refusal(refusal)
        return plan

    def _track(self, instance: Instance, spec: AppSpec) -> _Tracked:
        plan = self._plan(instance, spec)
        names = frozenset(service.name for service in plan.services)
        tracked = _Tracked(instance, spec, plan, names, {})
        self._tracked[instance.id] = tracked
        self._claims.add(spec.id, names)
        self._apps[spec.id] += 1
        if self._apps[spec.id] == 1:
            for refusal in self._claims.refusals_of(spec.id, sorted(names)):
                _log_refusal(refusal)
        if plan.refusals:
            self._unplanned[spec.id] = plan.refusals
        elif spec.id in self._unplanned:
            del self._unplanned[spec.id]
        return tracked

    def _untrack(self, instance_id: InstanceId) -> None:
        tracked = self._tracked.pop(instance_id, None)
        if tracked is None or self._sync is None:
            return
        self._failing.discard(instance_id)
        app_id = tracked.spec.id
        self._apps[app_id] -= 1
        if not self._apps[app_id]:
            del self._apps[app_id]
            self._unplanned.pop(app_id, None)
        changes: dict[str, ServiceEntry | None] = dict.fromkeys(tracked.entries)
        heirs = self._claims.remove(app_id, tracked.names)
        if heirs:
            # Rare: an app that held a contested name is gone.
            for other in self._tracked.values():
                if other.spec.id in heirs:
                    changes.update(self._refresh(other))
        if changes:
            self._sync.submit(changes)

    def _refresh(
        self, tracked: _Tracked, *, is_unmoved: bool = False
    ) -> dict[str, ServiceEntry | None]:
        """Work out an instance's entries anew; gives back what changed."""
        before = tracked.entries
        if is_unmoved and before and self._is_up(tracked):
            # Most changes are of no concern here: they cost as little as can be.
            return {}
        after = self._entries(tracked)
        tracked.entries = after
        changes: dict[str, ServiceEntry | None] = {
            key: entry for key, entry in after.items() if before.get(key) != entry
        }
        changes.update(dict.fromkeys(before.keys() - after.keys()))
        return changes

    def _entries(self, tracked: _Tracked) -> dict[str, ServiceEntry]:
        instance, spec = tracked.instance, tracked.spec
        if not self._is_up(tracked):
            return {}
        return {
            entry.id: entry
            for entry in entries_of(instance, spec, tracked.plan, owner=self._owner)
            if self._claims.is_held_by(spec.id, entry.name)
        }

    def _is_up(self, tracked: _Tracked) -> bool:
        """Whether the instance is to be found; notes those that are ill or out of sight."""
        instance, spec = tracked.instance, tracked.spec
        if is_advertised(instance, spec):
            self._failing.discard(instance.id)
            return True
        if instance.condition not in {Condition.RUNNING, Condition.UNREACHABLE}:
            self._failing.discard(instance.id)
            return False
        self._failing.add(instance.id)
        return self._is_prober_suspect and is_advertised(instance, spec, is_prober_suspect=True)


def _tell(loop: asyncio.AbstractEventLoop, listener: Callable[..., None], *words: object) -> None:
    """Call on the loop, from the thread; it may be closed by the time a request is answered."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(listener, *words)


def _end(ended: asyncio.Future[None], error: Exception | None) -> None:
    if ended.done():
        return
    if error is None:
        ended.set_result(None)
    else:
        ended.set_exception(error)


def _place_of(instance: Instance) -> tuple[object, ...]:
    return instance.incarnation, instance.placement, instance.addresses


def _log_refusal(refusal: Refusal) -> None:
    log.warning("service_refused", app_id=refusal.app_id, name=refusal.name, reason=refusal.reason)


def _is_awaited(instance: Instance) -> bool:
    """Whether the core waits to hear that the task has no entry any more."""
    return instance.condition is Condition.DRAINING and not instance.deregistered
