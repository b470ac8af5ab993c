"""Turn pymesos callbacks into core events.

They only parse and enqueue: nothing is decided here, nothing waits, and no call is sent from
within a callback, but for giving back an offer that nobody else will ever hear of.
"""

from collections.abc import Callable, Sequence

import structlog

from scheduler.core.events import (
    AgentLost,
    Disconnected,
    ExecutorLost,
    LaunchRefused,
    MesosError,
    OfferRescinded,
    OffersReceived,
    StatusUpdate,
    Subscribed,
)
from scheduler.core.ids import FrameworkId
from scheduler.core.offer import Offer
from scheduler.mesos.parse import (
    Message,
    ParseError,
    parse_failure,
    parse_offer,
    parse_offer_id,
    parse_status,
)
from scheduler.mesos.pymesos_import import MesosSchedulerDriver, Scheduler

_log = structlog.get_logger(__name__)

MesosEvent = (
    Subscribed
    | Disconnected
    | OffersReceived
    | OfferRescinded
    | StatusUpdate
    | AgentLost
    | ExecutorLost
    | MesosError
    | LaunchRefused
)
"""All that comes up from Mesos; part of ``scheduler.core.events.Event``."""

UNREADABLE_REFUSE_S = 60.0
"""How long an agent whose offer we cannot read is not offered again."""
REMOVED_MESSAGE = "Framework has been removed"
"""What a master says of a framework id that was torn down (traces, 07 and 08)."""


class EgretScheduler(Scheduler):
    """The receiving half of the driver; the names of its methods are pymesos's."""

    def __init__(
        self, on_event: Callable[[MesosEvent], None], on_problem: Callable[[str, str], None]
    ) -> None:
        """``on_event`` takes each event; ``on_problem(kind, message)`` what was dropped."""
        self._on_event = on_event
        self._on_problem = on_problem

    def registered(
        self, driver: MesosSchedulerDriver, frameworkId: Message, masterInfo: Message
    ) -> None:
        self._on_event(
            Subscribed(
                framework_id=FrameworkId(frameworkId["value"]),
                master=f"{masterInfo['hostname']}:{masterInfo['port']}",
                master_version=masterInfo.get("version", ""),
            )
        )

    def reregistered(self, driver: MesosSchedulerDriver, masterInfo: Message) -> None:
        self.registered(driver, {"value": driver.framework_id}, masterInfo)

    def disconnected(self, driver: MesosSchedulerDriver) -> None:
        self._on_event(Disconnected())

    def resourceOffers(self, driver: MesosSchedulerDriver, offers: Sequence[Message]) -> None:
        readable: list[Offer] = []
        for raw in offers:
            try:
                readable.append(parse_offer(raw))
            except ParseError as problem:
                self._on_problem("unreadable_offer", str(problem))
                _give_back(driver, raw)
        if readable:
            self._on_event(OffersReceived(tuple(readable)))

    def offerRescinded(self, driver: MesosSchedulerDriver, offerId: Message) -> None:
        self._on_event(OfferRescinded(parse_offer_id(offerId)))

    def statusUpdate(self, driver: MesosSchedulerDriver, status: Message) -> None:
        self._on_event(parse_status(status))

    def slaveLost(self, driver: MesosSchedulerDriver, slaveId: Message) -> None:
        self._on_event(parse_failure({"agent_id": slaveId}))

    def executorLost(
        self,
        driver: MesosSchedulerDriver,
        executorId: Message,
        slaveId: Message,
        status: int | None,
    ) -> None:
        self._on_event(
            parse_failure({"agent_id": slaveId, "executor_id": executorId, "status": status})
        )

    def error(self, driver: MesosSchedulerDriver, message: str) -> None:
        self._on_event(MesosError(message, removed=message.startswith(REMOVED_MESSAGE)))

    def inverseOffers(self, driver: MesosSchedulerDriver, offers: Sequence[Message]) -> None:
        # Advisory: what counts for placement is the unavailability in the offers themselves.
        _log.info("mesos_inverse_offers_received", count=len(offers))

    def operationStatusUpdate(self, driver: MesosSchedulerDriver, status: Message) -> None:
        # Only operations with an id of ours are reported, and we give none.
        self._on_problem("unexpected_operation_status", repr(status)[:300])


def _give_back(driver: MesosSchedulerDriver, raw: Message) -> None:
    """Decline an offer by all that can be read of it; others may have use for the resources."""
    try:
        offer_id = parse_offer_id(raw["id"])
    except (ParseError, KeyError, TypeError):
        return
    driver.declineOffer([{"value": offer_id}], {"refuse_seconds": UNREADABLE_REFUSE_S})
