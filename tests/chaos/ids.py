"""See whether a task id was used twice, by the master's own books.

The master keeps its last thousand completed tasks under their ids, so an id that was used again
shows there twice, or not at all: a task is refused whose id another still has, and an old one is
forgotten. Its counters forget nothing (traces: 14-operator-api). That of launches is the embedded
cluster's own.
"""

from collections import Counter
from collections.abc import Iterable, Mapping

LAUNCHED = "master/tasks_launched"
INVALID = "master/task_error/source_master/reason_task_invalid"


class TaskIds:
    """Every id that was ever seen; to be looked at before the master forgets a thousand tasks."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def look(self, ids: Iterable[str], metrics: Mapping[str, float]) -> None:
        """Compare what the master shows with what it has counted; AssertionError if it differs.

        The master must not launch anything between the one and the other.
        """
        shown = Counter(ids)
        twice = sorted(task_id for task_id, count in shown.items() if count > 1)
        assert not twice, f"task ids were used twice: {twice}"
        self._seen |= shown.keys()
        launched = int(metrics.get(LAUNCHED, 0))
        told = f"{launched} tasks were launched under {len(self._seen)} ids"
        assert launched == len(self._seen), told
        refused = int(metrics.get(INVALID, 0))
        assert refused == 0, f"the master refused {refused} tasks as invalid"
