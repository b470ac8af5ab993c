"""Ask Mesos for what it knows of our tasks, until it has answered.

Updates reach us at least once, but a lost agent, a new master or a launch that never arrived send
none. So after every subscription all tasks are asked about by name, in batches, the unanswered
ones again with a growing wait (a new master answers nothing while its agents are still
re-registering); then once for everything, which brings up tasks we do not know; and the same from
time to time. One round is under way at most. Mesos document: "Task Reconciliation".
"""

from attrs import define, field

from scheduler.core.ids import TaskId


@define
class Reconciliation:
    """The round that is under way; volatile, begun anew with each subscription."""

    unanswered: dict[TaskId, None] = field(factory=dict)
    """Tasks asked about (or to be) of which nothing was heard since the round began."""
    to_ask: list[TaskId] = field(factory=list)
    """Tasks of the present pass that were not asked about yet, last first."""
    next_ms: int | None = None
    """When the next call is due; None while no subscription stands."""
    wait_ms: int = 0
    """Present wait between two passes over the unanswered."""
    is_running: bool = False
    implicit_done: bool = False

    def heard_of(self, task_id: TaskId) -> None:
        """Note any word about a task: there is no need to ask for it again."""
        self.unanswered.pop(task_id, None)
