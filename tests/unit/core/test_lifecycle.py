"""Every cell of the life cycle's table: what each signal does in each condition.

The two tables below are the promise. A word names what becomes of the instance:

    .        nothing changes, nothing is sent
    !        cannot happen: counted, changes nothing
    again    it waits for a place once more, under its next task id
    solo     the same, to be tried in an ACCEPT of its own
    gone     it is forgotten, with a tombstone
    Running… its next condition

and what comes with it: ``+kill`` and ``+ask`` are calls to Mesos; ``+fault`` is a remembered
failure that costs back-off, ``+failure`` one that costs none.
"""

import pytest
from attrs import evolve

from scheduler.core.app import HealthCheck, HealthProtocol, UnreachableStrategy
from scheduler.core.batch import Batch
from scheduler.core.effects import Kill, Publish, Reconcile
from scheduler.core.ids import InstanceId, TaskId
from scheduler.core.instance import Condition, Goal, Instance, TaskState
from scheduler.core.lifecycle import TABLE, step
from scheduler.core.records import Delay, Delete, Ended, Failure, Kind
from scheduler.core.settings import Settings
from scheduler.core.signals import Cause, Signal
from tests.unit.core.game import NOW_MS, WEB, Game, effects_in, instance, spec, update, values_in

COLUMNS = tuple(
    "staging starting running killing crashed killed refused lost unreachable unknown "  # noqa: SIM905
    "recycle end deregistered deadline".split()
)
"""The signals; KILL comes in two forms: ``recycle`` keeps the goal, ``end`` decommissions."""

WANTED = """
Scheduled    ! ! ! ! ! ! ! ! ! ! . gone . .
Provisioned  Staging Starting Running Killing again+fault again solo again Unreachable again \
             Killing+kill Killing+kill . Provisioned+ask
Staging      . Starting Running Killing again+fault again again+fault again Unreachable \
             Unreachable Killing+kill Killing+kill . Killing+kill
Starting     . . Running Killing again+fault again again+fault again Unreachable \
             Unreachable Killing+kill Killing+kill . Killing+kill
Running      . . . Killing again+fault again again+fault again Unreachable \
             Unreachable Draining Draining . .
Draining     . . . Killing again again again again Unreachable again \
             . Draining Killing+kill Killing+kill
Killing      . . . . again again again again Unreachable again . Killing . Killing+kill
Unreachable  Running Running Running Killing again+fault again again+fault again . \
             Unreachable again+kill gone+kill . UnreachableInactive
UnreachableInactive  Running Running Running Killing gone gone gone gone . gone gone gone . gone
"""
"""What becomes of an instance that is wanted (goal Running)."""

UNWANTED = """
Scheduled    ! ! ! ! ! ! ! ! ! ! . gone . .
Provisioned  Staging Starting Running Killing gone+failure gone gone+failure gone Unreachable gone \
             Killing+kill Killing+kill . Provisioned+ask
Staging      . Starting Running Killing gone+failure gone gone+failure gone Unreachable gone \
             Killing+kill Killing+kill . Killing+kill
Starting     . . Running Killing gone+failure gone gone+failure gone Unreachable gone \
             Killing+kill Killing+kill . Killing+kill
Running      . . . Killing gone+failure gone gone+failure gone Unreachable gone \
             Draining Draining . .
Draining     . . . Killing gone gone gone gone gone+kill gone . . Killing+kill Killing+kill
Killing      . . . . gone gone gone gone gone+kill gone . . . Killing+kill
Unreachable  Running Running Running Killing gone+failure gone gone+failure gone . gone \
             gone+kill gone+kill . UnreachableInactive
UnreachableInactive  Running Running Running Killing gone gone gone gone . gone gone gone . gone
"""
"""The same for one that is to be forgotten (goal Decommissioned)."""

STATES = {
    "staging": TaskState.STAGING,
    "starting": TaskState.STARTING,
    "running": TaskState.RUNNING,
    "killing": TaskState.KILLING,
    "crashed": TaskState.FAILED,
    "killed": TaskState.KILLED,
    "refused": TaskState.ERROR,
    "lost": TaskState.GONE,
    "unreachable": TaskState.UNREACHABLE,
    "unknown": TaskState.UNKNOWN,
}


