"""What holds for every route: unknown paths, methods, limits, headers, the scheduler itself."""

import json

import pytest

from scheduler.api import ApiConfig
from scheduler.api.errors import to_response
from scheduler.runtime import LeadLost
from tests.unit.api.conftest import Setup, evolve, running_egret


async def test_an_unknown_path_is_answered_404_in_json(egret):
    answer = await egret.http.get("/v2/nothing")
    assert (answer.status_code, answer.json()) == (404, {"message": "Not Found"})


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", "/v2/apps"),
        ("PUT", "/v2/apps/a/tasks"),
        ("GET", "/v2/apps/a/restart"),
        ("POST", "/v2/info"),
        ("POST", "/"),
    ],
)
async def test_a_wrong_method_is_answered_405_with_the_right_ones(egret, method, path):
    answer = await egret.http.request(method, path, json={})
    assert answer.status_code == 405
    assert answer.headers["allow"]


async def test_options_and_head_are_answered(egret):
    assert (await egret.http.options("/v2/apps")).headers["allow"].startswith("HEAD, GET")
    assert (await egret.http.head("/v2/apps")).status_code == 200


async def test_answers_are_not_to_be_cached_and_name_the_leader(egret):
    for path in ("/v2/apps", "/v2/nothing"):
        headers = (await egret.http.get(path)).headers
        assert headers["cache-control"] == "no-cache, no-store, must-revalidate"
        assert headers["x-marathon-leader"] == "http://127.0.0.1:8080"


async def test_a_body_over_the_limit_is_refused_before_it_is_read(egret):
    answer = await egret.http.post("/v2/apps", content=b" " * (2 * 1024 * 1024 + 1))
    assert answer.status_code == 413


async def test_a_body_that_hides_its_length_is_refused_when_it_is_over(egret):
    async def chunks():
        for _ in range(40):
            yield b" " * 65_536

    answer = await egret.http.post("/v2/apps", content=chunks())
    assert answer.status_code == 413


async def test_many_apps_may_be_a_larger_body(egret):
    body = b"[]" + b" " * (3 * 1024 * 1024)
    assert (await egret.http.put("/v2/apps", content=body)).status_code == 200


async def test_a_page_of_another_site_cannot_write(egret):
    evil = {"Origin": "http://evil.example"}
    answer = await egret.http.post("/v2/apps", json={"id": "/a", "cmd": "x"}, headers=evil)
    assert answer.status_code == 403
    own = {"Origin": "http://egret"}
    answer = await egret.http.post("/v2/apps", json={"id": "/a", "cmd": "x"}, headers=own)
    assert answer.status_code == 201


class TestUnderItsOwnNames:
    """What a page reads through a name that it made mean this machine is the page's no more."""

    @pytest.fixture
    def setup(self):
        return Setup(config=ApiConfig(host_names=frozenset({"egret", "egret.example"})))

    @pytest.mark.parametrize(
        "host",
        [
            "egret",
            "egret.example:8080",
            "EGRET.example",
            "egret.example.",
            "localhost:9",
            "a.localhost",
            "127.0.0.1:80",
            "127.8.8.8",
            "[::1]:80",
        ],
    )
    async def test_it_answers(self, egret, host):
        assert (await egret.http.get("/v2/apps", headers={"Host": host})).status_code == 200

    @pytest.mark.parametrize(
        "host",
        [
            "evil.example",
            "evil.example:8080",
            "localhost.evil.example",
            "evillocalhost",
            "[::1",
            "",
            "egret@evil.example",
            "10.0.0.1",
            "evil.example/egret",
        ],
    )
    async def test_another_name_is_refused_whatever_is_asked(self, egret, host):
        headers = {"Host": host, "Origin": f"http://{host}"}
        for answer in (
            await egret.http.get("/v2/apps", headers=headers),
            await egret.http.post("/v2/apps", json={"id": "/a", "cmd": "x"}, headers=headers),
        ):
            assert answer.status_code == 403
            assert "--webui-url" in answer.json()["message"]
        assert not egret.runtime.world.apps


async def test_info_names_versions_leader_and_framework(egret):
    info = (await egret.http.get("/v2/info")).json()
    assert (info["name"], info["elected"], info["frameworkId"]) == ("marathon", True, "fw-1")
    assert info["version"].startswith("1.11.")


async def test_the_leader_is_named(egret):
    assert (await egret.http.get("/v2/leader")).json() == {"leader": "127.0.0.1:8080"}
    assert (await egret.http.delete("/v2/leader")).status_code == 409


async def test_ping_is_answered_in_the_callers_language(egret):
    assert (await egret.http.get("/ping")).text == "pong"
    answer = await egret.http.get("/ping", headers={"Accept": "application/json"})
    assert answer.status_code == 204


async def test_pods_are_refused_clearly(egret):
    assert (await egret.http.head("/v2/pods")).status_code == 404
    answer = await egret.http.post("/v2/pods", json={"id": "/p"})
    assert answer.status_code == 422
    assert "Pods" in answer.json()["message"]


