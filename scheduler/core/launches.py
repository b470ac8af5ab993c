"""Answer the offers at hand: launch what waits, give back the rest, and ask for more or for none.

What waits is looked at by config version of an app (one question for all its instances), in the
order in which the versions began to wait. Every offer is answered in the step that brought it:
used, or declined for long. Nothing is hoarded: when work appears, REVIVE brings the offers back
within a millisecond (Mesos clears the filters at once), and an idle scheduler suppresses offers
altogether.
"""

import heapq
from collections import Counter
from itertools import islice

from attrs import evolve

from scheduler.core.backoff import is_delayed
from scheduler.core.batch import Batch
from scheduler.core.effects import Accept, Decline, Launch, Revive, Suppress
from scheduler.core.ids import AgentId, AppId, Version, task_id_of
from scheduler.core.instance import Condition, Instance, Placement
from scheduler.core.offers import Place
from scheduler.core.placement import Stock, Wish, fit
from scheduler.core.reports import Miss, Report
from scheduler.core.tally import Bucket
from scheduler.core.timers import Timer
from scheduler.core.upkeep import all_offers_ms, launch_room_of
from scheduler.core.world import World


def settle_launches(batch: Batch) -> None:
    """Use or decline every offer at hand, then revive or suppress as the need is."""
    world = batch.world
    if not world.connected:
        return
    if world.offers.by_place:
        _answer_offers(batch)
    _ask_for_offers(batch)


def _answer_offers(batch: Batch) -> None:
    """Place waiting tasks on the offers, then accept what was used and decline what was not."""
    world = batch.world
    round_ = _Round(batch, world.settings.launches_max)
    for app_id, version in launchable(world, batch.now_ms):
        if round_.budget <= 0:
            break
        round_.place_version(app_id, version)
    unused: list[Place] = []
    for place in round_.stocks:
        if place in round_.launches:
            _accept(batch, place, round_.launches[place])
        elif round_.budget > 0:
            unused.append(place)
    offer_ids = tuple(offer_id for place in unused for offer_id in world.offers.take(place))
    if offer_ids:
        batch.emit(Decline(offer_ids, refuse_s=world.settings.decline_s))
    if world.offers.by_place:
        # The budget is spent: what is left is looked at again in the next step.
        world.wake_at(batch.now_ms, "")


def launchable(world: World, now_ms: int) -> list[tuple[AppId, Version]]:
    """List the config versions that have something to launch and are not backing off."""
    return [
        (app_id, version)
        for app_id, version in world.waiting
        if not is_delayed(world, app_id, version, now_ms)
    ]


