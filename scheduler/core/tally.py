"""Count an app's instances by what they are to it: the buckets that every decision reads.

The world keeps one tally for each config version of an app and moves an instance from bucket to
bucket as it changes, so that "how many serve?" costs nothing, however many there are.
"""

from collections import Counter
from collections.abc import Callable
from enum import StrEnum

from attrs import frozen

from scheduler.core.ids import InstanceId

Age = tuple[int, str]
"""When an instance's task started, epoch ms, and its id: the smaller, the older."""


class Bucket(StrEnum):
    """What an instance counts as when an app is compared with its target."""

    SCHEDULED = "scheduled"
    """Wanted, waiting for a place: no task."""
    PENDING = "pending"
    """A task is on its way to RUNNING."""
    UNPROVEN = "unproven"
    """Running, its checks have said nothing yet."""
    UNHEALTHY = "unhealthy"
    PROVING = "proving"
    """Running and healthy, but not ready or not healthy for long enough yet."""
    SERVING = "serving"
    """Running, healthy (or without checks), ready and proven."""
    UNREACHABLE = "unreachable"
    """Out of sight, still waited for."""
    INACTIVE = "inactive"
    """Out of sight and given up: replaced, but not forgotten."""
    RECYCLING = "recycling"
    """Being ended, to be launched again under the same instance id."""
    DOOMED = "doomed"
    """Being ended for good."""
    DONE = "done"
    """Has ended, and its restart policy does not launch it again."""


ACTIVE = (
    Bucket.SCHEDULED,
    Bucket.PENDING,
    Bucket.UNPROVEN,
    Bucket.UNHEALTHY,
    Bucket.PROVING,
    Bucket.SERVING,
    Bucket.UNREACHABLE,
    Bucket.RECYCLING,
    Bucket.DONE,
)
"""Buckets that fill a place in the app's instance count."""


class Tally:
    """The instances of one config version of an app, by bucket, oldest arrival first."""

    __slots__ = ("buckets", "mixed", "placed")

    def __init__(self) -> None:
        self.buckets: dict[Bucket, dict[InstanceId, None]] = {bucket: {} for bucket in Bucket}
        self.mixed: set[Bucket] = set()
        """Buckets in which one arrived that is older than the one before it."""
        self.placed: dict[str, Counter[str]] = {}
        """Constraint field → value → possibly live instances there."""

    def count(self, bucket: Bucket) -> int:
        return len(self.buckets[bucket])

    def by_age(self, bucket: Bucket, age_of: Callable[[InstanceId], Age]) -> dict[InstanceId, None]:
        """Give a bucket oldest first. It is sorted only if it has to be: mostly who comes later
        is younger, and an upgrade of thousands looks at it thousands of times.
        """
        if bucket in self.mixed:
            self.mixed.remove(bucket)
            self.buckets[bucket] = dict.fromkeys(sorted(self.buckets[bucket], key=age_of))
        return self.buckets[bucket]

    @property
    def active(self) -> int:
        return sum(len(self.buckets[bucket]) for bucket in ACTIVE)

    @property
    def total(self) -> int:
        return sum(len(ids) for ids in self.buckets.values())


@frozen
class AppCounts:
    """The counters of Marathon's AppInfo."""

    staged: int
    running: int
    healthy: int
    unhealthy: int