def cells(text: str, goal: Goal) -> list[tuple[Goal, Condition, str, str]]:
    found: list[tuple[Goal, Condition, str, str]] = []
    for line in text.strip().replace("\\\n", " ").splitlines():
        condition, *outcomes = line.split()
        found += [
            (goal, Condition(condition), column, outcome)
            for column, outcome in zip(COLUMNS, outcomes, strict=True)
        ]
    return found


CELLS = cells(WANTED, Goal.RUNNING) + cells(UNWANTED, Goal.DECOMMISSIONED)
APP = spec(unreachable_strategy=UnreachableStrategy(inactive_after_s=60, expunge_after_s=120))


def game_with(subject: Instance) -> Game:
    game = Game(Settings(discovery=True))
    game.install(APP)
    game.put(subject)
    return game


def subject_in(condition: Condition, goal: Goal = Goal.RUNNING) -> Instance:
    reason = "asked" if condition in {Condition.DRAINING, Condition.KILLING} else None
    return instance(condition, goal=goal, kill_reason=reason)


def cause_of(column: str, subject: Instance) -> Cause:
    if column in {"recycle", "end"}:
        goal = Goal.DECOMMISSIONED if column == "end" else None
        return Cause(Signal.KILL, reason="asked", goal=goal)
    if column in STATES:
        task_id = subject.task_id or TaskId(f"{subject.id}._app.3")
        return Cause(Signal(column), update(task_id, STATES[column], message="why"))
    return Cause(Signal(column))


def what_became(game: Game, batch: Batch, subject: Instance) -> str:
    """Say in the words of the tables what one step did."""
    now = game.world.instances.get(subject.id)
    if game.world.illegal:
        assert not batch.records
        assert not batch.effects
        return "!"
    if not batch.records and not batch.effects:
        return "."
    if now is None:
        word = "gone"
    elif now.condition is Condition.SCHEDULED:
        word = "solo" if now.solo else "again"
    else:
        word = now.condition
    word += "+kill" if effects_in(batch, Kill) else ""
    word += "+ask" if effects_in(batch, Reconcile) else ""
    kinds = {type(value) for value in values_in(batch)}
    if Failure in kinds:
        word += "+fault" if Delay in kinds else "+failure"
    assert Delay not in kinds or Failure in kinds
    return word


def test_the_tables_name_every_cell() -> None:
    """A condition or a signal that is added must be thought through here as well."""
    for goal in (Goal.RUNNING, Goal.DECOMMISSIONED):
        rows = {condition for g, condition, _, _ in CELLS if g is goal}
        assert rows == set(Condition) == set(TABLE)
    kill_forms = {"recycle": "kill", "end": "kill"}
    for row in TABLE.values():
        assert set(row) == {Signal(kill_forms.get(column, column)) for column in COLUMNS}
        assert set(row) == set(Signal)


@pytest.mark.parametrize(("goal", "condition", "column", "outcome"), CELLS)
def test_each_cell_does_what_the_table_says(
    goal: Goal, condition: Condition, column: str, outcome: str
) -> None:
    subject = subject_in(condition, goal)
    game = game_with(subject)
    batch = game.batch()
    step(batch, subject, cause_of(column, subject))
    assert what_became(game, batch, subject) == outcome


@pytest.mark.parametrize(("goal", "condition", "column", "outcome"), CELLS)
def test_what_is_left_behind_is_whole(
    goal: Goal, condition: Condition, column: str, outcome: str
) -> None:
    """A forgotten instance leaves a tombstone, a waiting one nothing of its last task."""
    subject = subject_in(condition, goal)
    game = game_with(subject)
    step(game.batch(), subject, cause_of(column, subject))
    now = game.world.instances.get(subject.id)
    if outcome.startswith("gone"):
        tombstone = Ended(subject.id, WEB, incarnation=2, at_ms=NOW_MS)
        assert game.world.ended == {subject.id: tombstone}
    elif outcome.startswith(("again", "solo")):
        assert now == Instance(
            id=subject.id,
            app_id=WEB,
            version=subject.version,
            incarnation=2,
            since_ms=NOW_MS,
            created_at_ms=subject.created_at_ms,
            solo=outcome == "solo",
            last_message="why" if column in STATES else now.last_message,
        )
    else:
        assert now.incarnation == 2
        assert now.placement == subject.placement
        assert now.goal is (Goal.DECOMMISSIONED if column == "end" else goal)


