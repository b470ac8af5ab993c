"""Check the times of ``unreachableStrategy``: how long a task out of sight is waited for.

It is given up ``inactiveAfterSeconds`` after Mesos lost sight of it and forgotten after
``expungeAfterSeconds``: not before, and not much later unless something excuses it (nobody hears
Mesos, or the disaster brake holds).
"""

from collections import defaultdict

from scheduler.core import events as ev
from scheduler.core.ids import AgentId, TaskId
from scheduler.core.instance import Condition, Instance, TaskState
from tests.simulation.ledger import Ledger
from tests.simulation.process import Process
from tests.simulation.violation import demand

OVERDUE_MS = 8_000
PATIENCE_MS = 45_000
"""Mesos is asked first by who has just come: the answer is waited for, and looked for at times."""
_OUT_OF_SIGHT = frozenset({Condition.UNREACHABLE, Condition.UNREACHABLE_INACTIVE})


class Absence:
    """Since when tasks are out of sight, as it was stored first and as it was in truth."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.lost_ms: defaultdict[AgentId, list[int]] = defaultdict(list)
        """Agent → when a master lost sight of it, in truth; the last time last."""
        self._since_ms: dict[TaskId, int] = {}
        self._is_over: dict[TaskId, None] = {}
        """Tasks of which Mesos has said that they are over, or that a user has asked to end."""
        self._held_ms = 0
        """When the brake was last seen to hold."""

    def handled(self, event: ev.Event) -> None:
        if isinstance(event, ev.KillTasks):
            self._is_over.update(dict.fromkeys(event.task_ids))
        if isinstance(event, ev.StatusUpdate) and (
            event.state.is_terminal or event.state is TaskState.UNKNOWN
        ):
            self._is_over[event.task_id] = None

    def stored(self, process: Process, before: Instance | None, after: Instance | None) -> None:
        """Look at one instance's record as it is written by ``process``."""
        if after is not None and after.condition is Condition.UNREACHABLE:
            if before is None or before.condition is not Condition.UNREACHABLE:
                self._begin(process, after)
            return
        if before is None or before.condition not in _OUT_OF_SIGHT or before.task_id is None:
            return
        is_given_up = after is not None and after.condition is Condition.UNREACHABLE_INACTIVE
        if before.condition is Condition.UNREACHABLE and is_given_up:
            self._check_time(process, before, "given up")
        elif before.condition is Condition.UNREACHABLE_INACTIVE and after is None:
            app = self._ledger.app(before.app_id)
            if before.task_id not in self._is_over and app is not None and not app.removed:
                self._check_time(process, before, "forgotten")

    def _begin(self, process: Process, lost: Instance) -> None:
        assert lost.task_id is not None
        assert lost.placement is not None
        self._since_ms[lost.task_id] = lost.since_ms
        lost_ms = self.lost_ms[lost.placement.agent_id]
        told = f"{lost.app_id}: {lost.task_id} is out of sight since {lost.since_ms}, not {lost_ms}"
        # It may have come back and gone again since Mesos said so.
        jump_ms = self._ledger.clock_jump_ms
        is_said = any(at_ms - jump_ms <= lost.since_ms <= at_ms for at_ms in lost_ms)
        last_ms = lost_ms[-1] if lost_ms else 0
        is_later = last_ms - jump_ms <= lost.since_ms <= process.decided_ms
        demand(is_said or is_later, "unreachable", told)

    def _check_time(self, process: Process, lost: Instance, what: str) -> None:
        assert lost.task_id is not None
        bound_ms = self._bound_ms(lost)
        waited_ms = process.decided_ms - self._since_ms[lost.task_id]
        told = f"{lost.app_id}: {lost.task_id} is {what} after {waited_ms} of {bound_ms} ms"
        demand(bound_ms is not None and waited_ms >= bound_ms, "unreachable", told)

    def _bound_ms(self, lost: Instance) -> int | None:
        strategy = self._ledger.versions[lost.app_id, lost.version].spec.unreachable_strategy
        if strategy is None:
            return None
        is_waited_for = lost.condition is Condition.UNREACHABLE
        seconds = strategy.inactive_after_s if is_waited_for else strategy.expunge_after_s
        return seconds * 1000

    def look(self, leader: Process, now_ms: int, heard_ms: int) -> None:
        """See that nothing is late. The leader has been heard, and acted, since ``heard_ms``."""
        if leader.world.brake.holds:
            self._held_ms = now_ms
        for instance in leader.world.instances.values():
            task_id, condition = instance.task_id, instance.condition
            if task_id is None or condition not in _OUT_OF_SIGHT:
                continue
            bound_ms = self._bound_ms(instance)
            if bound_ms is None:
                continue
            since_ms = self._since_ms.get(task_id, now_ms) - leader.skew_ms
            due_ms = max(since_ms + bound_ms, heard_ms + PATIENCE_MS)
            if condition is Condition.UNREACHABLE:
                due_ms = max(due_ms, self._held_ms)
            told = f"{instance.app_id}: {task_id} is {condition} for {now_ms - since_ms} ms"
            is_late = now_ms > due_ms + OVERDUE_MS + self._ledger.clock_jump_ms
            demand(not is_late, "unreachable", told)