class _Round:
    """One round of matching: the agents' stocks, and what was put on each so far."""

    def __init__(self, batch: Batch, budget: int) -> None:
        by_place = batch.world.offers.by_place
        self.batch = batch
        self.budget = budget
        """Launches that this step may still decide."""
        self.stocks = {place: Stock.of(offers.values()) for place, offers in by_place.items()}
        self.launches: dict[Place, list[Launch]] = {}

    def place_version(self, app_id: AppId, version: Version) -> None:
        """Place as many waiting instances of one config version as fit.

        The agent with the fewest of the app's instances comes first, then the emptiest. An agent
        that refuses one instance refuses all, since they ask for the same: the cost is one try
        for each launch and one for each agent.
        """
        world, now_ms = self.batch.world, self.batch.now_ms
        most = min(self.budget, launch_room_of(world, app_id, version))
        waiting = list(islice(world.tally(app_id, version).buckets[Bucket.SCHEDULED], most))
        report = world.reports.of(app_id, version, now_ms)
        queue = self._queue(app_id)
        cpus_milli = world.spec_at(app_id, version).resources.cpus_milli
        while waiting and queue:
            load, free, index, place = heapq.heappop(queue)
            instance = world.instances[waiting[-1]]
            if not self._put_on(place, instance, report):
                continue
            waiting.pop()
            heapq.heappush(queue, (load + 1, free + cpus_milli, index, place))
        if not world.tally(app_id, version).buckets[Bucket.SCHEDULED]:
            world.reports.drop(app_id, version)
        elif report.ports_since_ms is not None and app_id in world.locks:
            # Fixed ports may be held by the old version: its app has to look whether one must go.
            look_ms = max(now_ms, report.ports_since_ms + all_offers_ms(world))
            world.wake_at(look_ms, Timer.HELD + app_id)

    def _queue(self, app_id: AppId) -> list[tuple[int, int, int, Place]]:
        """Order the agents for one app: few of its instances first, then much room first."""
        loads = self.batch.world.on_agent.get(app_id, Counter[AgentId]())
        queue = [
            (loads[place[0]], -stock.free_cpus_milli, index, place)
            for index, (place, stock) in enumerate(self.stocks.items())
            if not stock.is_closed
        ]
        heapq.heapify(queue)
        return queue

    def _put_on(self, place: Place, instance: Instance, report: Report) -> bool:
        """Put one instance on a place if it fits. A refusal counts once for each offer."""
        batch, stock = self.batch, self.stocks[place]
        world = batch.world
        is_full = stock.taken >= world.settings.accept_tasks_max
        if is_full or stock.is_closed or (instance.solo and stock.taken):
            return False
        app_id, version = instance.app_id, instance.version
        spec = world.spec_at(app_id, version)
        wanted = world.spec_of(app_id).instances
        tally = world.tally(app_id, version)
        executor = world.executors.choose(
            spec,
            task_id_of(instance.id, instance.incarnation + 1),
            stock.agent.id,
            stock.role,
            world.settings.executor_uri,
        )
        wish = Wish(spec, tally.placed, wanted, executor)
        found = fit(wish, stock, batch.now_ms, batch.rng)
        if isinstance(found, Miss):
            if not stock.taken:
                report.refused(stock.sample, found, batch.now_ms)
            return False
        launched = _provision(batch, instance, found, stock)
        self.launches.setdefault(place, []).append(Launch(launched, spec))
        stock.is_closed = instance.solo
        report.used(batch.now_ms)
        self.budget -= 1
        return True


def _provision(batch: Batch, instance: Instance, placement: Placement, stock: Stock) -> Instance:
    """Store the intent to launch: from here on the task may be alive."""
    policy = batch.world.spec_at(instance.app_id, instance.version).update
    has_deadline = policy is not None and policy.healthy_deadline_s is not None
    if batch.world.agents.get(stock.agent.id) != stock.agent:
        batch.put(stock.agent)
    provisioned = evolve(
        instance,
        condition=Condition.PROVISIONED,
        incarnation=instance.incarnation + 1,
        since_ms=batch.now_ms,
        staged_at_ms=batch.now_ms,
        unproven_since_ms=(instance.unproven_since_ms or batch.now_ms) if has_deadline else None,
        placement=placement,
    )
    batch.put(provisioned)
    return provisioned


def _accept(batch: Batch, place: Place, launches: list[Launch]) -> None:
    """Use all offers of a place. What is left over is not filtered while more work waits."""
    world = batch.world
    refuse_s = 0.0 if world.waiting else world.settings.decline_s
    batch.emit(
        Accept(
            offer_ids=world.offers.take(place),
            agent_id=place[0],
            launches=tuple(launches),
            refuse_s=refuse_s,
        )
    )
    world.revive_wanted = world.revive_wanted or bool(world.waiting)


def _ask_for_offers(batch: Batch) -> None:
    """Revive when something new can be launched, suppress when nothing waits at all."""
    world = batch.world
    if not world.waiting:
        world.revive_wanted = False
        if not world.suppressed:
            world.suppressed = True
            batch.emit(Suppress())
        return
    # What only backs off asks when its delay is over: then a timer sets the wish again.
    world.revive_wanted = world.revive_wanted and bool(launchable(world, batch.now_ms))
    if not world.revive_wanted:
        return
    last_ms = world.revived_at_ms
    # Where nothing waited until now, this is new work, which does not wait for its turn.
    is_early = last_ms is not None and batch.now_ms < last_ms + world.settings.revive_interval_ms
    if is_early and not world.suppressed:
        return
    world.revive_wanted = False
    world.suppressed = False
    world.revived_at_ms = batch.now_ms
    batch.emit(Revive())
