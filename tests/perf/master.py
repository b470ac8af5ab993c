"""A master in a process of its own, so that what it costs is not counted.

    python -m tests.perf.master OFFERS

It prints its port. To whoever subscribes it makes so many offers, one for each agent and shaped
like those of a real cluster (tests/traces); every task starts at once, then runs.
"""

import asyncio
import base64
import sys
import uuid
from typing import Any

from tests.unit.mesos.fake_master import FakeMaster, Peer, Request

_OFFERS_OF_AN_EVENT = 100
_NAME = "8eff41bc-f4b1-4080-9b2e-ebe9bb2d2a46"
_ALLOCATION = {"role": "*"}
_SCALARS = {"cpus": 1_000.0, "mem": 1_000_000.0, "disk": 20_000.0}


def _offer(number: int) -> dict[str, Any]:
    address = {"hostname": f"agent-{number}", "ip": "127.0.0.1", "port": 5051}
    ports = {"range": [{"begin": 31_000, "end": 31_999}]}
    scalars = [
        {"name": name, "type": "SCALAR", "scalar": {"value": value}, "allocation_info": _ALLOCATION}
        for name, value in _SCALARS.items()
    ]
    return {
        "id": {"value": f"{_NAME}-O{number}"},
        "framework_id": {"value": f"{_NAME}-0000"},
        "agent_id": {"value": f"{_NAME}-S{number}"},
        "hostname": f"agent-{number}",
        "url": {"scheme": "http", "address": address, "path": "/slave(1)"},
        "resources": [
            {"name": "ports", "type": "RANGES", "ranges": ports, "allocation_info": _ALLOCATION},
            *scalars,
        ],
        "attributes": [{"name": "rack", "type": "TEXT", "text": {"value": "r1"}}],
        "allocation_info": _ALLOCATION,
    }


def _update(task: dict[str, Any], state: str) -> dict[str, Any]:
    address = {"protocol": "IPv4", "ip_address": "127.0.0.1"}
    status = {
        "task_id": task["task_id"],
        "state": state,
        "source": "SOURCE_EXECUTOR",
        "agent_id": task["agent_id"],
        "executor_id": task["task_id"],
        "timestamp": 1_795_494_743.196625,
        "uuid": base64.b64encode(uuid.uuid4().bytes).decode(),
        "container_status": {
            "container_id": {"value": str(uuid.uuid4())},
            "network_infos": [{"ip_addresses": [address]}],
            "executor_pid": 7959,
        },
    }
    return {"type": "UPDATE", "update": {"status": status}}


class Master(FakeMaster):
    """Answers every ACCEPT with what becomes of its tasks."""

    def __init__(self, offers: int) -> None:
        super().__init__(default=self._offer_all)
        self.on_call = self._answer
        self._offers = offers
        self._stream: Peer | None = None

    async def _offer_all(self, peer: Peer, _: Request) -> None:
        await peer.open_stream()
        await peer.subscribed(framework_id=f"{_NAME}-0000")
        self._stream = peer
        for first in range(0, self._offers, _OFFERS_OF_AN_EVENT):
            numbers = range(first, min(first + _OFFERS_OF_AN_EVENT, self._offers))
            offers = [_offer(number) for number in numbers]
            await peer.event({"type": "OFFERS", "offers": {"offers": offers}})
        await peer.hold()

    async def _answer(self, peer: Peer, request: Request) -> None:
        await self.accept_call(peer, request)
        if request.type != "ACCEPT" or self._stream is None:
            return
        for operation in request.body["accept"]["operations"]:
            for task in operation["launch"]["task_infos"]:
                for state in ("TASK_STARTING", "TASK_RUNNING"):
                    await self._stream.event(_update(task, state))


async def _serve(offers: int) -> None:
    endpoint = await Master(offers).start()
    print(endpoint.port, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
