"""What the disaster brake sees that is gone before anybody could count it."""

from scheduler.core.app import AppSpec, HealthCheck
from tests.unit.core.game import spec
from tests.unit.core.troubled import Cluster

AT_ONCE = HealthCheck(grace_period_s=0, max_consecutive_failures=1)


def checked(*apps: AppSpec) -> Cluster:
    """Apps of which all instances are healthy."""
    g = Cluster()
    g.connect()
    g.upsert(*apps)
    for _ in range(20):
        g.take_a_step()
    g.probe_all(alive=True)
    assert not g.world.deployments
    return g


def test_the_brake_engages_though_one_failure_is_enough_to_be_killed() -> None:
    """Each is gone before the next one fails: what was killed must be remembered."""
    g = checked(spec(instances=20, health_checks=(AT_ONCE,)))
    for one in g.running():
        g.now_ms += 2_000
        g.probe(one, alive=False, failures=1)
    assert g.conditions() == ["Killing"] * 10 + ["Running"] * 10
    assert g.world.brake.holds


def test_one_app_that_crashes_all_the_time_engages_no_brake() -> None:
    g = checked(
        spec("/ill", instances=5, health_checks=(AT_ONCE,)),
        spec("/well", instances=15, health_checks=(AT_ONCE,)),
    )
    for _ in range(50):
        for one in g.running():
            if one.app_id == "/ill":
                g.probe(one, alive=True)
                assert len(g.probe(g.world.instances[one.id], alive=False, failures=1)) == 1
        g.take_a_step()
        g.wait(1_000)
        g.take_a_step()
        assert not g.world.brake.holds


def test_one_after_the_other_killed_and_well_again_engages_no_brake() -> None:
    g = checked(spec(instances=10, health_checks=(AT_ONCE,)))
    for number in range(100):
        one = g.running()[number % 10]
        assert len(g.probe(one, alive=False, failures=1)) == 1
        g.take_a_step()
        g.wait(5_000)
        g.take_a_step()
        g.probe(g.world.instances[one.id], alive=True)
        assert not g.world.brake.holds
