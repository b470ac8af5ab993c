"""Run the scheduler on an event loop: campaign, load, take turns, step down.

``Runtime`` is the one writer and the door for all other rooms: events come in by ``post``,
commands by ``submit``, and what the core decided goes out to the listeners. All methods belong to
the loop's thread unless they say otherwise; what they read of ``world`` is consistent because
nothing changes it but a turn, and a turn never waits.
"""

import asyncio
import gc
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import count
from random import Random
from typing import Any, Protocol, TypeVar

import structlog
from attrs import field, frozen

from scheduler.core.effects import Answer, Fact, MesosEffect, Reply
from scheduler.core.events import Command, Event
from scheduler.core.ids import Epoch, RequestId
from scheduler.core.settings import Settings
from scheduler.core.world import World
from scheduler.runtime.committer import ThreadCommitter
from scheduler.runtime.crashpoints import crash_here
from scheduler.runtime.inbox import Inbox
from scheduler.runtime.leadership import Leadership, Station
from scheduler.runtime.turn import CORE, Changes, CommitReport, Limits, Steps, Turns
from scheduler.store import (
    CorruptState,
    Elected,
    Lost,
    StaleEpoch,
    Store,
    StoreError,
    StoreUnavailable,
)
from scheduler.telemetry import Bus, Metrics

_log = structlog.get_logger("runtime")

T = TypeVar("T")

_SHORTEST_WAIT_S = 0.001
"""Between two turns that only time asks for: a due time that stays in the past must not spin."""

_STORE_RETRY_S = 1.0
"""Between two tries to lead again while the store is away."""

_MAKE_WAY_S = 1.0
"""After an abdication, before campaigning again: others take less to see that they may lead."""

_LEAD_LOST = "This scheduler has lost the lead: ask the leader"

_LAST_COMMIT_S = 5.0
"""Longest wait at the end for the commit that is under way."""


class NotLeader(Exception):
    """We do not lead now: nothing can be answered here."""


class LeadLost(NotLeader):
    """We led when we were asked; the message is for who asked, and says what came of it."""


@frozen
class Term:
    """What a room needs to know when it starts to work for a leader."""

    world: World
    """Loaded, and changed only by turns; read it on the loop's thread."""
    epoch: Epoch


class Room(Protocol):
    """Something that works only while we lead: the Mesos driver, health checks, discovery."""

    async def start(self, term: Term) -> None:
        """Begin with what the world holds now; must not wait for anybody outside."""
        ...

    async def stop(self) -> None:
        """End, leaving tasks and registrations as they are."""
        ...

    def instances_changed(self, changes: Changes) -> None:
        """Follow the instances; only called between start and stop. Must not block."""
        ...


def epoch_ms() -> int:
    """Tell the time, epoch ms."""
    return time.time_ns() // 1_000_000


@frozen
class Surroundings:
    """What the runtime takes from outside, so that a test can put in others."""

    steps: Steps = CORE
    clock: Callable[[], int] = epoch_ms
    rng: Random = field(factory=Random)
    limits: Limits = Limits()
    commands_max: int = 1_000


