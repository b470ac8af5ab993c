"""Keep a zoo of planted bugs, to prove that the simulation would notice them.

Each mutant changes the real code in memory, for as long as it is let out. A simulation that lets
one get away has a blind spot: then faults or checkers are to be improved, not the mutant taken out.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

from attrs import evolve

from scheduler.core import (
    asking,
    backoff,
    commands,
    core,
    deadlines,
    deployments,
    due,
    launches,
    lifecycle,
    placement,
    reverts,
    rollout,
    strays,
    transitions,
    upkeep,
    verdicts,
    world,
)
from scheduler.core import effects as fx
from scheduler.core.batch import Batch
from scheduler.core.brake import Brake
from scheduler.core.deployment import ActionKind
from scheduler.core.instance import Condition, Instance
from scheduler.core.offers import OfferBook
from scheduler.core.records import Kind
from scheduler.core.rollout import Bounds, Side
from scheduler.core.signals import Cause, Signal
from scheduler.core.world import Bucket, World
from scheduler.runtime.committer import Committed
from scheduler.runtime.turn import Turns, _Pending
from scheduler.store import Codec, CommitUnknown, CorruptState, MemoryStore, StaleEpoch
from tests.simulation import process
from tests.simulation.planting import cell, mutant, put_in, wrap

# ------------------------------------------------------- the order of things


def _too_early(stack: ExitStack, kind: type) -> None:
    """Carry out effects of one kind before they are durable."""

    def make(real: Callable[[Turns, Batch], None]) -> Callable[[Turns, Batch], None]:
        def decide(turns: Turns, batch: Batch) -> None:
            steps = turns.steps

            def settle_and_act(batch: Batch) -> None:
                steps.settle(batch)
                for effect in [e for e in batch.effects if isinstance(e, kind)]:
                    batch.effects.remove(effect)
                    if isinstance(effect, fx.Reply):
                        turns.outputs.reply(effect)
                    elif not isinstance(effect, fx.Publish):
                        turns.outputs.mesos(effect)

            turns.steps = evolve(steps, settle=settle_and_act)
            try:
                real(turns, batch)
            finally:
                turns.steps = steps

        return decide

    wrap(stack, Turns, "_decide", make)


@mutant("launch-before-commit", "a crash forgets a task that runs")
def _(stack: ExitStack) -> None:
    _too_early(stack, fx.Accept)


@mutant("ack-before-commit", "a crash forgets the end of a task, and Mesos tells it no more")
def _(stack: ExitStack) -> None:
    _too_early(stack, fx.Acknowledge)


@mutant("reply-before-commit", "a user is told 200 and the change is gone after a crash")
def _(stack: ExitStack) -> None:
    _too_early(stack, fx.Reply)


@mutant("kill-before-commit", "a task is ended, and after a crash nobody knows why")
def _(stack: ExitStack) -> None:
    _too_early(stack, fx.Kill)


@mutant("act-in-doubt", "a commit of unknown fate counts as done: what it meant may not be stored")
def _(stack: ExitStack) -> None:
    def make(real: Any) -> Any:
        def poll(committer: Any) -> Any:
            result = real(committer)
            return Committed() if isinstance(result, CommitUnknown) else result

        return poll

    wrap(stack, process.SlowCommitter, "poll", make)


@mutant("drop-failed-batch", "a commit that failed is not repeated: memory and store part ways")
def _(stack: ExitStack) -> None:
    def give_up(turns: Turns, pending: Any, error: Any, now_ms: int) -> None:
        if isinstance(error, StaleEpoch | CorruptState):
            raise error
        turns._pending = None
        turns.durable = pending.number

    put_in(stack, Turns, "_repeat_later", give_up)


@mutant("lead-on-when-stale", "a leader that was replaced goes on killing and acknowledging")
def _(stack: ExitStack) -> None:
    def make(real: Any) -> Any:
        def poll(committer: Any) -> Any:
            result = real(committer)
            return Committed() if isinstance(result, StaleEpoch) else result

        return poll

    wrap(stack, process.SlowCommitter, "poll", make)


@mutant("store-ignores-epoch", "two leaders overwrite each other's records")
def _(stack: ExitStack) -> None:
    def make(real: Any) -> Any:
        def commit(store: MemoryStore, epoch: Any, records: Any) -> None:
            leads, store._epoch = store._epoch, epoch
            try:
                real(store, epoch, records)
            finally:
                store._epoch = leads

        return commit

    wrap(stack, MemoryStore, "commit", make)


@mutant("act-without-asking", "a leader that was replaced and has nothing to store goes on acting")
def _(stack: ExitStack) -> None:
    put_in(stack, _Pending, "needs_commit", property(lambda pending: bool(pending.records)))


@mutant("disconnect-unasked", "a leader that was replaced takes the subscription back, unawares")
def _(stack: ExitStack) -> None:
    def make(real: Any) -> Any:
        def disconnected(batch: Batch) -> None:
            before = len(batch.records)
            real(batch)
            del batch.records[before:]

        return disconnected

    wrap(stack, core, "_on_disconnected", make)


@mutant("skip-bad-record", "what cannot be read is lost without a word, and its tasks with it")
def _(stack: ExitStack) -> None:
    def make(_real: Any) -> Any:
        def load(store: MemoryStore) -> Iterator[Any]:
            order = list(Kind)
            for kind, key in sorted(store._rows, key=lambda row: (order.index(row[0]), row[1])):
                try:
                    yield store._codec.decode(kind, key, store._rows[kind, key])
                except CorruptState:
                    continue

        return load

    wrap(stack, MemoryStore, "load", make)


@mutant("forget-health-in-store", "after a failover every check begins anew")
def _(stack: ExitStack) -> None:
    def make(real: Any) -> Any:
        def decode(codec: Codec, kind: Kind, key: str, value: bytes) -> Any:
            record = real(codec, kind, key, value)
            if isinstance(record.value, Instance):
                return evolve(record, value=evolve(record.value, checks=()))
            return record

        return decode

    wrap(stack, Codec, "decode", make)


# ------------------------------------------------------------------- identity


@mutant("forget-framework-id", "a new leader is another framework: all tasks are orphans")
def _(stack: ExitStack) -> None:
    def make(real: Any) -> Any:
        def load(self: World, records: Any) -> None:
            real(self, [r for r in records if r.kind is not Kind.FRAMEWORK])

        return load

    wrap(stack, World, "load", make)
    put_in(stack, process, "_refuse_lost_identity", lambda _: None)


@mutant("lead-without-identity", "a lost framework id is replaced, and every task is orphaned")
def _(stack: ExitStack) -> None:
    put_in(stack, process, "_refuse_lost_identity", lambda _: None)


# ------------------------------------------------------------- launches, offers


@mutant("reuse-task-id", "Mesos refuses the task, or two tasks answer to one name")
def _(stack: ExitStack) -> None:
    def make(real: Any) -> Any:
        def provision(batch: Batch, instance: Instance, *rest: Any) -> Instance:
            if instance.incarnation:
                instance = evolve(instance, incarnation=instance.incarnation - 1)
            return real(batch, instance, *rest)

        return provision

    wrap(stack, launches, "_provision", make)


@mutant("launch-newest-spec", "a task runs another definition than its record says")
def _(stack: ExitStack) -> None:
    def make(real: Any) -> Any:
        def launch(instance: Instance, spec: Any) -> fx.Launch:
            return real(instance, evolve(spec, env=()))

        return launch

    wrap(stack, launches, "Launch", make)


@mutant("forget-to-decline", "offers are hoarded: other frameworks starve")
def _(stack: ExitStack) -> None:
    def make(real: Any) -> Any:
        def answer(batch: Batch) -> None:
            real(batch)
            batch.effects[:] = [e for e in batch.effects if not isinstance(e, fx.Decline)]

        return answer

    wrap(stack, launches, "_answer_offers", make)


@mutant("hoard-unused-offers", "what nobody needs now is kept for later")
def _(stack: ExitStack) -> None:
    def make(real: Any) -> Any:
        def answer(batch: Batch) -> None:
            if launches.launchable(batch.world, batch.now_ms):
                real(batch)

        return answer

    wrap(stack, launches, "_answer_offers", make)


@mutant("use-rescinded-offer", "one void offer id makes Mesos drop every task of the call")
def _(stack: ExitStack) -> None:
    put_in(stack, OfferBook, "remove", lambda _self, _offer_id: None)


@mutant("keep-offers-of-old-stream", "offers of a lost subscription are used")
def _(stack: ExitStack) -> None:
    put_in(stack, OfferBook, "clear", lambda _self: None)


@mutant("double-book-ports", "two tasks of one launch are given the same port")
def _(stack: ExitStack) -> None:
    put_in(stack, placement, "without_ports", lambda ranges, _ports: ranges)
    put_in(stack, placement, "choose_ports", _first_ports)


def _first_ports(requests: Any, pools: Any, _rng: Any) -> tuple[int, ...] | None:
    free = [r.begin for pool in pools for r in pool.ports]
    return tuple(free[: len(requests)]) if len(free) >= len(requests) else None


@mutant("overbook-cpus", "more is launched than was offered")
def _(stack: ExitStack) -> None:
    def make(real: Any) -> Any:
        def minus(pool: Any, share: Any, ports: Any) -> Any:
            return evolve(real(pool, share, ports), cpus_milli=pool.cpus_milli)

        return minus

    wrap(stack, placement, "_minus", make)


@mutant("never-suppress", "an idle scheduler is sent every offer of the cluster, for ever")
def _(stack: ExitStack) -> None:
    def make(real: Any) -> Any:
        def ask(batch: Batch) -> None:
            real(batch)
            batch.effects[:] = [e for e in batch.effects if not isinstance(e, fx.Suppress)]

        return ask

    wrap(stack, launches, "_ask_for_offers", make)


@mutant("never-revive", "a suppressed scheduler never launches anything again")
def _(stack: ExitStack) -> None:
    def make(real: Any) -> Any:
        def ask(batch: Batch) -> None:
            real(batch)
            batch.effects[:] = [e for e in batch.effects if not isinstance(e, fx.Revive)]

        return ask

    wrap(stack, launches, "_ask_for_offers", make)


@mutant("unique-counts-running-only", "two instances of a UNIQUE app are put on one host")
def _(stack: ExitStack) -> None:
    def make(real: Any) -> Any:
        def index(self: World, instance: Instance, *rest: Any) -> None:
            if instance.condition is Condition.RUNNING:
                real(self, instance, *rest)

        return index

    wrap(stack, World, "_index_place", make)


@mutant("ignore-backoff", "an app that crashes is launched again at once, without end")
def _(stack: ExitStack) -> None:
    put_in(stack, launches, "is_delayed", lambda *_: False)


@mutant("backoff-never-grows", "a crash loop is launched every second, for ever")
def _(stack: ExitStack) -> None:
    put_in(stack, backoff, "next_delay_ms", lambda policy, _last, _now_ms: policy.base_ms)


# ------------------------------------------------------------------ capacities


@mutant("ceiling-off-by-one", "a rolling upgrade runs one task more than allowed")
def _(stack: ExitStack) -> None:
    wrap(stack, rollout, "ceiling_of", lambda real: lambda *a, **k: real(*a, **k) + 1)


@mutant("floor-off-by-one", "a rolling upgrade serves with one instance too few")
def _(stack: ExitStack) -> None:
    wrap(stack, rollout, "floor_of", lambda real: lambda *a: max(0, real(*a) - 1))


@mutant("doomed-do-not-count", "what is being killed counts as gone: too many run at once")
def _(stack: ExitStack) -> None:
    def alive(side: rollout.Side) -> int:
        return (
            side.pending
            + side.unproven
            + side.unhealthy
            + side.serving
            + side.unreachable
            + side.recycling
        )

    put_in(stack, rollout.Side, "alive", property(alive))
    put_in(
        stack,
        rollout.Side,
        "active",
        property(lambda side: alive(side) + side.scheduled + side.done),
    )


@mutant("unreachable-do-not-count", "a partition doubles an app at once")
def _(stack: ExitStack) -> None:
    def make(real: Any) -> Any:
        def bucket_of(self: World, instance: Instance) -> Bucket:
            found = real(self, instance)
            return Bucket.INACTIVE if found is Bucket.UNREACHABLE else found

        return bucket_of

    wrap(stack, World, "bucket_of", make)


@mutant("unreachable-count-twice", "a partition makes healthy instances be scaled down")
def _(stack: ExitStack) -> None:
    wrap(
        stack,
        rollout.Side,
        "active",
        lambda real: property(lambda side: real.fget(side) + side.unreachable),
    )


@mutant("unhealthy-count-as-serving", "an upgrade goes on while the new version is sick")
def _(stack: ExitStack) -> None:
    def make(real: Any) -> Any:
        def side(*args: Any, **options: Any) -> rollout.Side:
            found = real(*args, **options)
            return evolve(found, serving=found.serving + found.unhealthy, unhealthy=0)

        return side

    wrap(stack, upkeep, "_side", make)


@mutant("canaries-without-limit", "a canary deployment is a full one")
def _(stack: ExitStack) -> None:
    put_in(stack, upkeep, "with_canaries", lambda bounds, _wanted, _canaries: bounds)


# ----------------------------------------------------------------- deployments


@mutant("canaries-without-room", "canaries of an app that is made smaller wait for ever")
def _(stack: ExitStack) -> None:
    def make(real: Any) -> Any:
        def decide(*, wanted: int, bounds: Bounds, new: Side, old: Side) -> Any:
            moves = real(wanted=wanted, bounds=bounds, new=new, old=old)
            return evolve(moves, end_old=0) if bounds.old_least else moves

        return decide

    wrap(stack, upkeep, "decide", make)


@mutant("step-skipped", "an app is upgraded before what it depends on serves")
def _(stack: ExitStack) -> None:
    def make(real: Any) -> Any:
        def is_satisfied(world: World, action: Any) -> bool:
            return action.kind is ActionKind.RESTART or real(world, action)

        return is_satisfied

    wrap(stack, deployments, "is_satisfied", make)


@mutant("cancel-leaks-deployment", "a forced change leaves the deployment before it running")
def _(stack: ExitStack) -> None:
    put_in(stack, commands, "give_up", lambda *_: None)


@mutant("cancel-leaks-instances", "a cancelled upgrade leaves tasks of the new version for ever")
def _(stack: ExitStack) -> None:
    def make(real: Any) -> Any:
        def deploy(batch: Batch, version: Any, *changes: Any, **options: Any) -> Any:
            if options.get("reverts") is None:
                return real(batch, version, *changes, **options)
            return fx.Accepted(version, None)

        return deploy

    wrap(stack, reverts, "deploy", make)


@mutant("revert-deletes-apps", "a revert removes an app that was there before")
def _(stack: ExitStack) -> None:
    put_in(stack, reverts, "_after", lambda app, _change: evolve(app, removed=True))


# ------------------------------------------------------------------ life cycle


@mutant("end-is-ignored", "the end of a task is acknowledged and forgotten")
def _(stack: ExitStack) -> None:
    cell(stack, [(Condition.RUNNING, Signal.CRASHED)], transitions.ignore)


@mutant("unknown-is-ignored", "a task that Mesos does not know is believed to run for ever")
def _(stack: ExitStack) -> None:
    held = [c for c in Condition if c is not Condition.SCHEDULED]
    cell(stack, [(c, Signal.UNKNOWN) for c in held], transitions.ignore)


@mutant("lost-is-ignored", "a task that is gone is believed to run for ever")
def _(stack: ExitStack) -> None:
    held = [c for c in Condition if c is not Condition.SCHEDULED]
    cell(stack, [(c, Signal.LOST) for c in held], transitions.ignore)


@mutant("no-kill-retry", "a kill that got lost leaves its task running for ever")
def _(stack: ExitStack) -> None:
    _no_deadline(stack, Condition.KILLING)


@mutant("no-launch-confirm", "a launch that got lost is waited for without end")
def _(stack: ExitStack) -> None:
    _no_deadline(stack, Condition.PROVISIONED)


@mutant("drain-never-ends", "without an answer of Consul nothing is ever stopped")
def _(stack: ExitStack) -> None:
    _no_deadline(stack, Condition.DRAINING)


def _no_deadline(stack: ExitStack, condition: Condition) -> None:
    def make(real: Any) -> Any:
        def deadline_of(instance: Instance, *rest: Any) -> int | None:
            return None if instance.condition is condition else real(instance, *rest)

        return deadline_of

    for module in (deadlines, core, due, transitions, world):
        if hasattr(module, "deadline_of"):
            wrap(stack, module, "deadline_of", make)


@mutant("kill-without-drain", "requests fail because a task is killed while it is in Consul")
def _(stack: ExitStack) -> None:
    def make(real: Any) -> Any:
        def start_kill(batch: Batch, instance: Instance, cause: Cause) -> None:
            if instance.condition is not Condition.RUNNING:
                real(batch, instance, cause)
                return
            killing = evolve(
                instance,
                goal=cause.goal or instance.goal,
                condition=Condition.KILLING,
                since_ms=batch.now_ms,
                kill_reason=cause.reason,
                kill_attempts=1,
                healthy_since_ms=None,
            )
            batch.put(killing)
            transitions._send_kill(batch, killing)

        return start_kill

    wrapped = make(transitions.start_kill)
    put_in(stack, transitions, "start_kill", wrapped)
    held = [c for c in Condition if lifecycle.TABLE[c][Signal.KILL].__name__ == "start_kill"]
    cell(stack, [(c, Signal.KILL) for c in held], wrapped)


@mutant("health-kill-ignores-brake", "a prober that lost its network kills the whole cluster")
def _(stack: ExitStack) -> None:
    put_in(stack, Brake, "holds", property(lambda _self: False))


@mutant("give-up-ignores-brake", "a network that breaks apart has the whole cluster started anew")
def _(stack: ExitStack) -> None:
    def make(real: Any) -> Any:
        def give_up(batch: Batch, instance: Instance, cause: Cause) -> None:
            world = batch.world
            held, world.brake.released_until_ms = world.brake.released_until_ms, 0
            real(batch, instance, cause)
            world.brake.released_until_ms = held

        return give_up

    wrapped = make(transitions.give_up)
    put_in(stack, transitions, "give_up", wrapped)
    cell(stack, [(Condition.UNREACHABLE, Signal.DEADLINE)], wrapped)


@mutant("probes-never-kill", "a sick instance stays for ever")
def _(stack: ExitStack) -> None:
    put_in(stack, verdicts, "judge", lambda *_: None)
    put_in(stack, transitions, "judge", lambda *_: None)


# --------------------------------------------------------------------- strays


@mutant("no-tombstones", "a task that rises from the dead cannot be known as ours, and stays")
def _(stack: ExitStack) -> None:
    def expunge(batch: Batch, instance: Instance) -> None:
        batch.delete(Kind.INSTANCE, instance.id)

    put_in(stack, transitions, "expunge", expunge)


@mutant("strays-are-ignored", "a task that is ours and not wanted runs for ever, unlisted")
def _(stack: ExitStack) -> None:
    put_in(stack, core, "on_stray", lambda *_: None)


@mutant("kill-every-stray", "a restored old store kills a cluster")
def _(stack: ExitStack) -> None:
    put_in(stack, strays, "has_ended", lambda *_: True)


@mutant("no-implicit-reconcile", "tasks that we do not know are never found")
def _(stack: ExitStack) -> None:
    def make(real: Any) -> Any:
        def settle(batch: Batch) -> None:
            real(batch)
            batch.effects[:] = [e for e in batch.effects if e != fx.Reconcile(())]

        return settle

    wrap(stack, core, "settle_round", make)


@mutant("no-explicit-reconcile", "tasks that ended while nobody listened are believed to run")
def _(stack: ExitStack) -> None:
    def make(real: Any) -> Any:
        def begin(batch: Batch) -> None:
            real(batch)
            batch.world.reconciliation.to_ask.clear()
            batch.world.reconciliation.unanswered.clear()

        return begin

    wrap(stack, core, "begin_round", make)
    wrap(stack, asking, "begin_round", make)
