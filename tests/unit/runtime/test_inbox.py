"""The inbox while nothing is taken out of it, as in a long outage of the store."""

from attrs import evolve

from scheduler.core.events import (
    ChangeApps,
    Disconnected,
    Event,
    OfferRescinded,
    OffersReceived,
    ProbeResult,
    ReadinessResult,
    StatusUpdate,
    Subscribed,
)
from scheduler.core.ids import AgentId, FrameworkId, OfferId, RequestId, TaskId
from scheduler.core.instance import CheckResult, TaskState
from scheduler.core.offer import Agent, Offer
from scheduler.runtime import Inbox

TASK = TaskId("web.instance-1._app.1")
OTHER = TaskId("web.instance-2._app.1")
SUBSCRIBED = Subscribed(FrameworkId("f-1"), "m:5050")
RUNNING = StatusUpdate(TASK, TaskState.RUNNING, AgentId("a"), uuid="dXVpZA==")
OUT_OF_SIGHT = StatusUpdate(TASK, TaskState.UNREACHABLE, AgentId("a"))


def waiting(*events: Event) -> list[Event]:
    """Post all, then take all."""
    inbox = Inbox(lambda: None)
    for event in events:
        inbox.post(event)
    length = len(inbox)
    taken: list[Event] = []
    while (event := inbox.take()) is not None:
        taken.append(event)
    assert len(taken) == length
    assert (len(inbox), inbox.commands) == (0, 0)
    return taken


def failed(times: int, task_id: TaskId = TASK, index: int = 0) -> ProbeResult:
    return ProbeResult(task_id, index, CheckResult(alive=False, consecutive_failures=times))


def offer(number: int) -> Offer:
    return Offer(OfferId(f"offer-{number}"), Agent(AgentId("a"), "host"), "*", ())


def test_events_leave_in_the_order_in_which_they_came():
    events = [SUBSCRIBED, RUNNING, failed(1), ChangeApps(RequestId(1)), OUT_OF_SIGHT]
    assert waiting(*events) == events


def test_of_a_check_the_newest_verdict_waits_alone_in_the_place_of_the_first():
    others = [failed(1, OTHER), failed(1, index=1)]
    events = [failed(1), *others, *(failed(times) for times in range(2, 100))]
    assert waiting(*events) == [failed(99), *others]


def test_a_task_that_says_again_that_it_is_ready_waits_once():
    ready = ReadinessResult(TASK, "http", ready=True)
    other = ReadinessResult(OTHER, "http", ready=True)
    assert waiting(ready, other, *([ready] * 100)) == [ready, other]


def test_an_update_that_mesos_repeats_waits_once_behind_what_came_between():
    """Taken for older than what the master said in between, the truth would be lost."""
    assert waiting(RUNNING, OUT_OF_SIGHT, RUNNING, RUNNING) == [OUT_OF_SIGHT, RUNNING]


def test_no_two_updates_are_taken_for_one():
    again = evolve(RUNNING, uuid="YW5vdGhlcg==")
    elsewhere = evolve(RUNNING, task_id=OTHER)
    events = [RUNNING, again, elsewhere, OUT_OF_SIGHT, OUT_OF_SIGHT]
    assert waiting(*events) == events


def test_an_offer_that_is_taken_back_before_anybody_saw_it_waits_no_more():
    one, two, three = offer(1), offer(2), offer(3)
    unseen = OfferRescinded(OfferId("unseen"))
    events = [
        OffersReceived((one, two)),
        OffersReceived((three,)),
        OfferRescinded(one.id),
        OfferRescinded(three.id),
        unseen,
    ]
    assert waiting(*events) == [OffersReceived((two,)), unseen]


def test_offers_of_a_subscription_that_is_over_wait_no_more():
    """Every master takes its offers with it, and so does every lost connection."""
    for end in (Disconnected(), SUBSCRIBED):
        events = [OffersReceived((offer(1),)), RUNNING, end, OffersReceived((offer(2),))]
        assert waiting(*events) == [RUNNING, end, OffersReceived((offer(2),))]


def test_what_is_posted_after_something_was_taken_is_new():
    inbox = Inbox(lambda: None)
    for event in (RUNNING, failed(1), OffersReceived((offer(1),))):
        inbox.post(event)
        assert inbox.take() == event
    for event in (RUNNING, failed(1), OfferRescinded(offer(1).id)):
        inbox.post(event)
        assert inbox.take() == event
