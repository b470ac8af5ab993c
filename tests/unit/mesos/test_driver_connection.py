"""The connection to the master: each test is one way in which a master or a network misbehaves."""

import asyncio
import base64
import json
import os
import resource
import socket
from pathlib import Path

import pytest

from scheduler.core.events import (
    Disconnected,
    MesosError,
    OfferRescinded,
    OffersReceived,
    Subscribed,
)
from scheduler.core.ids import FrameworkId
from scheduler.mesos.driver import DriverEnd
from scheduler.mesos.endpoint import Credential, Endpoint
from scheduler.mesos.framework import Framework, OfferWishes
from scheduler.mesos.link import Security
from scheduler.mesos.masters import StaticMasters
from scheduler.mesos.outcome import Sent
from scheduler.mesos.subscription import Timing
from tests.unit.mesos.conftest import Harness, subscribe_then_close, watch_back_off
from tests.unit.mesos.fake_master import (
    FRAMEWORK_ID,
    STREAM_ID,
    FakeMaster,
    Peer,
    Request,
    chunk,
    record,
    subscribed,
)

RESCIND = {"type": "RESCIND", "rescind": {"offer_id": {"value": "O1"}}}


def answering(status: int, body: bytes = b"", *extra: str):
    async def script(peer: Peer, request: Request) -> None:
        await peer.reply(status, body, *extra)

    return script


async def test_subscribes_with_exactly_what_was_configured(harness: Harness):
    await harness.begin(
        framework=Framework(
            name="egret",
            user="root",
            roles=("a", "b"),
            principal="p",
            hostname="h",
            webui_url="http://h/",
            labels=(("k", "v"),),
            offer_filters={"a": {"min_allocatable_resources": {}}},
        ),
        wishes=OfferWishes(suppressed_roles=("b",), offer_constraints={"role_constraints": {}}),
    )
    await harness.until_subscribed()
    request = harness.master.subscribes[0]
    assert request.start == "POST /api/v1/scheduler HTTP/1.1"
    assert request.headers["content-type"] == "application/json"
    assert "mesos-stream-id" not in request.headers
    assert request.body == {
        "type": "SUBSCRIBE",
        "subscribe": {
            "framework_info": {
                "name": "egret",
                "user": "root",
                "roles": ["a", "b"],
                "checkpoint": True,
                "failover_timeout": 604800.0,
                "capabilities": [
                    {"type": "MULTI_ROLE"},
                    {"type": "PARTITION_AWARE"},
                    {"type": "TASK_KILLING_STATE"},
                    {"type": "RESERVATION_REFINEMENT"},
                    {"type": "REGION_AWARE"},
                ],
                "principal": "p",
                "hostname": "h",
                "webui_url": "http://h/",
                "labels": {"labels": [{"key": "k", "value": "v"}]},
                "offer_filters": {"a": {"min_allocatable_resources": {}}},
            },
            "suppressed_roles": ["b"],
            "offer_constraints": {"role_constraints": {}},
        },
    }


async def test_tells_subscribed_with_master_and_version_even_of_a_release_candidate(
    harness: Harness,
):
    await harness.begin()
    await harness.until_subscribed()
    assert harness.events == [
        Subscribed(FrameworkId(FRAMEWORK_ID), "master.test:5050", "1.12.0-rc1")
    ]


async def test_resubscribes_with_the_framework_id_it_was_given_by_mesos(harness: Harness):
    await harness.begin(subscribe_then_close)
    await harness.until_subscribed(2)
    second = harness.master.subscribes[1].body
    assert second["framework_id"] == {"value": FRAMEWORK_ID}
    assert second["subscribe"]["framework_info"]["id"] == {"value": FRAMEWORK_ID}


async def test_resubscribes_with_the_stored_framework_id(harness: Harness):
    await harness.begin(framework_id=FrameworkId(FRAMEWORK_ID))
    await harness.until_subscribed()
    assert harness.master.subscribes[0].body["framework_id"] == {"value": FRAMEWORK_ID}


