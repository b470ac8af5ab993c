"""Run one scheduler process in virtual time: the real core, the real turns, faulty surroundings.

What a process forgets when it dies is everything here; what survives is the store. A crash is an
exception thrown out of the middle of a turn: before and after each commit, between any two effects.
"""

from collections.abc import Callable, Sequence
from random import Random

from attrs import define

from scheduler.core import World, handle, resume, settle
from scheduler.core import effects as fx
from scheduler.core import events as ev
from scheduler.core.app import HealthCheck
from scheduler.core.batch import Batch
from scheduler.core.ids import Epoch, FrameworkId, RequestId, TaskId
from scheduler.core.instance import CheckResult, Condition, Instance
from scheduler.core.records import Kind, Record
from scheduler.core.settings import Settings
from scheduler.health.target import ProbeCheck
from scheduler.health.verdict import Answer, Outcome, is_news, next_result
from scheduler.runtime.committer import Committed, Result
from scheduler.runtime.inbox import Inbox
from scheduler.runtime.shell import _refuse_lost_identity
from scheduler.runtime.turn import Changes, Steps, Turns
from scheduler.store import Codec, Elected, MemoryStore, StaleEpoch, StoreError
from tests.simulation.catalog import Catalog, Follower
from tests.simulation.clock import Clock
from tests.simulation.faults import Faults
from tests.simulation.mesos import SimMesos, Subscription
from tests.simulation.story import Trace, tell

SUBSCRIBE_AGAIN_MS = 1_000
PROBE_MS = 2_000


class Crash(Exception):
    """The process dies here."""


class WatchedStore(MemoryStore):
    """A store that tells an observer what was really written, also when nobody else knows."""

    def __init__(self, codec: Codec, watch: "Watch", trace: Trace) -> None:
        super().__init__(codec)
        self.damage: str | None = None
        """What is wrong with the stored bytes; None while all is well."""
        self._watch = watch
        self._trace = trace
        self._written: Sequence[Record] | None = None
        self._spoilt: tuple[tuple[Kind, str], bytes | None, bytes | None] | None = None

    @property
    def epoch(self) -> int:
        """The term of who was elected last."""
        return self._epoch

    def commit(self, epoch: Epoch, records: Sequence[Record]) -> None:
        written = self.commits
        try:
            super().commit(epoch, records)
            self._watch.proved(epoch)
        finally:
            # What is committed again, because its fate was unknown, changes nothing.
            if self.commits > written and records is not self._written:
                self._written = records
                for record in records:
                    row = self._rows.get((record.kind, record.key))
                    self._trace.stored(f"epoch {epoch}", record, row)
                self._watch.committed(epoch, records)

    def spoil(self, rng: Random, *, has_tasks: bool) -> str | None:
        """Make one record unreadable, or lose the one that says who we are."""
        if not self._rows or self.damage is not None:
            return None
        row = rng.choice(list(self._rows))
        is_lost = row[0] is Kind.FRAMEWORK and has_tasks
        after = None if is_lost else b"\xff" * 8
        self._spoilt = (row, self._rows[row], after)
        if after is None:
            del self._rows[row]
        else:
            self._rows[row] = after
        self.damage = f"{row[0]} {row[1]} is {'lost' if after is None else 'unreadable'}"
        return self.damage

    def restore(self) -> None:
        """Put the record back, as an operator would from a backup."""
        if self._spoilt is None:
            return
        row, before, after = self._spoilt
        if before is not None and self._rows.get(row) == after:
            self._rows[row] = before
        self._spoilt = self.damage = None


class SlowCommitter:
    """Commits at once but tells the result after a while, as a thread would."""

    def __init__(self, process: "Process", delay_ms: int) -> None:
        self._process = process
        self._delay_ms = delay_ms
        self._result: Result | None = None

    def begin(self, epoch: Epoch, records: Sequence[Record]) -> None:
        process = self._process
        self._result = None
        process.maybe_crash()
        try:
            process.store.commit(epoch, records)
            result: Result = Committed()
        except StoreError as error:
            result = error
        process.maybe_crash()
        if self._delay_ms == 0:
            self._result = result
            return

        def tell() -> None:
            self._result = result
            process.wake()

        process.clock.after(self._delay_ms, tell)

    def poll(self) -> Result | None:
        return self._result


