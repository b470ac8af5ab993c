"""The event stream: Marathon's framing and shapes, and a client that does not read."""

import asyncio
import contextlib
import json

import pytest

from scheduler.api.events import EventHub, EventStream
from scheduler.core.instance import TaskState
from tests.support import eventually


def hub_of(backlog_max=8):
    return EventHub(lambda: 0, clients_max=2, backlog_max=backlog_max)


class Listener:
    """Takes the stream as a server would; `stuck` makes it stop reading."""

    def __init__(self, stream):
        self.sent = b""
        self.headers = {}
        self.gone = asyncio.Event()
        self.flowing = asyncio.Event()
        self.flowing.set()
        scope = {"type": "http", "client": ("10.0.0.7", 1)}
        self.task = asyncio.ensure_future(stream(scope, self._receive, self._send))

    async def _receive(self):
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message):
        await self.flowing.wait()
        self.headers.update(dict(message.get("headers", [])))
        self.sent += message.get("body", b"")

    def events(self):
        found = []
        for frame in self.sent.split(b"\r\n\r\n"):
            lines = dict(line.split(b": ", 1) for line in frame.split(b"\r\n") if b": " in line)
            if lines:
                found.append(
                    (lines[b"event"].decode(), json.loads(lines[b"data"]), lines.get(b"id"))
                )
        return found

    def kinds(self):
        return [kind for kind, _, _ in self.events()]


@contextlib.asynccontextmanager
async def listening(hub, wanted=(), last_id=None):
    listener = Listener(EventStream(hub, frozenset(wanted), last_id))
    try:
        await eventually(lambda: listener.sent, what="the first byte")
        yield listener
    finally:
        listener.flowing.set()
        listener.gone.set()
        await listener.task


async def test_frames_end_in_crlf_and_say_type_and_time():
    hub = hub_of()
    async with listening(hub, ["app_terminated_event"]) as listener:
        hub.send("app_terminated_event", {"appId": "/a"})
        await eventually(listener.events, what="the event")
        assert listener.headers[b"content-type"] == b"text/event-stream;charset=UTF-8"
        assert listener.sent.startswith(b"\r\n")
        assert listener.sent.endswith(
            b'event: app_terminated_event\r\ndata: {"appId":"/a",'
            b'"eventType":"app_terminated_event","timestamp":"1970-01-01T00:00:00.000Z"}\r\n\r\n'
        )


async def test_a_client_gets_only_what_it_wants():
    hub = hub_of()
    async with listening(hub, ["b"]) as some, listening(hub) as all_:
        for kind in ("a", "b", "c"):
            hub.send(kind, {})
        await eventually(lambda: "c" in all_.kinds(), what="all events")
        assert some.kinds() == ["b"]
        assert all_.kinds() == ["event_stream_attached", "a", "b", "c"]


async def test_a_client_that_does_not_read_is_closed_and_nobody_else_notices():
    hub = hub_of(backlog_max=8)
    async with listening(hub, ["x"]) as slow, listening(hub, ["x"]) as quick:
        slow.flowing.clear()
        for number in range(50):
            hub.send("x", {"n": number})
            await eventually(lambda n=number: len(quick.events()) > n, what="the event")
        await eventually(slow.task.done, what="the end of the slow stream")
        assert len(quick.events()) == 50


async def test_a_client_that_comes_back_gets_what_it_missed():
    hub = hub_of()
    async with listening(hub, ["x"]) as first:
        hub.send("x", {"n": 1})
        await eventually(first.events, what="the event")
        last_id = first.events()[-1][2].decode()
    hub.send("x", {"n": 2})
    hub.send("x", {"n": 3})
    async with listening(hub, ["x"], last_id) as again:
        await eventually(lambda: len(again.events()) == 2, what="the missed events")
        assert [about["n"] for _, about, _ in again.events()] == [2, 3]


async def test_what_is_kept_for_those_who_come_back_is_bounded_in_bytes():
    """Two thousand definitions of the largest size would otherwise take four gigabytes."""
    hub = hub_of(backlog_max=100)
    async with listening(hub, ["x"]) as first:
        hub.send("x", {"number": -1})
        await eventually(lambda: "x" in first.kinds(), what="the first event")
        last_id = first.events()[-1][2].decode()
    for number in range(40):
        hub.send("x", {"number": number, "definition": "d" * 1024 * 1024})
    assert hub._kept_bytes == sum(len(frame.data) for frame in hub._kept)
    async with listening(hub, ["x"], last_id) as again:
        await eventually(lambda: len(again.events()) > 1, what="what is kept")
        numbers = [about["number"] for _, about, _ in again.events()]
    assert numbers == list(range(40 - len(numbers), 40))
    assert 10 <= len(numbers) <= 16