async def test_a_master_that_answers_with_another_framework_id_is_not_used(harness: Harness):
    """A silently replaced id would orphan every task."""
    await harness.begin(framework_id=FrameworkId("the-stored-one"))
    assert await asyncio.wait_for(harness.serving, 20) is DriverEnd.REMOVED
    assert not harness.seen(Subscribed)
    assert [event.removed for event in harness.seen(MesosError)] == [True]


async def test_disconnected_is_told_once_for_a_lost_subscription_and_never_for_a_failed_attempt(
    harness: Harness,
):
    await harness.begin(answering(503), answering(503), subscribe_then_close, answering(503))
    await harness.until_subscribed(2)
    kinds = [type(event) for event in harness.events]
    assert kinds == [Subscribed, Disconnected, Subscribed]


@pytest.mark.parametrize("status", [500, 502, 503, 429])
async def test_an_unavailable_master_is_asked_again_after_a_back_off(harness: Harness, status: int):
    driver = await harness.begin(*[answering(status, b"not now")] * 3)
    waits = watch_back_off(harness)
    await harness.until_subscribed()
    assert waits == [0.00075, 0.0015, 0.003]
    assert len(harness.master.subscribes) == 4
    assert driver.stats.link.failed_attempts == 3
    assert not harness.problems


@pytest.mark.parametrize("status", [400, 401, 403, 404, 415])
async def test_a_refused_subscription_is_reported_and_asked_for_again(
    harness: Harness, status: int
):
    await harness.begin(answering(status, b"because"))
    await harness.until_subscribed()
    assert harness.problems == [("subscription_rejected", f"{status} because")]


async def test_follows_a_redirect_without_scheme_to_its_path_and_port(harness: Harness):
    leader = FakeMaster()
    harness.masters.append(leader)
    there = await leader.start()
    location = f"Location: //{there.authority}/master/api/v1/scheduler"
    driver = await harness.begin(answering(307, b"", location))
    await harness.until_subscribed()
    assert leader.subscribes[0].start == "POST /master/api/v1/scheduler HTTP/1.1"
    await driver.call(driver.reviveOffers)
    assert leader.calls[0].start == "POST /master/api/v1/scheduler HTTP/1.1"


async def test_two_masters_that_redirect_to_each_other_do_not_make_a_hot_loop(harness: Harness):
    here = await harness.master.start()
    harness.master.scripts += [answering(307, b"", f"Location: //{here.authority}/x")] * 4
    harness.start(here)
    waits = watch_back_off(harness)
    await harness.until_subscribed()
    assert len(waits) == 3


@pytest.mark.parametrize(
    "location", ["", "Location: nowhere", "Location: ftp://h/x", "Location: //h:99999/x"]
)
async def test_a_redirect_to_nowhere_counts_as_a_failed_attempt(harness: Harness, location: str):
    await harness.begin(answering(307, b"", location or "X-None: 1"))
    await harness.until_subscribed()


async def test_silence_beyond_the_heartbeats_ends_the_subscription_at_the_same_master(
    harness: Harness,
):
    """A half-open connection: no FIN ever comes."""

    async def silent(peer: Peer, request: Request) -> None:
        await peer.open_stream()
        await peer.subscribed(heartbeat_s=0.02)
        await peer.hold()

    await harness.begin(silent)
    await harness.until_subscribed(2)
    assert [type(event) for event in harness.events] == [Subscribed, Disconnected, Subscribed]


async def test_heartbeats_keep_a_subscription_alive(harness: Harness):
    async def beating(peer: Peer, request: Request) -> None:
        await peer.open_stream()
        await peer.subscribed(heartbeat_s=0.2)
        for _ in range(25):  # two and a half deadlines long
            await peer.event({"type": "HEARTBEAT"})
            await asyncio.sleep(0.1)
        await peer.event(RESCIND)
        await peer.hold()

    await harness.begin(beating)
    await harness.until(lambda: bool(harness.seen(OfferRescinded)))
    assert not harness.seen(Disconnected)


async def test_the_deadline_is_a_multiple_of_the_interval_the_master_told(harness: Harness):
    driver = await harness.begin()
    await harness.until_subscribed()
    assert driver._link._subscription.silence_limit_s == 75.0


