"""Any sequence of events leaves a sound world, and one that can be loaded again."""

from collections import Counter

import pytest

from scheduler.core import Settings, World
from scheduler.core.app import AppSpec
from scheduler.core.deadlines import deadline_of
from scheduler.core.instance import Condition, Instance
from scheduler.core.records import Put
from tests.property.core.walks import Walk, loaded

SEEDS = range(80)
STEPS = 120
PATIENCE_MS = Settings().launch_confirm_timeout_ms


def longest_patience_ms(spec: AppSpec) -> int:
    """How long a look may be put off: until each check has had its turn, if that is longer."""
    turns_ms = [(check.interval_s + check.timeout_s) * 1000 for check in spec.health_checks]
    return max(PATIENCE_MS, *turns_ms, 0)


def entities(world: World) -> dict[str, object]:
    return {
        "framework": world.framework,
        "groups": world.groups,
        "apps": world.apps,
        "versions": world.versions,
        "agents": world.agents,
        "deployments": world.deployments,
        "instances": world.instances,
        "delays": world.delays,
        "failures": world.failures,
        "ended": world.ended,
        "rollouts": world.rollouts,
        "rolled_back": world.rolled_back,
        "finished": world.finished,
    }


def indexes(world: World) -> dict[str, object]:
    """What decisions read; an empty count is as good as none."""
    return {
        "buckets": {
            (app_id, version, bucket): set(ids)
            for app_id, tallies in world.tallies.items()
            for version, tally in tallies.items()
            for bucket, ids in tally.buckets.items()
            if ids
        },
        "placed": {
            (app_id, version, name): counts
            for app_id, tallies in world.tallies.items()
            for version, tally in tallies.items()
            for name, counts in tally.placed.items()
            if counts
        },
        "on_agent": {app_id: counts for app_id, counts in world.on_agent.items() if counts},
        "locks": world.locks,
        "waiting": set(world.waiting),
        "health": (world.brake.once_healthy, world.brake.failing),
        "service ports": world.service_ports.of_app,
    }


@pytest.mark.parametrize("seed", SEEDS)
def test_the_world_is_sound_after_every_step_and_the_same_when_loaded(seed: int) -> None:
    """Each turn of a walk recounts every index; now and then the stored records are loaded."""
    walk = Walk(seed)
    walk.connect()
    for number in range(STEPS):
        walk.step()
        if number % 20 == 19:
            world = loaded(walk.history, walk.world.settings)
            assert entities(world) == entities(walk.world)
            assert indexes(world) == indexes(walk.world)
    assert not walk.world.illegal


@pytest.mark.parametrize("seed", SEEDS[:20])
def test_whatever_has_a_deadline_is_looked_at_by_then(seed: int) -> None:
    """Also by a new leader: it must not sleep through what the old one had still to do."""
    walk = Walk(seed)
    walk.connect()
    for _ in range(STEPS):
        walk.step()
        for world in (walk.world, loaded(walk.history, walk.world.settings)):
            for instance in world.instances.values():
                spec = world.spec_at(instance.app_id, instance.version)
                due_ms = deadline_of(instance, spec, world.settings)
                looks = [at_ms for at_ms, key in world._timers if key == instance.id]
                if due_ms is not None and instance.id not in world.brake._held_back:
                    # What may have gone unheard, or unprobed, is looked at again within the
                    # patience for it.
                    latest_ms = max(due_ms, walk.now_ms + longest_patience_ms(spec))
                    assert min(looks, default=latest_ms + 1) <= latest_ms


def test_the_walks_go_everywhere() -> None:
    """A walk that stays at the door proves nothing."""
    seen: Counter[str] = Counter()
    for seed in SEEDS[:20]:
        walk = Walk(seed)
        walk.connect()
        for _ in range(STEPS):
            seen.update(type(effect).__name__ for effect in walk.step().effects)
            seen.update(i.condition for i in walk.world.instances.values())
            seen["restarts"] += walk.restarts
    calls = {"Accept", "Decline", "Kill", "Reconcile", "Acknowledge", "Suppress", "Revive", "Reply"}
    assert not {*Condition, *calls, "restarts"} - set(seen)
    assert min(seen.values()) > 10


@pytest.mark.parametrize("seed", SEEDS[:20])
def test_no_task_id_is_launched_twice_and_none_goes_back(seed: int) -> None:
    walk = Walk(seed)
    walk.connect()
    latest: dict[str, int] = {}
    for _ in range(STEPS):
        for record in walk.step().records:
            if isinstance(record, Put) and isinstance(record.value, Instance):
                instance = record.value
                assert instance.incarnation >= latest.get(instance.id, 0)
                latest[instance.id] = instance.incarnation
