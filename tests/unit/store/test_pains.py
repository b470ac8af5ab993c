"""What Marathon's users suffered from its store: that it cannot happen here.

The numbers in the docstrings are issues of Marathon's tracker.
"""

import sqlite3
from collections import Counter
from pathlib import Path

import pytest
from attrs import evolve

from scheduler.core import Batch, Settings, World
from scheduler.core.effects import Accepted
from scheduler.core.events import ChangeApps, Event
from scheduler.core.ids import AppId
from scheduler.core.instance import TaskState
from scheduler.core.records import Kind, Record
from scheduler.core.wishes import Upsert
from scheduler.spec import decode_spec, encode_spec
from scheduler.store import Codec, Elected, MemoryStore, SqliteStore, Store
from tests.unit.core.game import WEB, spec, update
from tests.unit.core.troubled import Cluster

CODEC = Codec(encode_spec, decode_spec)
SMALL = 1024


class Stored(Cluster):
    """A game of which all is stored; ``save`` commits what has gathered since."""

    def __init__(self, store: Store, settings: Settings | None = None) -> None:
        super().__init__(settings)
        elected = store.campaign()
        assert isinstance(elected, Elected)
        self._epoch = elected.epoch
        self._store = store
        self._unsaved: list[Record] = []
        self.connect()

    def send(self, *events: Event) -> Batch:
        batch = super().send(*events)
        self._unsaved += batch.records
        return batch

    def save(self) -> None:
        self._store.commit(self._epoch, self._unsaved)
        self._unsaved.clear()

    def create(self, *app_ids: str, **changes: object) -> None:
        whole = spec(WEB, **changes)
        upserts = tuple(Upsert(evolve(whole, id=AppId(app_id)), None) for app_id in app_ids)
        assert isinstance(self.ask(ChangeApps(self.request(), upserts=upserts)), Accepted)
        self.save()


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(CODEC)


def world_in(store: Store) -> World:
    world = World(Settings())
    world.load(store.load())
    return world


def sizes(store: MemoryStore) -> dict[tuple[Kind, str], int]:
    return {row: len(value) for row, value in store._rows.items()}


def test_no_record_grows_with_the_number_of_apps(store: MemoryStore):
    """#2101, #4384: all apps lay in one node of ZooKeeper, which takes 1 MB and no more."""
    game = Stored(store)
    largest: list[int] = []
    for group in range(40):
        game.create(*(f"/group-{group:02}/app-{number:02}" for number in range(50)))
        largest.append(max(sizes(store).values()))
    kinds = Counter(kind for kind, _ in sizes(store))
    assert kinds[Kind.APP] == kinds[Kind.VERSION] == kinds[Kind.INSTANCE] == 2_000
    assert len(set(largest)) == 1


def test_a_deployment_names_its_apps_and_copies_no_definition(store: MemoryStore):
    """#3848, #2101: it held the whole tree before and after it, and was too large to be stored."""
    game = Stored(store)
    env = tuple((f"NAME_{number}", "value" * 20) for number in range(100))
    game.create(*(f"/shop/app-{number}" for number in range(1_000)), env=env)
    (size,) = [size for (kind, _), size in sizes(store).items() if kind is Kind.DEPLOYMENT]
    assert size < 1_000 * 200
    assert sum(sizes(store).values()) > 1_000 * 10_000, "which is what the definitions take"
    (loaded,) = world_in(store).deployments.values()
    assert len(loaded.changes) == 1_000


def test_a_huge_definition_is_stored_once_for_all_that_runs_of_it(store: MemoryStore):
    """#2101, #4384: a large environment filled the node, the more so the more tasks ran."""
    game = Stored(store)
    env = (("CERTIFICATES", "x" * 2 * 1024 * 1024),)
    game.create("/web", env=env, instances=200)
    game.run_all()
    game.save()
    assert len(game.running()) == 200
    large = [row for row, size in sizes(store).items() if size > SMALL]
    assert [kind for kind, _ in large] == [Kind.VERSION]
    assert sum(sizes(store).values()) < 2.5 * 1024 * 1024
    assert world_in(store).spec_of(AppId("/web")).env == env


def test_a_store_does_not_grow_by_deploying_again_and_again(tmp_path: Path):
    """#1683: twenty thousand nodes for four hundred apps, and what was deleted never went."""
    path = tmp_path / "egret.db"
    store = SqliteStore(path, CODEC)
    game = Stored(store, Settings(versions_max=10, ended_max=50, finished_max=20))
    game.create("/web", instances=3)
    found: list[tuple[object, ...]] = []
    for round_ in range(1, 121):
        game.upsert(spec(cmd=f"run {round_:04}", instances=3))
        game.run_all()
        game.send(update(game.running()[0].task_id, TaskState.FAILED))
        game.create(f"/passing-{round_:04}")
        game.run_all()
        game.remove(f"/passing-{round_:04}")
        game.wait_stepwise(600_000)
        game.run_all()
        game.save()
        if round_ in {60, 120}:
            found.append(what_lies_in(path))
    store.close()
    assert found[0] == found[1]


def what_lies_in(path: Path) -> tuple[object, ...]:
    """Count the records of each kind and the pages of the file."""
    with sqlite3.connect(path) as database:
        rows = database.execute("SELECT kind, count(*) FROM record GROUP BY kind").fetchall()
        (pages,) = database.execute("PRAGMA page_count").fetchone()
    database.close()
    return dict(rows), pages
