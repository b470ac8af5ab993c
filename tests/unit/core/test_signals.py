"""Whose fault it was: every state of Mesos with every reason that matters."""

import pytest

from scheduler.core.ids import TaskId
from scheduler.core.instance import TaskState
from scheduler.core.signals import Signal, classify, is_draining
from tests.unit.core.game import update

TASK = TaskId("web.instance-1._app.1")

BY_STATE = {
    TaskState.STAGING: Signal.STAGING,
    TaskState.STARTING: Signal.STARTING,
    TaskState.RUNNING: Signal.RUNNING,
    TaskState.KILLING: Signal.KILLING,
    TaskState.FINISHED: Signal.CRASHED,
    TaskState.FAILED: Signal.CRASHED,
    TaskState.KILLED: Signal.KILLED,
    TaskState.ERROR: Signal.REFUSED,
    TaskState.LOST: Signal.LOST,
    TaskState.DROPPED: Signal.CRASHED,
    TaskState.UNREACHABLE: Signal.UNREACHABLE,
    TaskState.GONE: Signal.LOST,
    TaskState.GONE_BY_OPERATOR: Signal.LOST,
    TaskState.UNKNOWN: Signal.UNKNOWN,
}
TERMINAL = [state for state in TaskState if state.is_terminal]
BLAMELESS = [
    "REASON_INVALID_OFFERS",
    "REASON_AGENT_DRAINING",
    "REASON_SLAVE_DRAINING",
    "REASON_AGENT_REMOVED",
    "REASON_SLAVE_REMOVED",
    "REASON_SLAVE_REMOVED_BY_OPERATOR",
    "REASON_SLAVE_DISCONNECTED",
    "REASON_SLAVE_RESTARTED",
    "REASON_SLAVE_UNKNOWN",
    "REASON_MASTER_DISCONNECTED",
]
BLAMED = [
    "",
    "REASON_COMMAND_EXECUTOR_FAILED",
    "REASON_CONTAINER_LAUNCH_FAILED",
    "REASON_CONTAINER_LIMITATION_MEMORY",
    "REASON_EXECUTOR_TERMINATED",
    "REASON_TASK_INVALID",
]


def test_every_state_has_a_meaning() -> None:
    assert set(BY_STATE) == set(TaskState)


@pytest.mark.parametrize("state", TaskState)
@pytest.mark.parametrize("reason", BLAMED)
def test_without_an_excuse_the_state_decides(state: TaskState, reason: str) -> None:
    expected = BY_STATE[state]
    if (state, reason) == (TaskState.DROPPED, "REASON_EXECUTOR_TERMINATED"):
        # It never ran: the executor that it was to join has ended, or is about to.
        expected = Signal.LOST
    assert classify(update(TASK, state, reason=reason)) is expected


@pytest.mark.parametrize("state", TaskState)
@pytest.mark.parametrize("reason", BLAMELESS)
def test_an_end_that_is_nobodys_fault_costs_nothing(state: TaskState, reason: str) -> None:
    """A lost offer or a drained machine says nothing about the app."""
    expected = Signal.LOST if state.is_terminal else BY_STATE[state]
    assert classify(update(TASK, state, reason=reason)) is expected


@pytest.mark.parametrize("state", TaskState)
def test_an_end_first_heard_of_by_reconciliation_is_what_its_state_says(state: TaskState) -> None:
    """The agent's own update got lost: a crash is one all the same, with its back-off."""
    expected = Signal.LOST if state is TaskState.DROPPED else BY_STATE[state]
    assert classify(update(TASK, state, reason="REASON_RECONCILIATION")) is expected


@pytest.mark.parametrize("state", TERMINAL)
@pytest.mark.parametrize("reason", ["REASON_TASK_UNAUTHORIZED", "REASON_TASK_GROUP_UNAUTHORIZED"])
def test_what_is_not_allowed_is_refused_in_whatever_state_it_ends(
    state: TaskState, reason: str
) -> None:
    assert classify(update(TASK, state, reason=reason)) is Signal.REFUSED


def test_a_task_killed_as_unhealthy_has_crashed() -> None:
    """Its executor ended it because its checks failed, which is the app's doing."""
    assert classify(update(TASK, TaskState.KILLED, healthy=False)) is Signal.CRASHED
    assert classify(update(TASK, TaskState.KILLED, healthy=True)) is Signal.KILLED
    drained = update(TASK, TaskState.KILLED, healthy=False, reason="REASON_SLAVE_DRAINING")
    assert classify(drained) is Signal.LOST


def test_draining_is_known_by_both_of_its_names() -> None:
    for reason in ("REASON_AGENT_DRAINING", "REASON_SLAVE_DRAINING"):
        assert is_draining(update(TASK, TaskState.KILLING, reason=reason))
    assert not is_draining(update(TASK, TaskState.KILLING))


def test_only_ends_are_terminal() -> None:
    """Out of sight or unknown is no proof that a task has ended."""
    alive = {"STAGING", "STARTING", "RUNNING", "KILLING", "UNREACHABLE", "UNKNOWN"}
    assert {state.name for state in TaskState if not state.is_terminal} == alive
