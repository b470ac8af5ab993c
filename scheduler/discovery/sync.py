"""Make Consul hold what is desired, in a thread of its own, for as long as it takes.

The loop hands over changes and never waits. The thread keeps the whole desired set, writes what
changed, and every ``period_s`` compares everything in both directions: what is missing or altered
is written, what carries our mark and is not desired is deleted, what does not is never touched. A
fault anywhere means one thing: wait a little, read everything, compare. So a lost write, a Consul
that was down, slow, wiped or restored, and a zombie left by an earlier leader are one case.

Nothing is removed when the thread stops: entries outlive their scheduler.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from itertools import islice

import structlog
from attrs import define, evolve, field, frozen

from scheduler.core.ids import AppId, TaskId
from scheduler.discovery.client import ConsulRefusedError, ConsulUnavailableError
from scheduler.discovery.desired import diff
from scheduler.discovery.entry import META_APP, ServiceEntry
from scheduler.discovery.names import Refusal
from scheduler.discovery.registry import Failed, Registry, StaleEpochError

log = structlog.get_logger(__name__)

PERIOD_S = 30.0
RETRY_S = 2.0
"""Wait before an entry whose Consul agent did not answer is tried again."""
PAUSE_MIN_S = 0.1
PAUSE_MAX_S = 5.0
"""Waits after a failure: doubled each time from the one to the other."""
SLICE = 210
"""Entries put before the inbox is looked at again: a draining task must not wait for thousands."""

Changes = Mapping[str, ServiceEntry | None]


@frozen
class SyncStatus:
    """How far Consul is from what is desired; for the API and for metrics."""

    desired: int = 0
    registered: int = 0
    pending: int = 0
    """Changes not yet written."""
    lag_ms: int = 0
    """How long the oldest of them has been waiting; 0 when there is none."""
    last_success_ms: int | None = None
    """When Consul last answered everything that was asked."""
    last_error: str | None = None
    """None while Consul answers."""
    failures: int = 0
    """Rounds that failed, in all."""
    puts: int = 0
    deletes: int = 0
    refusals: tuple[Refusal, ...] = ()


@define
class _Inbox:
    """What the loop has handed over and the thread has not yet taken."""

    changes: dict[str, ServiceEntry | None] = field(factory=dict)
    draining: set[TaskId] = field(factory=set)
    is_whole: bool = False


@define
class _Tally:
    puts: int = 0
    deletes: int = 0
    failures: int = 0
    last_error: str | None = None
    last_success_ms: int | None = None


class SyncLoop:
    """One leader's term of keeping Consul right.

    ``run`` is the body of a thread; ``submit``, ``stop`` and ``status`` may be called from any.
    """

    def __init__(
        self,
        registry: Registry,
        *,
        on_gone: Callable[[TaskId], None],
        on_stale: Callable[[], None],
        clock: Callable[[], int],
        period_s: float = PERIOD_S,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make an idle loop.

        Args:
            registry: where to write; used by the thread alone.
            on_gone: told, on the thread, of a draining task that has no entry any more.
            on_stale: told, on the thread, that another leader has taken over; the thread then ends.
            clock: tells epoch ms, for what is shown.
            period_s: time between two full comparisons.
            clock_s: monotonic time.
        """
        self._registry = registry
        self._on_gone = on_gone
        self._on_stale = on_stale
        self._clock = clock
        self._period_s = period_s
        self._clock_s = clock_s
        self._lock = threading.Lock()
        self._inbox = _Inbox()
        self._wake = threading.Event()
        self._is_stopping = False
        self._status = SyncStatus()
        self._tally = _Tally()
        # From here on: the thread's own.
        self._desired: dict[str, ServiceEntry] = {}
        self._draining: set[TaskId] = set()
        self._held: dict[str, ServiceEntry] = {}
        """What Consul holds, or may hold: an entry is here before it is written."""
        self._held_by_task: Counter[TaskId] = Counter()
        self._has_read = False
        self._has_taken_over = False
        self._dirty: dict[str, None] = {}
        self._forced: set[str] = set()
        """To be put although ``_held`` says that they are there."""
        self._later: dict[str, str] = {}
        """Id and reason of what could not be written for now."""
        self._free_names: set[str] = set()
        """Names found to be free of foreign entries."""
        self._refused: dict[str, Refusal] = {}
        """By name or by ServiceID; asked anew after each comparison."""
        self._refused_before: dict[str, Refusal] = {}
        self._next_full_s = 0.0
        self._next_later_s = 0.0
        self._not_before_s = 0.0
        self._failures_in_row = 0
        self._waiting_since_ms: int | None = None

    def stop(self) -> None:
        """Tell ``run`` to end after the request it is in; no entry is removed."""
        self._is_stopping = True
        self._registry.stop()
        self._wake.set()

    def submit(
        self, changes: Changes, draining: Iterable[TaskId] = (), *, is_whole: bool = False
    ) -> None:
        """Hand over changes by ServiceID, None to remove.

        With ``is_whole`` they are all there is to be and everything else is to go.
        """
        with self._lock:
            if is_whole:
                self._inbox = _Inbox(is_whole=True)
            self._inbox.changes.update(changes)
            self._inbox.draining.update(draining)
        self._wake.set()

    def status(self) -> SyncStatus:
        """Tell the state as of the last round; the lag is that of now."""
        since_ms = self._waiting_since_ms
        lag_ms = 0 if since_ms is None else max(0, self._clock() - since_ms)
        return evolve(self._status, lag_ms=lag_ms)

    def run(self) -> None:
        """Work until stopped or overtaken; takes over the registrations and reads them first."""
        while True:
            self._wake.wait(self._idle_s())
            if self._is_stopping:
                return
            self._wake.clear()
            try:
                self._round()
            except StaleEpochError as error:
                if self._is_stopping:
                    return
                log.warning("discovery_overtaken", error=str(error))
                self._on_stale()
                return
            self._publish()

    def _idle_s(self) -> float:
        now_s = self._clock_s()
        if now_s < self._not_before_s:
            return self._not_before_s - now_s
        if self._dirty:
            return 0.0
        next_s = min(self._next_full_s, self._next_later_s) if self._later else self._next_full_s
        return max(0.0, next_s - now_s)

    def _round(self) -> None:
        """Do what can be done now."""
        self._take()
        # What needs no answer of Consul is told even while Consul is down.
        self._confirm_gone()
        if self._clock_s() < self._not_before_s:
            return
        try:
            self._write()
        except (ConsulUnavailableError, ConsulRefusedError) as error:
            if not self._is_stopping:
                self._on_failure(error)
        else:
            self._on_success()

    def _take(self) -> None:
        with self._lock:
            inbox, self._inbox = self._inbox, _Inbox()
        if inbox.is_whole:
            self._desired.clear()
            self._draining.clear()
            self._dirty.clear()
            self._next_full_s = 0.0
        for key, entry in inbox.changes.items():
            self._dirty[key] = None
            if entry is None:
                self._desired.pop(key, None)
            else:
                self._desired[key] = entry
        self._draining |= inbox.draining
        if self._waiting_since_ms is None and (self._dirty or inbox.is_whole):
            self._waiting_since_ms = self._clock()

    def _write(self) -> None:
        now_s = self._clock_s()
        if not self._has_taken_over:
            self._registry.take_over()
            self._has_taken_over = True
        is_full = now_s >= self._next_full_s
        if is_full:
            self._compare()
        if self._later and (is_full or now_s >= self._next_later_s):
            self._dirty.update(dict.fromkeys(self._later))
            self._forced |= self._later.keys()
            self._later.clear()
        self._delete_dirty()
        self._confirm_gone()
        self._put_dirty()
        if is_full and not self._dirty:
            self._registry.tidy(self._desired)

    def _compare(self) -> None:
        """Read everything; whatever is not as desired becomes dirty."""
        held = self._registry.read(self._desired)
        self._held = dict(held.entries)
        self._held_by_task = Counter(entry.task_id for entry in self._held.values())
        self._has_read = True
        # Asked anew: others may have taken a name that we have left.
        self._free_names = {entry.name for entry in self._held.values()}
        self._refused_before, self._refused = self._refused, {}
        self._forced = set(held.broken)
        difference = diff(self._desired, self._held)
        self._dirty = dict.fromkeys(
            [entry.id for entry in difference.deletes]
            + [entry.id for entry in difference.puts]
            + [key for key in held.broken if key in self._desired]
        )
        self._next_full_s = self._clock_s() + self._period_s

    def _delete_dirty(self) -> None:
        unwanted: list[ServiceEntry] = []
        for key in self._dirty:
            held, desired = self._held.get(key), self._desired.get(key)
            if held is not None and (desired is None or desired.node != held.node):
                unwanted.append(held)
        failed = self._registry.delete(unwanted) if unwanted else []
        for entry in unwanted:
            self._drop(entry.id)
        for each in failed:
            self._hold(each.entry)
        self._settle(failed)
        self._tally.deletes += len(unwanted) - len(failed)
        for key in [key for key in self._dirty if key not in self._desired]:
            del self._dirty[key]

    def _put_dirty(self) -> None:
        """Put a slice; the rest stays dirty for the next round."""
        for key in list(islice(self._dirty, SLICE)):
            if self._held.get(key) == self._desired[key] and key not in self._forced:
                del self._dirty[key]
        keys = list(islice(self._dirty, SLICE))
        wanted = [self._desired[key] for key in keys if self._may_have_name(self._desired[key])]
        before = {entry.id: self._held.get(entry.id) for entry in wanted}
        for entry in wanted:
            self._hold(entry)
        failed = self._registry.put(wanted) if wanted else []
        for each in failed:
            was = before[each.entry.id]
            if each.is_refused and was is None:
                self._drop(each.entry.id)
            elif each.is_refused and was is not None:
                self._hold(was)
        self._settle(failed)
        self._tally.puts += len(wanted) - len(failed)
        for key in keys:
            self._dirty.pop(key, None)
            self._forced.discard(key)

    def _settle(self, failed: list[Failed]) -> None:
        """Note what of a write is to be tried again, and what is refused."""
        for each in failed:
            if each.is_refused:
                self._refuse(each.entry.id, each.entry, each.reason)
            else:
                self._later[each.entry.id] = each.reason
                self._next_later_s = self._clock_s() + RETRY_S

    def _may_have_name(self, entry: ServiceEntry) -> bool:
        """Whether the name is ours to use: whoever was there first has it."""
        if entry.name in self._free_names:
            return True
        if entry.name in self._refused:
            return False
        if self._registry.is_foreign(entry.name):
            self._refuse(entry.name, entry, "others have registered this name in Consul")
            return False
        self._free_names.add(entry.name)
        return True

    def _refuse(self, key: str, entry: ServiceEntry, reason: str) -> None:
        app_id = AppId(dict(entry.meta)[META_APP])
        refusal = self._refused[key] = Refusal(app_id, entry.name, reason)
        if self._refused_before.get(key) != refusal:
            log.warning("service_refused", app_id=app_id, name=entry.name, reason=reason)

    def _hold(self, entry: ServiceEntry) -> None:
        if entry.id not in self._held:
            self._held_by_task[entry.task_id] += 1
        self._held[entry.id] = entry

    def _drop(self, key: str) -> None:
        entry = self._held.pop(key, None)
        if entry is None:
            return
        self._held_by_task[entry.task_id] -= 1
        if self._held_by_task[entry.task_id] <= 0:
            del self._held_by_task[entry.task_id]

    def _confirm_gone(self) -> None:
        """Tell of draining tasks that certainly have no entry; known once all was read."""
        if not self._has_read:
            return
        gone = {task_id for task_id in self._draining if task_id not in self._held_by_task}
        self._draining -= gone
        for task_id in sorted(gone):
            self._on_gone(task_id)

    def _on_failure(self, error: Exception) -> None:
        self._failures_in_row += 1
        self._tally.failures += 1
        self._tally.last_error = str(error)
        pause_s = min(PAUSE_MIN_S * 2 ** (self._failures_in_row - 1), PAUSE_MAX_S)
        self._not_before_s = self._clock_s() + pause_s
        self._next_full_s = 0.0
        if self._failures_in_row == 1:
            log.warning("consul_sync_failed", error=str(error))

    def _on_success(self) -> None:
        if self._failures_in_row:
            log.info("consul_sync_recovered", failures=self._failures_in_row)
        self._failures_in_row = 0
        self._tally.last_error = next(iter(self._later.values()), None)
        self._tally.last_success_ms = self._clock()
        if not self._dirty and not self._later:
            self._waiting_since_ms = None

    def _publish(self) -> None:
        """Show the state in one piece: a reader on another thread never sees half of it."""
        # Until a comparison is carried out in full, what was refused before it probably still is.
        refused = self._refused_before | self._refused if self._dirty else self._refused
        self._status = SyncStatus(
            desired=len(self._desired),
            registered=len(self._held),
            pending=len(self._dirty) + len(self._later),
            last_success_ms=self._tally.last_success_ms,
            last_error=self._tally.last_error,
            failures=self._tally.failures,
            puts=self._tally.puts,
            deletes=self._tally.deletes,
            refusals=tuple(refused.values()),
        )
