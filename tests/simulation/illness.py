"""Check what health does to a task: ``maxConsecutiveFailures`` and ``update.minHealthySeconds``.

The probes are counted here, as they are made. A task is killed for its health after as many
failures in a row as its app allows and not before, and soon after; 0 never kills. An instance has
proved itself when it has served for as long as is asked, without a break.
"""

from collections import defaultdict

from scheduler.core.health import is_serving
from scheduler.core.ids import TaskId
from scheduler.core.instance import Condition, Instance
from tests.simulation.ledger import Ledger
from tests.simulation.process import Process
from tests.simulation.violation import demand

OVERDUE_MS = 8_000


class Illness:
    """Failures in a row, and since when instances serve."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._streaks: defaultdict[TaskId, dict[Process, int]] = defaultdict(dict)
        """Task → failed probes in a row, as each process counts them."""
        self._healed: dict[tuple[Process, TaskId], tuple[int, int]] = {}
        """What the last streak was that a success ended, and when."""
        self._serving_since_ms: dict[TaskId, int] = {}
        self._waiting: dict[tuple[TaskId, bool], int] = {}
        """What should be killed or proved, at the last look → since when."""

    def probed(self, process: Process, task_id: TaskId, *, is_well: bool) -> None:
        before = self._failed(process, task_id)
        self._streaks[task_id][process] = 0 if is_well else before + 1
        if is_well and before:
            self._healed[process, task_id] = (before, process.now_ms)

    def loaded(self, process: Process) -> None:
        """A new leader goes on counting from what is stored."""
        for instance in self._ledger.instances.values():
            if instance.task_id is not None and instance.checks:
                streaks = self._streaks[instance.task_id]
                streaks[process] = instance.checks[0].consecutive_failures

    def stored(self, process: Process, before: Instance | None, after: Instance | None) -> None:
        """Look at one instance's record as it is written by ``process``."""
        if after is None or after.task_id is None:
            return
        if before is not None and before.kill_reason is None and after.kill_reason is not None:
            self._check_kill(process, after, after.kill_reason)
        self._check_proof(process, before, after, after.task_id)

    def _check_kill(self, process: Process, after: Instance, reason: str) -> None:
        if " check failed " not in reason:
            return
        limit = self._limit(after)
        assert after.task_id is not None
        failed = self._failed(process, after.task_id)
        streak, healed_ms = self._healed.get((process, after.task_id), (0, 0))
        if healed_ms >= process.begun_ms:
            # The failures were heard of in the same step as the success after them, and before it.
            failed = max(failed, streak)
        told = f"{after.app_id}: {after.task_id} is killed after {failed} failures of {limit}"
        demand(0 < limit <= failed, "health", told)

    def _check_proof(
        self, process: Process, before: Instance | None, after: Instance, task_id: TaskId
    ) -> None:
        spec = self._ledger.versions[after.app_id, after.version].spec
        now_ms = process.decided_ms - process.skew_ms
        if is_serving(after, spec):
            since_ms = self._serving_since_ms.setdefault(task_id, now_ms)
        else:
            since_ms = now_ms
            self._serving_since_ms.pop(task_id, None)
        was_proven = before is not None and before.task_id == task_id and before.proven
        if not after.proven or was_proven:
            return
        least_ms = 0 if spec.update is None else spec.update.min_healthy_s * 1000
        served_ms = now_ms - since_ms
        told = f"{after.app_id}: {task_id} is proved after {served_ms} of {least_ms} ms"
        demand(served_ms + self._ledger.clock_jump_ms >= least_ms, "health", told)

    def look(self, leader: Process, now_ms: int) -> None:
        """See that nothing is late. Called while the leader can be heard, and acts."""
        known, self._waiting = self._waiting, {}
        for instance in leader.world.instances.values():
            task_id = instance.task_id
            if task_id is None or instance.condition is not Condition.RUNNING:
                continue
            spec = leader.world.spec_at(instance.app_id, instance.version)
            bound_ms = OVERDUE_MS
            is_ill = 0 < self._limit(instance) <= self._failed(leader, task_id)
            if is_ill and leader.world.brake.holds:
                continue
            if not is_ill:
                if instance.proven or not is_serving(instance, spec):
                    continue
                if instance.spare_until_ms is not None:
                    continue
                bound_ms += 0 if spec.update is None else spec.update.min_healthy_s * 1000
            since_ms = self._waiting[task_id, is_ill] = known.get((task_id, is_ill), now_ms)
            what = "fails its checks" if is_ill else "serves and is not proved"
            told = f"{instance.app_id}: {task_id} {what} for {now_ms - since_ms} ms"
            demand(now_ms - since_ms <= bound_ms, "health", told)

    def excuse(self, ms: int) -> None:
        """Give what waits some time in which the leader could not act."""
        self._waiting = {key: since_ms + ms for key, since_ms in self._waiting.items()}

    def rest(self) -> None:
        """Nothing can be asked of the leader now."""
        self._waiting = {}

    def _failed(self, process: Process, task_id: TaskId) -> int:
        return self._streaks[task_id].get(process, 0)

    def _limit(self, instance: Instance) -> int:
        version = self._ledger.versions[instance.app_id, instance.version]
        checks = version.spec.health_checks
        return checks[0].max_consecutive_failures if checks else 0
