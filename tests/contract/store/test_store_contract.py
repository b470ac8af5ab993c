"""Every store keeps the same promises; see scheduler/store/contract.py."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from attrs import evolve

from scheduler.core.ids import AppId, Epoch
from scheduler.core.records import App, Delete, Kind, put
from scheduler.store import Elected, MemoryStore, SqliteStore, StaleEpoch, Store
from tests.unit.store.samples import CODEC, FULL_INSTANCE, SAMPLES, V1, V2

Reopen = Callable[[], Store]


@pytest.fixture(params=["memory", "sqlite"])
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Reopen]:
    """Give a function that ends the process that has the store open, and opens it anew."""
    if request.param == "memory":
        memory = MemoryStore(CODEC)
        yield lambda: memory
        return
    opened: list[SqliteStore] = []

    def open_again() -> Store:
        if opened:
            opened[-1].close()
        opened.append(SqliteStore(tmp_path / "egret.db", CODEC))
        return opened[-1]

    yield open_again
    opened[-1].close()


@pytest.fixture
def store(reopen: Reopen) -> Store:
    return reopen()


def elect(store: Store) -> Epoch:
    elected = store.campaign()
    assert isinstance(elected, Elected)
    return elected.epoch


def test_a_new_store_is_empty(store: Store):
    elect(store)
    assert list(store.load()) == []


def test_what_was_committed_is_loaded_after_a_restart(store: Store, reopen: Reopen):
    records = {(record.kind, record.key): record for record in map(put, SAMPLES.values())}
    store.commit(elect(store), list(records.values()))
    store = reopen()
    elect(store)
    assert {(record.kind, record.key): record for record in store.load()} == records


def test_records_are_loaded_by_kind_in_the_order_of_kinds_and_then_by_key(store: Store):
    records = [put(entity) for entity in SAMPLES.values()]
    records += [put(App(AppId(f"/a{number}"), V1)) for number in (3, 1, 2)]
    store.commit(elect(store), records[::-1])
    loaded = [(record.kind, record.key) for record in store.load()]
    order = list(Kind)
    assert loaded == sorted(loaded, key=lambda row: (order.index(row[0]), row[1]))


def test_a_later_record_of_the_same_batch_wins(store: Store):
    app = App(AppId("/a"), V1)
    gone = App(AppId("/b"), V1)
    back = App(AppId("/c"), V1)
    store.commit(elect(store), [
        put(app), put(evolve(app, version=V2)),
        put(gone), Delete(Kind.APP, "/b"),
        put(back), Delete(Kind.APP, "/c"), put(evolve(back, version=V2)),
    ])  # fmt: skip
    assert list(store.load()) == [put(evolve(app, version=V2)), put(evolve(back, version=V2))]


def test_a_value_is_replaced_as_a_whole(store: Store):
    epoch = elect(store)
    store.commit(epoch, [put(FULL_INSTANCE)])
    least = evolve(FULL_INSTANCE, placement=None, checks=(), last_message=None)
    store.commit(epoch, [put(least)])
    assert list(store.load()) == [put(least)]


def test_deleting_what_is_not_there_is_no_error(store: Store):
    store.commit(elect(store), [Delete(Kind.APP, "/nothing")])
    assert list(store.load()) == []


def test_the_same_commit_twice_is_the_same_as_once(store: Store):
    epoch = elect(store)
    records = [put(SAMPLES["app"]), Delete(Kind.AGENT, "a")]
    store.commit(epoch, records)
    store.commit(epoch, records)
    assert list(store.load()) == [put(SAMPLES["app"])]


def test_an_empty_commit_still_finds_out_that_the_epoch_is_over(store: Store):
    old = elect(store)
    elect(store)
    with pytest.raises(StaleEpoch):
        store.commit(old, [])


def test_every_epoch_is_greater_than_the_one_before_also_over_restarts(
    store: Store, reopen: Reopen
):
    first = elect(store)
    second = elect(store)
    third = elect(reopen())
    assert first < second < third


def test_a_leader_of_an_older_epoch_can_write_nothing(store: Store):
    """Invariant S6: after the first commit of a new epoch no older one succeeds."""
    old = elect(store)
    new = elect(store)
    store.commit(new, [put(App(AppId("/new"), V1))])
    with pytest.raises(StaleEpoch, match=f"epoch {old} is over, {new} leads"):
        store.commit(old, [put(App(AppId("/old"), V1)), Delete(Kind.APP, "/new")])
    assert list(store.load()) == [put(App(AppId("/new"), V1))]


def test_a_batch_larger_than_one_statement_is_written_as_one(store: Store):
    epoch = elect(store)
    apps = [App(AppId(f"/a{number:05}"), V1) for number in range(2_345)]
    store.commit(epoch, [put(app) for app in apps])
    assert list(store.load()) == [put(app) for app in apps]
    store.commit(epoch, [Delete(Kind.APP, app.id) for app in apps[1:]])
    assert list(store.load()) == [put(apps[0])]


def test_keys_with_any_letters_are_kept_apart(store: Store):
    ids = ["/a", "/A", "/\u00e4", "/a\u0308", "/a ", "/%", "/_", "/'"]
    store.commit(elect(store), [put(App(AppId(app_id), V1)) for app_id in ids])
    assert sorted(record.key for record in store.load()) == sorted(ids)


def test_closing_twice_is_no_error(store: Store):
    elect(store)
    store.close()
    store.close()
