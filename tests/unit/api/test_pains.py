"""What Marathon's users suffered from its API and event stream: that it cannot happen here.

The numbers in the docstrings are issues of Marathon's tracker.
"""

from collections import Counter

import pytest

from scheduler.api import appinfo, apps
from scheduler.core.instance import TaskState
from scheduler.core.world import World
from tests.support import eventually
from tests.unit.api.test_events import hub_of, listening


@pytest.fixture
def made(monkeypatch) -> Counter[str]:
    """Count how often an app, a version or a task is turned into JSON."""
    counts: Counter[str] = Counter()

    def count(module, name):
        real = getattr(module, name)

        def counted(*args, **kwargs):
            counts[name] += 1
            return real(*args, **kwargs)

        monkeypatch.setattr(module, name, counted)

    count(apps, "app_info")
    count(appinfo, "version_json")
    count(appinfo, "_task_json")
    return counts


async def deploy_many(egret, count):
    many = [{"id": f"/many/app-{n}", "cmd": "sleep 1", "env": {"A": "b"}} for n in range(count)]
    answer = await egret.http.put("/v2/apps", json=many)
    assert answer.status_code == 200, answer.text


async def test_a_thousand_apps_that_stay_as_they_are_are_not_encoded_again(egret, made):
    """#2396, #2577, #4765, #4853: with a thousand apps each look at them took many seconds."""
    await deploy_many(egret, 1_000)
    made.clear()
    first = await egret.http.get("/v2/apps")
    assert made == {"app_info": 1_000, "version_json": 1_000}
    made.clear()
    for _ in range(10):
        assert (await egret.http.get("/v2/apps")).content == first.content
    assert made == {}
    change = {"cmd": "sleep 2"}
    await egret.http.put("/v2/apps/many/app-7", json=change, params={"force": "true"})
    made.clear()
    changed = (await egret.http.get("/v2/apps")).json()["apps"]
    assert made == {"app_info": 1_000, "version_json": 1}
    assert [app["cmd"] for app in changed].count("sleep 2") == 1


async def test_a_task_is_encoded_once_however_often_it_is_looked_at(egret, made):
    """#5287, #2617: /v2/tasks and embedded tasks timed out."""
    await egret.deploy("/web", instances=20, cpus=0.01)
    tasks = await egret.run_tasks()
    assert len(tasks) == 20
    made.clear()
    for path in ("/v2/tasks", "/v2/apps?embed=apps.tasks", "/v2/apps/web", "/v2/apps/web/tasks"):
        assert tasks[0] in (await egret.http.get(path)).text
    assert made["_task_json"] == 20
    await egret.update(tasks[0], TaskState.FAILED)
    made.clear()
    assert tasks[0] not in (await egret.http.get("/v2/apps/web/tasks")).text
    assert made["_task_json"] == 0


@pytest.mark.parametrize("path", ["/v2/apps", "/v2/deployments", "/v2/groups", "/v2/info"])
async def test_what_is_polled_most_looks_at_no_instance(egret, monkeypatch, path):
    """#4853, #4765: /v2/deployments and /v2/apps took longer the more tasks there were."""
    await egret.deploy("/web", instances=20, cpus=0.01)
    await egret.run_tasks()
    await egret.http.put("/v2/apps/web", json={"cmd": "sleep 2"})

    def walk(*_):
        raise AssertionError("walks over instances")

    monkeypatch.setattr(World, "instances_of", walk)
    assert (await egret.http.get(path)).status_code == 200


async def test_going_back_to_a_version_touches_no_other_app(egret):
    """#1434, #7276: going back took everything back that had been changed since."""
    first = await egret.deploy("/shop/web")
    await egret.deploy("/shop/db")
    tasks = await egret.run_tasks()
    await egret.deployments_done()
    await egret.http.put("/v2/apps/shop/web", json={"cmd": "sleep 2"}, params={"force": "true"})
    await egret.http.put("/v2/apps/shop/db", json={"instances": 0}, params={"force": "true"})
    await egret.deploy("/shop/new")
    back = {"version": first.json()["version"]}
    answer = await egret.http.put("/v2/apps/shop/web", json=back, params={"force": "true"})
    assert answer.status_code == 200
    shown = (await egret.http.get("/v2/apps")).json()["apps"]
    assert {app["id"]: (app["cmd"], app["instances"]) for app in shown} == {
        "/shop/web": ("sleep 1", 1),
        "/shop/db": ("sleep 1", 0),
        "/shop/new": ("sleep 1", 1),
    }
    assert len(tasks) == 2


async def test_a_volume_that_could_be_lost_is_refused(egret):
    """#4137, #4603, #3223: reservations and persistent volumes leaked, or came back empty."""
    volume = {"containerPath": "data", "mode": "RW", "persistent": {"size": 100}}
    container = {"type": "MESOS", "volumes": [volume]}
    app = {"id": "/db", "cmd": "sleep 1", "container": container}
    answer = await egret.http.post("/v2/apps", json=app)
    assert answer.status_code == 422
    assert "/container/volumes(0)/persistent" in answer.text
    assert (await egret.http.get("/v2/apps/db")).status_code == 404


async def test_a_listener_that_lags_delays_nobody_and_comes_back_without_a_gap():
    """#2878, #5394, #1535: one slow listener held all up, or events were left out unnoticed."""
    hub = hub_of(backlog_max=8)
    async with listening(hub, ["x"]) as slow, listening(hub, ["x"]) as quick:
        hub.send("x", {"n": 0})
        await eventually(slow.events, what="the first event")
        slow.flowing.clear()
        for number in range(1, 41):
            hub.send("x", {"n": number})
            await eventually(lambda n=number: len(quick.events()) > n, what="the event")
        await eventually(slow.task.done, what="the end of the slow stream")
        seen = [about["n"] for _, about, _ in slow.events()]
        assert seen == list(range(len(seen)))
        assert len(seen) < 41
        last_id = slow.events()[-1][2].decode()
    async with listening(hub, ["x"], last_id) as again:
        hub.send("x", {"n": 41})
        await eventually(lambda: 41 in numbers_of(again), what="the latest event")
        assert seen + numbers_of(again) == list(range(42))


@pytest.mark.parametrize(
    ("number", "lost"), [(1, "1"), (2, None), (2_049, None), (None, "unknown")]
)
async def test_a_listener_that_was_away_for_too_long_is_told_what_it_lost(number, lost):
    """#2878, #5394: events were missing, and a client could not know that it had to look again."""
    hub = hub_of()
    async with listening(hub, ["none"]) as listener:
        assert b"egret-events-lost" not in listener.headers
    while hub._kept[0].number < 3:
        hub.send("x", {})
    last_id = "another-1" if number is None else f"{hub._term}-{number}"
    async with listening(hub, ["y"], last_id) as again:
        found = again.headers.get(b"egret-events-lost")
    assert found == (lost and lost.encode())


def numbers_of(listener) -> list[int]:
    return [about["n"] for _, about, _ in listener.events()]