@pytest.mark.parametrize("last_id", ["", "nonsense", "0-x", "other-1"])
async def test_an_id_that_is_not_ours_brings_nothing_back(last_id):
    hub = hub_of()
    hub.send("x", {})
    async with listening(hub, ["x", "y"], last_id) as listener:
        hub.send("y", {})
        await eventually(listener.events, what="the event")
        assert listener.kinds() == ["y"]


async def test_closing_the_hub_ends_every_stream():
    hub = hub_of()
    async with listening(hub) as listener:
        hub.close()
        await eventually(listener.task.done, what="the end of the stream")


async def test_an_apps_life_is_told_in_marathons_words(egret):
    hub = egret.app.state.api.hub
    hub.backlog_max = 1000
    async with listening(hub) as listener:
        created = await egret.deploy("/a", healthChecks=[{"path": "/"}])
        (task_id,) = await egret.run_tasks()
        await egret.probe(task_id, alive=True)
        await egret.deployments_done()
        await egret.update(task_id, TaskState.FAILED, message="exit 3")
        await egret.http.delete("/v2/apps/a")
        await eventually(lambda: "app_terminated_event" in listener.kinds(), what="the end")
        events = listener.events()
    by_kind = {kind: about for kind, about, _ in events}
    deployment_id = created.headers["marathon-deployment-id"]
    plans = [about["plan"]["id"] for kind, about, _ in events if kind == "deployment_info"]
    assert deployment_id in plans
    assert by_kind["api_post_event"]["appDefinition"]["id"] == "/a"
    assert by_kind["api_post_event"]["uri"] == "/v2/apps"
    health = by_kind["health_status_changed_event"]
    assert (health["appId"], health["alive"]) == ("/a", True)
    statuses = [about["taskStatus"] for kind, about, _ in events if kind == "status_update_event"]
    assert statuses == ["TASK_RUNNING", "TASK_FAILED"]
    failed = next(
        about
        for kind, about, _ in events
        if kind == "status_update_event" and about["taskStatus"] == "TASK_FAILED"
    )
    assert (failed["taskId"], failed["message"]) == (task_id, "exit 3")
    assert failed["host"] == "agent-1"
    assert "deployment_success" in by_kind
    assert by_kind["deployment_success"]["id"]
    conditions = [
        about["condition"] for kind, about, _ in events if kind == "instance_changed_event"
    ]
    assert conditions == ["Running", "Failed"]


async def test_the_stream_is_only_for_those_who_take_it(egret):
    answer = await egret.http.get("/v2/events", headers={"Accept": "application/json"})
    assert answer.status_code == 405


async def test_health_checks_are_told_of_when_they_come_fail_and_go(egret):
    hub = egret.app.state.api.hub
    hub.backlog_max = 1000
    async with listening(hub) as listener:
        checks = [{"protocol": "HTTP", "path": "/"}, {"protocol": "TCP"}]
        created = await egret.deploy("/a", healthChecks=checks)
        (task_id,) = await egret.run_tasks()
        await egret.probe(task_id, alive=True, index=0)
        await egret.probe(task_id, alive=True, index=1)
        await egret.deployments_done()
        await egret.http.patch("/v2/apps/a", json={"instances": 2})
        await egret.probe(task_id, alive=False, index=1)
        await egret.http.delete("/v2/apps/a")
        await eventually(lambda: "remove_health_check_event" in listener.kinds(), what="the end")
        told = [(kind, about) for kind, about, _ in listener.events() if "health_check" in kind]
    assert [(kind, about.get("healthCheck", {}).get("protocol")) for kind, about in told] == [
        ("add_health_check_event", "HTTP"),
        ("add_health_check_event", "TCP"),
        ("failed_health_check_event", "TCP"),
        ("remove_health_check_event", None),
    ]
    assert told[0][1]["version"] == created.json()["version"]
    assert task_id.startswith(told[2][1]["taskId"])
