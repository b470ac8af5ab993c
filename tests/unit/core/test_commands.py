"""Commands of users: every refusal, all or nothing, and what cancelling takes back."""

import pytest
from attrs import evolve

from scheduler.core import handle
from scheduler.core.app import AppSpec, Backoff
from scheduler.core.deployment import ActionKind
from scheduler.core.effects import (
    Accepted,
    Answer,
    DeploymentDone,
    DeploymentFailed,
    DeploymentStarted,
    Kill,
    Killed,
    Refusal,
    Rejected,
    Reply,
)
from scheduler.core.events import (
    CancelDeployment,
    ChangeApps,
    Command,
    KillTasks,
    Removal,
    ResetDelay,
    Upsert,
)
from scheduler.core.group import Group
from scheduler.core.ids import AppId, DeploymentId, GroupId, TaskId, Version
from scheduler.core.instance import Condition, Goal, TaskState
from scheduler.core.records import Delay
from scheduler.core.settings import Settings
from tests.unit.core.game import (
    NOW_MS,
    V1,
    WEB,
    Game,
    answer_in,
    effects_in,
    facts_in,
    instance,
    offer,
    spec,
    update,
)

DB = AppId("/db")


def running(*specs: AppSpec, settings: Settings | None = None) -> Game:
    """A game whose apps are deployed and run."""
    game = Game(settings)
    game.connect()
    game.upsert(*specs)
    game.run_all()
    assert game.world.deployments == {}
    return game


def stuck(*specs: AppSpec, settings: Settings | None = None) -> Game:
    """A game whose first deployment cannot go on, because nothing is offered."""
    game = Game(settings)
    game.connect()
    game.upsert(*specs)
    return game


def refused(answer: Answer | None, refusal: Refusal, subject: str) -> Rejected:
    assert isinstance(answer, Rejected)
    assert (answer.refusal, answer.subject) == (refusal, subject)
    assert answer.message or refusal is Refusal.STALE
    return answer


def accepted(answer: Answer | None) -> Accepted:
    assert isinstance(answer, Accepted)
    return answer


def task_ids(game: Game, app_id: str = WEB) -> tuple[TaskId, ...]:
    of_app = [i for i in game.world.instances.values() if i.app_id == app_id]
    return tuple(task_id for i in of_app if (task_id := i.task_id) is not None)


# ------------------------------------------------------------------ refusals

REFUSALS = {
    "a new app that exists": (
        lambda g: ChangeApps(g.request(), upserts=(Upsert(spec(cmd="x"), None),)),
        Refusal.EXISTS,
        WEB,
    ),
    "a changed app that does not exist": (
        lambda g: ChangeApps(g.request(), upserts=(Upsert(spec(DB), V1),)),
        Refusal.NOT_FOUND,
        DB,
    ),
    "a change derived from an old version": (
        lambda g: ChangeApps(g.request(), upserts=(Upsert(spec(cmd="x"), V1),)),
        Refusal.STALE,
        WEB,
    ),
    "a removal of an app that does not exist": (
        lambda g: ChangeApps(g.request(), removals=(Removal(DB, None),)),
        Refusal.NOT_FOUND,
        DB,
    ),
    "a removal derived from an old version": (
        lambda g: ChangeApps(g.request(), removals=(Removal(WEB, V1),)),
        Refusal.STALE,
        WEB,
    ),
    "a restart of an app that does not exist": (
        lambda g: ChangeApps(g.request(), restarts=(DB,)),
        Refusal.NOT_FOUND,
        DB,
    ),
    "a circle of dependencies": (
        lambda g: ChangeApps(
            g.request(),
            upserts=(
                Upsert(spec(DB, dependencies=("/cache",)), None),
                Upsert(spec("/cache", dependencies=("/db",)), None),
            ),
        ),
        Refusal.INVALID,
        "",
    ),
    "a cancelled deployment that does not exist": (
        lambda g: CancelDeployment(g.request(), DeploymentId("none")),
        Refusal.NOT_FOUND,
        "none",
    ),
    "a kill of a task that does not exist": (
        lambda g: KillTasks(g.request(), (*task_ids(g), TaskId("web.instance-9._app.1"))),
        Refusal.NOT_FOUND,
        "web.instance-9._app.1",
    ),
    "a kill of something that is no task id": (
        lambda g: KillTasks(g.request(), (TaskId("hello"),)),
        Refusal.NOT_FOUND,
        "hello",
    ),
    "a reset of an app that does not wait": (
        lambda g: ResetDelay(g.request(), WEB),
        Refusal.NOT_FOUND,
        WEB,
    ),
    "a reset of an app that does not exist": (
        lambda g: ResetDelay(g.request(), DB),
        Refusal.NOT_FOUND,
        DB,
    ),
}


