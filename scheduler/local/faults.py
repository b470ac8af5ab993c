"""Break the cluster on purpose: lose, repeat and delay messages, refuse and cut connections.

Each fault is what a real network or master can do, at the place where it can happen. Counted faults
hit the next so many messages and are then used up.
"""

import asyncio

from attrs import define

from scheduler.local.frameworks import Framework
from scheduler.local.master import Quirks
from scheduler.local.resources import JsonObject


@define(eq=False)
class Faults(Quirks):
    """The faults now in force. All counts are messages left to hit; 0: none."""

    refuse_subscribes: int = 0
    """SUBSCRIBE answers 503."""
    drop_updates: int = 0
    """UPDATE events that have a uuid do not arrive; the agent sends them again."""
    duplicate_updates: int = 0
    """UPDATE events arrive twice."""
    lose_accepts_before: int = 0
    """The connection dies before an ACCEPT is applied."""
    lose_accepts_after: int = 0
    """The connection dies after an ACCEPT was applied, before its reply."""
    lose_launches: int = 0
    """An ACCEPT is applied by the master, and its launch lost on the way to the agent."""
    delay_s: float = 0.0
    """Every scheduler call and every event of a scheduler's stream takes this much longer."""
    is_silent: bool = False
    """Streams stay open and nothing comes, not even a HEARTBEAT."""

    def on_event(self, framework: Framework, event: JsonObject) -> None:
        """Deliver an event of a framework's stream, or not."""
        if self.is_silent:
            return
        times = self._times(event)
        for _ in range(times):
            if self.delay_s > 0:
                loop = asyncio.get_running_loop()
                loop.call_later(self.delay_s, _write_to, framework, framework.stream, event)
            else:
                framework.write(event)

    def _times(self, event: JsonObject) -> int:
        if event["type"] != "UPDATE" or "uuid" not in event["update"]["status"]:
            return 1
        if self.drop_updates > 0:
            self.drop_updates -= 1
            return 0
        if self.duplicate_updates > 0:
            self.duplicate_updates -= 1
            return 2
        return 1

    def loses_launch(self) -> bool:
        """Return whether this launch is lost between master and agent."""
        return self._use("lose_launches")

    def refuses_subscribe(self) -> bool:
        """Return whether this SUBSCRIBE is refused."""
        return self._use("refuse_subscribes")

    def loses_accept_before(self) -> bool:
        """Return whether this ACCEPT is lost before it is applied."""
        return self._use("lose_accepts_before")

    def loses_accept_after(self) -> bool:
        """Return whether the reply of this ACCEPT is lost."""
        return self._use("lose_accepts_after")

    def _use(self, name: str) -> bool:
        left: int = getattr(self, name)
        if left > 0:
            setattr(self, name, left - 1)
        return left > 0


def _write_to(framework: Framework, stream: object, event: JsonObject) -> None:
    # What was meant for a stream that is gone must not appear on the next one.
    if framework.stream is stream:
        framework.write(event)