async def never_answer(peer: Peer, request: Request) -> None:
    await peer.hold()


async def never_say_subscribed(peer: Peer, request: Request) -> None:
    await peer.open_stream()
    await peer.hold()


async def drip_the_head(peer: Peer, request: Request) -> None:
    for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"y" * 10_000:
        await peer.write(bytes([byte]))
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("script", [never_answer, never_say_subscribed, drip_the_head])
async def test_a_master_that_does_not_answer_in_time_is_left(harness: Harness, script):
    timing = Timing(reply_timeout_s=0.1, backoff_first_s=0.001, backoff_cap_s=0.01)
    await harness.begin(script, timing=timing)
    await harness.until_subscribed()


async def close_at_once(peer: Peer, request: Request) -> None:
    peer.abort()


async def close_within_the_head(peer: Peer, request: Request) -> None:
    await peer.write(b"HTTP/1.1 200 OK\r\nTransfer-Enc")


async def close_within_a_record(peer: Peer, request: Request) -> None:
    await peer.open_stream()
    await peer.subscribed()
    await peer.write(chunk(record(RESCIND)[:-5]))


async def end_the_stream(peer: Peer, request: Request) -> None:
    await peer.open_stream()
    await peer.subscribed()
    await peer.write(b"0\r\n\r\n")
    await peer.hold()


async def speak_something_else(peer: Peer, request: Request) -> None:
    await peer.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
    await peer.hold()


async def answer_without_stream_id(peer: Peer, request: Request) -> None:
    await peer.reply(200, b"<html>I am a proxy</html>")
    await peer.hold()


async def say_subscribed_unreadably(peer: Peer, request: Request) -> None:
    await peer.open_stream()
    await peer.event({"type": "SUBSCRIBED", "subscribed": {"framework_id": {}}})
    await peer.hold()


async def tell_an_impossible_heartbeat(peer: Peer, request: Request) -> None:
    await peer.open_stream()
    await peer.subscribed(heartbeat_s=-1.0)
    await peer.hold()


async def garble_the_record_length(peer: Peer, request: Request) -> None:
    await peer.open_stream()
    await peer.subscribed()
    await peer.write(chunk(b"12x4\n{}"))
    await peer.hold()


async def send_an_endless_record_length(peer: Peer, request: Request) -> None:
    await peer.open_stream()
    await peer.subscribed()
    await peer.write(chunk(b"1" * 100))
    await peer.hold()


async def announce_a_record_over_the_limit(peer: Peer, request: Request) -> None:
    await peer.open_stream()
    await peer.subscribed()
    await peer.write(chunk(b"999999999\n"))
    await peer.hold()


async def garble_the_chunks(peer: Peer, request: Request) -> None:
    await peer.open_stream()
    await peer.subscribed()
    await peer.write(b"zz\r\n")
    await peer.hold()


@pytest.mark.parametrize(
    "script",
    [
        close_at_once,
        close_within_the_head,
        close_within_a_record,
        end_the_stream,
        speak_something_else,
        answer_without_stream_id,
        say_subscribed_unreadably,
        tell_an_impossible_heartbeat,
        garble_the_record_length,
        send_an_endless_record_length,
        announce_a_record_over_the_limit,
        garble_the_chunks,
    ],
)
async def test_a_broken_stream_is_left_and_subscribed_anew(harness: Harness, script):
    await harness.begin(script)
    await harness.until(lambda: len(harness.master.subscribes) == 2 and driver_is_on(harness))
    assert driver_is_on(harness)


def driver_is_on(harness: Harness) -> bool:
    return harness.driver.is_subscribed


async def test_events_arrive_whatever_the_cuts_of_the_stream(harness: Harness):
    async def cut_into_bytes(peer: Peer, request: Request) -> None:
        await peer.open_stream()
        for byte in record(subscribed()) + record(RESCIND):
            await peer.write(chunk(bytes([byte])))
        await peer.hold()

    await harness.begin(cut_into_bytes)
    await harness.until(lambda: len(harness.events) == 2)
    assert [type(event) for event in harness.events] == [Subscribed, OfferRescinded]


