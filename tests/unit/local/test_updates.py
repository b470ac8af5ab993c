import asyncio
from typing import Any

from scheduler.local.updates import StatusUpdates
from tests.support import eventually


def _status(task_id: str, uid: str, state: str = "TASK_RUNNING") -> dict[str, Any]:
    return {"task_id": {"value": task_id}, "uuid": uid, "state": state}


class Sent:
    """An update manager and what it sent, in order."""

    def __init__(self, retry_s: float = 60) -> None:
        self.uids: list[str] = []
        self.updates = StatusUpdates(lambda _, s: self.uids.append(s["uuid"]), retry_s)


async def test_the_next_update_of_a_task_waits_for_the_acknowledgement() -> None:
    sent = Sent()
    for uid in ("1", "2"):
        sent.updates.add("f", _status("a", uid))
    sent.updates.add("f", _status("b", "3"))
    assert sent.uids == ["1", "3"]
    assert sent.updates.acknowledge("f", "a", "2") is None
    assert sent.updates.acknowledge("f", "a", "1") == _status("a", "1")
    assert sent.uids == ["1", "3", "2"]
    assert sent.updates.acknowledge("f", "a", "2") is not None
    assert sent.updates.acknowledge("f", "a", "2") is None
    sent.updates.pause()


async def test_an_update_is_sent_again_until_acknowledged() -> None:
    sent = Sent(retry_s=0.01)
    sent.updates.add("f", _status("a", "1"))
    await eventually(lambda: len(sent.uids) >= 3, what="three attempts")
    sent.updates.acknowledge("f", "a", "1")
    count = len(sent.uids)
    await asyncio.sleep(0.1)
    assert len(sent.uids) == count


async def test_a_pause_sends_nothing_and_the_end_of_it_everything() -> None:
    sent = Sent()
    sent.updates.add("f", _status("a", "1"))
    sent.updates.pause()
    sent.updates.add("g", _status("b", "2"))
    assert sent.uids == ["1"]
    sent.updates.resume()
    assert sent.uids == ["1", "1", "2"]
    sent.updates.resend("g")
    assert sent.uids == ["1", "1", "2", "2"]
    sent.updates.drop("g")
    sent.updates.resend()
    assert sent.uids == ["1", "1", "2", "2", "1"]
    assert sent.updates.holds("f", "a", "1")
    assert not sent.updates.holds("g", "b", "2")
    sent.updates.pause()
