"""What Marathon's users suffered from, one test for each: that it cannot happen here.

The numbers in the docstrings are issues of Marathon's tracker.
"""

import tracemalloc
from collections import Counter

from attrs import evolve

from scheduler.core import Settings
from scheduler.core.app import (
    Backoff,
    Constraint,
    HealthCheck,
    Operator,
    Resources,
    UnreachableStrategy,
    UpdatePolicy,
    UpgradeStrategy,
)
from scheduler.core.effects import Accepted, DeploymentFailed, Kill, Reconcile
from scheduler.core.events import CancelDeployment, ChangeApps, ResetDelay
from scheduler.core.explain import Block, blocked_by
from scheduler.core.ids import AgentId, AppId, InstanceId
from scheduler.core.instance import Condition, TaskState
from scheduler.core.invariants import check
from scheduler.core.records import put
from scheduler.core.upkeep import all_offers_ms
from scheduler.core.wishes import Upsert
from tests.unit.core.game import (
    WEB,
    Game,
    effects_in,
    facts_in,
    instance,
    launched_in,
    offer,
    spec,
    update,
    with_ports,
)
from tests.unit.core.troubled import (
    BadCluster,
    Cluster,
    OnePort,
    Racks,
    UniqueHosts,
    host_of,
    sizes_of,
)

KEEP_ALL = UpgradeStrategy(minimum_health_capacity_milli=1000, maximum_over_capacity_milli=0)
ONE_BY_ONE = UpgradeStrategy(minimum_health_capacity_milli=900, maximum_over_capacity_milli=0)


def staging() -> Cluster:
    """An app whose only task was confirmed by its agent and does not start."""
    game = Cluster()
    game.connect()
    game.upsert(spec())
    game.offer(offer(1))
    game.send(update(game.only.task_id, TaskState.STAGING))
    assert game.conditions() == [Condition.STAGING]
    return game


def running(*, instances: int = 2, settings: Settings | None = None, **changes: object) -> Cluster:
    """An app whose first deployment is over."""
    game = Cluster(settings)
    game.connect()
    game.upsert(spec(WEB, instances=instances, **changes))
    game.run_all()
    assert not game.world.deployments
    return game


def healthy(instances: int) -> Cluster:
    """An app that is probed from here, three failures in a row being one too many."""
    game = Cluster()
    game.connect()
    check = HealthCheck(path="/", max_consecutive_failures=3)
    game.upsert(spec(instances=instances, health_checks=(check,)))
    game.run_all()
    game.probe_all(alive=True)
    assert not game.world.deployments
    return game


def test_a_deployment_that_hangs_ends_by_its_deadline_and_reverts() -> None:
    """#3954, #517, #1620: deployments stuck for ever, that cannot fail and do not roll back."""
    policy = UpdatePolicy(progress_deadline_s=60, auto_revert=True)
    game = running(update=policy)
    game.upsert(spec(cmd="broken", instances=2, update=policy))
    game.wait_stepwise(61_000)
    assert game.world.spec_of(AppId(WEB)).cmd == "run"
    (taken_back,) = game.world.rolled_back.values()
    assert "no progress" in taken_back.reason
    assert not game.world.deployments, "what ran before still runs, so nothing is left to do"


def test_a_locked_app_takes_a_change_that_waits_its_turn() -> None:
    """#1346, #1481: 409 "app is locked", and no way to stand in line."""
    game = running()
    game.upsert(spec(cmd="two", instances=2))
    app = game.world.apps[AppId(WEB)]
    upsert = Upsert(spec(cmd="three", instances=2), app.version)
    answer = game.ask(ChangeApps(game.request(), upserts=(upsert,), queue=True))
    assert isinstance(answer, Accepted)
    game.run_all()
    assert game.world.spec_of(AppId(WEB)).cmd == "three"
    assert not game.world.queued


def test_no_lock_outlives_its_deployment() -> None:
    """#1811, #4165: phantom locks."""
    game = running()
    game.upsert(spec(cmd="two", instances=2))
    game.ask(CancelDeployment(game.request(), game.deployment_id, force=True))
    assert not game.world.locks
    assert isinstance(game.upsert(spec(cmd="three", instances=2)), Accepted)


