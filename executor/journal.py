"""Remember every status update and every task until the agent has them safe.

The agent acknowledges an update when it has stored it, before the scheduler sees it. Until then
only this journal knows it: after an agent restart the executor must send again, in its SUBSCRIBE,
all updates and all tasks that were not acknowledged. (Mesos's executor HTTP API document.)
"""

from __future__ import annotations

from executor.mesos import Json, decode_data


class Journal:
    """Updates in the order they were made, tasks in the order they came.

    It lives in memory: if the executor dies, the agent reports its tasks as failed anyway.
    """

    def __init__(self) -> None:
        self._updates: dict[bytes, Json] = {}
        self._tasks: dict[str, Json] = {}
        self._seen: set[str] = set()

    def add_task(self, task_info: Json) -> bool:
        """Note a launched task. False: it came before, the launch is a repetition."""
        task_id: str = task_info["task_id"]["value"]
        if task_id in self._seen:
            return False
        self._seen.add(task_id)
        self._tasks[task_id] = task_info
        return True

    def add_update(self, status: Json) -> None:
        """Note an update; it must carry a uuid that was not used before."""
        uuid = decode_data(status["uuid"])
        assert uuid not in self._updates, "a uuid is used once"
        self._updates[uuid] = status

    def acknowledge(self, task_id: str, uuid: str) -> None:
        """Forget an update (uuid in base64), and its task: the agent knows the task from it.

        An acknowledgement of something unknown changes nothing: it may come twice.
        """
        if self._updates.pop(decode_data(uuid), None) is not None:
            self._tasks.pop(task_id, None)

    @property
    def is_empty(self) -> bool:
        """Whether the agent has every update."""
        return not self._updates

    @property
    def unacknowledged_updates(self) -> list[Json]:
        """The updates to send again, oldest first."""
        return list(self._updates.values())

    @property
    def unacknowledged_tasks(self) -> list[Json]:
        """The tasks of which the agent has not acknowledged any update yet."""
        return list(self._tasks.values())
