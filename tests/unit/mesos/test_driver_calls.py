"""Calls: what is sent for each, and what is known afterwards."""

import asyncio
from typing import Any

import pytest

from scheduler.core.events import Disconnected
from scheduler.mesos.calls import CallLimits, _Wire
from scheduler.mesos.driver import DriverEnd
from scheduler.mesos.framework import Framework, OfferWishes
from scheduler.mesos.outcome import NotSent, Refused, Sent, Unknown
from tests.unit.mesos.conftest import Harness
from tests.unit.mesos.fake_master import FRAMEWORK_ID, STREAM_ID, Peer, Request

FRAMEWORK = {"value": FRAMEWORK_ID}
TASK = {"value": "t1"}
AGENT = {"value": "a1"}
OFFERS = [{"value": "O1"}, {"value": "O2"}]


async def test_each_builder_sends_the_call_that_mesos_documents(harness: Harness):
    driver = await harness.begin()
    await harness.until_subscribed()
    launch = {"type": "LAUNCH", "launch": {"task_infos": [{"name": "x"}]}}
    filters = {"refuse_seconds": 0.0}
    asked = [
        (driver.acceptOffers, (OFFERS, [launch], filters)),
        (driver.launchTasks, (OFFERS, [{"name": "x"}], filters)),
        (driver.declineOffer, (OFFERS, filters)),
        (driver.reviveOffers, (("web",),)),
        (driver.reviveOffers, ()),
        (driver.suppressOffers, ()),
        (driver.killTask, (TASK,)),
        (driver.killTask, (TASK, AGENT, {"grace_period": {"nanoseconds": 1}})),
        (driver.reconcileTasks, ([{"task_id": TASK, "agent_id": AGENT}, {"task_id": TASK}],)),
        (driver.reconcileTasks, ([],)),
        (driver.acknowledgeStatusUpdate, ({"task_id": TASK, "agent_id": AGENT, "uuid": "AA=="},)),
        (driver.shutdownExecutor, ({"value": "x1"}, AGENT)),
        (driver.sendFrameworkMessage, ({"value": "x1"}, AGENT, "AA==")),
        (driver.acceptInverseOffers, (OFFERS,)),
        (driver.declineInverseOffer, (OFFERS,)),
        (
            driver.acknowledgeOperationStatusUpdate,
            (
                {
                    "operation_id": {"value": "op"},
                    "agent_id": AGENT,
                    "uuid": {"value": "AA=="},
                    "state": "OPERATION_FINISHED",
                },
            ),
        ),
    ]
    for builder, arguments in asked:
        assert await driver.call(builder, *arguments) == Sent(202)
    accept = {"offer_ids": OFFERS, "operations": [launch], "filters": filters}
    expected: list[tuple[str, dict[str, Any]]] = [
        ("ACCEPT", {"accept": accept}),
        ("ACCEPT", {"accept": accept}),
        ("DECLINE", {"decline": {"offer_ids": OFFERS, "filters": filters}}),
        ("REVIVE", {"revive": {"roles": ["web"]}}),
        ("REVIVE", {}),
        ("SUPPRESS", {}),
        ("KILL", {"kill": {"task_id": TASK}}),
        (
            "KILL",
            {
                "kill": {
                    "task_id": TASK,
                    "agent_id": AGENT,
                    "kill_policy": {"grace_period": {"nanoseconds": 1}},
                }
            },
        ),
        (
            "RECONCILE",
            {"reconcile": {"tasks": [{"task_id": TASK, "agent_id": AGENT}, {"task_id": TASK}]}},
        ),
        ("RECONCILE", {"reconcile": {"tasks": []}}),
        ("ACKNOWLEDGE", {"acknowledge": {"task_id": TASK, "agent_id": AGENT, "uuid": "AA=="}}),
        ("SHUTDOWN", {"shutdown": {"executor_id": {"value": "x1"}, "agent_id": AGENT}}),
        (
            "MESSAGE",
            {"message": {"agent_id": AGENT, "executor_id": {"value": "x1"}, "data": "AA=="}},
        ),
        ("ACCEPT_INVERSE_OFFERS", {"accept_inverse_offers": {"inverse_offer_ids": OFFERS}}),
        ("DECLINE_INVERSE_OFFERS", {"decline_inverse_offers": {"inverse_offer_ids": OFFERS}}),
        (
            "ACKNOWLEDGE_OPERATION_STATUS",
            {
                "acknowledge_operation_status": {
                    "operation_id": {"value": "op"},
                    "agent_id": AGENT,
                    "uuid": "AA==",
                }
            },
        ),
    ]
    assert [call.body for call in harness.master.calls] == [
        {"type": kind, "framework_id": FRAMEWORK, **message} for kind, message in expected
    ]
    assert {call.headers["mesos-stream-id"] for call in harness.master.calls} == {STREAM_ID}
    assert driver.stats.calls["ACCEPT", "Sent"] == 2