def test_unique_hosts_and_full_health_do_not_lock_an_upgrade_up() -> None:
    """#1425, #689: UNIQUE on as many agents as instances never finished."""
    unique = (Constraint("hostname", Operator.UNIQUE),)
    game = running(instances=3, constraints=unique, upgrade_strategy=KEEP_ALL)
    game.upsert(spec(cmd="two", instances=3, constraints=unique, upgrade_strategy=KEEP_ALL))
    game.run_all()
    assert not game.world.deployments
    hosts = {host_of(one) for one in game.world.instances.values()}
    assert len(hosts) == 3, "and UNIQUE holds (#4990)"


def test_one_instance_with_full_health_does_not_lock_an_upgrade_up() -> None:
    """#1133: minimumHealthCapacity 1 with one instance and no room above it."""
    game = running(instances=1, upgrade_strategy=KEEP_ALL)
    game.upsert(spec(cmd="two", instances=1, upgrade_strategy=KEEP_ALL))
    game.run_all()
    assert not game.world.deployments
    assert game.conditions() == [Condition.RUNNING]


def test_a_fixed_port_taken_on_every_agent_does_not_lock_an_upgrade_up() -> None:
    """#3287, #3546: one old instance has to go first; one at a time, and it says why."""
    whole = spec(
        instances=3,
        port_definitions=with_ports(8080),
        require_ports=True,
        upgrade_strategy=KEEP_ALL,
    )
    game = OnePort()
    game.connect()
    game.upsert(whole)
    game.run_all()
    game.fewest = 3
    game.upsert(evolve(whole, cmd="two"))
    game.offer(*(offer(number) for number in (1, 2, 3)))
    assert {"InsufficientPorts": 3} in [dict(block.refusals) for block in game.blocks]
    for _ in range(3):
        game.run_all()
        game.wait_stepwise(all_offers_ms(game.world))
    game.run_all()
    assert not game.world.deployments
    assert {game.world.spec_at(one.app_id, one.version).cmd for one in game.running()} == {"two"}
    assert game.fewest == 2
    assert game.reasons == {"stopped first: its fixed ports are needed by the newer version"}


def test_unique_holds_through_an_upgrade_whatever_goes_wrong_in_it() -> None:
    """#4990, #1349: two tasks of a UNIQUE app on one host, when tasks failed or got lost."""
    whole = spec(
        instances=4,
        constraints=(Constraint("hostname", Operator.UNIQUE),),
        upgrade_strategy=KEEP_ALL,
        unreachable_strategy=UnreachableStrategy(inactive_after_s=60, expunge_after_s=600),
    )
    game = UniqueHosts()
    game.connect()
    game.upsert(whole)
    game.run_all(agents=range(1, 6))
    game.upsert(evolve(whole, cmd="two", instances=5))
    for state in (TaskState.FAILED, TaskState.UNREACHABLE, TaskState.KILLED) * 4:
        game.take_a_step()
        one = game.running()[0]
        game.send(update(one.task_id, state))
        game.wait_stepwise(70_000)
        game.take_a_step()
        game.send(update(one.task_id, TaskState.RUNNING))
    game.wait_stepwise(300_000)
    game.run_all(agents=range(1, 6))
    assert not game.world.deployments
    assert sorted(map(host_of, game.running())) == [f"host{number}" for number in range(1, 6)]


def test_what_dies_in_a_deployment_that_cannot_end_is_launched_again() -> None:
    """#4110, #2346: with fewer hosts than a UNIQUE app wanted, what died there stayed dead."""
    game = UniqueHosts()
    game.connect()
    game.upsert(spec(instances=3, constraints=(Constraint("hostname", Operator.UNIQUE),)))
    game.run_all(agents=[1])
    for _ in range(3):
        (dead,) = game.running()
        game.send(update(dead.task_id, TaskState.FAILED))
        game.wait_stepwise(60_000)
        game.run_all(agents=[1])
        (again,) = game.running()
        assert again.task_id != dead.task_id
        assert host_of(again) == "host1"
    assert game.world.deployments


def test_an_upgrade_shares_a_host_with_the_old_version_only_where_it_must() -> None:
    """#4990: a new UNIQUE instance was put beside an old one, though other hosts were free."""
    unique = (Constraint("hostname", Operator.UNIQUE),)
    policy = UpgradeStrategy(minimum_health_capacity_milli=800, maximum_over_capacity_milli=0)
    whole = spec(instances=6, constraints=unique, upgrade_strategy=policy)
    game = UniqueHosts()
    game.connect()
    game.upsert(whole)
    game.run_all(agents=range(1, 7))
    game.most_on_a_host = 0
    game.upsert(evolve(whole, cmd="two"))
    game.run_all(agents=(*range(6, 0, -1), *range(7, 13)))
    assert not game.world.deployments
    assert game.most_on_a_host == 1