@pytest.mark.parametrize("what", REFUSALS)
def test_is_refused_and_changes_nothing(what: str) -> None:
    make, refusal, subject = REFUSALS[what]
    game = running(spec(instances=2))
    command = make(game)
    batch = game.send(command)
    refused(answer_in(batch), refusal, subject)
    assert batch.records == []
    assert len(batch.effects) == 1


def test_one_bad_part_refuses_the_whole_change() -> None:
    """Half of a change is a state that nobody asked for."""
    game = running(spec())
    upserts = (Upsert(spec(DB), None), Upsert(spec(cmd="x"), None))
    batch = game.send(ChangeApps(game.request(), upserts=upserts))
    refused(answer_in(batch), Refusal.EXISTS, WEB)
    assert batch.records == []
    assert DB not in game.world.apps


def test_an_app_under_deployment_is_locked() -> None:
    game = stuck(spec())
    answer = refused(game.upsert(spec(cmd="x")), Refusal.LOCKED, WEB)
    assert answer.deployment_ids == (game.deployment_id,)


def test_a_refusal_names_the_app_that_is_locked_not_its_neighbour() -> None:
    """A change of two apps, of which the second is in the way, must not blame the first."""
    game = stuck(spec())
    refused(game.upsert(spec(DB), spec(cmd="x")), Refusal.LOCKED, WEB)


def test_force_takes_the_place_of_the_deployments_in_the_way_only() -> None:
    game = stuck(spec())
    game.upsert(spec(DB))
    first, other = game.world.deployments
    accepted(game.upsert(spec(cmd="x"), force=True))
    assert first not in game.world.deployments
    assert other in game.world.deployments
    assert len(game.world.deployments) == 2


def test_no_more_deployments_than_the_limit() -> None:
    game = stuck(spec(), settings=Settings(deployments_max=2))
    accepted(game.upsert(spec(DB)))
    refused(game.upsert(spec("/third")), Refusal.TOO_MANY, "")
    # A forced change takes the place of one, so there is room for it.
    accepted(game.upsert(spec(DB, cmd="x"), force=True))


def test_a_kill_with_scale_respects_the_lock() -> None:
    game = running(spec(instances=2))
    game.upsert(spec(instances=2, cmd="x"))
    command = KillTasks(game.request(), task_ids(game)[:1], scale=True)
    batch = game.send(command)
    refused(answer_in(batch), Refusal.LOCKED, WEB)
    assert batch.records == []


# -------------------------------------------------------------------- changes


def test_a_change_is_answered_with_its_version_and_deployment() -> None:
    game = Game()
    batch = game.send(ChangeApps(game.request(), upserts=(Upsert(spec(), None),)))
    (started,) = facts_in(batch, DeploymentStarted)
    answer = accepted(answer_in(batch))
    assert answer == Accepted(started.deployment.version, started.deployment.id)
    assert game.world.apps[WEB].version == answer.version


def test_versions_grow_even_when_the_clock_stands_still_or_goes_back() -> None:
    """A version is what other versions are compared with."""
    game = Game()
    versions: list[Version] = []
    for number in range(3):
        game.now_ms -= number * 5000
        versions.append(accepted(game.upsert(spec(cmd=str(number)), force=True)).version)
    assert versions == sorted(set(versions))


def test_scaling_makes_a_version_but_replaces_no_task() -> None:
    game = running(spec(instances=1))
    before = task_ids(game)
    game.upsert(spec(instances=2))
    (step,) = game.world.deployments[game.deployment_id].steps
    assert [action.kind for action in step.actions] == [ActionKind.SCALE]
    game.run_all()
    assert set(before) < set(task_ids(game))
    version = game.world.version_of(WEB)
    assert version.version > version.config_version


def test_a_new_definition_replaces_every_task() -> None:
    game = running(spec(instances=2))
    before = task_ids(game)
    game.upsert(spec(instances=2, cmd="better"))
    game.run_all()
    assert len(task_ids(game)) == 2
    assert not set(before) & set(task_ids(game))
    assert {i.version for i in game.world.instances.values()} == {game.world.apps[WEB].version}


def test_a_restart_replaces_every_task_of_the_same_definition() -> None:
    game = running(spec(instances=2))
    before = task_ids(game)
    accepted(game.ask(ChangeApps(game.request(), restarts=(WEB,))))
    game.run_all()
    assert not set(before) & set(task_ids(game))
    assert game.world.spec_of(WEB) == spec(instances=2)


