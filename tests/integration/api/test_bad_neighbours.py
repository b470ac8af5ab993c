"""Requests that are large, malformed beyond HTTP, or meant to wear the server down."""

import json
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.live_egret import LiveEgret, live_egret


@pytest.fixture(scope="module")
def egret() -> Iterator[LiveEgret]:
    with live_egret() as found:
        yield found


def still_answers(egret):
    return httpx2.get(f"{egret.url}/ping").text == "pong"


def test_a_group_of_five_thousand_apps_is_taken_whole_or_not_at_all(egret):
    """About 42 MB, as the real ones have: long environments and many labels."""
    padding = {f"KEY_{n}": "v" * 100 for n in range(70)}
    apps = [
        {"id": f"app-{n}", "cmd": "sleep 1", "instances": 0, "env": padding} for n in range(5_000)
    ]
    broken = [*apps[:-1], {**apps[-1], "cpus": 0}]
    with httpx2.Client(base_url=egret.url, timeout=120) as http:
        refused = http.put("/v2/groups", json={"id": "/big", "apps": broken})
        assert refused.status_code == 422
        assert refused.json()["details"][0]["path"] == "/apps(4999)/cpus"
        assert http.get("/v2/groups/big").status_code == 404
        taken = http.put("/v2/groups", json={"id": "/big", "apps": apps})
        assert taken.status_code == 200, taken.text[:500]
        assert len(http.get("/v2/apps?id=/big/").json()["apps"]) == 5_000
        ports = {
            app["portDefinitions"][0]["port"] for app in http.get("/v2/groups/big").json()["apps"]
        }
        assert len(ports) == 5_000
        assert http.delete("/v2/groups/big?force=true").status_code == 200


def test_more_apps_than_the_limit_are_answered_422_or_413(egret):
    apps = [{"id": f"/n/a{n}", "cmd": "x", "instances": 0} for n in range(10_001)]
    assert httpx2.put(f"{egret.url}/v2/apps", json=apps, timeout=60).status_code == 413
    body = {"id": "/n", "apps": [{**app, "id": app["id"][3:]} for app in apps]}
    assert httpx2.put(f"{egret.url}/v2/groups", json=body, timeout=60).status_code == 422


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /ping HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 40_000 + b"\r\n",
        b"GET /ping HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 300_000 + b"\r\n\r\n",
        b"GET /" + b"a" * 300_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 100,
        b"POST /v2/apps HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"PUT /v2 HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
    ids=["many headers", "a long header", "a long path", "tls", "a negative length", "two lengths"],
)
def test_what_is_no_sound_request_is_refused_and_the_server_goes_on(egret, request_bytes):
    address = urlsplit(egret.url)
    with socket.create_connection((address.hostname, address.port), timeout=30) as client:
        try:
            client.sendall(request_bytes)
            first_line = client.recv(65_536).partition(b"\r\n")[0]
        except ConnectionError:
            first_line = b""
    assert not first_line or first_line.split(b" ")[1][:1] == b"4", first_line
    assert still_answers(egret)


@pytest.mark.parametrize(
    "app_id",
    [
        "/a b",
        "/Ä",
        "/a//b/",
        "/a/../../b",
        "/" + "a" * 2_000,
        "/" + "a/" * 200,
        "/a\x00b",
        "/-a",
        "/%2e",
    ],
)
def test_odd_ids_are_answered_by_a_rule_never_by_a_fault(egret, app_id):
    created = httpx2.post(f"{egret.url}/v2/apps", json={"id": app_id, "cmd": "x", "instances": 0})
    assert created.status_code in {201, 422}
    if created.status_code == 201:
        shown = httpx2.delete(f"{egret.url}/v2/apps{created.json()['id']}")
        assert shown.status_code == 200


def test_nesting_without_end_is_refused(egret):
    deep = b'{"id":"/a","apps":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    assert httpx2.put(f"{egret.url}/v2/groups", content=deep).status_code == 400
    tree = {"id": "leaf"}
    for _ in range(30):
        tree = {"id": "g", "groups": [tree]}
    answer = httpx2.put(f"{egret.url}/v2/groups/deep", content=json.dumps(tree["groups"][0]))
    assert answer.status_code in {200, 400, 422}
    assert still_answers(egret)
