"""From what changes to the steps that do it: dependencies first, nothing twice."""

from typing import Any

import pytest

from scheduler.core.app import AppSpec
from scheduler.core.deployment import Change
from scheduler.core.group import Group
from scheduler.core.ids import AppId, GroupId, Version
from scheduler.core.planning import (
    CyclicDependenciesError,
    dependency_depths,
    is_config_change,
    plan,
)
from scheduler.core.records import App, AppVersion
from tests.unit.core.game import V1, Game, spec

V2 = Version("2030-01-01T00:00:00.000Z")


def world_of(*specs: AppSpec, groups: dict[str, tuple[str, ...]] | None = None) -> Game:
    game = Game()
    game.install(*specs)
    for path, needs in (groups or {}).items():
        game.put(Group(GroupId(path), V1, needs))
    return game


def steps(game: Game, *changes: Change) -> list[list[str]]:
    return [
        [f"{action.kind.removesuffix('Application')} {action.app_id}" for action in step.actions]
        for step in plan(game.world, changes)
    ]


def new(app_id: str) -> Change:
    return Change(AppId(app_id), before=None, after=V1)


def test_new_apps_are_announced_together_and_started_layer_by_layer() -> None:
    game = world_of(
        spec("/web", dependencies=("/api",)),
        spec("/api", dependencies=("/db", "/cache")),
        spec("/db"),
        spec("/cache"),
    )
    assert steps(game, new("/web"), new("/api"), new("/db"), new("/cache")) == [
        ["Start /web", "Start /api", "Start /db", "Start /cache"],
        ["Scale /db", "Scale /cache"],
        ["Scale /api"],
        ["Scale /web"],
    ]


def test_what_is_removed_is_stopped_first() -> None:
    game = world_of(spec("/old"), spec("/new"))
    changes = [new("/new"), Change(AppId("/old"), before=V1, after=None)]
    assert steps(game, *changes) == [["Stop /old"], ["Start /new"], ["Scale /new"]]


@pytest.mark.parametrize(
    ("after", "keeps_config", "expected"),
    [
        (spec(cmd="better"), False, [["Restart /web"]]),
        (spec(instances=5), True, [["Scale /web"]]),
        (spec(), True, []),
        # A restart: the same definition under a new config version.
        (spec(), False, [["Restart /web"]]),
        (spec(instances=5), False, [["Restart /web"]]),
    ],
)
def test_a_change_is_a_restart_a_scaling_or_nothing(
    after: AppSpec, keeps_config: bool, expected: list[list[str]]
) -> None:
    game = world_of(spec())
    game.put(AppVersion(after, V2, V1 if keeps_config else V2, V1), App(after.id, V2))
    assert steps(game, Change(after.id, before=V1, after=V2)) == expected


def test_an_app_waits_only_for_what_changes_with_it() -> None:
    """Its dependency is up already: a step for it would have nothing to do."""
    game = world_of(spec("/web", dependencies=("/db",)), spec("/db"))
    assert steps(game, new("/web")) == [["Start /web"], ["Scale /web"]]


def test_layers_follow_the_longest_chain() -> None:
    game = world_of(
        spec("/a"),
        spec("/b", dependencies=("/a",)),
        spec("/c", dependencies=("/b", "/a")),
        spec("/d", dependencies=("/a",)),
    )
    depths = dependency_depths(game.world)
    assert depths == {"/a": 0, "/b": 1, "/c": 2, "/d": 1}


def test_a_group_passes_its_dependencies_on_to_all_below_it() -> None:
    game = world_of(
        spec("/shop/web"),
        spec("/shop/deep/er"),
        spec("/base/db"),
        groups={"/shop": ("/base",), "/base": ()},
    )
    assert dependency_depths(game.world) == {"/base/db": 0, "/shop/web": 1, "/shop/deep/er": 1}


def test_a_dependency_on_a_group_is_one_on_every_app_in_it() -> None:
    game = world_of(spec("/web", dependencies=("/base",)), spec("/base/db"), spec("/base/x/y"))
    assert dependency_depths(game.world)[AppId("/web")] == 1
    # A name that merely begins alike is another app.
    other = world_of(spec("/web", dependencies=("/base",)), spec("/baseline"))
    assert dependency_depths(other.world).get(AppId("/web"), 0) == 0


def test_a_dependency_that_is_not_there_holds_nothing_up() -> None:
    game = world_of(spec("/web", dependencies=("/none",)))
    assert steps(game, new("/web")) == [["Start /web"], ["Scale /web"]]


@pytest.mark.parametrize(
    "game",
    [
        world_of(spec("/a", dependencies=("/b",)), spec("/b", dependencies=("/a",))),
        world_of(
            spec("/a", dependencies=("/b",)),
            spec("/b", dependencies=("/c",)),
            spec("/c", dependencies=("/a",)),
        ),
        world_of(spec("/g/a"), spec("/b", dependencies=("/g/a",)), groups={"/g": ("/b",)}),
    ],
)
def test_a_circle_has_no_order(game: Game) -> None:
    with pytest.raises(CyclicDependenciesError):
        dependency_depths(game.world)


def test_an_app_that_depends_on_itself_is_no_circle() -> None:
    """A group that depends on its own path would otherwise never be deployed."""
    itself = world_of(spec("/a", dependencies=("/a",)))
    assert dependency_depths(itself.world).get(AppId("/a"), 0) == 0


def test_only_the_count_of_instances_may_differ_without_replacing_tasks() -> None:
    assert not is_config_change(spec(), spec(instances=7))
    assert is_config_change(spec(), spec(cmd="x"))
    assert is_config_change(spec(), spec(cmd="x", instances=7))


def test_planning_among_many_apps_that_depend_on_each_other_reads_each_app_once_or_twice() -> None:
    """It is done on the loop for every change: looking for each dependency among all would hold
    everything up for seconds.
    """
    number = 300
    specs = [spec(f"/all/app{n}", dependencies=(f"/all/app{n - 1}",)) for n in range(1, number)]
    world = world_of(spec("/all/app0"), *specs).world
    world.apps = _CountedApps(world.apps)
    assert max(dependency_depths(world).values()) == number - 1
    assert world.apps.read <= 5 * number


class _CountedApps(dict[AppId, App]):
    """Counts the apps that are looked at."""

    read = 0

    def items(self) -> Any:
        self.read += len(self)
        return super().items()

    def __getitem__(self, key: AppId) -> App:
        self.read += 1
        return super().__getitem__(key)


def test_an_app_left_half_way_by_a_stopped_deployment_is_rolled_though_it_is_defined_as_it_is() -> (
    None
):
    """Defined again by force while it was replaced, it kept its old instances for ever."""
    game = Game()
    game.connect()
    game.upsert(spec("/web", instances=2))
    game.run_all()
    game.upsert(spec("/web", instances=2, cmd="new"))
    game.upsert(spec("/web", instances=2, cmd="new"), force=True)
    game.run_all()
    wanted = game.world.version_of(AppId("/web")).config_version
    running = {instance.version for instance in game.world.instances.values()}
    assert running == {wanted}
    assert game.world.deployments == {}