def test_a_removed_app_leaves_nothing_but_tombstones() -> None:
    game = running(spec(instances=2))
    game.put(Delay(WEB, game.world.apps[WEB].version, 1, NOW_MS, NOW_MS))
    accepted(game.remove(WEB))
    assert game.world.live_app(WEB) is None
    game.run_all()
    world = game.world
    left = [world.apps, world.versions, world.instances, world.delays, world.tallies]
    assert left == [{}, {}, {}, {}, {}]
    assert len(world.ended) == 2


def test_a_removed_app_can_be_made_anew_while_its_last_tasks_end() -> None:
    game = running(spec(instances=1))
    game.remove(WEB)
    refused(game.upsert(spec(cmd="x")), Refusal.LOCKED, WEB)
    accepted(game.upsert(spec(cmd="x"), force=True))
    game.run_all()
    assert game.only.version == game.world.apps[WEB].version
    assert game.world.spec_of(WEB).cmd == "x"


def test_the_same_definition_again_is_a_deployment_that_is_done_at_once() -> None:
    game = running(spec())
    batch = game.send(
        ChangeApps(game.request(), upserts=(Upsert(spec(), game.world.apps[WEB].version),))
    )
    assert len(facts_in(batch, DeploymentDone)) == 1
    assert game.world.deployments == {}


def test_a_change_of_groups_alone_is_done_at_once() -> None:
    """No app has to move for it, so nothing would ever have looked at its deployment again."""
    game = Game()
    group = Group(GroupId("/shop"), V1, dependencies=("/base",))
    answer = accepted(game.ask(ChangeApps(game.request(), groups=(group,))))
    assert game.world.groups == {group.id: evolve(group, version=answer.version)}
    assert game.world.deployments == {}
    accepted(game.ask(ChangeApps(game.request(), removed_groups=(group.id,))))
    assert game.world.groups == {}
    assert game.world.deployments == {}


def test_a_new_app_may_not_close_a_circle_through_the_dependencies_of_its_group() -> None:
    """It depends on nothing itself; what it closes was written down before."""
    game = Game()
    game.put(Group(GroupId("/shop"), V1, dependencies=("/base",)))
    game.install(spec("/base/db", instances=0, dependencies=("/shop/web",)))
    batch = game.send(ChangeApps(game.request(), upserts=(Upsert(spec("/shop/web"), None),)))
    refused(answer_in(batch), Refusal.INVALID, "")
    assert batch.records == []


def test_old_versions_are_pruned_but_none_that_is_needed() -> None:
    game = running(spec(instances=1), settings=Settings(versions_max=3))
    for number in range(6):
        game.now_ms += 1000
        game.upsert(spec(instances=1, cmd=str(number)))
        game.run_all()
    assert [v.spec.cmd for v in game.world.versions[WEB].values()] == ["3", "4", "5"]


def test_with_one_version_kept_a_change_still_knows_where_it_came_from() -> None:
    """The version before a change is needed for as long as the change may be taken back."""
    game = stuck(spec(instances=0), settings=Settings(versions_max=1))
    accepted(game.upsert(spec(instances=1, cmd="better")))
    accepted(game.ask(CancelDeployment(game.request(), game.deployment_id)))
    assert game.world.spec_of(WEB) == spec(instances=0)


def test_a_new_definition_forgets_the_back_off_of_the_old_one_scaling_does_not() -> None:
    game = running(spec(backoff=Backoff(base_ms=60_000)))
    game.send(update(game.only.task_id, TaskState.FAILED))
    assert game.world.delays
    game.upsert(spec(backoff=Backoff(base_ms=60_000), instances=2))
    assert game.world.delays
    game.upsert(spec(backoff=Backoff(base_ms=60_000), cmd="better"), force=True)
    assert not game.world.delays


# ----------------------------------------------------------------- cancelling


def test_cancelling_by_force_stops_the_deployment_and_changes_nothing_else() -> None:
    game = stuck(spec())
    before = dict(game.world.apps)
    batch = game.send(CancelDeployment(game.request(), game.deployment_id, force=True))
    assert len(facts_in(batch, DeploymentFailed)) == 1
    assert game.world.deployments == {}
    assert game.world.apps == before


def test_after_a_forced_cancel_old_and_new_instances_are_left_in_peace() -> None:
    game = running(spec(instances=2))
    game.upsert(spec(instances=2, cmd="better"))
    game.send(CancelDeployment(game.request(), game.deployment_id, force=True))
    before = [i.id for i in game.world.instances.values() if i.condition is Condition.RUNNING]
    game.run_all()
    assert [i.id for i in game.world.instances.values()] == before


