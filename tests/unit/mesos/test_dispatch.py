"""Effects of the core become calls, and what became of a launch is told."""

import pytest

from scheduler.core.app import SecretRef
from scheduler.core.effects import (
    Accept,
    Acknowledge,
    Decline,
    Kill,
    MesosEffect,
    Reconcile,
    Revive,
    Suppress,
)
from scheduler.core.events import Disconnected, LaunchRefused, StatusUpdate
from scheduler.core.ids import AgentId, OfferId, TaskId
from scheduler.core.instance import TaskState
from scheduler.mesos.calls import CallLimits
from scheduler.mesos.dispatch import MesosDispatch
from tests.unit.mesos.conftest import Harness
from tests.unit.mesos.fake_master import Peer, Request, subscribe_and_hold
from tests.unit.mesos.launches import launch

TASK = TaskId("t1")
AGENT = AgentId("S1")
OFFERS = (OfferId("O1"), OfferId("O2"))
BAD = launch(env=(("PW", SecretRef("nowhere")),))


async def ready(harness: Harness, **config: object) -> MesosDispatch:
    driver = await harness.begin(**config)
    await harness.until_subscribed()
    return MesosDispatch(driver, harness.take)


async def calls(harness: Harness, number: int) -> list[Request]:
    await harness.master.until(lambda: len(harness.master.calls) >= number)
    return harness.master.calls


@pytest.mark.parametrize(
    ("effect", "kind", "message"),
    [
        (
            Decline(OFFERS, 120.0),
            "DECLINE",
            {"offer_ids": [{"value": "O1"}, {"value": "O2"}], "filters": {"refuse_seconds": 120.0}},
        ),
        (Kill(TASK, None, None), "KILL", {"task_id": {"value": "t1"}}),
        (
            Kill(TASK, AGENT, 7),
            "KILL",
            {
                "task_id": {"value": "t1"},
                "agent_id": {"value": "S1"},
                "kill_policy": {"grace_period": {"nanoseconds": 7_000_000_000}},
            },
        ),
        (
            Reconcile(((TASK, AGENT), (TaskId("t2"), None))),
            "RECONCILE",
            {
                "tasks": [
                    {"task_id": {"value": "t1"}, "agent_id": {"value": "S1"}},
                    {"task_id": {"value": "t2"}},
                ]
            },
        ),
        (Reconcile(()), "RECONCILE", {"tasks": []}),
        (
            Acknowledge(TASK, AGENT, "AA=="),
            "ACKNOWLEDGE",
            {"task_id": {"value": "t1"}, "agent_id": {"value": "S1"}, "uuid": "AA=="},
        ),
        (Suppress(), "SUPPRESS", None),
        (Revive(), "REVIVE", None),
    ],
)
async def test_an_effect_becomes_its_call(
    harness: Harness, effect: MesosEffect, kind: str, message: object
):
    dispatch = await ready(harness)
    dispatch.send(effect)
    (call,) = await calls(harness, 1)
    assert call.type == kind
    assert call.body.get(kind.lower()) == message


async def test_an_accept_launches_all_its_tasks_in_one_operation(harness: Harness):
    dispatch = await ready(harness)
    dispatch.send(Accept(OFFERS, AGENT, (launch(number=1), launch(number=2)), 0.0))
    (call,) = await calls(harness, 1)
    accept = call.body["accept"]
    assert accept["offer_ids"] == [{"value": "O1"}, {"value": "O2"}]
    assert accept["filters"] == {"refuse_seconds": 0.0}
    (operation,) = accept["operations"]
    assert operation["type"] == "LAUNCH"
    assert [info["task_id"]["value"] for info in operation["launch"]["task_infos"]] == [
        "shop_web.instance-1._app.1",
        "shop_web.instance-2._app.1",
    ]


async def test_a_refused_accept_is_told_and_its_offers_are_given_back(harness: Harness):
    async def refuse_accepts(peer: Peer, request: Request) -> None:
        if request.type == "ACCEPT":
            await peer.reply(400, b"Missing required fields")
        else:
            await peer.reply(202)

    harness.master.on_call = refuse_accepts
    dispatch = await ready(harness)
    dispatch.send(Accept(OFFERS, AGENT, (launch(number=1), launch(number=2)), 0.0))
    accept, decline = await calls(harness, 2)
    assert harness.seen(LaunchRefused) == [
        LaunchRefused(
            (TaskId("shop_web.instance-1._app.1"), TaskId("shop_web.instance-2._app.1")),
            "Missing required fields",
            is_invalid=True,
        )
    ]
    assert decline.type == "DECLINE"
    assert decline.body["decline"]["offer_ids"] == accept.body["accept"]["offer_ids"]