STATUS_CELLS = [
    (condition, state)
    for condition in Condition
    if condition.has_task
    for state in dict.fromkeys([*STATES.values(), *TaskState])
]


@pytest.mark.parametrize(("condition", "state"), STATUS_CELLS)
def test_a_status_heard_twice_changes_nothing_more(condition: Condition, state: TaskState) -> None:
    """Mesos repeats an update until it is acknowledged: the second one only needs that."""
    subject = subject_in(condition)
    game = game_with(subject)
    once = update(subject.task_id, state)
    game.send(once)
    second = game.send(once)
    assert second.records == []
    calls = [effect for effect in second.effects if not isinstance(effect, Publish)]
    assert [type(effect).__name__ for effect in calls] == ["Acknowledge"]


@pytest.mark.parametrize("condition", [c for c in Condition if c.has_task])
def test_a_late_status_of_an_earlier_task_is_not_taken_for_the_present_one(
    condition: Condition,
) -> None:
    subject = subject_in(condition)
    game = game_with(subject)
    game.send(update(TaskId(f"{subject.id}._app.1"), TaskState.FAILED))
    assert game.world.instances[subject.id] == subject


def test_the_stored_instance_is_deleted_when_it_is_forgotten() -> None:
    subject = subject_in(Condition.KILLING, Goal.DECOMMISSIONED)
    game = game_with(subject)
    batch = game.send(update(subject.task_id, TaskState.KILLED))
    assert Delete(Kind.INSTANCE, subject.id) in batch.records


def test_one_that_never_had_a_task_leaves_no_tombstone() -> None:
    """Nothing of it can rise from the dead."""
    subject = instance(Condition.SCHEDULED, incarnation=0)
    game = game_with(subject)
    batch = game.batch()
    step(batch, subject, cause_of("end", subject))
    assert game.world.ended == {}
    assert batch.records == [Delete(Kind.INSTANCE, subject.id)]


def test_tombstones_are_bounded_and_the_oldest_goes_first() -> None:
    game = Game(Settings(ended_max=2))
    game.install(APP)
    for number in range(3):
        subject = instance(Condition.KILLING, goal=Goal.DECOMMISSIONED, kill_reason="asked")
        subject = evolve(subject, id=InstanceId(f"web.instance-{9 - number}"))
        game.put(subject)
        step(game.batch(), subject, cause_of("killed", subject))
    assert list(game.world.ended) == ["web.instance-8", "web.instance-7"]


def test_without_discovery_a_running_task_is_killed_at_once() -> None:
    """Nobody has to be told, so there is nothing to wait for."""
    subject = subject_in(Condition.RUNNING)
    game = Game(Settings(discovery=False))
    game.install(APP)
    game.put(subject)
    batch = game.batch()
    step(batch, subject, cause_of("recycle", subject))
    assert what_became(game, batch, subject) == "Killing+kill"


def test_a_launch_that_stays_unconfirmed_after_it_was_asked_about_is_replaced() -> None:
    """Its kill goes out as well: it may live after all."""
    subject = instance(Condition.PROVISIONED, unconfirmed_asks=1)
    game = game_with(subject)
    batch = game.batch()
    step(batch, subject, cause_of("deadline", subject))
    assert what_became(game, batch, subject) == "again+kill"
    assert effects_in(batch, Kill)[0].task_id == subject.task_id


def test_a_task_refused_alone_is_blamed_and_backs_off_to_the_maximum() -> None:
    subject = instance(Condition.PROVISIONED, solo=True)
    game = game_with(subject)
    batch = game.batch()
    step(batch, subject, cause_of("refused", subject))
    assert what_became(game, batch, subject) == "again+fault"
    (delay,) = game.world.delays.values()
    assert delay.until_ms == NOW_MS + APP.backoff.max_ms


@pytest.mark.parametrize(
    ("strategy", "outcome"),
    [
        (UnreachableStrategy(0, 0), "gone"),
        (UnreachableStrategy(0, 60), "UnreachableInactive"),
        (UnreachableStrategy(60, 60), "Unreachable"),
        (None, "Unreachable"),
    ],
)
def test_a_task_out_of_sight_is_waited_for_as_the_strategy_says(
    strategy: UnreachableStrategy | None, outcome: str
) -> None:
    subject = subject_in(Condition.RUNNING)
    game = Game()
    game.install(spec(unreachable_strategy=strategy))
    game.put(subject)
    game.connect()
    batch = game.send(update(subject.task_id, TaskState.UNREACHABLE))
    assert what_became(game, batch, subject) == outcome