def test_cancelling_takes_back_what_the_deployment_changed() -> None:
    game = running(spec(instances=2))
    old_version = game.world.apps[WEB].version
    game.upsert(spec(instances=2, cmd="better"))
    cancelled = game.deployment_id
    batch = game.send(CancelDeployment(game.request(), cancelled))
    assert game.world.apps[WEB].version == old_version
    (started,) = facts_in(batch, DeploymentStarted)
    assert started.deployment.reverts == cancelled
    game.run_all()
    assert game.conditions() == ["Running", "Running"]
    assert {i.version for i in game.world.instances.values()} == {old_version}


def test_cancelling_removes_only_the_app_that_the_deployment_made() -> None:
    game = running(spec())
    game.upsert(spec(cmd="better"), spec(DB))
    accepted(game.ask(CancelDeployment(game.request(), game.deployment_id)))
    game.run_all()
    assert list(game.world.apps) == [WEB]
    assert game.world.spec_of(WEB).cmd == "run"


def test_cancelling_a_removal_brings_the_app_back() -> None:
    game = running(spec(instances=1))
    game.remove(WEB)
    accepted(game.ask(CancelDeployment(game.request(), game.deployment_id)))
    game.run_all()
    assert game.conditions() == ["Running"]
    assert game.world.live_app(WEB) is not None


def test_cancelling_leaves_an_app_alone_that_was_changed_since() -> None:
    """Another deployment took the app over by force and is done; it is not ours any more."""
    game = stuck(spec(), spec(DB))
    first = game.world.deployments[game.deployment_id]
    later = Version("2030-01-01T00:00:00.000Z")
    game.put(evolve(game.world.version_of(WEB), version=later))
    game.put(evolve(game.world.apps[WEB], version=later))
    accepted(game.ask(CancelDeployment(game.request(), first.id)))
    assert game.world.apps[WEB].version == later
    assert DB not in game.world.apps or game.world.apps[DB].removed


def test_cancelling_what_was_changed_since_altogether_is_done_at_once() -> None:
    game = stuck(spec())
    later = Version("2030-01-01T00:00:00.000Z")
    game.put(evolve(game.world.version_of(WEB), version=later))
    game.put(evolve(game.world.apps[WEB], version=later))
    accepted(game.ask(CancelDeployment(game.request(), game.deployment_id)))
    assert game.world.deployments == {}


def test_cancelling_is_refused_where_it_would_close_a_circle() -> None:
    """Since the deployment began, others have come to depend on the app it set free."""
    game = stuck(spec(DB))
    game.install(spec("/a", dependencies=("/db",)))
    game.upsert(spec("/a", instances=2))
    (_, freed) = game.world.deployments
    accepted(game.upsert(spec(DB, dependencies=("/a",)), force=True))
    batch = game.send(CancelDeployment(game.request(), freed))
    refused(answer_in(batch), Refusal.INVALID, "")
    assert batch.records == []
    assert freed in game.world.deployments


# ---------------------------------------------------------------------- tasks


def test_a_killed_task_is_replaced_under_the_same_instance() -> None:
    game = running(spec(instances=1))
    before = game.only
    answer = game.ask(KillTasks(game.request(), task_ids(game)))
    assert answer == Killed((before,))
    assert (game.only.condition, game.only.goal) == (Condition.KILLING, Goal.RUNNING)
    game.run_all()
    assert (game.only.id, game.only.incarnation) == (before.id, 2)


def test_a_wiped_task_is_replaced_by_a_new_instance() -> None:
    game = running(spec(instances=1))
    before = game.only
    game.ask(KillTasks(game.request(), task_ids(game), wipe=True))
    game.run_all()
    assert game.only.id != before.id


def test_a_kill_with_scale_lowers_the_count_by_a_deployment() -> None:
    game = running(spec(instances=3))
    chosen = task_ids(game)[:2]
    accepted(game.ask(KillTasks(game.request(), chosen, scale=True)))
    assert game.world.spec_of(WEB).instances == 1
    game.run_all()
    assert len(game.world.instances) == 1
    assert game.only.task_id not in chosen


@pytest.mark.parametrize("condition", [Condition.RUNNING, Condition.UNREACHABLE])
def test_a_task_named_twice_is_killed_and_counted_once(condition: Condition) -> None:
    """An unreachable one is forgotten on the spot: the second naming must not look for it."""
    game = Game()
    game.install(spec(instances=3))
    game.put(instance(condition))
    task_id = game.only.task_id
    assert task_id is not None
    command = KillTasks(game.request(), (task_id, task_id), scale=True)
    batch = game.send(command)
    assert len(effects_in(batch, Kill)) == 1
    assert game.world.spec_of(WEB).instances == 2


