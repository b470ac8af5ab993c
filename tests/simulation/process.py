"""Run one scheduler process in virtual time: the real core, the real turns, faulty surroundings.

What a process forgets when it dies is everything here; what survives is the store. A crash is an
exception thrown out of the middle of a turn, at a commit or between two effects.
"""

from collections.abc import Callable, Sequence
from random import Random

from scheduler.core import World, handle, resume, settle
from scheduler.core import effects as fx
from scheduler.core import events as ev
from scheduler.core.app import AppSpec
from scheduler.core.ids import Epoch, RequestId, TaskId
from scheduler.core.instance import CheckResult, Condition, Instance
from scheduler.core.records import Record
from scheduler.core.settings import Settings
from scheduler.runtime.committer import Committed, Result
from scheduler.runtime.inbox import Inbox
from scheduler.runtime.turn import Changes, Steps, Turns
from scheduler.store import Codec, Elected, MemoryStore, StaleEpoch, StoreError
from tests.simulation.clock import Clock
from tests.simulation.mesos import SimMesos, Subscription

STEPS = Steps(handle=handle, settle=settle, resume=resume)
SUBSCRIBE_AGAIN_MS = 1_000
PROBE_MS = 2_000


class Crash(Exception):
    """The process dies here."""


class WatchedStore(MemoryStore):
    """A store that tells an observer what was really written, also when nobody else knows."""

    def __init__(self, codec: Codec, watch: "Watch") -> None:
        super().__init__(codec)
        self._watch = watch

    def commit(self, epoch: Epoch, records: Sequence[Record]) -> None:
        written = self.commits
        try:
            super().commit(epoch, records)
        finally:
            if self.commits > written:
                self._watch.committed(records)


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

    def committed(self, records: Sequence[Record]) -> None: ...

    def decided(self, process: "Process", changes: Changes) -> None: ...

    def sent(self, process: "Process", effect: fx.MesosEffect) -> None: ...

    def received(self, process: "Process", event: ev.Event) -> None: ...


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

    def __init__(
        self,
        clock: Clock,
        rng: Random,
        mesos: SimMesos,
        store: MemoryStore,
        settings: Settings,
        watch: Watch,
        skew_ms: int,
    ) -> None:
        self.clock = clock
        self.rng = rng
        self.mesos = mesos
        self.store = store
        self.watch = watch
        self.skew_ms = skew_ms
        self.is_alive = True
        self.crash_in: int | None = None
        """Die after so many further steps; None lives on."""
        self.subscription: Subscription | None = None
        self.answers: dict[RequestId, fx.Answer] = {}
        self.watched: dict[TaskId, None] = {}
        self.deaf_discovery = False
        elected = store.campaign()
        assert isinstance(elected, Elected)
        self.epoch = elected.epoch
        world = World(settings)
        world.load(store.load())
        world.take_changes()
        self.inbox = Inbox(lambda: None, commands_max=10_000)
        delay_ms = mesos.options.store_delay_ms if mesos.faulty else 0
        self.turns = Turns(
            world=world,
            epoch=elected.epoch,
            inbox=self.inbox,
            committer=SlowCommitter(self, delay_ms),
            outputs=_Outputs(self),
            steps=STEPS,
            rng=Random(rng.getrandbits(64)),
            stopwatch=lambda: 0.0,
        )
        self._timer_ms: int | None = None

    @property
    def world(self) -> World:
        return self.turns.world

    @property
    def now_ms(self) -> int:
        return self.clock.now_ms + self.skew_ms

    # ------------------------------------------------------------------- life

    def start(self) -> None:
        self._guard(lambda: self.turns.begin(self.now_ms))
        self._follow_loaded()
        self.subscribe()
        self.wake()

    def subscribe(self) -> None:
        """Subscribe with the stored framework id, again and again until it succeeds."""
        if not self.is_alive or (self.subscription is not None and self.subscription.is_open):
            return
        framework = self.world.framework
        framework_id = None if framework is None else framework.id
        self.subscription = self.mesos.subscribe(framework_id, self.receive)
        if self.subscription is None:
            self.clock.after(SUBSCRIBE_AGAIN_MS, self.subscribe)

    def receive(self, event: ev.Event) -> None:
        if not self.is_alive:
            return
        if isinstance(event, ev.Disconnected):
            self.clock.after(SUBSCRIBE_AGAIN_MS, self.subscribe)
        self.watch.received(self, event)
        self.post(event)

    def post(self, event: ev.Event) -> None:
        if self.is_alive:
            self.inbox.post(event)
            self.wake()

    def wake(self) -> None:
        """Take turns until there is nothing to do now, then sleep until something is due."""
        for _ in range(1_000):
            if not self.is_alive:
                return
            self._guard(lambda: self.turns.turn(self.now_ms))
            due_ms = self.turns.next_due_ms
            if not self.turns.has_work and (due_ms is None or due_ms > self.now_ms):
                break
            if self.turns.next_due_ms is None and not self.turns.has_work:
                break
            if self.turns._pending is not None:
                break
        self._sleep()

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
        self.is_alive = False
        subscription = self.subscription
        if subscription is not None and subscription.is_open:
            subscription.is_open = False
            if self.mesos.subscription is subscription:
                self.mesos.disconnect()

    def maybe_crash(self) -> None:
        """Stand at a point where a process may die."""
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
        self.answers[reply.request_id] = reply.answer

    def publish(self, fact: fx.Fact) -> None:
        pass

    def instances_changed(self, changes: Changes) -> None:
        self.watch.decided(self, changes)
        for _, after in changes:
            if after is not None:
                self._follow(after)

    # ----------------------------------------------- health checks, discovery

    def _follow_loaded(self) -> None:
        for instance in list(self.world.instances.values()):
            self._follow(instance)

    def _follow(self, instance: Instance) -> None:
        task_id = instance.task_id
        if task_id is None:
            return
        if instance.condition is Condition.RUNNING and task_id not in self.watched:
            spec = self.world.spec_at(instance.app_id, instance.version)
            if spec.health_checks:
                self.watched[task_id] = None
                self.clock.after(PROBE_MS, lambda: self._probe(task_id, spec, 0))
        if instance.condition is Condition.DRAINING and not instance.deregistered:
            is_lost = self.mesos.faulty and self.rng.random() < self.mesos.options.p_discovery_lost
            if not is_lost:
                self.clock.after(50, lambda: self.post(ev.Deregistered(task_id)))

    def _probe(self, task_id: TaskId, spec: AppSpec, failures: int) -> None:
        instance = self.world.instance_of(task_id)
        if not self.is_alive or instance is None or instance.condition is not Condition.RUNNING:
            self.watched.pop(task_id, None)
            return
        is_well = spec.cmd != "sick"
        failures = 0 if is_well else failures + 1
        old = instance.checks[0] if instance.checks else CheckResult()
        now_ms = self.now_ms
        result = CheckResult(
            alive=is_well,
            consecutive_failures=failures,
            first_success_ms=(old.first_success_ms or now_ms) if is_well else old.first_success_ms,
        )
        if result.alive is not old.alive or not is_well:
            self.post(ev.ProbeResult(task_id, 0, result))
        self.clock.after(PROBE_MS, lambda: self._probe(task_id, spec, failures))
