"""Show what unfinished deployments wait for, and tell those who ask for it when that changes.

The core never announces this: it is a way to look at the state, no decision. So one watcher looks
once a second while anybody listens. What it tells has no ``id`` and is not kept: who comes, or
comes back, is told the present state of all deployments instead.
"""

import asyncio
import time
from collections.abc import Iterator

from scheduler.api.context import Api
from scheduler.api.events import Client
from scheduler.api.facts import Json
from scheduler.api.queue import miss_json
from scheduler.core.explain import BlockedBy, blocks_of
from scheduler.core.ids import AppId, DeploymentId
from scheduler.core.records import Queued
from scheduler.core.times import format_ms
from scheduler.core.world import World
from scheduler.runtime import Changes, NotLeader, Term
from scheduler.runtime.supervision import supervise

KIND = "egret_deployment_blocked"
"""Sent to those only who name it: Marathon's clients do not know it."""
_PERIOD_S = 1.0
_PERIOD_MAX_S = 10.0
_REST = 9
"""Pause after a look, in looks: with many thousand apps one takes more than a moment."""

_Blocks = dict[tuple[DeploymentId, AppId], Json]


def block_json(block: BlockedBy) -> Json:
    """Show what an app of a deployment waits for."""
    shown = {
        "app": block.app_id,
        "reason": block.block,
        "message": block.message,
        "instances": block.instances,
        "until": None if block.until_ms is None else format_ms(block.until_ms),
        "refusals": [{"reason": reason, "offers": n} for reason, n in block.refusals] or None,
        "nearestMiss": None if block.nearest is None else miss_json(block.nearest),
    }
    return {name: value for name, value in shown.items() if value is not None}


def queued_blocks(world: World, queued: Queued) -> list[Json]:
    """Show which deployments a change waits for."""
    locks = ((app_id, world.locks.get(app_id)) for app_id in queued.app_ids)
    return [
        {
            "app": app_id,
            "reason": "deployment",
            "message": f"waits for deployment {lock.deployment_id}",
        }
        for app_id, lock in locks
        if lock is not None
    ]


class BlockWatch:
    """A room of the runtime: works while we lead, and only when somebody listens."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._watching: asyncio.Task[object] | None = None
        self._listeners: set[Client] = set()
        """Those who have been told the present state."""
        self._told: dict[tuple[DeploymentId, AppId], str] = {}

    async def start(self, term: Term) -> None:  # noqa: ARG002 - the API knows the world
        """Begin to look, and tell everything anew."""
        self._listeners = set()
        self._watching = supervise(self._run(), "blocked", self._api.runtime.fail)

    async def stop(self) -> None:
        """Look no more; listeners stay for the next term."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait({self._watching})

    def instances_changed(self, changes: Changes) -> None:
        """Nothing: reasons change without instances, too."""

    async def _run(self) -> None:
        while True:
            began_s = time.monotonic()
            await self.look()
            rest_s = _REST * (time.monotonic() - began_s)
            await asyncio.sleep(min(max(_PERIOD_S, rest_s), _PERIOD_MAX_S))

    async def look(self) -> None:
        """Tell what has changed since the last look; those who are new are told everything."""
        hub = self._api.hub
        if not hub.listeners(KIND):
            self._listeners = set()
            self._told = {}
            return
        try:
            present = await self._present()
        except (NotLeader, TimeoutError):
            # What is not durable is not told. The next look comes soon, or the term ends.
            return
        listeners = hub.listeners(KIND)
        changed = {key: b for key, b in present.items() if self._told.get(key) != b["reason"]}
        hub.tell(listeners & self._listeners, KIND, _events(changed))
        hub.tell(listeners - self._listeners, KIND, _events(present))
        self._listeners = listeners
        self._told = {key: block["reason"] for key, block in present.items()}

    async def _present(self) -> _Blocks:
        world = await self._api.settled_world()

        def blocks() -> Iterator[tuple[DeploymentId, Json] | None]:
            for deployment in tuple(world.deployments.values()):
                for block in blocks_of(world, deployment.id, self._api.runtime.clock()):
                    # Between two slices it may have gone on, and then this is no longer its step.
                    if world.deployments.get(deployment.id) is not deployment:
                        break
                    yield None if block is None else (deployment.id, block_json(block))
            for queued in tuple(world.queued.values()):
                for shown in queued_blocks(world, queued):
                    yield queued.id, shown

        found = await self._api.show_all(blocks(), lambda one: () if one is None else (one,))
        return {(deployment_id, AppId(shown["app"])): shown for deployment_id, shown in found}


def _events(blocks: _Blocks) -> list[Json]:
    """Make one event for each deployment."""
    found: dict[DeploymentId, list[Json]] = {}
    for (deployment_id, _), block in blocks.items():
        found.setdefault(deployment_id, []).append(block)
    return [{"id": one, "blockedBy": blocked_by} for one, blocked_by in found.items()]