async def test_unknown_and_unreadable_events_do_not_end_the_stream(harness: Harness):
    async def odd(peer: Peer, request: Request) -> None:
        await peer.open_stream()
        await peer.subscribed()
        await peer.event({"type": "SOMETHING_NEW", "something_new": {"x": 1}})
        await peer.event({"type": "EVENT", "event": {"type": "RESCIND", **RESCIND}})
        await peer.event({"type": "RESCIND"})
        await peer.event({"no_type": 1})
        await peer.event(b"{not json")
        await peer.event(b"[]")
        await peer.event({"type": "FAILURE", "failure": {"executor_id": {"value": "x"}}})
        await peer.event({"type": "RESCIND", "rescind": {"offer_id": {}}})
        await peer.event({"type": "UPDATE", "update": {"status": {"state": "TASK_RUNNING"}}})
        await peer.event({"type": "UPDATE", "update": {}})
        await peer.event(RESCIND)
        await peer.hold()

    driver = await harness.begin(odd)
    await harness.until(lambda: bool(harness.seen(OfferRescinded)))
    assert not harness.seen(Disconnected)
    assert driver.stats.events["other"] == 2
    assert driver.stats.problems == {"unreadable_event": 6, "callback_failed": 1}
    assert len(harness.problems) == 7


async def test_an_unreadable_offer_goes_back_and_does_not_cost_the_others(harness: Harness):
    """Mesos counts it as used for as long as nobody answers."""

    def offer(offer_id: str, hostname: object) -> dict[str, object]:
        return {
            "id": {"value": offer_id},
            "agent_id": {"value": "S1"},
            "hostname": hostname,
            "resources": [],
        }

    async def offers(peer: Peer, request: Request) -> None:
        await peer.open_stream()
        await peer.subscribed()
        all_ = [offer("bad", None), {"hostname": "no id"}, offer("good", "agent1")]
        await peer.event({"type": "OFFERS", "offers": {"offers": all_}})
        await peer.hold()

    await harness.begin(offers)
    await harness.until(lambda: bool(harness.seen(OffersReceived)))
    assert [offer.id for offer in harness.seen(OffersReceived)[0].offers] == ["good"]
    assert [kind for kind, _ in harness.problems] == ["unreadable_offer"] * 2
    await harness.until_outcome("DECLINE", "Sent")
    (decline,) = harness.master.calls
    assert decline.body["decline"]["offer_ids"] == [{"value": "bad"}]


async def test_bytes_that_are_no_utf8_do_not_cost_the_event(harness: Harness):
    async def odd(peer: Peer, request: Request) -> None:
        await peer.open_stream()
        await peer.subscribed()
        await peer.event(
            b'{"type":"UPDATE","update":{"status":{"task_id":{"value":"t"},'
            b'"state":"TASK_FAILED","message":"caf\xe9"}}}'
        )
        await peer.hold()

    await harness.begin(odd)
    await harness.until(lambda: len(harness.events) == 2)
    assert harness.events[1].message == "caf\ufffd"


async def test_events_before_subscribed_are_not_believed(harness: Harness):
    async def early(peer: Peer, request: Request) -> None:
        await peer.open_stream()
        await peer.event(RESCIND)
        await peer.subscribed()
        await peer.hold()

    await harness.begin(early)
    await harness.until_subscribed()
    assert not harness.seen(OfferRescinded)
    assert harness.problems == [("unreadable_event", "RESCIND before SUBSCRIBED")]


async def test_a_failing_callback_is_reported_and_the_next_event_still_arrives(harness: Harness):
    """In pymesos this ends in a TEARDOWN that kills every task."""

    async def two(peer: Peer, request: Request) -> None:
        await peer.open_stream()
        await peer.subscribed()
        await peer.event(RESCIND)
        await peer.event(RESCIND)
        await peer.hold()

    def fail(event: object) -> None:
        if len(harness.seen(OfferRescinded)) == 1:
            raise RuntimeError("a bug of ours")

    harness.on_event = fail
    driver = await harness.begin(two)
    await harness.until(lambda: len(harness.seen(OfferRescinded)) == 2)
    assert [kind for kind, _ in harness.problems] == ["callback_failed"]
    assert driver.is_subscribed
    assert not harness.master.calls