def test_taking_back_a_deployment_deletes_no_app_it_did_not_make() -> None:
    """#4046, #7276: a rollback removed apps of others."""
    game = running()
    other = evolve(spec(), id=AppId("/other"))
    game.upsert(spec(cmd="two", instances=2))
    first = game.deployment_id
    game.upsert(other)
    game.ask(CancelDeployment(game.request(), first))
    game.run_all()
    assert game.world.spec_of(AppId(WEB)).cmd == "run"
    assert game.world.live_app(AppId("/other")) is not None


def test_taking_back_one_deployment_leaves_the_others_under_way() -> None:
    """#660, #1434: all deployments went back, to what the cluster was weeks ago."""
    game = running()
    game.upsert(evolve(spec(instances=2), id=AppId("/other")))
    game.run_all()
    game.upsert(spec(cmd="two", instances=2))
    mine = game.deployment_id
    game.upsert(evolve(spec(cmd="two", instances=3), id=AppId("/other")))
    (theirs,) = game.world.deployments.keys() - {mine}
    game.ask(CancelDeployment(game.request(), mine))
    assert theirs in game.world.deployments
    game.run_all()
    assert not game.world.deployments
    assert game.world.spec_of(AppId(WEB)).cmd == "run"
    assert game.world.spec_of(AppId("/other")).cmd == "two"
    assert game.conditions("/other") == [Condition.RUNNING] * 3


def test_taking_back_replaces_only_what_had_been_replaced() -> None:
    """#4046, #1554, #4988: going back restarted what already ran the old version."""
    game = running(instances=10, upgrade_strategy=ONE_BY_ONE)
    before = set(game.world.instances)
    game.upsert(spec(cmd="two", instances=10, upgrade_strategy=ONE_BY_ONE))
    while not (new := [one for one in game.running() if one.id not in before]):
        game.take_a_step()
    untouched = {one.id for one in game.running()} & before
    assert len(untouched) >= 8
    assert len(new) == 1
    game.ask(CancelDeployment(game.request(), game.deployment_id))
    game.run_all()
    assert not game.world.deployments
    assert untouched <= set(game.world.instances)
    assert game.conditions() == [Condition.RUNNING] * 10


def test_a_new_leader_touches_no_task() -> None:
    """#1553, #2308, #3783: a failover killed or restarted what was running."""
    game = running()
    before = dict(game.world.instances)
    batch = game.change_leader()
    assert effects_in(batch, Kill) == []
    assert launched_in(batch) == []
    assert game.world.instances == before


def test_a_new_leader_goes_on_with_a_deployment_and_repeats_nothing_of_it() -> None:
    """#3783, #4962: a deployment was "recovered", and all tasks of its apps were killed."""
    game = running(instances=4, upgrade_strategy=KEEP_ALL)
    game.upsert(spec(cmd="two", instances=4, upgrade_strategy=KEEP_ALL))
    game.take_a_step()
    before = {one.task_id for one in game.running()}
    assert len(before) == 4
    for _ in range(5):
        batch = game.change_leader()
        assert launched_in(batch) == []
        assert before <= {one.task_id for one in game.running()}
    game.run_all()
    assert not game.world.deployments
    assert game.conditions() == [Condition.RUNNING] * 4


def test_updates_that_come_late_or_twice_launch_nothing_too_many() -> None:
    """#4801: 20,229 tasks of an app that wanted 20,000."""
    game = running(instances=5)
    updates = [update(one.task_id, TaskState.RUNNING) for one in game.world.instances.values()]
    lost = [update(one.task_id, TaskState.FAILED) for one in game.world.instances.values()]
    game.send(*updates, *lost[:2], *updates, *lost[:2])
    game.wait_stepwise(10_000)
    game.run_all()
    assert game.conditions() == [Condition.RUNNING] * 5


