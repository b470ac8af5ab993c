"""Metrics are declared once, documented, bounded, and say what happened."""

from itertools import repeat
from pathlib import Path

import pytest
from attrs import evolve

from scheduler.core.effects import Accept, Decline, DeploymentDone, Kill, Launch, UnhealthyKill
from scheduler.core.events import (
    ChangeApps,
    LaunchRefused,
    OffersReceived,
    StatusUpdate,
    SteerDeployment,
    Steering,
)
from scheduler.core.explain import Block, BlockedBy
from scheduler.core.ids import AgentId, AppId, FrameworkId, OfferId, TaskId
from scheduler.core.instance import Condition, TaskState
from scheduler.core.offer import Agent, Offer
from scheduler.core.records import App, Delay, Framework, put
from scheduler.core.settings import Settings
from scheduler.core.wishes import Upsert
from scheduler.core.world import World
from scheduler.telemetry import CATALOG, Metrics
from scheduler.telemetry.catalog import MetricKind, table
from tests.unit.core.game import Game, spec
from tests.unit.store.samples import FULL_DEPLOYMENT, FULL_INSTANCE, FULL_VERSION

DOCUMENT = Path(__file__).parents[3] / "docs/metrics.md"
ENTITY_LABELS = {"app", "app_id", "task", "task_id", "instance", "agent", "host", "deployment"}

INSTANCE = evolve(
    FULL_INSTANCE,
    condition=Condition.STAGING,
    incarnation=1,
    created_at_ms=1_000,
    staged_at_ms=4_000,
    started_at_ms=None,
)
RUNNING = evolve(INSTANCE, condition=Condition.RUNNING, started_at_ms=6_500)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def test_the_document_holds_the_table_of_the_catalog():
    """To mend it: python -c "from scheduler.telemetry.catalog import table; print(table())"."""
    assert table() in DOCUMENT.read_text()


def test_every_metric_of_the_catalog_is_exposed_and_no_other(metrics: Metrics):
    exposed = {
        (family.name + ("_total" if family.type == "counter" else ""), family.type)
        for family in metrics.registry.collect()
    }
    assert exposed == {(metric.name, metric.kind.value) for metric in CATALOG}


def test_names_say_their_unit_and_no_label_can_grow_without_bound():
    for metric in CATALOG:
        assert metric.name.endswith("_seconds") == (metric.unit == "seconds"), metric.name
        assert metric.name.endswith("_total") == (metric.kind is MetricKind.COUNTER), metric.name
        assert not ENTITY_LABELS & set(metric.labels), metric.name


def test_what_mesos_reports_is_counted(metrics: Metrics):
    offer = Offer(OfferId("o"), Agent(AgentId("a"), "h"), "*", ())
    metrics.on_event(OffersReceived((offer, offer)))
    metrics.on_event(StatusUpdate(TaskId("t"), TaskState.RUNNING))
    metrics.on_event(LaunchRefused((TaskId("t"), TaskId("u")), "no"))
    assert value(metrics, "egret_offers_received_total") == 2
    assert value(metrics, "egret_task_updates_total", state="TASK_RUNNING") == 1
    assert value(metrics, "egret_launches_refused_total") == 2


def test_what_is_sent_to_mesos_is_counted(metrics: Metrics):
    launch = Launch(INSTANCE, FULL_VERSION.spec)
    metrics.on_effect(Accept((OfferId("o"), OfferId("p")), AgentId("a"), (launch,) * 3, 5.0))
    metrics.on_effect(Decline((OfferId("q"),), 5.0))
    metrics.on_effect(Kill(TaskId("t"), None, None))
    assert value(metrics, "egret_offers_used_total") == 2
    assert value(metrics, "egret_launches_total") == 3
    assert value(metrics, "egret_offers_declined_total") == 1
    assert value(metrics, "egret_kills_total") == 1


def test_the_first_task_of_an_instance_measures_the_way_from_submission(metrics: Metrics):
    metrics.on_changes([(INSTANCE, RUNNING)])
    assert value(metrics, "egret_submit_to_running_seconds_sum") == 5.5
    assert value(metrics, "egret_launch_to_running_seconds_sum") == 2.5


def test_a_later_task_measures_its_launch_only(metrics: Metrics):
    metrics.on_changes([(evolve(INSTANCE, incarnation=2), evolve(RUNNING, incarnation=2))])
    assert value(metrics, "egret_submit_to_running_seconds_count") == 0
    assert value(metrics, "egret_launch_to_running_seconds_count") == 1


def test_coming_back_from_unreachable_is_no_start(metrics: Metrics):
    metrics.on_changes([(evolve(RUNNING, condition=Condition.UNREACHABLE), RUNNING)])
    assert value(metrics, "egret_launch_to_running_seconds_count") == 0


def test_instances_are_counted_by_condition_from_their_first_to_their_last_change(
    metrics: Metrics,
):
    metrics.on_changes([(None, INSTANCE), (INSTANCE, RUNNING), (None, INSTANCE)])
    assert value(metrics, "egret_instances", condition="Running") == 1
    assert value(metrics, "egret_instances", condition="Staging") == 1
    metrics.on_changes([(RUNNING, None)])
    assert value(metrics, "egret_instances", condition="Running") == 0