async def test_update_framework_sends_the_whole_new_state_and_later_subscriptions_too(
    harness: Harness,
):
    async def close_when_updated(peer: Peer, request: Request) -> None:
        await peer.open_stream()
        await peer.subscribed()
        await harness.master.until(lambda: bool(harness.master.calls))

    driver = await harness.begin(close_when_updated)
    await harness.until_subscribed()
    changed = Framework(name="test", roles=("web", "batch"))
    wishes = OfferWishes(suppressed_roles=("batch",), offer_constraints={"role_constraints": {}})
    await driver.call(driver.updateFramework, changed, wishes)
    await harness.until_subscribed(2)
    updated = harness.master.calls[0].body["update_framework"]
    subscribed = harness.master.subscribes[1].body["subscribe"]
    assert updated == subscribed
    assert updated["framework_info"]["roles"] == ["web", "batch"]
    assert updated["suppressed_roles"] == ["batch"]
    assert updated["offer_constraints"] == {"role_constraints": {}}


async def test_a_200_for_update_framework_is_sent_as_well(harness: Harness):
    driver = await harness.begin()
    await harness.until_subscribed()
    outcome = await driver.call(driver.updateFramework, Framework(roles=("web",)), OfferWishes())
    assert outcome == Sent(200)


async def test_calls_are_pipelined_on_one_connection_and_answered_in_order(harness: Harness):
    """No reply is written before all calls are there: without pipelining this never ends."""
    waiting: list[Request] = []

    async def answer_when_all_are_there(peer: Peer, request: Request) -> None:
        waiting.append(request)
        if len(waiting) == 100:
            for one in waiting:
                number = int(one.body["kill"]["task_id"]["value"])
                await (peer.reply(202) if number % 3 else peer.reply(400, b"task %d" % number))

    harness.master.on_call = answer_when_all_are_there
    driver = await harness.begin()
    await harness.until_subscribed()
    outcomes = await asyncio.gather(
        *[driver.call(driver.killTask, {"value": str(number)}) for number in range(100)]
    )
    assert outcomes == [
        Sent(202) if number % 3 else Refused(400, f"task {number}") for number in range(100)
    ]
    assert harness.master.call_connections == 1


async def test_replies_cut_into_bytes_are_matched_all_the_same(harness: Harness):
    async def drip(peer: Peer, request: Request) -> None:
        for byte in b"HTTP/1.1 503 Not Now\r\nContent-Length: 3\r\n\r\nwhy":
            await peer.write(bytes([byte]))
            await asyncio.sleep(0)

    harness.master.on_call = drip
    driver = await harness.begin()
    await harness.until_subscribed()
    outcomes = await asyncio.gather(*[driver.call(driver.reviveOffers) for _ in range(3)])
    assert outcomes == [Refused(503, "why")] * 3


@pytest.mark.parametrize("status", [307, 400, 401, 403, 404, 413, 500, 503])
async def test_a_refused_call_is_known_to_be_refused_with_its_reason(harness: Harness, status: int):
    async def refuse(peer: Peer, request: Request) -> None:
        await peer.reply(status, b"an exact sentence")

    harness.master.on_call = refuse
    driver = await harness.begin()
    await harness.until_subscribed()
    assert await driver.call(driver.reviveOffers) == Refused(status, "an exact sentence")
    assert driver.is_subscribed


async def test_a_refusal_keeps_a_bounded_part_of_its_text(harness: Harness):
    async def refuse(peer: Peer, request: Request) -> None:
        await peer.reply(400, b"x" * 1_000_000)

    harness.master.on_call = refuse
    driver = await harness.begin()
    await harness.until_subscribed()
    outcome = await driver.call(driver.reviveOffers)
    assert outcome == Refused(400, "x" * 4096)


async def test_calls_without_a_subscription_are_known_not_to_be_sent(harness: Harness):
    """pymesos returns None silently: lost launches and kills that nobody knows of."""

    async def silent(peer: Peer, request: Request) -> None:
        await peer.hold()

    driver = await harness.begin(silent)
    await harness.master.until(lambda: bool(harness.master.subscribes))
    for builder, arguments in [
        (driver.killTask, (TASK,)),
        (driver.reconcileTasks, ([],)),
        (driver.acceptOffers, (OFFERS, [{"type": "LAUNCH"}])),
        (driver.acceptInverseOffers, (OFFERS,)),
        (driver.acknowledgeStatusUpdate, ({"uuid": "AA=="},)),
    ]:
        assert await driver.call(builder, *arguments) == NotSent("not subscribed")
    assert not harness.master.calls


