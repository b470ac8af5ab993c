"""Every refusal of recording 07, call by call: the same status and the same sentence."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract.mesos.client import API, Reply, Scheduler, framework_info, request
from tests.contract.mesos.conftest import Subscribe

TRACE = Path(__file__).parents[2] / "traces" / "07-bad-calls.jsonl"
END = "non-leading master"
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(-\d{4})?")


def recorded(first_note: str, last_note: str) -> list[Any]:
    """Return the refused calls between two notes, as pytest parameters named by what they are."""
    found: list[Any] = []
    for record in _between(first_note, last_note):
        if record["k"] != "call" or record["status"] < 400:
            continue
        text = record["body"] if isinstance(record["body"], str) else json.dumps(record["body"])
        found.append(pytest.param(record, id=f"{len(found)}:{record['status']}:{text[:40]}"))
    assert found
    return found


def _between(first_note: str, last_note: str) -> Iterator[dict[str, Any]]:
    inside = False
    for line in TRACE.read_text().splitlines():
        record = json.loads(line)
        if record["k"] == "note":
            if record["text"].startswith(last_note):
                return
            inside = inside or record["text"].startswith(first_note)
        if inside:
            yield record


async def _replay(address: str, record: dict[str, Any], ids: dict[str, str]) -> Reply:
    """Send a recorded call with its ids replaced by ours."""
    headers: dict[str, str | None] = {"Accept": None, **record["headers"]}
    body = record["body"]
    text = body if isinstance(body, str) else json.dumps(body)
    if body is None:
        text = ""
    sent = {k: None if v is None else _with(v, ids) for k, v in headers.items()}
    return await request(
        address, record["method"], record["path"], _with(text, ids).encode(), **sent
    )


def _with(text: str, ids: dict[str, str]) -> str:
    for old, new in ids.items():
        text = text.replace(old, new)
    return text


def _same(text: str) -> str:
    return UUID.sub("ID", text)


@pytest.mark.parametrize("record", recorded("call before SUBSCRIBE", "a longer path"))
async def test_a_call_without_subscription_is_refused_alike(
    record: dict[str, Any], address: str
) -> None:
    reply = await _replay(address, record, {})
    assert reply.status == record["status"]
    assert _same(reply.text) == _same(record["reply"])
    if "Allow" in record["reply_headers"]:
        assert reply.headers["allow"] == record["reply_headers"]["Allow"]


@pytest.mark.parametrize("record", recorded("now a good subscription", "SUBSCRIBE again"))
async def test_a_call_of_a_subscribed_framework_is_refused_alike(
    record: dict[str, Any], address: str, subscribe: Subscribe
) -> None:
    scheduler = await subscribe("bad")
    ids = {record["body"].get("framework_id", {}).get("value", "none"): scheduler.framework_id}
    own_stream = _own_stream()
    ids[own_stream] = scheduler.stream_id
    reply = await _replay(address, record, ids)
    assert reply.status == record["status"]
    assert _same(reply.text) == _same(record["reply"])


def _own_stream() -> str:
    """Return the stream id that the recording's good subscription had."""
    for record in _between("now a good subscription", "calls without their body"):
        if record["k"] == "call" and record["status"] == 200:
            return record["reply_headers"]["Mesos-Stream-Id"]
    raise AssertionError("the recording has no subscription")


def refused_infos() -> list[Any]:
    """Return (SUBSCRIBE body, ERROR message) of the FrameworkInfos that the recording refuses."""
    found: list[Any] = []
    body: dict[str, Any] = {}
    for record in _between("SUBSCRIBE with invalid framework infos", "now a good"):
        if record["k"] == "call" and record["status"] == 200:
            body = record["body"]
        elif record["k"] == "event" and record["event"]["type"] == "ERROR":
            message = record["event"]["error"]["message"]
            found.append(pytest.param(body, message, id=message[:60]))
    assert found
    return found


@pytest.mark.parametrize(("body", "message"), refused_infos())
async def test_an_invalid_framework_gets_an_error_event_and_the_end(
    body: dict[str, Any], message: str, address: str
) -> None:
    scheduler = Scheduler(address)
    more = {k: v for k, v in body["subscribe"].items() if k != "framework_info"}
    await scheduler.subscribe(body["subscribe"]["framework_info"], **more)
    await scheduler.wait_closed()
    assert scheduler.of("ERROR") == [{"message": message}]
    assert scheduler.framework_id == ""


@pytest.mark.parametrize("record", recorded("SUBSCRIBE with invalid framework infos", "now a good"))
async def test_a_contradictory_subscribe_is_refused_alike(
    record: dict[str, Any], address: str
) -> None:
    reply = await _replay(address, record, {})
    assert (reply.status, _same(reply.text)) == (record["status"], _same(record["reply"]))


async def test_a_known_prefix_serves_longer_paths(address: str) -> None:
    health = {"type": "GET_HEALTH"}
    for path in ("/api/v1/nothing", "/master/api/v1/nothing"):
        reply = await request(address, "POST", path, health)
        assert (reply.status, reply.json["get_health"]) == (200, {"healthy": True})
    assert (await request(address, "POST", "/nothing", health)).pair == (404, "404 Not Found.")
    more = await request(address, "POST", API + "/more", {"type": "REVIVE"})
    assert more.status == 400


async def test_a_framework_torn_down_is_refused_for_good(
    subscribe: Subscribe, address: str
) -> None:
    scheduler = await subscribe("torn")
    assert (await scheduler.call("TEARDOWN")).pair == (202, "")
    await scheduler.wait_closed()
    assert scheduler.of("ERROR") == []
    assert (await scheduler.call("REVIVE")).pair == (400, "Framework cannot be found")
    again = Scheduler(address)
    await again.subscribe(framework_info("torn", id={"value": scheduler.framework_id}))
    await again.wait_closed()
    assert again.of("ERROR") == [{"message": "Framework has been removed"}]


async def test_another_principal_is_refused_and_other_changes_are_ignored(
    subscribe: Subscribe, address: str
) -> None:
    scheduler = await subscribe("same")
    identity = {"value": scheduler.framework_id}
    other = Scheduler(address)
    await other.subscribe(framework_info("same", id=identity, principal="q"))
    await other.wait_closed()
    assert other.of("ERROR") == [{"message": "Changing framework's principal is not allowed."}]
    assert not scheduler.is_closed
    again = await subscribe("same", id=identity, user="nobody", checkpoint=False)
    assert again.framework_id == scheduler.framework_id


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (
            {"user": "other"},
            (
                "Updating 'FrameworkInfo.user' is unsupported; attempted to update from 'root' to "
                "'other'"
            ),
        ),
        (
            {"checkpoint": False},
            (
                "Updating 'FrameworkInfo.checkpoint' is unsupported; attempted to update "
                "from 'true' to 'false'"
            ),
        ),
        ({"principal": "x"}, "Changing framework's principal is not allowed."),
    ],
)
async def test_update_framework_refuses_what_may_not_change(
    subscribe: Subscribe, change: dict[str, Any], problem: str
) -> None:
    scheduler = await subscribe("fixed")
    info = framework_info("fixed", id={"value": scheduler.framework_id}, **change)
    reply = await scheduler.call("UPDATE_FRAMEWORK", {"framework_info": info})
    assert reply.pair == (400, f"FrameworkInfo update is not valid: {problem}")