class Runtime:
    """The life of one scheduler, over as many terms as it is elected to."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        surroundings: Surroundings,
        metrics: Metrics,
        bus: Bus,
    ) -> None:
        self.settings = settings
        self.world = World(settings)
        """The present term's; an empty one while we do not lead."""
        self.epoch: Epoch | None = None
        self.clock = surroundings.clock
        self.leadership = Leadership(self._on_station)
        self._store = store
        self._store_thread = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._around = surroundings
        self._metrics = metrics
        self._bus = bus
        self._rooms: list[Room] = []
        self._started: list[Room] = []
        self._send: Callable[[MesosEffect], None] | None = None
        self._inbox = Inbox(self._wake, surroundings.commands_max)
        self._turns: Turns | None = None
        self._replies: dict[RequestId, asyncio.Future[Answer]] = {}
        self._barrier: tuple[int, asyncio.Future[None]] | None = None
        """Number of the batch under way, and what its readers wait for: one for all of them, so
        that reads cost no memory while the store is away."""
        self._request_ids = count(1)
        self._is_woken = False
        self._is_braked = False
        """The disaster brake as the rooms know it."""
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._term_over: asyncio.Future[None] | None = None
        self._is_stopping = False
        self._has_led = False
        self._has_abdicated = False

    # -------------------------------------------------------------- assembly

    def add_room(self, room: Room) -> None:
        """Start ``room`` with every term, in the order of the calls, and stop it in reverse."""
        self._rooms.append(room)

    def connect_mesos(self, send: Callable[[MesosEffect], None]) -> None:
        """Name what carries out calls to Mesos; it must not block."""
        self._send = send

    def subscribe_facts(self, listener: Callable[[Fact], None]) -> Callable[[], None]:
        """Have every published fact told to ``listener``; returns what ends that."""
        return self._bus.subscribe(listener)

    # ------------------------------------------------------ the door for others

    @property
    def is_leading(self) -> bool:
        """Whether ``world`` may be read and commands are taken."""
        return self.leadership.station.is_leading

    @property
    def store_problem(self) -> str | None:
        """Why nothing becomes durable just now; None when all is well."""
        error = self._turns.error if self._turns else None
        return None if error is None else str(error)

    @property
    def inbox_length(self) -> int:
        """Events that wait to be handled."""
        return len(self._inbox)

    def post(self, event: Event) -> None:
        """Put an event into the inbox; it is dropped when no term is under way.

        Raises:
            InboxFull: it is a command, and too many are waiting.
        """
        if self._turns is not None:
            self._inbox.post(event)
            self._metrics.on_event(event)

    async def submit(self, make: Callable[[RequestId], Command], timeout_s: float) -> Answer:
        """Have a command carried out; returns when what it decided is durable.

        Args:
            make: builds the command with the request id it is given.
            timeout_s: longest wait.

        Raises:
            NotLeader: we do not lead, or lost the lead before the commit was known to succeed.
            InboxFull: too many commands are waiting.
            TimeoutError: no answer yet; the command may still be carried out.
        """
        self._require_lead()
        request_id = RequestId(next(self._request_ids))
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._replies[request_id] = answer
        try:
            self.post(make(request_id))
            return await asyncio.wait_for(answer, timeout_s)
        finally:
            self._replies.pop(request_id, None)

    async def read_barrier(self, timeout_s: float) -> None:
        """Wait until all that ``world`` shows now is durable.

        Raises:
            NotLeader: we do not lead.
            TimeoutError: it is not durable yet.
        """
        turns = self._require_lead()
        if turns.durable >= turns.decided:
            return
        await asyncio.wait_for(asyncio.shield(self._until_durable(turns)), timeout_s)

    def _until_durable(self, turns: Turns) -> asyncio.Future[None]:
        """Give what is done when the batch under way is durable."""
        if self._barrier is None:
            self._barrier = (turns.decided, asyncio.get_running_loop().create_future())
        number, durable = self._barrier
        assert number == turns.decided, "two batches are under way"
        return durable

    def stop(self) -> None:
        """Make ``run`` end soon. Tasks and their registrations stay as they are."""
        self._is_stopping = True
        if self.leadership.station is Station.CAMPAIGNING:
            self._store.close()
        self._end_term(None)

    def abdicate(self) -> None:
        """Give up the lead and campaign again, after all others had the time to come first."""
        self._has_abdicated = True
        self._end_term(None)

    def fail(self, error: BaseException) -> None:
        """End the term, because a room cannot go on: StaleEpoch begins another one, and any
        other error ends ``run`` with it.
        """
        self._end_term(error)

    def _require_lead(self) -> Turns:
        if self._turns is None or not self.is_leading:
            raise NotLeader(f"not leading: {self.leadership.station}")
        return self._turns

    # ------------------------------------------------------------------- life

    async def run(self) -> None:
        """Lead, term after term, until ``stop``.

        Once we have led, a store that is away is waited for. At the start it is an error: there
        the address is wrong more often than not.

        Raises:
            StoreError: the store cannot be used, or must not be.
        """
        self._loop = asyncio.get_running_loop()
        try:
            while not self._is_stopping:
                try:
                    elected = await self._campaign()
                    # A stop closes the store: then there is nothing to lead from.
                    if self._is_stopping or not isinstance(elected, Elected):
                        break
                    await self._lead(elected.epoch)
                    await self._make_way()
                except StoreUnavailable as error:
                    if not self._has_led:
                        raise
                    _log.warning("store_unavailable", error=str(error), retry_s=_STORE_RETRY_S)
                    await asyncio.sleep(_STORE_RETRY_S)
        finally:
            self.leadership.enter(Station.STOPPED)
            await self._after_store_work(self._store.close)
            self._store_thread.shutdown(wait=False)

    async def _make_way(self) -> None:
        """After an abdication: let another scheduler lead, if there is one that waits."""
        if not self._has_abdicated or self._is_stopping:
            return
        self._has_abdicated = False
        self.leadership.enter(Station.CAMPAIGNING)
        await self._on_store_thread(self._store.resign)
        await asyncio.sleep(_MAKE_WAY_S)

    async def _campaign(self) -> Elected | Lost:
        if self.leadership.station is not Station.CAMPAIGNING:
            self.leadership.enter(Station.CAMPAIGNING)
        return await self._on_store_thread(self._store.campaign)

    async def _lead(self, epoch: Epoch) -> None:
        crash_here("elected")
        self.leadership.enter(Station.LOADING)
        self._term_over = asyncio.get_running_loop().create_future()
        try:
            await self._load(epoch)
            if not self._is_stopping:
                await self._begin_work(Term(self.world, epoch))
                await self._term_over
        except StaleEpoch as error:
            _log.warning("leadership_lost", epoch=epoch, error=str(error))
        finally:
            await self._step_down()

    async def _begin_work(self, term: Term) -> None:
        self.leadership.enter(Station.SUBSCRIBING)
        self._has_led = True
        for room in self._rooms:
            self._started.append(room)
            await room.start(term)

    async def _load(self, epoch: Epoch) -> None:
        started_s = time.monotonic()
        records = await self._on_store_thread(lambda: list(self._store.load()))
        world = World(self.settings)
        # The collector would walk over all that is being built, again and again.
        gc.disable()
        try:
            world.load(records)
        finally:
            gc.enable()
        del records
        gc.freeze()
        world.take_changes()
        _refuse_lost_identity(world)
        self._metrics.begin_term(world)
        self.world = world
        self._is_braked = world.brake.holds
        self.epoch = epoch
        self._turns = Turns(
            world=world,
            epoch=epoch,
            inbox=self._inbox,
            committer=ThreadCommitter(self._store, self._store_thread, self._wake_from_thread),
            outputs=self,
            steps=self._around.steps,
            rng=self._around.rng,
            limits=self._around.limits,
            report=self._on_commit,
        )
        _log.info(
            "world_loaded",
            epoch=epoch,
            apps=len(world.apps),
            instances=len(world.instances),
            duration_s=round(time.monotonic() - started_s, 3),
        )
        crash_here("loaded")
        self._turns.begin(self.clock())
        self._after_turn(self._turns)
        await self._durable(self._turns)

    async def _durable(self, turns: Turns) -> None:
        """Wait for the first batch of the term; the end of the term ends the wait."""
        assert self._term_over is not None
        if turns.durable >= turns.decided:
            return
        durable = self._until_durable(turns)
        await asyncio.wait({durable, self._term_over}, return_when=asyncio.FIRST_COMPLETED)
        if self._term_over.done():
            self._term_over.result()

    async def _step_down(self) -> None:
        turns, self._turns = self._turns, None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._turn_away_undecided()
        if turns is None or turns.error is not None:
            # No commit is under way that we could yet hear of.
            self._turn_away_decided()
        while self._started:
            await self._started.pop().stop()
        if turns is not None and turns.durable < turns.decided:
            # The last batch may still succeed, and then its callers can be answered.
            await self._after_store_work(lambda: None)
            with suppress(StoreError):
                turns.advance(self.clock())
        self._turn_away_decided()
        self.world = World(self.settings)
        self._metrics.begin_term(self.world)
        self.epoch = None
        gc.unfreeze()

    def _turn_away_undecided(self) -> None:
        """Tell all whom nothing can help any more, before anything else has to be waited for.

        Those are who wait to read, for the world is thrown away, and who asked for what nobody has
        handled yet.
        """
        barrier, self._barrier = self._barrier, None
        _turn_away(None if barrier is None else barrier[1], _LEAD_LOST)
        while (event := self._inbox.take()) is not None:
            if isinstance(event, Command):
                reply = self._replies.get(event.request_id)
                _turn_away(reply, f"{_LEAD_LOST}; nothing was changed")

    def _turn_away_decided(self) -> None:
        for reply in self._replies.values():
            _turn_away(reply, f"{_LEAD_LOST}; whether the change was made is unknown")

    async def _after_store_work(self, work: Callable[[], None]) -> None:
        """Do ``work`` behind all that the store's thread has to do, unless it hangs."""
        try:
            await asyncio.wait_for(self._on_store_thread(work), _LAST_COMMIT_S)
        except TimeoutError:
            _log.warning("store_does_not_answer", waited_s=_LAST_COMMIT_S)

    async def _on_store_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._store_thread, work)

    def _end_term(self, error: BaseException | None) -> None:
        over = self._term_over
        if over is None or over.done():
            return
        if error is None:
            over.set_result(None)
        else:
            over.set_exception(error)

    def _on_station(self, before: Station, after: Station) -> None:
        _log.info("leadership_changed", before=before.value, after=after.value)
        self._metrics.leader.set(1 if after.is_leading else 0)

    # ------------------------------------------------------------------ turns

    def _wake(self) -> None:
        if not self._is_woken and self._loop is not None and self._turns is not None:
            self._is_woken = True
            self._loop.call_soon(self._turn)

    def _wake_from_thread(self) -> None:
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._wake)

    def _turn(self) -> None:
        self._is_woken = False
        turns = self._turns
        if turns is None or self._term_over is None or self._term_over.done():
            return
        try:
            turns.turn(self.clock())
        except Exception as error:  # noqa: BLE001
            # The supervisor of all decisions: after any failure the world may be half changed,
            # so the term is over. Only a lost epoch begins another, all else ends the process.
            self._end_term(error)
            return
        self._after_turn(turns)

    def _after_turn(self, turns: Turns) -> None:
        if self._barrier is not None and self._barrier[0] <= turns.durable:
            self._barrier[1].set_result(None)
            self._barrier = None
        if self.world.connected and self.leadership.station is Station.SUBSCRIBING:
            self.leadership.enter(Station.ACTIVE)
        self._follow_brake()
        if turns.has_work:
            self._wake()
        self._arm(turns.next_due_ms)

    def _follow_brake(self) -> None:
        """Have the rooms look when the brake engages or lets go while no instance changes.

        An operator's word does that, and the end of its time.
        """
        if self.world.brake.holds is self._is_braked:
            return
        self._is_braked = self.world.brake.holds
        for room in self._started:
            room.instances_changed([])

    def _arm(self, due_ms: int | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if due_ms is not None and self._loop is not None:
            wait_s = max((due_ms - self.clock()) / 1000, _SHORTEST_WAIT_S)
            self._timer = self._loop.call_later(wait_s, self._wake)

    def _on_commit(self, report: CommitReport) -> None:
        failed = report.error is not None
        self._metrics.on_commit(report.elapsed_s, report.records, failed=failed)
        if report.error is not None:
            _log.warning(
                "commit_failed",
                kind=type(report.error).__name__,
                error=str(report.error),
                attempts=report.attempts,
            )

    # ---------------------------------------------------------------- outputs

    def mesos(self, effect: MesosEffect) -> None:
        """Make a call to Mesos; before the subscription there is nobody to call."""
        if self._send is not None and self._started:
            self._metrics.on_effect(effect)
            self._send(effect)

    def reply(self, reply: Reply) -> None:
        """Answer the caller, if it still waits."""
        waiting = self._replies.get(reply.request_id)
        if waiting is not None and not waiting.done():
            waiting.set_result(reply.answer)

    def publish(self, fact: Fact) -> None:
        """Tell the public."""
        self._bus.publish(fact)

    def instances_changed(self, changes: Changes) -> None:
        """Let every room that has started follow."""
        self._metrics.on_changes(changes)
        for room in self._started:
            room.instances_changed(changes)


def _turn_away(waiting: asyncio.Future[Any] | None, message: str) -> None:
    if waiting is not None and not waiting.done():
        waiting.set_exception(LeadLost(message))
        waiting.exception()  # whoever waited may have gone: then nobody has to hear it


def _refuse_lost_identity(world: World) -> None:
    """Refuse to lead with traces of launches but no framework id: a new one would orphan the tasks.

    An instance that waits, or an end that is remembered, proves as much as a task: nothing is
    launched before the id is stored, and others may run that we do not know of.
    """
    if world.framework is not None:
        return
    launched = sum(one.incarnation > 0 for one in world.instances.values()) + len(world.ended)
    if launched:
        raise CorruptState(
            f"the store has no framework id, but {launched} records of tasks launched under one; "
            "restore it from a backup, or the tasks that run would be orphaned"
        )
