"""Nothing that Egret leaves in Consul runs out: a scheduler may stay away for as long as it likes.

Waiting for an hour would show no more than this: Consul removes or fails an entry by itself only
for a TTL, for a check that asks it to deregister what is critical, or for a session that ends.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from attrs import evolve

from scheduler.core.app import HealthCheck
from scheduler.core.instance import CheckResult
from scheduler.discovery import Mode
from tests.discovery_support import ConsulView, app, discovering, running, settled


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The JSON of everything that is sent to Consul: it does not show all it was told."""
    bodies: list[Any] = []
    send = requests.Session.send

    def remembering(session: requests.Session, request: Any, **options: Any) -> Any:
        if request.body:
            bodies.append(json.loads(request.body))
        return send(session, request, **options)

    monkeypatch.setattr(requests.Session, "send", remembering)
    return bodies


def names_in(value: Any) -> Iterator[str]:
    """Yield the keys of all objects in a body."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield str(name).lower()
            yield from names_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from names_in(inner)


@pytest.mark.parametrize("mode", list(Mode))
async def test_no_entry_that_stays_behind_can_run_out(
    consul: str, owner: str, app_id: str, mode: Mode, sent: list[Any]
):
    view = ConsulView(consul)
    checked = app(app_id, health_checks=(HealthCheck(path="/up", interval_s=3600, timeout_s=1),))
    plain = app(f"{app_id}-plain")
    alive = CheckResult(alive=True, first_success_ms=1)
    here: dict[str, Any] = {"address": "127.0.0.1", "host": "127.0.0.1"}
    tasks = [
        (evolve(running(checked, 1, **here), checks=(alive,)), checked),
        (running(plain, 2, port=32000, **here), plain),
    ]
    async with discovering(consul, owner, tasks, mode=mode) as (discovery, _):
        await settled(discovery, 2)
    names = sorted(name for name in view.names() if name.startswith(owner))
    checks = [check for name in names for check in view.client.health.checks(name)[1]]
    # A check that nobody runs has no type: its status is fixed.
    expected = {Mode.CATALOG: ["", ""], Mode.AGENT: ["http", "tcp"]}[mode]
    assert [check["Type"] for check in checks] == expected
    words = {name for body in sent for name in names_in(body)}
    assert {"check", "checks"} & words
    assert [word for word in words if "ttl" in word or "deregister" in word] == []
    _, keys = view.client.kv.get(f"egret/{owner}/", recurse=True)
    assert [key.get("Session") for key in keys] == [None]
