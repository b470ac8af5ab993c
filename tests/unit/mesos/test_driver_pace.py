"""How soon the driver subscribes again: at once, but never so that it wears a master down."""

import asyncio

from attrs import evolve

from scheduler.core.events import Subscribed
from tests.unit.mesos.conftest import QUICK, Harness, subscribe_then_close, watch_back_off
from tests.unit.mesos.fake_master import Peer, Request


async def test_the_back_off_starts_over_only_after_subscribed(harness: Harness):
    async def opened_only(peer: Peer, request: Request) -> None:
        await peer.open_stream()

    await harness.begin(opened_only, opened_only, subscribe_then_close, opened_only)
    waits = watch_back_off(harness)
    await harness.until_subscribed(2)
    # 0.75 of 1, 2 and then, after SUBSCRIBED, again 1 and 2 ms.
    assert waits == [0.00075, 0.0015, 0.00075, 0.0015]
    assert QUICK.backoff_first_s == 0.001


async def test_subscriptions_that_end_at_once_are_made_ever_more_slowly(harness: Harness):
    """Where every call breaks its connection, each costs a subscription, and the master a round."""
    await harness.begin(*[subscribe_then_close] * 4, timing=evolve(QUICK, backoff_cap_s=3600.0))
    waits = watch_back_off(harness)
    await harness.until_subscribed(5)
    assert waits == [0.00075, 0.0015, 0.003, 0.006]


async def test_a_subscription_that_has_held_is_made_again_at_once(harness: Harness):
    cap_s = 0.002

    async def held(peer: Peer, request: Request) -> None:
        before = len(harness.seen(Subscribed))
        await peer.open_stream()
        await peer.subscribed()
        await harness.until_subscribed(before + 1)
        await asyncio.sleep(cap_s * 5)
        peer.abort()

    await harness.begin(held, held, held, timing=evolve(QUICK, backoff_cap_s=cap_s))
    waits = watch_back_off(harness)
    await harness.until_subscribed(4)
    assert waits == [0.00075, 0.00075, 0.00075]
