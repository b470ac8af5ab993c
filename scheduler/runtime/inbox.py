"""Hold what has happened until the next turn takes it.

Nothing is taken while a commit is repeated, and a store may be away for hours. So what waits must
not grow with the time:

- Commands of the API are limited: a caller who is turned away can come back.
- Of what is said again, the newest waits alone: the verdict of a check, the readiness of a task,
  an update that Mesos repeats because nobody has acknowledged it.
- Offers that are taken back, or end with their subscription, before anybody saw them are gone.

All else is kept, because nobody would say it again soon; its amount is bounded where it comes from:
by the tasks there are, and by the agents and connections that come and go.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from itertools import count
from typing import get_args

from attrs import evolve

from scheduler.core.events import (
    Command,
    Disconnected,
    Event,
    MesosError,
    OfferRescinded,
    OffersReceived,
    ProbeResult,
    ReadinessResult,
    StatusUpdate,
    Subscribed,
)
from scheduler.core.ids import OfferId

_COMMANDS = get_args(Command)


class InboxFull(Exception):
    """Too many commands are waiting already: try again later."""


class Inbox:
    """Events in the order in which they came; at most ``commands_max`` commands among them."""

    def __init__(self, wake: Callable[[], None], commands_max: int = 1_000) -> None:
        self._events: OrderedDict[Hashable, Event] = OrderedDict()
        """By what makes two of them one; most are numbered."""
        self._numbers = count()
        self._offered_in: dict[OfferId, Hashable] = {}
        """Which event each waiting offer is in."""
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
        key: Hashable = next(self._numbers)
        match event:
            case ProbeResult(task_id, index):
                # In the place of the one before: what is told often is not put off for ever.
                key = ("probe", task_id, index)
            case ReadinessResult(task_id, name):
                key = ("readiness", task_id, name)
            case StatusUpdate(task_id=task_id, uuid=str(uuid)):
                # Behind what the master said in between, which was not yet true of it.
                key = ("update", task_id, uuid)
                self._events.pop(key, None)
            case OffersReceived(offers):
                self._offered_in.update({offer.id: key for offer in offers})
            case OfferRescinded(offer_id) if offer_id in self._offered_in:
                self._take_back(offer_id)
                return
            case Subscribed() | Disconnected() | MesosError():
                for offered_in in set(self._offered_in.values()):
                    del self._events[offered_in]
                self._offered_in.clear()
            case _ if isinstance(event, _COMMANDS):
                if self.commands >= self._commands_max:
                    raise InboxFull(f"{self.commands} commands are waiting")
                self.commands += 1
            case _:
                pass
        self._events[key] = event
        self._wake()

    def take(self) -> Event | None:
        """Remove the oldest event; None if there is none."""
        if not self._events:
            return None
        _, event = self._events.popitem(last=False)
        if isinstance(event, _COMMANDS):
            self.commands -= 1
        elif isinstance(event, OffersReceived):
            for offer in event.offers:
                self._offered_in.pop(offer.id, None)
        return event

    def _take_back(self, offer_id: OfferId) -> None:
        key = self._offered_in.pop(offer_id)
        event = self._events[key]
        assert isinstance(event, OffersReceived)
        offers = tuple(offer for offer in event.offers if offer.id != offer_id)
        if offers:
            self._events[key] = evolve(event, offers=offers)
        else:
            del self._events[key]