async def error_event(peer: Peer, message: str) -> None:
    await peer.open_stream()
    await peer.event({"type": "ERROR", "error": {"message": message}})
    await peer.write(b"0\r\n\r\n")


async def test_a_removed_framework_is_never_subscribed_again(harness: Harness):
    async def removed(peer: Peer, request: Request) -> None:
        await error_event(peer, "Framework has been removed")

    await harness.begin(removed, framework_id=FrameworkId(FRAMEWORK_ID))
    assert await asyncio.wait_for(harness.serving, 20) is DriverEnd.REMOVED
    assert harness.events == [MesosError("Framework has been removed", removed=True)]
    assert len(harness.master.subscribes) == 1


async def test_it_is_not_subscribed_again_even_if_the_callback_fails(harness: Harness):
    async def removed(peer: Peer, request: Request) -> None:
        await error_event(peer, "Framework has been removed")

    def fail(event: object) -> None:
        raise RuntimeError("a bug of ours")

    harness.on_event = fail
    await harness.begin(removed)
    assert await asyncio.wait_for(harness.serving, 20) is DriverEnd.REMOVED


async def test_a_newer_scheduler_with_our_id_is_not_fought(harness: Harness):
    async def superseded(peer: Peer, request: Request) -> None:
        await peer.open_stream()
        await peer.subscribed()
        await peer.event({"type": "ERROR", "error": {"message": "Framework failed over"}})
        await peer.event(RESCIND)
        await peer.hold()

    await harness.begin(superseded)
    assert await asyncio.wait_for(harness.serving, 20) is DriverEnd.SUPERSEDED
    kinds = [type(event) for event in harness.events]
    assert kinds == [Subscribed, MesosError, Disconnected]
    assert len(harness.master.subscribes) == 1


async def test_an_error_that_can_be_mended_at_the_master_is_reported_and_asked_again(
    harness: Harness,
):
    async def not_allowed(peer: Peer, request: Request) -> None:
        await error_event(peer, "Not authorized to use roles 'web'")

    await harness.begin(not_allowed, not_allowed)
    await harness.until_subscribed()
    assert [kind for kind, _ in harness.problems] == ["subscription_rejected"] * 2
    assert [event.removed for event in harness.seen(MesosError)] == [False, False]


async def test_a_master_that_refuses_connections_is_tried_until_it_is_there(harness: Harness):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    driver = harness.start(Endpoint("http", "127.0.0.1", port))
    async with asyncio.timeout(20):
        while driver.stats.link.failed_attempts < 3:
            await asyncio.sleep(0.01)
    assert not harness.events


async def test_a_name_that_does_not_resolve_is_a_failed_attempt_and_no_more(harness: Harness):
    there = await harness.master.start()
    odd = (
        Endpoint("http", "no-such-host.invalid", 5050),
        Endpoint("http", "label" * 20 + ".example", 5050),
    )
    driver = harness.start(StaticMasters((*odd, there)))
    await harness.until_subscribed()
    assert driver.stats.link.failed_attempts == 2


async def test_all_addresses_of_a_name_are_tried(harness: Harness, monkeypatch: pytest.MonkeyPatch):
    there = await harness.master.start()
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        dead = taken.getsockname()[1]

    async def resolve(host: str, port: int, **options: object):
        assert host == "master.test"
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", dead)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", there.port)),
        ]

    monkeypatch.setattr(loop, "getaddrinfo", resolve)
    driver = harness.start(Endpoint("http", "master.test", 1))
    await harness.until_subscribed()
    assert driver.stats.link.failed_attempts == 0


async def test_the_next_master_of_a_list_is_tried_when_one_fails(harness: Harness):
    first = await harness.master.start()
    harness.master.scripts.append(subscribe_then_close)
    second = FakeMaster()
    harness.masters.append(second)
    harness.start(StaticMasters((first, await second.start())))
    await harness.until_subscribed(2)
    assert len(harness.master.subscribes) == len(second.subscribes) == 1