def test_two_thousand_are_launched_and_never_one_more() -> None:
    """#4801, #4777, #839, #3142: launches without end, when messages or the leader got lost."""
    wanted = 2_000
    cluster = BadCluster(Settings(launches_max=1_000))
    cluster.connect()
    at_once = Backoff(base_ms=1, factor_milli=1_000, max_ms=1)
    cluster.upsert(spec(instances=wanted, backoff=at_once))
    for step in range(24):
        cluster.is_calm = step >= 16
        cluster.play()
        if step in {3, 4, 13}:
            cluster.answer(cluster.change_leader())
    assert cluster.lost > 100
    assert cluster.failed > 1_000
    assert cluster.most_alive == wanted
    assert cluster.alive == {one.task_id for one in cluster.running()}
    assert len(cluster.alive) == wanted


def test_a_deployment_says_what_it_waits_for() -> None:
    """#1090, #687: "Waiting", and nobody knew for what."""
    game = Game()
    game.connect()
    game.upsert(spec(resources=Resources(cpus_milli=64_000, mem_mib=32)))
    game.offer(offer(1, cpus_milli=4_000))
    (block,) = blocked_by(game.world, game.deployment_id, game.now_ms)
    assert block.block is Block.OFFERS
    assert block.refusals == (("InsufficientCpus", 1),)
    assert block.nearest is not None
    assert "64 cpus wanted, 4 cpus offered" in block.message


def test_a_backoff_is_bounded_and_can_be_reset() -> None:
    """#1456: waits of 70 minutes; #1087, #1083: and no way to end them."""
    game = running(instances=1)
    for _ in range(60):
        game.send(update(game.only.task_id, TaskState.FAILED))
        game.wait_stepwise(300_000)
        game.run_all()
    (delay,) = game.world.delays.values()
    assert delay.delay_ms <= 300_000
    game.send(update(game.only.task_id, TaskState.FAILED))
    assert launched_in(game.offer(offer(1))) == []
    game.ask(ResetDelay(game.request(), AppId(WEB)))
    assert len(launched_in(game.offer(offer(1)))) == 1


def test_a_ghost_is_found_and_ended_and_a_riddle_is_left_alone() -> None:
    """#616, #4581: orphan and ghost tasks."""
    game = running(instances=1)
    ghost = game.only
    game.upsert(spec(instances=0))
    game.run_all()
    assert not game.world.instances
    assert ghost.placement is not None
    agent_id = ghost.placement.agent_id
    batch = game.send(update(ghost.task_id, TaskState.RUNNING, agent_id=agent_id))
    assert [kill.task_id for kill in effects_in(batch, Kill)] == [ghost.task_id]


def test_a_task_that_mesos_does_not_know_is_not_shown_as_running() -> None:
    """#616: tasks in Marathon's list that had long been gone, after all was rebooted."""
    game = running(instances=3)
    gone = [one.task_id for one in game.world.instances.values()]
    asked = game.change_leader()
    named = [task_id for call in effects_in(asked, Reconcile) for task_id, _ in call.tasks]
    assert set(gone) <= set(named)
    game.send(*(update(task_id, TaskState.UNKNOWN, uuid=None) for task_id in gone))
    assert game.running() == []
    game.run_all()
    assert {one.task_id for one in game.running()}.isdisjoint(gone)
    assert game.conditions() == [Condition.RUNNING] * 3


def test_a_task_has_its_whole_time_to_start_and_a_kill_of_it_ends() -> None:
    """#2349, #5402: killed after seconds of staging; #1594: then the kill never ended."""
    game = staging()
    first = game.only.task_id
    timeout_ms = game.world.settings.launch_timeout_ms
    assert [e for e in game.wait_stepwise(timeout_ms - 1_000) if isinstance(e, Kill)] == []
    kills = [e for e in game.wait_stepwise(25_000) if isinstance(e, Kill)]
    assert [kill.task_id for kill in kills] == [first] * 3, "again and again, should it get lost"
    game.send(update(first, TaskState.UNKNOWN, uuid=None))
    game.run_all()
    assert game.conditions() == [Condition.RUNNING]
    assert game.only.task_id != first


def test_a_task_that_started_while_nobody_listened_is_asked_before_it_is_killed() -> None:
    """#4039: a leader that came back killed what it still held for staging."""
    game = staging()
    first = game.only.task_id
    game.now_ms += 3_600_000
    batch = game.change_leader()
    assert effects_in(batch, Kill) == []
    asked = [task_id for call in effects_in(batch, Reconcile) for task_id, _ in call.tasks]
    assert asked == [first]
    game.send(update(first, TaskState.RUNNING, uuid=None))
    assert [e for e in game.wait_stepwise(600_000) if isinstance(e, Kill)] == []
    assert game.only.task_id == first


