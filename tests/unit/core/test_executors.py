"""Which executor of ours a task runs in, what it costs, and whose fault its end is."""

from collections import Counter

from attrs import evolve

from scheduler.core import Settings
from scheduler.core.app import AppSpec
from scheduler.core.events import ExecutorLost
from scheduler.core.executors import OVERHEAD, TASKS_MAX, Executor, founded_by
from scheduler.core.ids import TaskId
from scheduler.core.instance import Instance, TaskState
from scheduler.core.records import Put
from scheduler.core.world import World
from tests.unit.core.game import A1, FEW, WEB, Game, launched_in, offer, spec, update

URI = "http://scheduler:8080/downloads/executor"
OURS = spec(executor="egret", instances=0)
GONE = "REASON_EXECUTOR_TERMINATED"


def game() -> Game:
    one = Game(Settings(executor_uri=URI))
    one.connect()
    return one


def executor_of(instance: Instance) -> Executor:
    assert instance.placement is not None
    assert instance.placement.executor is not None
    return instance.placement.executor


def launch(one: Game, app: AppSpec = OURS, *, count: int, number: int = 1) -> list[Instance]:
    """Deploy the app with so many more instances, launch them on one agent and run them."""
    known = one.world.live_app(app.id)
    before = one.world.spec_of(app.id).instances if known else 0
    one.upsert(evolve(app, instances=before + count), force=True)
    launched = launched_in(one.offer(offer(number, cpus_milli=100_000, mem_mib=100_000)))
    assert len(launched) == count
    for instance in launched:
        one.send(update(instance.task_id, TaskState.RUNNING))
    return launched


def test_a_task_of_mesoss_executor_has_none_of_ours() -> None:
    one = game()
    (launched,) = launch(one, spec(), count=1)
    assert launched.placement is not None
    assert launched.placement.executor is None


def test_the_first_task_founds_an_executor_and_later_ones_join_it() -> None:
    one = game()
    (first,) = launch(one, count=1)
    assert first.task_id is not None
    founded = executor_of(first)
    assert founded.id == founded_by(first.task_id)
    assert (founded.uri, founded.user, founded.role) == (URI, None, "*")
    (second,) = launch(one, count=1)
    assert executor_of(second) == founded


def test_an_executor_takes_its_own_share_of_the_offer_once() -> None:
    one = game()
    one.upsert(evolve(OURS, instances=3))
    room_for_two = OVERHEAD.cpus_milli + 2 * FEW.cpus_milli
    launched = launched_in(one.offer(offer(cpus_milli=room_for_two)))
    assert len(launched) == 2
    (executor,) = {executor_of(instance) for instance in launched}
    assert sum(pool.cpus_milli for pool in executor.pools) == OVERHEAD.cpus_milli
    assert sum(pool.mem_mib for pool in executor.pools) == OVERHEAD.mem_mib
    for instance in launched:
        one.send(update(instance.task_id, TaskState.RUNNING))
    assert len(launched_in(one.offer(offer(cpus_milli=FEW.cpus_milli)))) == 1


def test_an_offer_without_room_for_the_executor_is_refused() -> None:
    one = game()
    one.upsert(evolve(OURS, instances=1))
    assert not launched_in(one.offer(offer(cpus_milli=FEW.cpus_milli)))
    assert not launched_in(one.offer(offer(mem_mib=FEW.mem_mib)))


def test_an_executor_is_filled_to_its_limit_before_the_next_is_founded() -> None:
    one = game()
    sizes = Counter(executor_of(instance).id for instance in launch(one, count=TASKS_MAX + 10))
    assert sorted(sizes.values()) == [10, TASKS_MAX]
    (more,) = launch(one, count=1)
    assert sizes[executor_of(more).id] == 10


def test_a_new_version_of_an_app_joins_the_executor_of_the_old_one() -> None:
    one = game()
    (first,) = launch(one, count=1)
    one.upsert(evolve(OURS, cmd="other", instances=1))
    (second,) = launched_in(one.offer(offer()))
    assert second.version != first.version
    assert executor_of(second) == executor_of(first)


def test_agents_users_apps_and_archives_share_no_executor() -> None:
    one = game()
    (first,) = launch(one, count=1)
    (elsewhere,) = launch(one, count=1, number=2)
    (other_app,) = launch(one, spec("/other", executor="egret", instances=0), count=1)
    one.upsert(evolve(OURS, user="www", instances=3), force=True)
    other_user = launched_in(one.offer(offer(cpus_milli=100_000)))[0]
    one.world.settings = Settings(executor_uri=f"{URI}-2")
    (newer,) = launch(one, spec("/other", executor="egret", instances=0), count=1)
    executors = {executor_of(i) for i in (first, elsewhere, other_app, other_user, newer)}
    assert len(executors) == 5
    assert executor_of(other_user).user == "www"
    assert executor_of(newer).uri == f"{URI}-2"


def test_an_executor_that_has_ended_is_not_joined() -> None:
    """Word of its end may come before word of the ends of its tasks, or the other way round."""
    one = game()
    first, other = launch(one, count=2)
    one.send(ExecutorLost(A1, executor_of(first).id, 9))
    (second,) = launch(one, count=1)
    assert executor_of(second).id == founded_by(second.task_id or TaskId(""))
    one.send(update(second.task_id, TaskState.FAILED, reason=GONE))
    one.send(update(other.task_id, TaskState.FAILED, reason=GONE))
    assert executor_of(first).id in one.world.executors.tasks[(WEB, A1)]
    one.wait(600_000)
    for instance in launched_in(one.offer(offer(cpus_milli=100_000))):
        assert executor_of(instance).id not in {executor_of(first).id, executor_of(second).id}


def test_a_task_that_comes_as_its_executor_leaves_is_launched_again_at_once() -> None:
    one = game()
    launch(one, count=1)
    one.upsert(evolve(OURS, instances=2), force=True)
    (guest,) = launched_in(one.offer(offer()))
    one.send(update(guest.task_id, TaskState.FAILED, reason=GONE))
    assert not one.world.delays
    assert not one.world.failures
    (again,) = launched_in(one.offer(offer()))
    assert again.id == guest.id
    assert executor_of(again).id == founded_by(again.task_id or TaskId(""))


def test_a_task_whose_executor_cannot_start_is_to_blame() -> None:
    """Else an agent without Python would be tried without end."""
    one = game()
    one.upsert(evolve(OURS, instances=1))
    (founder,) = launched_in(one.offer(offer()))
    one.send(update(founder.task_id, TaskState.FAILED, reason=GONE))
    assert one.world.delays


def test_what_ran_when_its_executor_ended_is_to_blame() -> None:
    one = game()
    _, guest = launch(one, count=2)
    one.send(update(guest.task_id, TaskState.FAILED, reason=GONE))
    assert one.world.delays


def test_a_loaded_world_knows_the_executors() -> None:
    one = game()
    launch(one, count=2)
    stored = {record.key: record for record in one.history if isinstance(record, Put)}
    loaded = World(one.world.settings)
    loaded.load(stored.values())
    assert loaded.executors.tasks == one.world.executors.tasks