class Watch:
    """What an observer wants to know of a process; see ``checkers``."""

    def committed(self, epoch: Epoch, records: Sequence[Record]) -> None: ...

    def proved(self, epoch: Epoch) -> None:
        """A commit was written and told so: at this moment ``epoch`` leads."""

    def loaded(self, process: "Process") -> None: ...

    def subscribing(self, process: "Process", framework_id: FrameworkId | None) -> None: ...

    def posted(self, process: "Process", command: ev.Command) -> None: ...

    def handled(self, process: "Process", event: ev.Event) -> None: ...

    def handling(self, process: "Process", event: ev.Event) -> None: ...

    def decided(self, process: "Process", changes: Changes) -> None: ...

    def probed(self, process: "Process", task_id: TaskId, *, is_well: bool) -> None: ...

    def sent(self, process: "Process", effect: fx.MesosEffect) -> None: ...

    def replied(self, process: "Process", command: ev.Command, answer: fx.Answer) -> None: ...

    def published(self, process: "Process", fact: fx.Fact) -> None: ...


@define
class Surroundings:
    """What all processes of one run share."""

    clock: Clock
    rng: Random
    mesos: SimMesos
    store: WatchedStore
    catalog: Catalog
    settings: Settings
    faults: Faults
    trace: Trace
    watch: Watch
    blind_until_ms: int = 0
    """Until then every health check fails, whatever the tasks do."""


class _Outputs:
    """Carry a turn's effects out of the process; it may die between any two of them."""

    def __init__(self, process: "Process") -> None:
        self._process = process

    def mesos(self, effect: fx.MesosEffect) -> None:
        self._process.maybe_crash()
        self._process.mesos_call(effect)

    def reply(self, reply: fx.Reply) -> None:
        self._process.reply(reply)

    def publish(self, fact: fx.Fact) -> None:
        self._process.publish(fact)

    def instances_changed(self, changes: Changes) -> None:
        self._process.instances_changed(changes)