async def test_a_reply_that_never_comes_leaves_the_outcome_unknown(harness: Harness):
    async def swallow(peer: Peer, request: Request) -> None:
        """The master may have applied it, who knows."""

    harness.master.on_call = swallow
    driver = await harness.begin(limits=CallLimits(reply_timeout_s=0.05))
    await harness.until_subscribed()
    outcomes = await asyncio.gather(*[driver.call(driver.killTask, TASK) for _ in range(3)])
    assert [type(outcome) for outcome in outcomes] == [Unknown] * 3


async def test_a_connection_lost_before_the_reply_leaves_the_outcome_unknown(harness: Harness):
    async def one_reply_then_close(peer: Peer, request: Request) -> None:
        if len(harness.master.calls) == 1:
            await peer.reply(202)
        else:
            peer.abort()

    harness.master.on_call = one_reply_then_close
    driver = await harness.begin()
    await harness.until_subscribed()
    outcomes = await asyncio.gather(*[driver.call(driver.killTask, TASK) for _ in range(3)])
    assert outcomes[0] == Sent(202)
    assert [type(outcome) for outcome in outcomes[1:]] == [Unknown, Unknown]


async def test_a_reply_cut_off_in_the_middle_leaves_the_outcome_unknown(harness: Harness):
    async def half(peer: Peer, request: Request) -> None:
        await peer.write(b"HTTP/1.1 202 Acc")
        peer.writer.close()

    harness.master.on_call = half
    driver = await harness.begin()
    await harness.until_subscribed()
    assert isinstance(await driver.call(driver.killTask, TASK), Unknown)


async def test_the_call_after_a_lost_connection_opens_another_one(harness: Harness):
    async def close_after_first(peer: Peer, request: Request) -> None:
        await peer.reply(202)
        if len(harness.master.calls) == 1:
            peer.abort()

    harness.master.on_call = close_after_first
    driver = await harness.begin()
    await harness.until_subscribed()
    assert await driver.call(driver.killTask, TASK) == Sent(202)
    channel = driver._link._channel
    async with asyncio.timeout(20):
        while channel._transport is not None:  # until the close has been seen
            await asyncio.sleep(0.001)
    assert await driver.call(driver.killTask, TASK) == Sent(202)
    assert harness.master.call_connections == 2
    assert driver.is_subscribed


async def test_a_connection_the_master_closes_after_a_reply_is_not_used_again(harness: Harness):
    async def last_reply(peer: Peer, request: Request) -> None:
        await peer.reply(202, b"", "Connection: close")

    harness.master.on_call = last_reply
    driver = await harness.begin()
    await harness.until_subscribed()
    for _ in range(3):
        assert await driver.call(driver.killTask, TASK) == Sent(202)
    assert harness.master.call_connections == 3


async def test_a_reply_to_no_call_is_not_taken_for_one_to_the_next(harness: Harness):
    async def twice(peer: Peer, request: Request) -> None:
        await peer.reply(202)
        await peer.reply(202)

    harness.master.on_call = twice
    driver = await harness.begin()
    await harness.until_subscribed()
    assert await driver.call(driver.killTask, TASK) == Sent(202)
    channel = driver._link._channel
    async with asyncio.timeout(20):
        while channel._transport is not None:
            await asyncio.sleep(0.001)
    assert await driver.call(driver.killTask, TASK) == Sent(202)


async def test_the_loss_of_the_subscription_makes_calls_under_way_unknown(harness: Harness):
    lose = asyncio.Event()

    async def until_told(peer: Peer, request: Request) -> None:
        await peer.open_stream()
        await peer.subscribed()
        await lose.wait()
        peer.abort()

    async def swallow(peer: Peer, request: Request) -> None:
        lose.set()

    harness.master.on_call = swallow
    driver = await harness.begin(until_told, limits=CallLimits(linger_s=0.01))
    await harness.until_subscribed()
    outcome = await driver.call(driver.killTask, TASK)
    assert isinstance(outcome, Unknown)
    assert "no reply" not in outcome.reason, "at once, not at the deadline of the call"
    assert harness.seen(Disconnected)


async def test_a_reply_that_comes_after_the_stream_has_ended_still_counts(harness: Harness):
    """A master ends the stream of a framework it tears down before it has answered the call."""
    torn_down = asyncio.Event()
    lost = asyncio.Event()

    async def until_torn_down(peer: Peer, request: Request) -> None:
        await peer.open_stream()
        await peer.subscribed()
        await torn_down.wait()

    async def late(peer: Peer, request: Request) -> None:
        torn_down.set()
        await lost.wait()
        await peer.reply(202)

    harness.on_event = lambda event: lost.set() if isinstance(event, Disconnected) else None
    harness.master.on_call = late
    driver = await harness.begin(until_torn_down, limits=CallLimits(linger_s=20.0))
    await harness.until_subscribed()
    assert await driver.teardown() == Sent(202)
    assert await asyncio.wait_for(harness.serving, 20) is DriverEnd.STOPPED


