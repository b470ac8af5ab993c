"""Check kills with ``scale``: the app's count falls by as many as are ended so, each once.

A task that is being ended for good already is missed by nobody: to name it, or to name it again,
lowers nothing. Source: Marathon's ``DELETE /v2/apps/{id}/tasks?scale=true``.
"""

from collections import Counter

from scheduler.core import effects as fx
from scheduler.core import events as ev
from scheduler.core.ids import AppId, RequestId
from scheduler.core.instance import Goal
from tests.simulation.process import Process
from tests.simulation.violation import demand


class Scaling:
    """What each kill with ``scale`` should make of the counts, and what it made."""

    def __init__(self) -> None:
        self._wanted: dict[AppId, int] = {}
        """What the kill that is being handled should lead to."""
        self._done: dict[tuple[Process, RequestId], list[str]] = {}
        """Kills that were handled and not answered → what is wrong, if they are accepted."""

    def handling(self, process: Process, event: ev.Event) -> None:
        """Calculate, before the kill is carried out."""
        if not isinstance(event, ev.KillTasks) or not event.scale:
            return
        world = process.world
        named = [world.instance_of(task_id) for task_id in dict.fromkeys(event.task_ids)]
        killed = Counter(i.app_id for i in named if i and i.goal is not Goal.DECOMMISSIONED)
        present = {i.app_id: None for i in named if i and world.live_app(i.app_id)}
        self._wanted = {a: max(0, world.spec_of(a).instances - killed[a]) for a in present}

    def handled(self, process: Process, event: ev.Event) -> None:
        """Compare, in the same step."""
        if not isinstance(event, ev.KillTasks) or not event.scale:
            return
        world = process.world
        found = {a: world.spec_of(a).instances if world.live_app(a) else 0 for a in self._wanted}
        self._done[process, event.request_id] = [
            f"{app_id}: {count} wanted after {len(event.task_ids)} were killed, not {wanted}"
            for app_id, wanted in self._wanted.items()
            if (count := found[app_id]) != wanted
        ]

    def replied(self, process: Process, command: ev.Command, answer: fx.Answer) -> None:
        """Only what was accepted counts."""
        wrong = self._done.pop((process, command.request_id), [])
        if isinstance(answer, fx.Accepted) and wrong:
            demand(False, "scale", wrong[0])
