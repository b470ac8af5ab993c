"""Offers: every one answered in the step that brought it, and asked for only when wanted."""

from collections import Counter

import pytest
from attrs import evolve

from scheduler.core import World
from scheduler.core.app import Resources, UpgradeStrategy
from scheduler.core.batch import Batch
from scheduler.core.effects import Accept, Decline, Revive, Suppress
from scheduler.core.events import (
    Disconnected,
    Event,
    LaunchRefused,
    OfferRescinded,
    OffersReceived,
    ResetDelay,
)
from scheduler.core.ids import InstanceId, OfferId
from scheduler.core.instance import Condition, Goal, TaskState
from scheduler.core.offer import Offer
from scheduler.core.records import Delete, Kind
from scheduler.core.settings import Settings
from tests.unit.core.game import (
    WEB,
    Game,
    agent,
    effects_in,
    instance,
    launched_in,
    offer,
    spec,
    update,
    with_ports,
)


def waiting(count: int = 1, *, settings: Settings | None = None, **changes: object) -> Game:
    """A connected game with an app that waits for offers."""
    game = Game(settings)
    game.connect()
    whole = evolve(spec(), instances=count, **changes)
    game.upsert(whole)
    assert game.conditions() == ["Scheduled"] * count
    return game


def answered(batch: Batch) -> list[OfferId]:
    used = [i for e in effects_in(batch, Accept) for i in e.offer_ids]
    return used + [i for e in effects_in(batch, Decline) for i in e.offer_ids]


# ------------------------------------------------------------ using the offers


def test_every_offer_is_answered_at_once_and_once() -> None:
    """Mesos counts what lies in our hands as used."""
    game = waiting(3)
    offers = [offer(number, cpus_milli=200) for number in range(1, 6)]
    batch = game.offer(*offers)
    assert Counter(answered(batch)) == Counter(one.id for one in offers)
    assert len(game.world.offers) == 0


def test_what_is_not_wanted_is_declined_for_long() -> None:
    game = Game()
    game.connect()
    batch = game.offer(offer(1), offer(2))
    (decline,) = effects_in(batch, Decline)
    assert len(decline.offer_ids) == 2
    assert decline.refuse_s == game.world.settings.decline_s


def test_one_accept_uses_all_offers_of_an_agent_and_launches_many() -> None:
    game = waiting(4)
    batch = game.offer(offer(1, cpus_milli=200), offer(1, cpus_milli=200))
    (accept,) = effects_in(batch, Accept)
    assert len(accept.offer_ids) == 2
    assert len(accept.launches) == 4
    assert accept.agent_id == "agent-1"


def test_offers_of_other_roles_or_agents_are_never_in_one_accept() -> None:
    game = waiting(2)
    batch = game.offer(offer(1), offer(1, role="ops"), offer(2))
    accepts = effects_in(batch, Accept)
    assert [len(accept.offer_ids) for accept in accepts] == [1, 1]
    assert {accept.agent_id for accept in accepts} == {"agent-1", "agent-2"}


def test_the_intent_is_stored_with_the_launch() -> None:
    """What may be alive must be known after a crash."""
    game = waiting(1, port_definitions=with_ports(0))
    batch = game.offer(offer())
    (launched,) = launched_in(batch)
    assert launched == game.only
    assert launched.condition is Condition.PROVISIONED
    assert (launched.incarnation, launched.placement.agent_id) == (1, "agent-1")
    assert len(launched.placement.host_ports) == 1
    assert launched in [getattr(record, "value", None) for record in batch.records]
    assert agent(1) in game.world.agents.values()


def test_an_agent_is_forgotten_with_the_last_task_there() -> None:
    """Agents come and go, in a cloud by the hour."""
    game = waiting(2)
    game.offer(offer(1), offer(2))
    second, first = game.world.instances.values()
    game.send(update(first.task_id, TaskState.RUNNING), update(second.task_id, TaskState.RUNNING))
    assert game.world.agents.keys() == {"agent-1", "agent-2"}
    game.send(update(first.task_id, TaskState.FAILED))
    assert game.world.agents.keys() == {"agent-2"}
    assert Delete(Kind.AGENT, "agent-1") in game.history


def test_an_agent_that_takes_a_task_as_another_ends_is_kept() -> None:
    game = waiting(1)
    game.offer(offer(1))
    batch = game.send(
        update(game.only.task_id, TaskState.FAILED, reason="REASON_SLAVE_RESTARTED"),
        ResetDelay(game.request(), WEB),
        OffersReceived((offer(1),)),
    )
    assert launched_in(batch)
    assert game.world.agents.keys() == {"agent-1"}


def test_agents_that_were_left_in_the_store_are_forgotten_in_portions() -> None:
    game = Game()
    game.put(*(agent(number) for number in range(150)))
    world = World(game.world.settings)
    world.load(game.history)
    game.world = world
    assert len(game.connect().records) < 150
    game.wait(1)
    assert not game.world.agents


def test_instances_are_spread_before_they_are_stacked() -> None:
    game = waiting(4)
    batch = game.offer(offer(1), offer(2))
    hosts = Counter(one.placement.host for one in launched_in(batch))
    assert hosts == {"host1": 2, "host2": 2}