def test_a_kill_with_scale_that_is_repeated_lowers_the_count_once() -> None:
    """The answer may have been lost; what is being ended for good is missed by nobody."""
    game = running(spec(instances=3))
    chosen = task_ids(game)[:1]
    accepted(game.ask(KillTasks(game.request(), chosen, scale=True)))
    accepted(game.ask(KillTasks(game.request(), chosen, scale=True, force=True)))
    assert game.world.spec_of(WEB).instances == 2
    game.run_all()
    assert len(game.world.instances) == 2


def test_a_reset_lets_an_app_launch_that_backs_off() -> None:
    game = running(spec(backoff=Backoff(base_ms=60_000)))
    game.send(update(game.only.task_id, TaskState.FAILED))
    game.run_all()
    assert game.conditions() == ["Scheduled"]
    answer = accepted(game.ask(ResetDelay(game.request(), WEB)))
    assert answer.deployment_id is None
    game.run_all()
    assert game.conditions() == ["Running"]


def test_every_command_is_answered_exactly_once() -> None:
    game = running(spec(instances=1))
    commands: list[Command] = [
        ChangeApps(game.request(), restarts=(WEB,)),
        ChangeApps(game.request(), restarts=(WEB,)),
        KillTasks(game.request(), task_ids(game)),
        ResetDelay(game.request(), WEB),
        CancelDeployment(game.request(), DeploymentId("none")),
    ]
    batch = game.batch()
    for command in commands:
        handle(batch, command)
    replies = [e.request_id for e in batch.effects if isinstance(e, Reply)]
    assert replies == [command.request_id for command in commands]


@pytest.mark.parametrize(
    "twice",
    [
        {"restarts": (WEB, WEB)},
        {"restarts": (WEB,), "removals": (Removal(WEB, None),)},
        {"removals": (Removal(WEB, None), Removal(WEB, None))},
    ],
)
def test_a_change_that_names_an_app_twice_is_refused(twice: dict[str, tuple[object, ...]]) -> None:
    """Which of the two would be meant?"""
    game = running(spec(instances=1))
    batch = game.send(evolve(ChangeApps(game.request()), **twice))
    refused(answer_in(batch), Refusal.INVALID, WEB)
    assert batch.records == []


# -------------------------------------------------------------- groups, and the way back


def in_group(cmd: str, *dependencies: str) -> tuple[AppSpec, Group]:
    shop = Group(GroupId("/shop"), Version(""), dependencies)
    return spec("/shop/web", cmd=cmd), shop


def change_group(game: Game, app: AppSpec, *groups: Group, removed: tuple[str, ...] = ()) -> Answer:
    known = game.world.live_app(app.id)
    upsert = Upsert(app, None if known is None else known.version)
    removed_groups = tuple(map(GroupId, removed))
    return game.ask(
        ChangeApps(game.request(), (upsert,), groups=groups, removed_groups=removed_groups)
    )


def test_cancelling_takes_the_groups_back_as_well() -> None:
    game = Game()
    game.connect()
    game.upsert(spec("/db"), spec("/cache"))
    old = Group(GroupId("/shop/old"), Version(""), ("/db",))
    app, shop = in_group("one", "/db")
    change_group(game, app, shop, old)
    game.run_all()
    before = dict(game.world.groups)
    app, shop = in_group("two", "/cache")
    new = Group(GroupId("/shop/new"), Version(""), ())
    change_group(game, app, shop, new, removed=("/shop/old",))
    assert game.world.groups.keys() == {"/shop", "/shop/new"}
    game.offer(offer(4))
    game.ask(CancelDeployment(game.request(), game.deployment_id))
    assert game.world.groups == before
    # And the way back can be given up again.
    game.ask(CancelDeployment(game.request(), game.deployment_id))
    assert game.world.groups[GroupId("/shop")].dependencies == ("/cache",)
    assert GroupId("/shop/old") not in game.world.groups


def test_a_group_that_was_changed_again_since_is_left_alone() -> None:
    game = Game()
    game.connect()
    app, shop = in_group("one", "/db")
    change_group(game, app, shop)
    first = game.deployment_id
    game.ask(ChangeApps(game.request(), groups=(evolve(shop, dependencies=("/cache",)),)))
    game.ask(CancelDeployment(game.request(), first))
    assert game.world.groups[shop.id].dependencies == ("/cache",)