class MovingMasters:
    """A source that tells what the test says."""

    def start(self, on_change) -> None:
        self.tell = on_change

    def stop(self) -> None:
        self.tell = lambda endpoints: None


async def test_news_of_another_leader_ends_the_old_subscription(harness: Harness):
    source = MovingMasters()
    second = FakeMaster()
    harness.masters.append(second)
    driver = harness.start(source)
    await asyncio.sleep(0)
    source.tell(())
    source.tell((await harness.master.start(),))
    await harness.until_subscribed()
    source.tell(())  # no leader known: the living subscription is the better proof
    assert await driver.call(driver.reviveOffers) == Sent(202)
    assert len(harness.master.subscribes) == 1
    source.tell((await second.start(),))
    await harness.until_subscribed(2)
    assert len(second.subscribes) == 1


async def test_the_same_news_again_does_not_disturb_the_subscription(harness: Harness):
    source = MovingMasters()
    there = await harness.master.start()
    driver = harness.start(source)
    await asyncio.sleep(0)
    source.tell((there,))
    await harness.until_subscribed()
    driver._link._wake.clear()
    source.tell((there,))
    assert not driver._link._wake.is_set(), "a wait for the next attempt would end early"
    await driver.call(driver.reviveOffers)
    assert len(harness.master.subscribes) == 1


async def test_news_of_a_leader_ends_the_wait_for_the_next_attempt(harness: Harness):
    source = MovingMasters()
    driver = harness.start(
        source, timing=Timing(backoff_first_s=3600.0, backoff_cap_s=3600.0, connect_timeout_s=5)
    )
    await asyncio.sleep(0)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        dead = taken.getsockname()[1]
    source.tell((Endpoint("http", "127.0.0.1", dead),))
    async with asyncio.timeout(20):
        while driver.stats.link.failed_attempts == 0:
            await asyncio.sleep(0.01)
    source.tell((await harness.master.start(),))
    await harness.until_subscribed()


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
async def test_speaks_ipv6(harness: Harness):
    there = await harness.master.start(host="::1")
    driver = harness.start(there)
    await harness.until_subscribed()
    await driver.call(driver.reviveOffers)
    assert harness.master.subscribes[0].headers["host"] == f"[::1]:{there.port}"
    assert harness.master.calls[0].headers["host"] == f"[::1]:{there.port}"


async def test_credentials_go_with_the_subscription_and_each_call(harness: Harness):
    driver = await harness.begin(security=Security(credential=Credential("egret", "p:äss")))
    await harness.until_subscribed()
    await driver.call(driver.reviveOffers)
    expected = f"Basic {base64.b64encode('egret:p:äss'.encode()).decode()}"
    assert harness.master.subscribes[0].headers["authorization"] == expected
    assert harness.master.calls[0].headers["authorization"] == expected


async def test_no_header_of_one_driver_leaks_into_another(harness: Harness):
    """pymesos keeps headers in a default argument that all drivers share."""
    first = Harness()
    await first.begin(security=Security(credential=Credential("one", "secret")))
    await first.until_subscribed()
    await first.driver.call(first.driver.reviveOffers)
    await first.close()
    driver = await harness.begin()
    await harness.until_subscribed()
    await driver.call(driver.reviveOffers)
    assert "authorization" not in harness.master.subscribes[0].headers
    assert "authorization" not in harness.master.calls[0].headers
    assert harness.master.calls[0].headers["mesos-stream-id"] == STREAM_ID


