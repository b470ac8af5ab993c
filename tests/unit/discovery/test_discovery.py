"""What the door hands to the sync for each change; no Consul and no thread."""

import asyncio
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from scheduler.core.app import Discovery as DiscoveryField
from scheduler.core.app import DiscoveryService, HealthCheck
from scheduler.core.ids import Epoch, TaskId, Version
from scheduler.core.instance import CheckResult, Condition, Goal
from scheduler.discovery import ConsulAddress, Discovery, DiscoverySettings
from tests.discovery_support import app, draining, running

ALIVE = CheckResult(alive=True, first_success_ms=1, last_success_ms=1)
DEAD = CheckResult(alive=False, first_success_ms=1, consecutive_failures=1)
CHECKED = app(health_checks=(HealthCheck(),))


@pytest.fixture
async def discovery():
    """Started, but without its thread: what is handed over stays in the inbox."""
    settings = DiscoverySettings(ConsulAddress("http://127.0.0.1:1"))
    made = Discovery(settings, lambda _: None, lambda: None, lambda: 0)
    made.start("egret", Epoch(1), [])
    handed_over(made)
    return made


def handed_over(discovery: Discovery) -> tuple[dict[str, Any], set[TaskId]]:
    """Take what the sync was given: name or None by ServiceID, and the draining tasks."""
    assert discovery._sync is not None
    discovery._sync._take()
    changes = {
        key: entry and entry.name
        for key in discovery._sync._dirty
        for entry in [discovery._sync._desired.get(key)]
    }
    waiting = set(discovery._sync._draining)
    discovery._sync._dirty.clear()
    discovery._sync._draining.clear()
    return changes, waiting


def key_of(instance, port=0):
    return f"{instance.task_id}:{port}"


async def test_an_instance_appears_when_healthy_and_goes_when_ill(discovery):
    instance = running(CHECKED)
    healthy = evolve(instance, checks=(ALIVE,))
    discovery.changed(None, instance, CHECKED)
    assert handed_over(discovery) == ({}, set())
    discovery.changed(instance, healthy, CHECKED)
    assert handed_over(discovery) == ({key_of(instance): "shop-web"}, set())
    discovery.changed(healthy, evolve(healthy, last_message="x"), CHECKED)
    assert handed_over(discovery) == ({}, set())
    discovery.changed(healthy, evolve(healthy, checks=(DEAD,)), CHECKED)
    assert handed_over(discovery) == ({key_of(instance): None}, set())


async def test_a_draining_instance_goes_and_is_waited_for(discovery):
    spec = app()
    instance = running(spec)
    discovery.changed(None, instance, spec)
    handed_over(discovery)
    discovery.changed(instance, draining(instance), spec)
    assert handed_over(discovery) == ({key_of(instance): None}, {instance.task_id})
    discovery.changed(draining(instance), evolve(draining(instance), deregistered=True), spec)
    assert handed_over(discovery) == ({}, set())


async def test_an_instance_that_is_forgotten_goes(discovery):
    spec = app(ports=2)
    instance = running(spec)
    discovery.changed(None, instance, spec)
    handed_over(discovery)
    discovery.changed(instance, None, None)
    assert handed_over(discovery)[0] == {key_of(instance): None, key_of(instance, 1): None}
    discovery.changed(instance, None, None)
    assert handed_over(discovery) == ({}, set())


async def test_a_new_task_of_an_instance_replaces_the_entries_of_the_old_one(discovery):
    spec = app()
    first = running(spec)
    second = evolve(first, incarnation=2)
    discovery.changed(None, first, spec)
    handed_over(discovery)
    discovery.changed(first, second, spec)
    assert handed_over(discovery)[0] == {key_of(first): None, key_of(second): "shop-web"}


async def test_a_new_version_has_the_names_of_its_own_spec(discovery):
    spec = app()
    renamed = app(discovery=DiscoveryField(services=(DiscoveryService("other"),)))
    first = running(spec)
    second = evolve(first, incarnation=2, version=Version("2027-01-01T00:00:00.000Z"))
    discovery.changed(None, first, spec)
    handed_over(discovery)
    discovery.changed(first, second, renamed)
    changes, _ = handed_over(discovery)
    assert changes == {key_of(first): None, f"{second.task_id}:0.0": "other"}


async def test_a_suspect_prober_deregisters_nothing_and_brings_back_what_it_took(discovery):
    instance = evolve(running(CHECKED), checks=(ALIVE,))
    ill = evolve(instance, checks=(DEAD,))
    discovery.changed(None, instance, CHECKED)
    discovery.changed(instance, ill, CHECKED)
    assert handed_over(discovery)[0] == {key_of(instance): None}
    discovery.set_prober_suspect(is_suspect=True)
    assert handed_over(discovery)[0] == {key_of(instance): "shop-web"}
    worse = evolve(ill, checks=(evolve(DEAD, consecutive_failures=2),))
    discovery.changed(ill, worse, CHECKED)
    assert handed_over(discovery)[0] == {}
    discovery.set_prober_suspect(is_suspect=False)
    assert handed_over(discovery)[0] == {key_of(instance): None}