@pytest.mark.parametrize(("confirmed", "counted"), [(True, 0), (False, 1)])
def test_a_kill_that_did_not_wait_for_consul_is_counted(
    metrics: Metrics, confirmed: bool, counted: int
):
    draining = evolve(RUNNING, condition=Condition.DRAINING)
    killing = evolve(RUNNING, condition=Condition.KILLING, deregistered=confirmed)
    metrics.on_changes([(draining, killing)])
    assert value(metrics, "egret_deregister_timeouts_total") == counted


def test_facts_are_counted(metrics: Metrics):
    metrics.on_fact(DeploymentDone(FULL_DEPLOYMENT))
    metrics.on_fact(UnhealthyKill(RUNNING, TaskId("t"), "unhealthy"))
    assert value(metrics, "egret_deployments_finished_total", result="done") == 1
    assert value(metrics, "egret_unhealthy_kills_total") == 1


def test_commits_are_measured_and_failures_show_until_one_succeeds(metrics: Metrics):
    metrics.on_commit(0.5, 3, failed=True)
    assert value(metrics, "egret_store_degraded") == 1
    metrics.on_commit(0.7, 3, failed=False)
    assert value(metrics, "egret_store_degraded") == 0
    assert value(metrics, "egret_store_commit_failures_total") == 1
    assert value(metrics, "egret_store_commit_seconds_count") == 1
    assert value(metrics, "egret_store_commit_records_sum") == 3


def test_the_state_is_read_when_asked_for(metrics: Metrics):
    world = World(Settings())
    version = FULL_VERSION
    entities = (
        Framework(FrameworkId("f"), 0),
        version,
        App(version.app_id, version.version),
        Delay(version.app_id, version.version, 9_000, 20_000, 0),
    )
    for entity in entities:
        world.apply(put(entity))
    metrics.sources.world = lambda: world
    metrics.sources.clock = lambda: 15_000
    metrics.sources.values["egret_mesos_calls_total"] = lambda: {("KILL", "Sent"): 3}
    assert value(metrics, "egret_apps") == 1
    assert value(metrics, "egret_backoff_classes") == 1
    assert value(metrics, "egret_backoff_longest_seconds") == 5
    assert value(metrics, "egret_mesos_connected") == 0
    assert value(metrics, "egret_mesos_calls_total", type="KILL", outcome="Sent") == 3


def blocked(metrics: Metrics) -> dict[str, float]:
    """Return the reasons for which an app waits, with the number of apps."""
    (family,) = (
        found for found in metrics.registry.collect() if found.name == "egret_deployments_blocked"
    )
    return {sample.labels["reason"]: sample.value for sample in family.samples}


def test_apps_of_deployments_are_counted_by_what_they_wait_for(metrics: Metrics):
    game = Game()
    metrics.sources.world = lambda: game.world
    assert blocked(metrics) == dict.fromkeys([*Block, "deployment"], 0)
    game.connect()
    game.upsert(spec("/a"), spec("/b"))
    game.upsert(spec("/c"))
    assert {reason: n for reason, n in blocked(metrics).items() if n} == {"offers": 3}
    paused = next(iter(game.world.deployments))
    game.ask(SteerDeployment(game.request(), paused, Steering.PAUSE))
    assert {reason: n for reason, n in blocked(metrics).items() if n} == {"paused": 2, "offers": 1}
    change = Upsert(spec("/c", cmd="other"), game.world.apps[AppId("/c")].version)
    game.ask(ChangeApps(game.request(), upserts=(change,), queue=True))
    assert blocked(metrics)["deployment"] == 1
    game.world.connected = False
    assert blocked(metrics)["mesosConnection"] == 1


@pytest.mark.parametrize("block", Block)
def test_every_reason_to_wait_is_counted(
    metrics: Metrics, block: Block, monkeypatch: pytest.MonkeyPatch
):
    world = World(Settings())
    world.apply(put(FULL_DEPLOYMENT))
    metrics.sources.world = lambda: world
    reason = BlockedBy(AppId("/a"), block, "because")
    monkeypatch.setattr("scheduler.telemetry.metrics.blocks_of", lambda *_: iter([reason]))
    assert {reason: n for reason, n in blocked(metrics).items() if n} == {block: 1}


def test_a_scrape_explains_a_thousand_apps_and_no_more(
    metrics: Metrics, monkeypatch: pytest.MonkeyPatch
):
    world = World(Settings())
    world.apply(put(FULL_DEPLOYMENT))
    metrics.sources.world = lambda: world
    endless = repeat(BlockedBy(AppId("/a"), Block.OFFERS, "because"))
    monkeypatch.setattr("scheduler.telemetry.metrics.blocks_of", lambda *_: endless)
    assert blocked(metrics)["offers"] == 1_000


def test_two_registries_live_side_by_side():
    first, second = Metrics(), Metrics()
    first.kills.inc()
    assert value(second, "egret_kills_total") == 0