async def test_an_accept_while_disconnected_is_told_at_once(harness: Harness):
    async def silent(peer: Peer, request: Request) -> None:
        await peer.hold()

    driver = await harness.begin(silent)
    dispatch = MesosDispatch(driver, harness.take)
    dispatch.send(Accept(OFFERS, AGENT, (launch(),), 0.0))
    await harness.until(lambda: bool(harness.seen(LaunchRefused)))
    assert harness.seen(LaunchRefused)[0].message == "not subscribed"


async def test_an_accept_of_unknown_fate_is_not_called_refused(harness: Harness):
    """Its tasks may run: the core asks Mesos about them instead of launching others."""

    async def swallow(peer: Peer, request: Request) -> None:
        pass

    harness.master.on_call = swallow
    dispatch = await ready(harness, limits=CallLimits(reply_timeout_s=0.05))
    dispatch.send(Accept(OFFERS, AGENT, (launch(),), 0.0))
    await harness.until_outcome("ACCEPT", "Unknown")
    assert not harness.seen(LaunchRefused)
    assert [call.type for call in harness.master.calls] == ["ACCEPT"]


@pytest.mark.parametrize(
    "effect",
    [Accept(OFFERS, AGENT, (launch(),), 0.0), Decline(OFFERS, 120.0), Suppress(), Revive()],
)
async def test_after_a_lost_call_about_offers_the_subscription_is_made_anew(
    harness: Harness, effect: MesosEffect
):
    """Else the master would keep the offers for us, or give none, until the connection ends."""

    async def lose(peer: Peer, request: Request) -> None:
        peer.abort()

    harness.master.on_call = lose
    dispatch = await ready(harness)
    dispatch.send(effect)
    await harness.until_subscribed(2)
    assert len(harness.seen(Disconnected)) == 1
    assert len(harness.master.calls) == 1


@pytest.mark.parametrize(
    "effect", [Kill(TASK, AGENT, None), Reconcile(()), Acknowledge(TASK, AGENT, "AA==")]
)
async def test_a_lost_call_that_is_sent_again_anyway_costs_no_subscription(
    harness: Harness, effect: MesosEffect
):
    async def lose_the_first(peer: Peer, request: Request) -> None:
        if len(harness.master.calls) == 1:
            peer.abort()
        else:
            await peer.reply(202)

    harness.master.on_call = lose_the_first
    dispatch = await ready(harness)
    dispatch.send(effect)
    (lost,) = await calls(harness, 1)
    await harness.until_outcome(lost.type, "Unknown")
    dispatch.send(effect)
    await harness.until_outcome(lost.type, "Sent")
    assert harness.driver.stats.link.subscriptions == 1


async def test_a_call_lost_with_its_subscription_does_not_end_the_next_one(harness: Harness):
    async def lose_everything(peer: Peer, request: Request) -> None:
        streams[0].abort()

    streams: list[Peer] = []

    async def stream(peer: Peer, request: Request) -> None:
        streams.append(peer)
        await subscribe_and_hold(peer, request)

    harness.master.on_call = lose_everything
    driver = await harness.begin(stream, limits=CallLimits(linger_s=0.1))
    await harness.until_subscribed()
    MesosDispatch(driver, harness.take).send(Revive())
    await harness.until_subscribed(2)
    await harness.until_outcome("REVIVE", "Unknown")
    assert not driver._link.is_given_up
    assert driver.stats.link.subscriptions == 2


async def test_a_task_that_cannot_be_described_does_not_hold_up_the_others(harness: Harness):
    dispatch = await ready(harness)
    dispatch.send(Accept(OFFERS, AGENT, (BAD, launch(number=2)), 0.0))
    (call,) = await calls(harness, 1)
    infos = call.body["accept"]["operations"][0]["launch"]["task_infos"]
    assert [info["task_id"]["value"] for info in infos] == ["shop_web.instance-2._app.1"]
    (refused,) = harness.seen(StatusUpdate)
    assert refused.task_id == "shop_web.instance-1._app.1"
    assert (refused.state, refused.uuid) == (TaskState.ERROR, None)
    assert "nowhere" in refused.message


async def test_offers_for_which_nothing_could_be_described_are_given_back(harness: Harness):
    dispatch = await ready(harness)
    dispatch.send(Accept(OFFERS, AGENT, (BAD,), 60.0))
    (call,) = await calls(harness, 1)
    assert call.body["decline"] == {
        "offer_ids": [{"value": "O1"}, {"value": "O2"}],
        "filters": {"refuse_seconds": 0.0},
    }