def test_a_scheduler_without_network_kills_nothing_for_its_health() -> None:
    """#3728, #2874: it was cut off, every check failed, and it killed all it could not see."""
    game = healthy(20)
    tasks = {one.task_id for one in game.running()}
    kills: list[Kill] = []
    for failures in range(1, 30):
        kills += game.probe_all(alive=False, failures=failures)
        kills += [e for e in game.wait_stepwise(60_000) if isinstance(e, Kill)]
    game.probe_all(alive=True)
    kills += [e for e in game.wait_stepwise(600_000) if isinstance(e, Kill)]
    assert kills == []
    assert {one.task_id for one in game.running()} == tasks


def test_a_new_leader_remembers_every_verdict() -> None:
    """#4917, #3419: all checks were unknown after a failover, and counted from nothing."""
    game = healthy(20)
    ill = game.running()[0]
    game.probe(ill, alive=False, failures=2)
    game.change_leader()
    counts = game.world.counts_of(AppId(WEB))
    assert (counts.healthy, counts.unhealthy) == (19, 1)
    (kill,) = game.probe(ill, alive=False, failures=3)
    assert kill.task_id == ill.task_id


def test_groups_stay_even_through_scaling_up_down_and_an_upgrade() -> None:
    """#555, #3220, #1633: uneven after scaling down, and nothing evened them out again."""
    by_rack = (Constraint("rack", Operator.GROUP_BY, "3"),)
    game = Racks(constraints=by_rack)
    for instances, even in ((9, [3, 3, 3]), (6, [2, 2, 2]), (4, [1, 1, 2]), (12, [4, 4, 4])):
        game.scale(instances)
        assert sorted(game.racks().values()) == even
    game.upsert(spec(cmd="two", instances=12, constraints=by_rack))
    game.settle_down()
    assert sorted(game.racks().values()) == [4, 4, 4]


def test_a_group_without_room_does_not_hold_the_others_back() -> None:
    """#4281, #2637: a full agent still sent offers, and the even spread over it locked up."""
    game = Racks(
        constraints=(Constraint("hostname", Operator.GROUP_BY),), full=frozenset({3, 4, 5})
    )
    game.scale(16)
    assert Counter(map(host_of, game.running())) == {"host1": 8, "host2": 8}


def test_what_is_kept_in_memory_does_not_grow_with_what_has_happened() -> None:
    """#974, #1497, #7214: more memory day by day, until the process was killed for it."""
    game = running(settings=Settings(versions_max=5, ended_max=20, finished_max=20), instances=3)
    sizes: list[dict[str, int]] = []
    for round_ in range(120):
        game.upsert(spec(cmd=f"run {round_}", instances=3))
        game.run_all()
        victim = game.running()[0]
        game.send(update(victim.task_id, TaskState.FAILED))
        game.upsert(evolve(spec(), id=AppId(f"/passing-{round_}")))
        game.run_all()
        (passing,) = game.world.instances_of(AppId(f"/passing-{round_}"))
        game.send(update(passing.task_id, TaskState.FAILED))
        game.remove(f"/passing-{round_}")
        game.run_all()
        game.wait_stepwise(3_600_000)
        game.run_all()
        game.world.take_changes()
        if round_ in {59, 119}:
            sizes.append(sizes_of(game.world))
    assert sizes[0] == sizes[1]


def test_an_instance_takes_less_than_two_kilobytes() -> None:
    """#3022, #7214: a heap of gigabytes for some thousand tasks."""
    placed = instance().placement
    assert placed is not None
    game = Game()
    game.install(spec(instances=5_000))
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for number in range(5_000):
            one = instance(id=InstanceId(f"web.instance-{number}"))
            place = evolve(placed, agent_id=AgentId(f"agent-{number % 100}"), host_ports=(31_000,))
            game.world.apply(put(evolve(one, placement=place)))
        game.world.take_changes()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert check(game.world) == []
    assert (after - before) / 5_000 < 2_048


def test_a_deployment_stopped_by_force_leaves_what_runs() -> None:
    """#4264: cancelling killed what was healthy."""
    game = running()
    before = set(game.world.instances)
    game.upsert(spec(cmd="two", instances=2))
    batch = game.send(CancelDeployment(game.request(), game.deployment_id, force=True))
    assert len(facts_in(batch, DeploymentFailed)) == 1
    assert before <= set(game.world.instances)