async def test_the_page_and_its_parts_load_nothing_from_elsewhere(egret):
    page = await egret.http.get("/")
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    for name in ("page.js", "page.css"):
        assert name in page.text
        assert (await egret.http.get(f"/{name}")).status_code == 200


async def test_without_a_lead_nothing_is_answered_from_memory(egret):
    egret.runtime.stop()
    await egret.left()
    for path in ("/v2/apps", "/v2/tasks", "/v2/queue", "/v2/deployments"):
        assert (await egret.http.get(path)).status_code == 503
    answer = await egret.http.post("/v2/apps", json={"id": "/a", "cmd": "x"})
    assert answer.status_code == 503
    assert (await egret.http.get("/v2/leader")).status_code == 404
    assert (await egret.http.get("/ping")).status_code == 200


class Calls:
    def __init__(self):
        self.requests = []
        self.teardowns = 0
        self.abdications = 0

    def on_request(self, method, route, status, elapsed_s):
        self.requests.append((method, route, status))

    async def teardown(self):
        self.teardowns += 1

    def abdicate(self):
        self.abdications += 1


class TestWithEverythingAttached:
    @pytest.fixture
    def calls(self):
        return Calls()

    @pytest.fixture
    def setup(self, calls, tmp_path):
        (tmp_path / "executor").write_bytes(b"archive")
        config = ApiConfig(
            on_request=calls.on_request,
            teardown=calls.teardown,
            abdicate=calls.abdicate,
            downloads={"egret-executor": tmp_path / "executor"},
            render_metrics=lambda: (b"up 1\n", "text/plain; version=0.0.4"),
        )
        return Setup(config=config)

    async def test_requests_are_measured_by_route_not_by_path(self, egret, calls):
        await egret.http.get("/v2/apps/some/app/tasks")
        assert calls.requests == [("GET", "/v2/apps/{id}/tasks", 404)]

    async def test_a_teardown_must_name_the_framework(self, egret, calls):
        assert (await egret.http.post("/v2/egret/teardown")).status_code == 422
        assert (await egret.http.post("/v2/egret/teardown?confirm=yes")).status_code == 422
        assert calls.teardowns == 0
        assert (await egret.http.post("/v2/egret/teardown?confirm=fw-1")).status_code == 200
        assert calls.teardowns == 1

    async def test_the_leader_abdicates(self, egret, calls):
        answer = await egret.http.delete("/v2/leader")
        assert answer.json() == {"message": "Leadership abdicated"}
        assert calls.abdications == 1

    async def test_agents_can_fetch_the_executor(self, egret):
        assert (await egret.http.get("/downloads/egret-executor")).content == b"archive"
        assert (await egret.http.get("/downloads/other")).status_code == 404

    async def test_metrics_are_served_as_they_are_rendered(self, egret):
        for path in ("/metrics", "/metrics/prometheus"):
            answer = await egret.http.get(path)
            assert answer.text == "up 1\n"
            assert answer.headers["content-type"] == "text/plain; version=0.0.4"

    @pytest.mark.parametrize(
        ("path", "accept", "default", "is_json"),
        [
            ("/metrics", "application/json", "prometheus", True),
            ("/metrics", "text/html, application/json;q=0.9", "prometheus", True),
            ("/metrics", "text/plain", "json", False),
            ("/metrics", "*/*", "prometheus", False),
            ("/metrics", "*/*", "json", True),
            ("/metrics", "", "json", True),
            ("/metrics/prometheus", "application/json", "json", False),
        ],
    )
    async def test_the_client_decides_the_form_of_the_metrics(
        self, setup, path, accept, default, is_json
    ):
        collected = {"version": "5.0.0", "gauges": {}}
        config = evolve(setup.config, metrics_default=default, collect_metrics=lambda: collected)
        async with running_egret(Setup(config=config)) as egret:
            answer = await egret.http.get(path, headers={"Accept": accept})
        assert (answer.text == "up 1\n") is not is_json
        if is_json:
            assert answer.json() == collected


async def test_large_answers_are_compressed_for_those_who_take_it(egret):
    await egret.deploy("/a", labels={"pad": "x" * 5_000})
    packed = await egret.http.get("/v2/apps", headers={"Accept-Encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < 2_000
    plain = await egret.http.get("/v2/apps", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.json()["apps"][0]["id"] == packed.json()["apps"][0]["id"] == "/a"


async def test_info_has_the_keys_of_marathon_unless_more_is_asked_for(egret):
    plain = (await egret.http.get("/v2/info")).json()
    assert "egret" not in plain
    assert (plain["name"], plain["elected"], plain["frameworkId"]) == ("marathon", True, "fw-1")
    more = (await egret.http.get("/v2/info?embed=egret")).json()
    assert more["egret"]["mesosConnected"] is True
    assert {name: more[name] for name in plain} == plain


def test_who_loses_the_lead_while_it_is_asked_says_what_came_of_the_change():
    answer = to_response(LeadLost("nothing was changed"))
    assert answer.status_code == 503
    assert json.loads(bytes(answer.body)) == {"message": "nothing was changed"}