def test_the_rest_of_an_accept_is_filtered_only_when_nothing_waits_any_more() -> None:
    game = waiting(2)
    (first,) = effects_in(game.offer(offer(1, cpus_milli=100)), Accept)
    assert first.refuse_s == 0
    (second,) = effects_in(game.offer(offer(1)), Accept)
    assert second.refuse_s == game.world.settings.decline_s


def test_a_rescinded_offer_is_not_used() -> None:
    """One dead offer id would make Mesos drop every task of the call."""
    game = waiting(1)
    one = offer(1)
    batch = game.send(OffersReceived((one,)), OfferRescinded(one.id))
    assert answered(batch) == []
    assert game.conditions() == ["Scheduled"]
    # And a rescind that comes after the answer is no error.
    game.offer(one)
    game.send(OfferRescinded(one.id))


def test_offers_die_with_the_connection() -> None:
    game = waiting(1)
    batch = game.send(OffersReceived((offer(1),)), Disconnected())
    assert answered(batch) == []
    game.connect()
    assert len(game.world.offers) == 0
    assert game.conditions() == ["Scheduled"]


def test_a_step_launches_no_more_than_its_budget_and_goes_on_in_the_next() -> None:
    """A batch's records are bounded, however much an agent could take."""
    game = waiting(5, settings=Settings(launches_max=2))
    launched = [len(launched_in(game.offer(offer(1), offer(2), offer(3))))]
    while game.world.next_due_ms is not None and game.world.next_due_ms <= game.now_ms:
        launched.append(len(launched_in(game.wait(0))))
    assert launched[0] == 2
    assert sum(launched) >= 4
    assert max(launched) == 2
    assert len(game.world.offers) == 0


def test_one_accept_launches_no_more_than_its_limit() -> None:
    game = waiting(5, settings=Settings(accept_tasks_max=2))
    assert len(launched_in(game.offer(offer(1)))) == 2


def test_two_apps_share_the_offers_of_one_moment() -> None:
    game = waiting(2)
    game.upsert(spec("/db", instances=2))
    batch = game.offer(offer(1))
    assert Counter(launch.app_id for launch in launched_in(batch)) == {WEB: 2, "/db": 2}
    (accept,) = effects_in(batch, Accept)
    assert len(accept.launches) == 4


# ---------------------------------------------------------- refused launches


def test_a_launch_that_never_reached_the_master_waits_again_without_penalty() -> None:
    game = waiting(1)
    (launched,) = launched_in(game.offer(offer()))
    assert launched.task_id is not None
    game.send(LaunchRefused((launched.task_id,), "not connected"))
    assert game.conditions() == ["Scheduled"]
    assert game.world.delays == {}
    (again,) = launched_in(game.offer(offer()))
    assert again.task_id != launched.task_id


def test_a_task_refused_beside_others_is_tried_alone() -> None:
    """One bad task in a shared call fails its neighbours with the same words."""
    game = waiting(3)
    refused, *_ = launched_in(game.offer(offer()))
    game.send(update(refused.task_id, TaskState.ERROR, reason="REASON_TASK_INVALID"))
    assert game.world.instances[refused.id].solo
    assert game.world.delays == {}
    game.upsert(spec("/db", instances=2))
    batch = game.offer(offer(1), offer(2))
    accepts = {a.agent_id: [one.instance for one in a.launches] for a in effects_in(batch, Accept)}
    (alone,) = (ones for ones in accepts.values() if any(one.id == refused.id for one in ones))
    assert len(alone) == 1


def test_tasks_of_a_call_that_is_invalid_are_tried_alone_and_blamed_alone() -> None:
    """A master that will not have the call as a whole names no task: it is sent no second time."""
    game = waiting(2)
    launched = launched_in(game.offer(offer()))
    task_ids = tuple(one.task_id for one in launched if one.task_id is not None)
    game.send(LaunchRefused(task_ids, "Expecting 'x'", is_invalid=True))
    assert all(one.solo for one in game.world.instances.values())
    assert game.world.delays == {}
    batch = game.offer(offer(1), offer(2))
    assert [len(accept.launches) for accept in effects_in(batch, Accept)] == [1, 1]
    good, bad = launched_in(batch)
    assert bad.task_id is not None
    game.send(
        update(good.task_id, TaskState.RUNNING),
        LaunchRefused((bad.task_id,), "Expecting 'x'", is_invalid=True),
    )
    (delay,) = game.world.delays.values()
    assert delay.delay_ms == spec().backoff.max_ms
    (failure,) = game.world.failures.values()
    assert failure.message == "Expecting 'x'"
    assert game.conditions() == ["Running", "Scheduled"]


def test_refused_alone_the_app_is_blamed() -> None:
    game = waiting(1)
    for _ in range(2):
        (launched,) = launched_in(game.offer(offer()))
        game.send(update(launched.task_id, TaskState.ERROR, reason="REASON_TASK_INVALID"))
    (delay,) = game.world.delays.values()
    assert delay.delay_ms == spec().backoff.max_ms
    assert game.world.failures[WEB].state is TaskState.ERROR