def test_a_task_that_had_not_run_yet_starts_when_it_comes_back() -> None:
    subject = instance(Condition.UNREACHABLE, started_at_ms=None, ready=False)
    for column, outcome in [
        ("staging", "Staging"),
        ("starting", "Staging"),
        ("running", "Running"),
    ]:
        game = game_with(subject)
        batch = game.batch()
        step(batch, subject, cause_of(column, subject))
        assert what_became(game, batch, subject) == outcome
    assert game.only.started_at_ms == NOW_MS
    assert game.only.ready


def test_a_rolling_upgrade_relaunches_a_crashed_old_instance_in_the_new_version() -> None:
    """Its old version would only be replaced once more."""
    game = Game()
    game.install(spec(instances=2))
    old = subject_in(Condition.RUNNING)
    game.put(old, evolve(old, id=InstanceId("web.instance-2")))
    game.upsert(spec(instances=2, cmd="better"))
    crashed = Cause(Signal.CRASHED, update(old.task_id, TaskState.FAILED))
    step(game.batch(), game.world.instances[old.id], crashed)
    wanted = game.world.version_of(WEB).version
    assert game.world.instances[old.id].version == wanted != old.version


def test_a_task_that_comes_back_brings_what_has_changed_meanwhile() -> None:
    """Its agent tells its health and addresses again, perhaps for the only time."""
    subject = subject_in(Condition.UNREACHABLE)
    game = Game()
    check = HealthCheck(protocol=HealthProtocol.MESOS_TCP)
    game.install(evolve(APP, health_checks=(check,)))
    game.put(evolve(subject, mesos_healthy=True, addresses=("10.0.0.1",)))
    news = update(subject.task_id, TaskState.RUNNING, healthy=False, addresses=("10.0.0.2",))
    game.send(news)
    assert game.only.mesos_healthy is False
    assert game.only.healthy_since_ms is None
    assert game.only.addresses == ("10.0.0.2",)


def test_a_task_that_others_kill_is_healthy_no_more() -> None:
    """Whatever follows its health (discovery, the API) must let go of it."""
    subject = subject_in(Condition.RUNNING)
    game = game_with(subject)
    game.send(update(subject.task_id, TaskState.KILLING))
    assert game.only.condition is Condition.KILLING
    assert game.only.healthy_since_ms is None


def test_a_task_that_its_executor_kills_as_unhealthy_has_crashed() -> None:
    """Else an app that fails the checks beside it would be launched again without a pause."""
    subject = subject_in(Condition.RUNNING)
    game = game_with(subject)
    game.send(update(subject.task_id, TaskState.KILLING))
    game.send(update(subject.task_id, TaskState.KILLED, healthy=False, message="signal"))
    assert game.only.condition is Condition.SCHEDULED
    assert game.world.delays
    assert game.world.failures[subject.app_id].message == "signal"


@pytest.mark.parametrize("condition", [Condition.UNREACHABLE, Condition.UNREACHABLE_INACTIVE])
def test_what_was_to_be_killed_before_it_went_out_of_sight_is_killed_when_it_returns(
    condition: Condition,
) -> None:
    """It waits out of sight as long as any other, so that no second copy starts beside it."""
    subject = instance(condition, kill_reason="failed its checks")
    for state in ("staging", "starting", "running"):
        game = game_with(subject)
        batch = game.batch()
        step(batch, subject, cause_of(state, subject))
        assert what_became(game, batch, subject) == "Killing+kill"
        assert game.only.kill_reason == "failed its checks"


def test_an_app_that_must_not_run_twice_is_not_replaced_while_its_killed_task_is_out_of_sight() -> (
    None
):
    """``unreachableStrategy: disabled`` says to wait, also for what is being killed."""
    subject = subject_in(Condition.KILLING)
    game = Game()
    game.install(spec(unreachable_strategy=None))
    game.put(subject)
    game.connect()
    game.send(update(subject.task_id, TaskState.UNREACHABLE))
    game.run_all()
    game.wait_stepwise(3_600_000)
    assert game.only.task_id == subject.task_id
    game.send(update(subject.task_id, TaskState.GONE, uuid=None))
    game.run_all()
    assert game.only.task_id != subject.task_id
