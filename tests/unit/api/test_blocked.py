"""What deployments wait for, told to those who ask for it, once for each change."""

import pytest

from scheduler.api.blocked import KIND, BlockWatch
from scheduler.core.instance import TaskState
from tests.support import eventually
from tests.unit.api.test_events import listening


class Looks:
    """Counts the looks of the watcher, so that a test can wait until it has seen something."""

    def __init__(self):
        self.begun = self.done = self.explained = 0

    async def pass_by(self):
        """Wait for a look that begins after this call."""
        wanted = self.begun + 1
        await eventually(lambda: self.done >= wanted, what="a look")


@pytest.fixture(autouse=True)
def looks(monkeypatch):
    """Let the watcher look without rest."""
    looks = Looks()
    look, present = BlockWatch.look, BlockWatch._present

    async def counted(watch):
        looks.begun += 1
        number = looks.begun
        await look(watch)
        looks.done = number

    async def explained(watch):
        looks.explained += 1
        return await present(watch)

    monkeypatch.setattr("scheduler.api.blocked._PERIOD_S", 0.001)
    monkeypatch.setattr(BlockWatch, "look", counted)
    monkeypatch.setattr(BlockWatch, "_present", explained)
    return looks


def hub_of(egret):
    return egret.app.state.api.hub


def told(listener):
    """List what a listener was told, as (deployment, app, reason)."""
    return [
        (about["id"], block["app"], block["reason"])
        for kind, about, _ in listener.events()
        if kind == KIND
        for block in about["blockedBy"]
    ]


async def test_each_change_of_a_reason_is_told_once(egret, looks):
    async with listening(hub_of(egret), [KIND]) as listener:
        created = await egret.deploy("/a", instances=2, healthChecks=[{"path": "/"}])
        await looks.pass_by()
        await looks.pass_by()
        await egret.offer()
        await looks.pass_by()
        first, second = [launch.instance.task_id for launch in egret.launches()]
        await egret.update(first, TaskState.RUNNING)
        await egret.update(second, TaskState.RUNNING)
        await looks.pass_by()
        await egret.probe(first, alive=True)
        await looks.pass_by()
        await egret.probe(second, alive=True)
        await egret.deployments_done()
        await looks.pass_by()
        await eventually(lambda: len(told(listener)) >= 3, what="the events")
    one = created.headers["marathon-deployment-id"]
    assert told(listener) == [(one, "/a", "offers"), (one, "/a", "launch"), (one, "/a", "health")]


async def test_an_event_says_the_same_as_the_list_of_deployments(egret):
    await egret.deploy("/big", cpus=32, instances=2)
    await egret.offer(cpus=16)
    (shown,) = (await egret.http.get("/v2/deployments?embed=egret")).json()
    async with listening(hub_of(egret), [KIND]) as listener:
        ((kind, about, event_id),) = await eventually(listener.events, what="the event")
    assert (kind, about["eventType"], event_id) == (KIND, KIND, None)
    assert about["id"] == shown["id"]
    assert about["blockedBy"] == shown["egret"]["blockedBy"]
    assert "timestamp" in about


async def test_who_comes_later_is_told_all_that_waits_and_nobody_is_told_twice(egret, looks):
    await egret.deploy("/a")
    async with listening(hub_of(egret), [KIND]) as first:
        await eventually(lambda: told(first), what="the present state")
        await egret.deploy("/b")
        await egret.http.put("/v2/apps/b?queue=true", json={"cmd": "other"})
        await eventually(lambda: len(told(first)) == 3, what="the news")
        async with listening(hub_of(egret), [KIND], "0-7") as second:
            await eventually(lambda: len(told(second)) == 3, what="the present state")
            await looks.pass_by()
            assert set(told(second)) == set(told(first))
            assert len(told(first)) == 3
    assert sorted((app, reason) for _, app, reason in told(first)) == [
        ("/a", "offers"),
        ("/b", "deployment"),
        ("/b", "offers"),
    ]


async def test_only_those_are_told_who_name_the_type(egret, looks):
    """Marathon's clients do not know it, and some refuse what they do not know."""
    hub = hub_of(egret)
    hub.backlog_max = 1000
    async with (
        listening(hub) as everything,
        listening(hub, ["deployment_info"]) as another,
        listening(hub, ["deployment_info", KIND]) as asked,
    ):
        await egret.deploy("/a")
        await eventually(lambda: told(asked), what="the event")
        await looks.pass_by()
        hub.send("deployment_info", {"last": True})
        for listener in (everything, another):
            await eventually(lambda it=listener: b'"last"' in it.sent, what="what was sent last")
        assert told(everything) == []
        assert told(another) == []
        assert "deployment_info" in everything.kinds()


async def test_nobody_looks_while_nobody_asks(egret, looks):
    async with listening(hub_of(egret), ["deployment_info"]):
        await egret.deploy("/a")
        await looks.pass_by()
        assert looks.explained == 0
    async with listening(hub_of(egret), [KIND]) as listener:
        await eventually(lambda: told(listener), what="the event")
    await looks.pass_by()
    explained = looks.explained
    await looks.pass_by()
    assert looks.explained == explained


async def test_a_new_term_tells_what_waits_anew(egret):
    async with listening(hub_of(egret), [KIND]) as listener:
        created = await egret.deploy("/a")
        one = created.headers["marathon-deployment-id"]
        await egret.http.post(f"/v2/deployments/{one}/pause")
        paused = (one, "/a", "paused")
        await eventually(lambda: paused in told(listener), what="the event")
        egret.runtime.abdicate()
        await eventually(lambda: told(listener).count(paused) == 2, what="it, in the new term")
