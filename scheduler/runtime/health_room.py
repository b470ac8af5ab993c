"""Let the prober follow the running tasks of a term, and ask those that are not ready."""

import asyncio
from collections.abc import Callable

import structlog

from scheduler.core.ids import TaskId
from scheduler.core.instance import Condition, Instance
from scheduler.core.world import World
from scheduler.health import LastResponse as LastResponse
from scheduler.health import Prober, ProbeTarget, Readiness, readiness_target_of, targets_of
from scheduler.runtime.shell import Term
from scheduler.runtime.supervision import supervise
from scheduler.runtime.turn import Changes

_log = structlog.get_logger("health")


class HealthRoom:
    """Probes what runs, for as long as we lead."""

    def __init__(
        self, prober: Prober, readiness: Readiness, fail: Callable[[BaseException], None]
    ) -> None:
        self._prober = prober
        self._readiness = readiness
        self._fail = fail
        self._world: World | None = None
        self._is_braked = False
        self._probing: asyncio.Task[object] | None = None

    async def start(self, term: Term) -> None:
        """Begin with every running task; the verdicts so far come from the store."""
        self._world = term.world
        for instance in term.world.instances.values():
            target = self._target_of(instance)
            if target is not None:
                self._prober.watch(target)
            self._follow_readiness(instance)
        self._tell_brake(term.world)
        self._probing = supervise(self._prober.run(), "health", self._fail)

    async def stop(self) -> None:
        """Probe nothing any more."""
        # Before its first step, run could not be stopped.
        await asyncio.sleep(0)
        self._prober.stop()
        if self._probing is not None:
            await asyncio.wait({self._probing})
        self._prober.forget_all()
        await self._readiness.stop()
        self._world = self._probing = None
        self._is_braked = False

    def instances_changed(self, changes: Changes) -> None:
        """Watch tasks that began to run, forget those that no longer do."""
        for before, after in changes:
            target = self._target_of(after)
            if target is not None:
                self._prober.watch(target)
            gone = before.task_id if before is not None else None
            if gone is not None and (target is None or target.task_id != gone):
                self._prober.forget(gone)
            if gone is not None and (after is None or _running_task_of(after) != gone):
                self._readiness.forget(gone)
            if after is not None:
                self._follow_readiness(after)
        if self._world is not None:
            self._tell_brake(self._world)

    def last_response(self, task_id: TaskId) -> LastResponse | None:
        """Return what a task last said of its readiness, if its app asks to keep that."""
        return self._readiness.last_response(task_id)

    def _tell_brake(self, world: World) -> None:
        if world.brake.holds is self._is_braked:
            return
        self._is_braked = world.brake.holds
        _log.warning(
            "health_brake_engaged" if self._is_braked else "health_brake_released",
            failing=world.brake.failing,
            once_healthy=world.brake.once_healthy,
            killed=world.brake.killed,
            unreachable=world.brake.sight.unreachable,
            given_up=world.brake.sight.given_up,
            agents=world.brake.sight.agents,
            running=world.brake.running,
        )

    def _follow_readiness(self, instance: Instance) -> None:
        task_id = _running_task_of(instance)
        if self._world is None or task_id is None:
            return
        if instance.ready:
            self._readiness.settle(task_id)
            return
        spec = self._world.spec_at(instance.app_id, instance.version)
        target = readiness_target_of(instance, spec)
        if target is not None:
            self._readiness.watch(target)

    def _target_of(self, instance: Instance | None) -> ProbeTarget | None:
        if self._world is None or instance is None:
            return None
        if instance.condition is not Condition.RUNNING:
            return None
        return targets_of(instance, self._world.spec_at(instance.app_id, instance.version))


def _running_task_of(instance: Instance) -> TaskId | None:
    return instance.task_id if instance.condition is Condition.RUNNING else None