async def test_no_connection_for_calls_means_not_sent(harness: Harness):
    driver = await harness.begin()
    await harness.until_subscribed()
    harness.master._server.close()  # the stream lives on
    outcomes = await asyncio.gather(*[driver.call(driver.killTask, TASK) for _ in range(2)])
    assert [type(outcome) for outcome in outcomes] == [NotSent, NotSent]
    assert driver.is_subscribed


async def test_what_may_be_under_way_is_bounded_by_number_and_size(harness: Harness):
    async def swallow(peer: Peer, request: Request) -> None:
        pass

    harness.master.on_call = swallow
    driver = await harness.begin(limits=CallLimits(max_calls=2, max_bytes=10_000))
    await harness.until_subscribed()
    big = driver.call(driver.sendFrameworkMessage, {"value": "x"}, AGENT, "A" * 20_000)
    assert isinstance(big.result(), NotSent)
    calls = [driver.call(driver.killTask, TASK) for _ in range(3)]
    assert [call.done() for call in calls] == [False, False, True]
    assert isinstance(calls[2].result(), NotSent)


async def test_an_abandoned_call_does_not_shift_the_replies_of_others(harness: Harness):
    async def echo(peer: Peer, request: Request) -> None:
        await peer.reply(400, request.body["kill"]["task_id"]["value"].encode())

    harness.master.on_call = echo
    driver = await harness.begin()
    await harness.until_subscribed()
    first = driver.call(driver.killTask, {"value": "first"})
    second = driver.call(driver.killTask, {"value": "second"})
    first.cancel()
    assert await second == Refused(400, "second")


async def test_bytes_of_a_connection_that_was_given_up_settle_nothing(harness: Harness):
    async def swallow(peer: Peer, request: Request) -> None:
        pass

    harness.master.on_call = swallow
    driver = await harness.begin()
    await harness.until_subscribed()
    call = driver.call(driver.killTask, TASK)
    await harness.master.until(lambda: bool(harness.master.calls))
    channel = driver._link._channel
    assert channel is not None
    channel.on_bytes(_Wire(channel), b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
    channel.on_lost(_Wire(channel), "an older one")
    assert not call.done()


async def test_nothing_is_acknowledged_unless_asked_for(harness: Harness):
    async def update(peer: Peer, request: Request) -> None:
        await peer.open_stream()
        await peer.subscribed()
        status = {"task_id": TASK, "agent_id": AGENT, "state": "TASK_RUNNING", "uuid": "AA=="}
        await peer.event({"type": "UPDATE", "update": {"status": status}})
        await peer.hold()

    driver = await harness.begin(update)
    await harness.until(lambda: len(harness.events) == 2)
    await driver.call(driver.reviveOffers)
    assert [call.type for call in harness.master.calls] == ["REVIVE"]


async def test_an_update_without_uuid_cannot_be_acknowledged(harness: Harness):
    driver = await harness.begin()
    await harness.until_subscribed()
    with pytest.raises(ValueError, match="made no call"):
        driver.call(driver.acknowledgeStatusUpdate, {"task_id": TASK, "agent_id": AGENT})


@pytest.mark.parametrize("builder", ["acceptOffers", "launchTasks"])
async def test_an_empty_accept_is_an_error_and_no_decline(harness: Harness, builder: str):
    driver = await harness.begin()
    await harness.until_subscribed()
    with pytest.raises(ValueError, match="decline on purpose"):
        driver.call(getattr(driver, builder), OFFERS, [])


@pytest.mark.parametrize("kind", ["UNKNOWN", "SUBSCRIBE", "unknown", ""])
async def test_a_call_of_unknown_type_never_leaves(harness: Harness, kind: str):
    """It would abort the leading master."""
    driver = await harness.begin()
    await harness.until_subscribed()
    with pytest.raises(ValueError, match="no call"):
        driver._send({"type": kind})
    await driver.call(driver.reviveOffers)
    assert [call.type for call in harness.master.calls] == ["REVIVE"]


async def test_only_an_operator_tears_the_framework_down(harness: Harness):
    driver = await harness.begin()
    await harness.until_subscribed()
    assert await driver.teardown() == Sent(202)
    assert await asyncio.wait_for(harness.serving, 20) is DriverEnd.STOPPED
    assert [call.body for call in harness.master.calls] == [
        {"type": "TEARDOWN", "framework_id": FRAMEWORK}
    ]


async def test_a_refused_teardown_leaves_the_driver_running(harness: Harness):
    async def refuse(peer: Peer, request: Request) -> None:
        await peer.reply(403, b"not yours")

    harness.master.on_call = refuse
    driver = await harness.begin()
    await harness.until_subscribed()
    assert await driver.teardown() == Refused(403, "not yours")
    assert driver.is_subscribed
