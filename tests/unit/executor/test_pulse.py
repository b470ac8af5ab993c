"""Waiting for conditions."""

import asyncio

import pytest

from executor.pulse import Pulse, within


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


async def answer_after(turns: int) -> str:
    for _ in range(turns):
        await asyncio.sleep(0)
    return "answer"


async def test_a_result_in_time_is_the_result_and_an_error_the_error() -> None:
    assert await within(60, answer_after(3)) == "answer"
    assert await within(None, answer_after(3)) == "answer"

    async def fail() -> None:
        raise KeyError

    with pytest.raises(KeyError):
        await within(60, fail())


async def test_work_that_takes_too_long_is_cancelled() -> None:
    ended: list[bool] = []

    async def hang() -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            ended.append(True)

    with pytest.raises(TimeoutError):
        await within(0.01, hang())
    assert ended == [True]


@pytest.mark.parametrize("turns", range(8))
async def test_a_cancellation_is_never_lost_however_close_the_result_is(turns: int) -> None:
    """In 3.11 wait_for returns the result when both come together: then this loop never ended."""

    async def ask_for_ever() -> None:
        while True:
            await within(60, answer_after(2))

    asking = asyncio.ensure_future(ask_for_ever())
    for _ in range(turns):
        await asyncio.sleep(0)
    asking.cancel()
    await asyncio.wait([asking], timeout=10)
    assert asking.cancelled()
