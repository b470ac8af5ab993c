"""Remember why instances wait: what each offer lacked, counted by reason, and the nearest miss.

Kept for each config version that has something to launch, forgotten when nothing waits any more.
Reasons and their order are Marathon's rejection funnel (``/v2/queue``,
``processedOffersSummary``): an offer is counted under the first thing it lacks.
"""

from collections import Counter, deque
from enum import StrEnum

from attrs import define, field, frozen

from scheduler.core.ids import AppId, Version
from scheduler.core.offer import Offer


class Reason(StrEnum):
    """Why an offer was not used, in the order the questions are asked."""

    ROLE = "UnfulfilledRole"
    CONSTRAINT = "UnfulfilledConstraint"
    RESERVATION = "NoCorrespondingReservationFound"
    MAINTENANCE = "AgentMaintenance"
    CPUS = "InsufficientCpus"
    MEM = "InsufficientMemory"
    DISK = "InsufficientDisk"
    GPUS = "InsufficientGpus"
    PORTS = "InsufficientPorts"
    SCARCE = "DeclinedScarceResources"


FUNNEL = tuple(Reason)
KEPT_OFFERS = 10
"""Unused offers remembered for each report."""


@frozen
class Miss:
    """The first thing an offer lacked: which, on which agent, how much of how much."""

    reason: Reason
    host: str
    wanted: str
    offered: str

    @property
    def depth(self) -> int:
        """How far down the funnel the offer came: the greater, the nearer the miss."""
        return FUNNEL.index(self.reason)


@define
class Report:
    """What was found for one config version since it began to wait."""

    since_ms: int
    processed: int = 0
    unused: int = 0
    last_used_ms: int | None = None
    last_unused_ms: int | None = None
    attempt: Counter[Reason] = field(factory=Counter)
    """Refusals since it began to wait."""
    ports_since_ms: int | None = None
    """When an offer was first refused for its ports."""
    latest: Counter[Reason] = field(factory=Counter)
    """Refusals in the latest round of offers."""
    latest_processed: int = 0
    latest_at_ms: int = -1
    nearest: Miss | None = None
    """The nearest miss since it began to wait, as its agent was offered last."""
    unused_offers: deque[tuple[Offer, Reason, int]] = field(
        factory=lambda: deque(maxlen=KEPT_OFFERS)
    )

    def used(self, now_ms: int) -> None:
        self._round(now_ms)
        self.processed += 1
        self.latest_processed += 1
        self.last_used_ms = now_ms

    def refused(self, offer: Offer, miss: Miss, now_ms: int) -> None:
        self._round(now_ms)
        self.processed += 1
        self.latest_processed += 1
        self.unused += 1
        self.last_unused_ms = now_ms
        self.attempt[miss.reason] += 1
        self.latest[miss.reason] += 1
        if miss.reason is Reason.PORTS and self.ports_since_ms is None:
            self.ports_since_ms = now_ms
        known = self.nearest
        # What an agent lacked before says nothing any more once it lacks something else.
        if known is None or known.host == miss.host or miss.depth >= known.depth:
            self.nearest = miss
        self.unused_offers.append((offer, miss.reason, now_ms))

    def _round(self, now_ms: int) -> None:
        if now_ms != self.latest_at_ms:
            self.latest = Counter()
            self.latest_processed = 0
            self.latest_at_ms = now_ms


@define
class Reports:
    by_class: dict[tuple[AppId, Version], Report] = field(factory=dict)

    def of(self, app_id: AppId, version: Version, now_ms: int) -> Report:
        """Return the report of a config version, begun now if there is none."""
        report = self.by_class.get((app_id, version))
        if report is None:
            report = self.by_class[(app_id, version)] = Report(since_ms=now_ms)
        return report

    def drop(self, app_id: AppId, version: Version) -> None:
        self.by_class.pop((app_id, version), None)

    def forget(self, app_id: AppId) -> None:
        for key in [key for key in self.by_class if key[0] == app_id]:
            del self.by_class[key]
