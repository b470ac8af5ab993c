"""Hold what has happened until the next turn takes it.

Commands of the API are limited: a caller who is turned away can come back. What Mesos, health
checks and discovery report is always taken, because nobody would say it again soon; its amount is
bounded where it comes from (offers and updates by the size of the cluster, verdicts by the number
of checks).
"""

from collections import deque
from collections.abc import Callable
from typing import get_args

from scheduler.core.events import Command, Event

_COMMANDS = get_args(Command)


class InboxFull(Exception):
    """Too many commands are waiting already: try again later."""


class Inbox:
    """Events in the order in which they came; at most ``commands_max`` commands among them."""

    def __init__(self, wake: Callable[[], None], commands_max: int = 1_000) -> None:
        self._events: deque[Event] = deque()
        self._wake = wake
        self._commands_max = commands_max
        self.commands = 0
        """Commands that wait now."""

    def __len__(self) -> int:
        return len(self._events)

    def post(self, event: Event) -> None:
        """Append an event and wake the reader.

        Raises:
            InboxFull: it is a command, and the limit is reached.
        """
        if isinstance(event, _COMMANDS):
            if self.commands >= self._commands_max:
                raise InboxFull(f"{self.commands} commands are waiting")
            self.commands += 1
        self._events.append(event)
        self._wake()

    def take(self) -> Event | None:
        """Remove the oldest event; None if there is none."""
        if not self._events:
            return None
        event = self._events.popleft()
        if isinstance(event, _COMMANDS):
            self.commands -= 1
        return event