# ------------------------------------------------------- asking for offers


def asks(batch: Batch) -> list[str]:
    return [type(e).__name__ for e in batch.effects if isinstance(e, (Revive, Suppress))]


def test_with_nothing_waiting_offers_are_suppressed_once() -> None:
    game = Game()
    assert asks(game.connect()) == ["Suppress"]
    assert asks(game.wait(10_000)) == []
    assert asks(game.offer(offer())) == []


def test_new_work_revives_at_once() -> None:
    game = Game()
    game.connect()
    game.upsert(spec())
    assert not game.world.suppressed
    assert game.world.revived_at_ms == game.now_ms


def test_new_work_after_a_pause_does_not_wait_for_the_rate() -> None:
    game = waiting(1)
    assert launched_in(game.offer(offer()))
    assert game.world.suppressed
    game.wait(10)
    game.upsert(spec("/other"))
    assert not game.world.suppressed
    assert game.world.revived_at_ms == game.now_ms


def test_work_that_is_left_over_revives_within_the_rate() -> None:
    game = waiting(2)
    batch = game.offer(offer(1, cpus_milli=100))
    assert asks(batch) == []
    due_ms = game.world.next_due_ms
    assert due_ms == game.now_ms + game.world.settings.revive_interval_ms
    assert asks(game.wait(game.world.settings.revive_interval_ms)) == ["Revive"]


def test_what_finds_no_place_does_not_revive_again_and_again() -> None:
    """The same agents would offer the same, for nothing."""
    game = waiting(1, resources=Resources(cpus_milli=64_000))
    for _ in range(5):
        assert asks(game.offer(offer(1))) == []
        assert asks(game.wait(2000)) == []


def test_the_last_launch_suppresses() -> None:
    game = waiting(1)
    assert asks(game.offer(offer())) == ["Suppress"]


def test_what_backs_off_asks_when_its_delay_is_over() -> None:
    game = waiting(1)
    (launched,) = launched_in(game.offer(offer()))
    game.wait(5000)
    batch = game.send(update(launched.task_id, TaskState.FAILED))
    assert asks(batch) == []
    assert asks(game.wait(999)) == []
    assert asks(game.wait(1)) == ["Revive"]


def test_a_new_connection_starts_without_suppression() -> None:
    game = waiting(1)
    game.send(Disconnected())
    batch = game.connect()
    assert "Suppress" not in asks(batch)
    assert len(launched_in(game.offer(offer()))) == 1


@pytest.mark.parametrize("event", [Disconnected()])
def test_nothing_is_asked_while_disconnected(event: Event) -> None:
    game = waiting(1)
    game.send(event)
    game.upsert(spec("/db"))
    assert asks(game.wait(60_000)) == []


# ------------------------------------------------------------------- reports


def test_why_an_instance_waits_is_counted_by_reason() -> None:
    game = waiting(1, resources=Resources(cpus_milli=5000, mem_mib=32))
    offers: list[Offer] = [offer(1), offer(2, role="ops")]
    game.offer(*offers)
    (report,) = game.world.reports.by_class.values()
    assert {str(reason): n for reason, n in report.attempt.items()} == {
        "InsufficientCpus": 1,
        "UnfulfilledRole": 1,
    }
    assert (report.processed, report.unused, report.latest_processed) == (2, 2, 2)
    assert report.nearest.wanted == "5 cpus"
    assert report.nearest.offered == "4 cpus"


def test_the_latest_round_is_counted_apart() -> None:
    game = waiting(1, resources=Resources(cpus_milli=5000, mem_mib=32))
    game.offer(offer(1), offer(2))
    game.now_ms += 1000
    game.offer(offer(1))
    (report,) = game.world.reports.by_class.values()
    assert (report.latest_processed, report.processed) == (1, 3)


def test_a_report_ends_with_the_waiting_however_that_ends() -> None:
    """The next time the app waits it begins anew, not with what was true last week."""
    game = waiting(1, resources=Resources(cpus_milli=5000, mem_mib=32))
    game.offer(offer(1))
    assert game.world.reports.by_class
    game.upsert(spec(instances=0, resources=Resources(cpus_milli=5000, mem_mib=32)), force=True)
    assert game.world.reports.by_class == {}


def test_room_that_opens_when_others_have_ended_is_asked_for() -> None:
    """What waited for room saw its offers declined for long, and would sit that time out."""
    game = Game()
    game.install(spec(upgrade_strategy=UpgradeStrategy(1000, 0)))
    doomed = [
        instance(
            Condition.KILLING,
            id=InstanceId(f"web.instance-{number}"),
            goal=Goal.DECOMMISSIONED,
            kill_reason="scaled down",
        )
        for number in range(3)
    ]
    game.put(instance(Condition.SCHEDULED, id=InstanceId("web.instance-new")), *doomed)
    game.connect()
    assert launched_in(game.offer(offer(1), offer(2))) == []
    asked = [asks(game.send(update(one.task_id, TaskState.KILLED))) for one in doomed[:2]]
    asked += [asks(game.wait(1000))]
    assert ["Revive"] in asked
    assert len(launched_in(game.offer(offer(1)))) == 1
