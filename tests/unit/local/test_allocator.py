from typing import Any, cast

from scheduler.local.allocator import allocate, refuse, revive
from scheduler.local.frameworks import Framework
from scheduler.local.httpserver import Stream
from scheduler.local.registry import AgentRecord
from scheduler.local.resources import EMPTY, Bundle, make_bundle

FREE = make_bundle(4, 4096, 1000, ((1, 10),))


def _framework(name: str, *roles: str, **changes: Any) -> Framework:
    capabilities = [{"type": "MULTI_ROLE"}, {"type": "REGION_AWARE"}]
    info = {"name": name, "roles": list(roles) or ["web"], "capabilities": capabilities, **changes}
    return Framework(name, info, stream=Stream({}))


def _agent(name: str = "a", free: Bundle = FREE, region: str = "eu") -> AgentRecord:
    info = {
        "hostname": name,
        "port": 1,
        "domain": {"fault_domain": {"region": {"name": region}, "zone": {"name": region}}},
    }
    return AgentRecord(name, info, FREE, free, cast("Any", None))


def _offered(agents: list[AgentRecord], *frameworks: Framework, now_s: float = 0) -> list[str]:
    made = allocate(agents, frameworks, "eu", now_s)
    return [f"{f.id}/{role}/{agent.id}" for f, role, agent in made]


def test_agents_are_shared_out_evenly() -> None:
    agents = [_agent(n) for n in "abcd"]
    made = _offered(agents, _framework("f"), _framework("g"))
    assert sorted(m[0] for m in made) == ["f", "f", "g", "g"]


def test_nothing_is_offered_of_agents_that_are_full_away_or_deactivated() -> None:
    full, away, off = _agent("full", EMPTY), _agent("away"), _agent("off")
    away.is_connected = False
    off.is_deactivated = True
    crumbs = _agent("crumbs", make_bundle(0.001, 1, 9999, ()))
    assert _offered([full, away, off, crumbs], _framework("f")) == []


def test_frameworks_without_a_stream_get_nothing() -> None:
    framework = _framework("f")
    framework.stream = None
    assert _offered([_agent()], framework) == []


def test_a_suppressed_role_leaves_the_agent_to_the_other() -> None:
    framework = _framework("f", "batch", "web")
    framework.suppressed = {"batch"}
    assert _offered([_agent()], framework) == ["f/web/a"]


def test_a_filter_holds_for_its_role_and_agent_until_its_time() -> None:
    framework = _framework("f", "batch", "web")
    for role in ("batch", "web"):
        refuse(framework, (role, "a"), FREE, 10, 0)
    assert _offered([_agent("a"), _agent("b")], framework) == ["f/batch/b"]
    assert _offered([_agent("a")], framework, now_s=10) == ["f/batch/a"]


def test_a_filter_does_not_hide_more_than_was_refused() -> None:
    framework = _framework("f")
    refuse(framework, ("web", "a"), make_bundle(1, 1024, 0, ()), 10, 0)
    assert _offered([_agent(free=make_bundle(1, 1024, 0, ()))], framework) == []
    assert _offered([_agent(free=make_bundle(2, 1024, 0, ()))], framework) == ["f/web/a"]


def test_refusing_for_no_time_is_no_filter_and_a_negative_time_the_default() -> None:
    framework = _framework("f")
    refuse(framework, ("web", "a"), FREE, 0, 0)
    assert framework.filters == {}
    refuse(framework, ("web", "a"), FREE, -1, 0)
    assert _offered([_agent()], framework, now_s=4.9) == []
    assert _offered([_agent()], framework, now_s=5.0) == ["f/web/a"]


def test_revive_clears_the_roles_named_or_all() -> None:
    framework = _framework("f", "batch", "web")
    for role in ("batch", "web"):
        refuse(framework, (role, "a"), FREE, 10, 0)
    framework.suppressed = {"batch", "web"}
    revive(framework, ["web"])
    assert _offered([_agent()], framework) == ["f/web/a"]
    revive(framework, [])
    assert framework.suppressed == set()
    assert framework.filters == {}


def test_a_foreign_region_is_only_for_those_who_know_of_regions() -> None:
    unaware = _framework("f", capabilities=[{"type": "MULTI_ROLE"}])
    agents = [_agent("near"), _agent("far", region="us")]
    assert _offered(agents, unaware) == ["f/web/near"]
    assert _offered(agents, _framework("g")) == ["g/web/near", "g/web/far"]
