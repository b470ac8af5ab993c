"""Let Consul follow the instances of a term.

The framework id is the mark by which we know our entries in Consul for ever. It does not exist
before the very first subscription; until then there are no tasks, so nothing is missed.
"""

import asyncio
from collections.abc import Callable

from scheduler.core.effects import Fact, SchedulerRegistered
from scheduler.core.ids import FrameworkId
from scheduler.discovery import Discovery
from scheduler.discovery import DiscoveryStatus as DiscoveryStatus
from scheduler.runtime.shell import Term
from scheduler.runtime.supervision import supervise
from scheduler.runtime.turn import Changes
from scheduler.telemetry import Bus

_LAST_REQUEST_S = 1.0


class DiscoveryRoom:
    """Registers what serves, for as long as we lead; entries stay when we go."""

    def __init__(
        self, discovery: Discovery, bus: Bus, fail: Callable[[BaseException], None]
    ) -> None:
        self._discovery = discovery
        self._bus = bus
        self._fail = fail
        self._term: Term | None = None
        self._syncing: asyncio.Task[object] | None = None
        self._leave_bus: Callable[[], None] | None = None

    async def start(self, term: Term) -> None:
        """Begin with the whole truth."""
        self._term = term
        if term.world.framework is not None:
            self._begin(term.world.framework.id)
        else:
            self._leave_bus = self._bus.subscribe(self._on_fact)

    async def stop(self) -> None:
        """Write nothing any more.

        A request that a slow Consul has not answered yet is waited for only so long: nothing
        follows it, and who steps down has callers to answer and a successor to make room for.
        """
        if self._leave_bus is not None:
            self._leave_bus()
        self._discovery.stop()
        if self._syncing is not None:
            await asyncio.wait({self._syncing}, timeout=_LAST_REQUEST_S)
            self._syncing.cancel()
        self._term = self._syncing = self._leave_bus = None

    def instances_changed(self, changes: Changes) -> None:
        """Pass on what changed."""
        if self._term is None:
            return
        world = self._term.world
        is_suspect = world.brake.holds
        if is_suspect:
            # Before the verdict that engaged the brake could take an entry away for a moment.
            self._discovery.set_prober_suspect(is_suspect=True)
        for before, after in changes:
            spec = None if after is None else world.spec_at(after.app_id, after.version)
            self._discovery.changed(before, after, spec)
        if not is_suspect:
            self._discovery.set_prober_suspect(is_suspect=False)

    def _on_fact(self, fact: Fact) -> None:
        if isinstance(fact, SchedulerRegistered) and self._syncing is None:
            self._begin(FrameworkId(fact.framework_id))

    def _begin(self, owner: FrameworkId) -> None:
        assert self._term is not None
        world = self._term.world
        # A new leader must not take away what the one before held on to.
        self._discovery.set_prober_suspect(is_suspect=world.brake.holds)
        self._discovery.start(
            owner,
            self._term.epoch,
            [
                (instance, world.spec_at(instance.app_id, instance.version))
                for instance in world.instances.values()
            ],
        )
        self._syncing = supervise(self._discovery.run(), "discovery", self._fail)
