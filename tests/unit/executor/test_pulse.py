"""Waiting for conditions."""

import asyncio

from executor.pulse import Pulse


async def test_a_condition_that_holds_already_needs_no_beat() -> None:
    assert await Pulse().until(lambda: True, 0.0)


async def test_a_condition_that_never_holds_ends_with_its_time() -> None:
    assert not await Pulse().until(lambda: False, 0.01)


async def test_every_waiter_looks_at_its_own_condition_at_every_beat() -> None:
    pulse, level = Pulse(), [0]

    def at_least(wanted: int) -> bool:
        return level[0] >= wanted

    low = asyncio.ensure_future(pulse.until(lambda: at_least(1)))
    high = asyncio.ensure_future(pulse.until(lambda: at_least(2)))
    await asyncio.sleep(0)
    level[0] = 1
    pulse.beat()
    assert await low
    assert not high.done()
    level[0] = 2
    pulse.beat()
    assert await high