class Process:
    """One life of a scheduler, from its election to its death."""

    def __init__(self, around: Surroundings, skew_ms: int, late_ms: int = 0) -> None:
        """Win the election and load; raises CorruptState where it must not lead.

        Its first batch is durable before it subscribes, as in the shell; ``late_ms`` is what it
        takes beyond that.
        """
        self.around = around
        self.clock = around.clock
        self.mesos = around.mesos
        self.store = around.store
        self.watch = around.watch
        self.trace = around.trace
        self.skew_ms = skew_ms
        self.late_ms = late_ms
        self.frozen_until_ms = 0
        """Until then it does nothing at all; what it is told waits."""
        self.is_alive = True
        self.crash_in: int | None = None
        """Die after so many further points; None lives on."""
        self.points = 0
        """Points passed at which a process may die."""
        self.subscription: Subscription | None = None
        self.handled_in_batch = 0
        self.decided_ms = 0
        """When the last batch was decided, by this process's clock."""
        self.begun_ms = 0
        """When the batch before it was: what came since then was handled in the last one."""
        self._handled = 0
        self._commands: dict[RequestId, ev.Command] = {}
        self._watched: dict[TaskId, _Watched] = {}
        self._timer_ms: int | None = None
        self._works = False
        """Whether the rooms have started: health checks, discovery, Mesos."""
        elected = around.store.campaign()
        assert isinstance(elected, Elected)
        self.epoch = elected.epoch
        self.name = f"epoch {elected.epoch}"
        world = World(around.settings)
        world.load(around.store.load())
        world.take_changes()
        _refuse_lost_identity(world)
        self.inbox = Inbox(lambda: None, commands_max=10_000)
        delay_ms = 0 if around.faults.is_over else around.faults.options.store_delay_ms
        self.turns = Turns(
            world=world,
            epoch=elected.epoch,
            inbox=self.inbox,
            committer=SlowCommitter(self, delay_ms),
            outputs=_Outputs(self),
            steps=Steps(handle=self._handle, settle=self._settle, resume=resume),
            rng=Random(around.rng.getrandbits(64)),
            stopwatch=lambda: 0.0,
        )
        self.watch.loaded(self)
        self.follower = Follower(around.catalog, around.faults, self.clock, self.epoch, world)
        self.follower.is_alive = lambda: self.is_alive
        self.follower.is_frozen = lambda: self.is_frozen
        self.follower.confirm = lambda task_id: self.post(ev.Deregistered(task_id))

    @property
    def world(self) -> World:
        return self.turns.world

    @property
    def now_ms(self) -> int:
        return self.clock.now_ms + self.skew_ms

    # ------------------------------------------------------------------- life

    def start(self) -> None:
        self._guard(lambda: self.turns.begin(self.now_ms))
        self.wake()

    def _begin_work(self) -> None:
        """Start the rooms, once the first batch of the term is durable."""
        if self._works or self.turns.durable == 0:
            return
        self._works = True
        for instance in list(self.world.instances.values()):
            self._probe_later(instance)
        if self.around.settings.discovery:
            self.follower.start()
        if self.late_ms:
            self.clock.after(self.late_ms, self.subscribe)
        else:
            self.subscribe()

    def hurry(self) -> None:
        """Be neither late nor frozen any more."""
        self.frozen_until_ms = self.late_ms = 0
        if self._works and self.subscription is None:
            self.subscribe()
        self.wake()

    def freeze(self, until_ms: int) -> None:
        """Stand still, as a process does that is stopped, or whose machine is."""
        self.frozen_until_ms = until_ms
        self.clock.at(until_ms, self.wake)

    @property
    def is_frozen(self) -> bool:
        return self.clock.now_ms < self.frozen_until_ms

    def subscribe(self) -> None:
        """Subscribe with the stored framework id, again and again until it succeeds."""
        if not self.is_alive or (self.subscription is not None and self.subscription.is_open):
            return
        if self.is_frozen:
            self.clock.at(self.frozen_until_ms, self.subscribe)
            return
        framework = self.world.framework
        framework_id = None if framework is None else framework.id
        self.watch.subscribing(self, framework_id)
        self.subscription = self.mesos.subscribe(framework_id, self.receive)
        if self.subscription is None:
            self.clock.after(SUBSCRIBE_AGAIN_MS, self.subscribe)

    def receive(self, event: ev.Event) -> None:
        if not self.is_alive:
            return
        if isinstance(event, ev.Disconnected):
            self.clock.after(SUBSCRIBE_AGAIN_MS, self.subscribe)
        self.post(event)

    def post(self, event: ev.Event) -> None:
        """Take in an event, as the shell would."""
        if self.is_alive:
            self.trace.note(self.name, tell(event))
            if isinstance(event, ev.Command):
                self._commands[event.request_id] = event
                self.watch.posted(self, event)
            self.inbox.post(event)
            self.wake()

    def wake(self) -> None:
        """Take turns until there is nothing to do now, then sleep until something is due."""
        if self.is_frozen:
            return
        for _ in range(1_000):
            if not self.is_alive:
                return
            self._guard(self._turn)
            due_ms = self.turns.next_due_ms
            if not self.turns.has_work and (due_ms is None or due_ms > self.now_ms):
                break
            if self.turns.next_due_ms is None and not self.turns.has_work:
                break
            if self.turns._pending is not None:
                break
        self._sleep()

    def _turn(self) -> None:
        self.turns.turn(self.now_ms)
        self.maybe_crash()
        self._begin_work()
        if self._works and self.around.settings.discovery:
            self.follower.follow_brake()

    def _handle(self, batch: Batch, event: ev.Event) -> None:
        self._handled += 1
        self.watch.handling(self, event)
        handle(batch, event)
        self.watch.handled(self, event)

    def _settle(self, batch: Batch) -> None:
        settle(batch)
        self.begun_ms, self.decided_ms = self.decided_ms, batch.now_ms
        self.handled_in_batch, self._handled = self._handled, 0

    def _sleep(self) -> None:
        due_ms = self.turns.next_due_ms
        if due_ms is None or not self.is_alive:
            return
        at_ms = max(due_ms - self.skew_ms, self.clock.now_ms + 1)
        if self._timer_ms is not None and self.clock.now_ms < self._timer_ms <= at_ms:
            return
        self._timer_ms = at_ms
        self.clock.at(at_ms, self.wake)

    def die(self) -> None:
        if not self.is_alive:
            return
        self.trace.note("life", f"{self.name} ends")
        self.is_alive = False
        subscription = self.subscription
        if subscription is not None and subscription.is_open:
            subscription.is_open = False
            if self.mesos.subscription is subscription:
                self.mesos.disconnect()

    def maybe_crash(self) -> None:
        """Stand at a point where a process may die."""
        self.points += 1
        if self.crash_in is None:
            return
        self.crash_in -= 1
        if self.crash_in <= 0:
            raise Crash

    def _guard(self, action: Callable[[], None]) -> None:
        try:
            action()
        except (Crash, StaleEpoch):
            self.die()

    # ---------------------------------------------------------------- outputs

    def mesos_call(self, effect: fx.MesosEffect) -> None:
        self.trace.note(self.name, tell(effect))
        self.watch.sent(self, effect)
        subscription = self.subscription
        if subscription is None or not subscription.is_open:
            if isinstance(effect, fx.Accept):
                task_ids = tuple(t for it in effect.launches if (t := it.instance.task_id))
                self.inbox.post(ev.LaunchRefused(task_ids, "not connected"))
            return
        self.mesos.call(subscription, effect)

    def reply(self, reply: fx.Reply) -> None:
        self.maybe_crash()
        self.trace.note(self.name, f"answers #{reply.request_id}: {reply.answer}")
        self.watch.replied(self, self._commands.pop(reply.request_id), reply.answer)

    def publish(self, fact: fx.Fact) -> None:
        self.watch.published(self, fact)

    def instances_changed(self, changes: Changes) -> None:
        self.maybe_crash()
        self.watch.decided(self, changes)
        for before, after in changes:
            if after is not None:
                self._probe_later(after)
            if self.around.settings.discovery:
                self.follower.changed(before, after)

    # ---------------------------------------------------------- health checks

    def _probe_later(self, instance: Instance) -> None:
        task_id = instance.task_id
        if task_id is None:
            return
        if instance.condition is not Condition.RUNNING:
            self._watched.pop(task_id, None)
            return
        spec = self.world.spec_at(instance.app_id, instance.version)
        if not spec.health_checks:
            return
        watched = self._watched.get(task_id)
        if watched is not None:
            watched.told = _known(instance)
            return
        check = _probe_check(spec.health_checks[0], _known(instance))
        watched = self._watched[task_id] = _Watched(check, check.result, check.result)
        is_sick = spec.cmd == "sick"
        self.clock.after(PROBE_MS, lambda: self._probe(task_id, watched, is_sick=is_sick))

    def _probe(self, task_id: TaskId, watched: "_Watched", *, is_sick: bool) -> None:
        if self._watched.get(task_id) is not watched:
            return
        if self.is_frozen:
            thaw_ms = self.frozen_until_ms
            self.clock.at(thaw_ms, lambda: self._probe(task_id, watched, is_sick=is_sick))
            return
        instance = self.world.instance_of(task_id)
        if not self.is_alive or instance is None or instance.condition is not Condition.RUNNING:
            del self._watched[task_id]
            return
        is_blind = self.clock.now_ms < self.around.blind_until_ms
        is_well = not (is_sick or is_blind or self.mesos.is_ill(task_id))
        self.watch.probed(self, task_id, is_well=is_well)
        outcome = Outcome(Answer.ALIVE if is_well else Answer.DEAD)
        watched.result = next_result(
            watched.result, outcome, watched.check, started_at_ms=0, now_ms=self.now_ms
        )
        if is_news(watched.told, watched.result, watched.check):
            watched.told = watched.result
            self.post(ev.ProbeResult(task_id, 0, watched.result))
        self.clock.after(PROBE_MS, lambda: self._probe(task_id, watched, is_sick=is_sick))


@define(eq=False)
class _Watched:
    """A check as the prober knows it: what it found, and what it told of that."""

    check: ProbeCheck
    result: CheckResult
    told: CheckResult


def _known(instance: Instance) -> CheckResult:
    return instance.checks[0] if instance.checks else CheckResult()


def _probe_check(check: HealthCheck, result: CheckResult) -> ProbeCheck:
    """Say what is to be probed, at the pace of the simulation; no probe goes to an address."""
    return ProbeCheck(
        index=0,
        address="",
        port=0,
        protocol=check.protocol,
        path="/",
        grace_ms=0,
        interval_ms=PROBE_MS,
        timeout_ms=PROBE_MS,
        max_consecutive_failures=check.max_consecutive_failures,
        ignore_http_1xx=False,
        result=result,
    )
