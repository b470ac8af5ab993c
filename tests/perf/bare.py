"""The least a scheduler can do: accept offers, acknowledge updates, remember nothing."""

import asyncio
import time
from typing import Any

from tests.contract.mesos.client import Json, Scheduler, framework_info, launch, task


class Bare(Scheduler):
    """Acknowledges on one connection without waiting for replies."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self.running_s: list[float] = []
        self.cpu_s = 0.0
        self._sent = 0

    def _take(self, event: Json) -> None:
        if event["type"] != "UPDATE":
            super()._take(event)
            return
        status = event["update"]["status"]
        if status["state"] == "TASK_RUNNING":
            self.running_s.append(time.perf_counter())
        if "uuid" in status:
            self.count("ACKNOWLEDGE", {k: status[k] for k in ("agent_id", "task_id", "uuid")})

    def count(self, kind: str, body: Json) -> None:
        self.send(kind, body)
        self._sent += 1

    async def drain(self) -> None:
        """Read replies as they come, for ever."""
        assert self._calls is not None
        while True:
            await self._calls.read_reply()

    def tasks_for(self, offer: Json, count: int) -> list[Any]:
        return [task(f"bare-{offer['id']['value']}-{n}", offer["agent_id"]) for n in range(count)]


async def launched(address: str, tasks: int) -> tuple[float, float]:
    """Launch so many tasks with one ACCEPT for each agent; returns seconds and CPU seconds."""
    bare = Bare(address)
    await bare.subscribe(framework_info("bare", roles=["*"]))
    await bare.open_calls()
    await bare.wait(lambda: bare.framework_id, "SUBSCRIBED")
    drained = asyncio.create_task(bare.drain())
    offers = await bare.wait(bare.offers, "offers")
    share = -(-tasks // len(offers))
    left = tasks
    started_s, cpu_s = time.perf_counter(), time.process_time()
    for offer in offers:
        count = min(share, left)
        left -= count
        bare.count("ACCEPT", launch([offer], bare.tasks_for(offer, count)))
    while len(bare.running_s) < tasks:
        await asyncio.sleep(0.002)
    elapsed_s, cpu_s = bare.running_s[-1] - started_s, time.process_time() - cpu_s
    await asyncio.sleep(0.2)
    drained.cancel()
    await bare.close()
    return elapsed_s, cpu_s
