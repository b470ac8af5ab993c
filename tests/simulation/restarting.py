"""Check ``restartPolicy``: what has ended runs again when it may, and never when it must not.

An end counts when it is the task's own: it finished, failed, or was killed for its health. What is
lost, or killed by somebody, is no end of that kind. Source: ``docs/app-spec.md``.
"""

from collections import defaultdict

from scheduler.core import events as ev
from scheduler.core.app import RestartMode, RestartPolicy
from scheduler.core.ids import InstanceId, TaskId, Version
from scheduler.core.instance import Condition, Goal, Instance, TaskState
from tests.simulation.ledger import Ledger
from tests.simulation.process import Process
from tests.simulation.violation import demand

_ILL = (" check failed ", "not healthy in time")
_BY_OTHERS = "killed by others"
_OWN_ENDS = frozenset({TaskState.FINISHED, TaskState.FAILED})


class Restarting:
    """The ends of tasks, and how many restarts they have cost."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._ends: defaultdict[Process, dict[TaskId, ev.StatusUpdate]] = defaultdict(dict)
        """Process → what it heard first of each task's end."""
        self._attempts: dict[tuple[InstanceId, Version], tuple[int, int]] = {}
        """Restarts counted in the present interval, and when it began."""

    def handled(self, process: Process, event: ev.Event) -> None:
        if isinstance(event, ev.StatusUpdate) and (
            event.state.is_terminal or event.state is TaskState.UNKNOWN
        ):
            self._ends[process].setdefault(event.task_id, event)

    def stored(self, process: Process, before: Instance | None, after: Instance | None) -> None:
        """Look at one instance's record as it is written by ``process``."""
        if before is None or after is None:
            return
        if before.goal is Goal.STOPPED and before.condition is Condition.SCHEDULED:
            told = f"{before.app_id}: {before.id} has ended for good and is {after.condition}"
            demand(after.goal is Goal.STOPPED and not after.condition.has_task, "restart", told)
            return
        if before.task_id is None or before.goal is not Goal.RUNNING:
            return
        is_over = after.condition is Condition.SCHEDULED
        is_kill = before.kill_reason is None and after.kill_reason is not None
        if is_over:
            state = self._own_end(process, before, before.task_id)
            if state is not None:
                self._check(process, before, after, state)
            else:
                told = (
                    f"{before.app_id}: {before.task_id} is not launched again, but ended by others"
                )
                demand(after.goal is Goal.RUNNING, "restart", told)
        elif is_kill and any(reason in str(after.kill_reason) for reason in _ILL):
            self._check(process, before, after, TaskState.FAILED)

    def _own_end(self, process: Process, ended: Instance, task_id: TaskId) -> TaskState | None:
        """Tell how a task ended by itself; None if it was lost, killed or never heard of."""
        update = self._ends[process].get(task_id)
        if update is None or (ended.kill_reason is not None and ended.kill_reason != _BY_OTHERS):
            return None
        is_own = update.state in _OWN_ENDS and update.reason in {"", "REASON_RECONCILIATION"}
        return update.state if is_own else None

    def _check(self, process: Process, ended: Instance, after: Instance, state: TaskState) -> None:
        policy = self._ledger.versions[ended.app_id, ended.version].spec.restart_policy
        may_restart = self._may_restart(process, ended, policy, state)
        if may_restart is None:
            return
        told = f"{ended.app_id}: {ended.task_id} is {state}, {policy}, its goal is {after.goal}"
        demand((after.goal is not Goal.STOPPED) == may_restart, "restart", told)

    def _may_restart(
        self, process: Process, ended: Instance, policy: RestartPolicy | None, state: TaskState
    ) -> bool | None:
        """Whether an instance may be launched again; None where clocks differ and nobody knows."""
        if policy is None:
            return True
        is_done = policy.mode is RestartMode.ON_FAILURE and state is TaskState.FINISHED
        if policy.mode is RestartMode.NEVER or is_done:
            return False
        if policy.attempts is None:
            return True
        if self._ledger.clock_jump_ms:
            return None
        now_ms = process.decided_ms
        count, since_ms = self._attempts.get((ended.id, ended.version), (0, now_ms))
        if now_ms - since_ms >= policy.interval_s * 1000:
            count, since_ms = 0, now_ms
        if count >= policy.attempts:
            return False
        self._attempts[ended.id, ended.version] = (count + 1, since_ms if count else now_ms)
        return True