async def test_one_name_serves_one_app_and_passes_on_when_that_is_gone(discovery):
    one, two = app("/shop/web"), app("/shop-web")
    first, second = running(one), running(two)
    discovery.changed(None, first, one)
    discovery.changed(None, second, two)
    assert handed_over(discovery)[0] == {key_of(first): "shop-web"}
    (refusal,) = discovery.status().refusals
    assert (refusal.app_id, refusal.name) == ("/shop-web", "shop-web")
    # An illness of the holder moves nothing.
    discovery.changed(first, evolve(first, condition=Condition.UNREACHABLE), one)
    assert handed_over(discovery)[0] == {key_of(first): None}
    discovery.changed(first, None, None)
    assert handed_over(discovery)[0] == {key_of(second): "shop-web"}
    assert discovery.status().refusals == ()


async def test_a_bad_service_is_refused_as_long_as_its_app_has_instances(discovery):
    spec = app(
        discovery=DiscoveryField(services=(DiscoveryService("good"), DiscoveryService("b d")))
    )
    first, second = running(spec, 0), running(spec, 1)
    discovery.changed(None, first, spec)
    discovery.changed(None, second, spec)
    assert set(handed_over(discovery)[0].values()) == {"good"}
    assert [refusal.name for refusal in discovery.status().refusals] == ["b d"]
    discovery.changed(first, None, None)
    assert len(discovery.status().refusals) == 1
    discovery.changed(second, None, None)
    assert discovery.status().refusals == ()


async def test_a_load_sets_everything_anew(discovery):
    spec = app()
    old, new, leaving = running(spec, 0), running(spec, 1), draining(running(spec, 2))
    discovery.changed(None, old, spec)
    handed_over(discovery)
    discovery.resync([(leaving, spec), (new, spec)])
    changes, waiting = handed_over(discovery)
    assert changes == {key_of(new): "shop-web"}
    assert waiting == {leaving.task_id}
    assert discovery._sync is not None
    assert set(discovery._sync._desired) == {key_of(new)}


async def test_before_start_and_after_stop_changes_are_nobodys_business():
    settings = DiscoverySettings(ConsulAddress("http://127.0.0.1:1"))
    discovery = Discovery(settings, lambda _: None, lambda: None, lambda: 0)
    spec = app()
    discovery.changed(None, running(spec), spec)
    discovery.resync([(running(spec), spec)])
    await discovery.run()
    assert discovery.status().sync.desired == 0
    discovery.start("egret", Epoch(1), [])
    discovery.stop()
    discovery.changed(None, running(spec), spec)
    assert discovery.status().refusals == ()


states = st.builds(
    lambda condition, goal, checks, incarnation: (condition, goal, checks, incarnation),
    st.sampled_from([Condition.RUNNING, Condition.SCHEDULED, Condition.DRAINING]),
    st.sampled_from([Goal.RUNNING, Goal.DECOMMISSIONED]),
    st.sampled_from([(), (ALIVE,), (DEAD,)]),
    st.integers(1, 2),
)
moves = st.lists(
    st.one_of(
        st.tuples(st.just("change"), st.integers(0, 4), states),
        st.tuples(st.just("forget"), st.integers(0, 4), st.none()),
        st.tuples(st.just("suspect"), st.booleans(), st.none()),
    ),
    max_size=40,
)


@given(moves)
def test_changes_one_by_one_give_what_the_whole_truth_gives(moves):
    """Level and edge agree: nothing depends on which changes were seen on the way."""
    asyncio.run(compare(moves))


async def compare(moves):
    specs = [CHECKED, app("/other", ports=2)]
    made = Discovery(
        DiscoverySettings(ConsulAddress("http://127.0.0.1:1")),
        lambda _: None,
        lambda: None,
        lambda: 0,
    )
    made.start("egret", Epoch(1), [])
    known = {}
    for kind, number, state in moves:
        if kind == "suspect":
            made.set_prober_suspect(is_suspect=bool(number))
            continue
        spec = specs[number % 2]
        before = known.pop(number, None)
        after = None
        if kind == "change":
            condition, goal, checks, incarnation = state
            after = known[number] = evolve(
                running(spec, number),
                condition=condition,
                goal=goal,
                checks=checks,
                incarnation=incarnation,
            )
        made.changed(before, after, spec if after else None)
    assert made._sync is not None
    made._sync._take()
    by_changes = dict(made._sync._desired)
    made.resync([(instance, specs[number % 2]) for number, instance in known.items()])
    made._sync._take()
    assert made._sync._desired == by_changes
