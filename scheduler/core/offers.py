"""Keep the offers at hand, grouped as they may be used: by agent and by the role allocated to.

One ACCEPT may combine offers of one agent and one role only, and a single offer id that Mesos
does not know any more makes it drop every task of the call (Mesos: ``Master::accept``). So an
offer leaves the book in the moment it is rescinded, used or declined, and all leave it when the
subscription is lost.
"""

from attrs import define, field

from scheduler.core.ids import AgentId, OfferId
from scheduler.core.offer import Offer

Place = tuple[AgentId, str]
"""An agent and the role its offers are allocated to."""


@define
class OfferBook:
    by_place: dict[Place, dict[OfferId, Offer]] = field(factory=dict)
    _places: dict[OfferId, Place] = field(factory=dict)

    def __len__(self) -> int:
        return len(self._places)

    def add(self, offer: Offer) -> None:
        place = (offer.agent.id, offer.role)
        self.by_place.setdefault(place, {})[offer.id] = offer
        self._places[offer.id] = place

    def remove(self, offer_id: OfferId) -> None:
        """Forget an offer; one that is not in the book is no error (rescinds come late)."""
        place = self._places.pop(offer_id, None)
        if place is None:
            return
        offers = self.by_place[place]
        del offers[offer_id]
        if not offers:
            del self.by_place[place]

    def take(self, place: Place) -> tuple[OfferId, ...]:
        """Remove and name all offers of a place."""
        offer_ids = tuple(self.by_place.pop(place, {}))
        for offer_id in offer_ids:
            del self._places[offer_id]
        return offer_ids

    def clear(self) -> None:
        self.by_place.clear()
        self._places.clear()