async def test_works_beyond_1024_file_descriptors(harness: Harness):
    """select() raises ValueError there; a few hundred event-stream clients suffice."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2048:
        pytest.skip("the hard limit of open files is too low to show it")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2048), hard))
    spare = os.open("/dev/null", os.O_RDONLY)
    many = [os.dup(spare) for _ in range(1100)]
    try:
        driver = await harness.begin()
        await harness.until_subscribed()
        assert await driver.call(driver.reviveOffers) == Sent(202)
        assert harness.driver._link._channel._transport.get_extra_info("socket").fileno() > 1024
    finally:
        for descriptor in (*many, spare):
            os.close(descriptor)
        await harness.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_stopping_tears_nothing_down_and_tells_the_loss_once(harness: Harness):
    driver = await harness.begin()
    await harness.until_subscribed()
    driver.stop()
    driver.stop()
    assert await asyncio.wait_for(harness.serving, 20) is DriverEnd.STOPPED
    assert [type(event) for event in harness.events] == [Subscribed, Disconnected]
    assert not harness.master.calls


async def test_stopping_from_within_a_callback_works(harness: Harness):
    """In pymesos it deadlocks or misbehaves."""
    harness.on_event = lambda event: harness.driver.stop()
    await harness.begin()
    assert await asyncio.wait_for(harness.serving, 20) is DriverEnd.STOPPED


async def test_a_driver_stopped_while_it_waits_for_a_master_ends(harness: Harness):
    driver = harness.start(MovingMasters())
    await asyncio.sleep(0)
    driver.stop()
    assert await asyncio.wait_for(harness.serving, 20) is DriverEnd.STOPPED


async def test_a_driver_stopped_before_it_serves_never_subscribes(harness: Harness):
    driver = harness.start(await harness.master.start())
    driver.stop()
    assert await asyncio.wait_for(harness.serving, 20) is DriverEnd.STOPPED
    assert not harness.master.subscribes


async def test_stop_refuses_to_tear_down(harness: Harness):
    driver = await harness.begin()
    with pytest.raises(ValueError, match="teardown"):
        driver.stop(failover=False)


async def test_cancelling_serve_leaves_no_connection_and_no_teardown(harness: Harness):
    left = asyncio.Event()

    async def watch(peer: Peer, request: Request) -> None:
        await peer.open_stream()
        await peer.subscribed()
        await peer.hold()
        left.set()

    await harness.begin(watch)
    await harness.until_subscribed()
    harness.serving.cancel()
    await asyncio.wait_for(left.wait(), 20)
    assert not harness.master.calls


@pytest.mark.parametrize("name", ["start", "join", "run"])
async def test_the_threads_of_pymesos_cannot_be_started(harness: Harness, name: str):
    driver = await harness.begin()
    with pytest.raises(RuntimeError, match="serve"):
        getattr(driver, name)()


async def test_pymesos_ways_to_tear_down_do_nothing(harness: Harness):
    driver = await harness.begin()
    await harness.until_subscribed()
    driver._shutdown()
    driver._teardown()
    await driver.call(driver.reviveOffers)
    assert [call.type for call in harness.master.calls] == ["REVIVE"]


async def test_the_framework_says_what_was_configured_whatever_the_master_is(harness: Harness):
    """pymesos adds or strips GPU_RESOURCES by the master's version."""
    capabilities = ("PARTITION_AWARE", "GPU_RESOURCES")
    driver = await harness.begin(framework=Framework(capabilities=capabilities))
    await harness.until_subscribed()
    said = json.loads(json.dumps(driver.framework["capabilities"]))
    assert said == [{"type": "PARTITION_AWARE"}, {"type": "GPU_RESOURCES"}]


async def test_holds_many_subscriptions_in_a_row_without_leaking_descriptors(harness: Harness):
    await harness.begin(*[subscribe_then_close] * 5)
    await harness.until_subscribed(6)
    before = len(list(Path("/proc/self/fd").iterdir()))
    harness.master.scripts.extend([subscribe_then_close] * 50)
    harness.driver._link.give_up("test")
    await harness.until_subscribed(57)
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 5


async def test_a_callback_that_fails_on_the_loss_itself_does_not_end_the_driver(harness: Harness):
    def fail(event: object) -> None:
        if isinstance(event, Disconnected):
            raise RuntimeError("a bug of ours")

    harness.on_event = fail
    await harness.begin(subscribe_then_close)
    await harness.until_subscribed(2)
    assert [kind for kind, _ in harness.problems] == ["callback_failed"]


async def test_an_impossible_address_is_a_failed_attempt(harness: Harness):
    """ZooKeeper's data is not ours: whatever it names, the driver lives on."""
    odd = Endpoint("http", "\u043c.invalid", 5050)
    harness.start(StaticMasters((odd, await harness.master.start())))
    await harness.until_subscribed()
