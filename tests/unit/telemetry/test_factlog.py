"""Every fact leaves a line that names what it is about."""

from typing import get_args

import pytest
from structlog.testing import capture_logs

from scheduler.core.deployment import Step
from scheduler.core.effects import (
    AppTerminated,
    DeploymentDone,
    DeploymentFailed,
    DeploymentStarted,
    DeploymentStepDone,
    Fact,
    InstanceHealthChanged,
    QueuedChangeFailed,
    SchedulerDisconnected,
    SchedulerRegistered,
    TaskStatusChanged,
    UnhealthyKill,
    UnknownTask,
)
from scheduler.core.events import StatusUpdate
from scheduler.core.ids import AppId, DeploymentId, TaskId
from scheduler.core.instance import TaskState
from scheduler.core.records import Queued
from scheduler.telemetry import log_fact
from tests.unit.store.samples import FULL_DEPLOYMENT, FULL_INSTANCE

UPDATE = StatusUpdate(TaskId("t1"), TaskState.RUNNING, message="x" * 9_000)

FACTS: dict[Fact, dict[str, object]] = {
    TaskStatusChanged(FULL_INSTANCE, UPDATE): {"task_id": "t1", "state": "TASK_RUNNING"},
    InstanceHealthChanged(FULL_INSTANCE, healthy=False): {"healthy": False},
    UnhealthyKill(FULL_INSTANCE, TaskId("t1"), "sick"): {"reason": "sick"},
    UnknownTask(UPDATE, ended_by_us=False): {"task_id": "t1", "ended_by_us": False},
    DeploymentStarted(FULL_DEPLOYMENT): {"deployment_id": "d1", "apps": ["/shop/web", "/old"]},
    DeploymentStepDone(FULL_DEPLOYMENT, Step(())): {"step": 1, "steps": 2},
    DeploymentDone(FULL_DEPLOYMENT): {"deployment_id": "d1"},
    DeploymentFailed(FULL_DEPLOYMENT, "no"): {"reason": "no"},
    QueuedChangeFailed(Queued(DeploymentId("d1"), 0), "no"): {
        "deployment_id": "d1",
        "reason": "no",
    },
    AppTerminated(AppId("/a")): {"app_id": "/a"},
    SchedulerRegistered("f", "m:1", again=True): {"framework_id": "f", "again": True},
    SchedulerDisconnected(): {},
}


def test_no_fact_is_left_out():
    assert {type(fact) for fact in FACTS} == set(get_args(Fact))


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: type(fact).__name__)
def test_a_fact_leaves_one_line_with_its_subject(fact: Fact):
    with capture_logs() as lines:
        log_fact(fact)
    [line] = lines
    assert FACTS[fact].items() <= line.items()


def test_a_long_message_of_a_task_is_cut():
    with capture_logs() as lines:
        log_fact(TaskStatusChanged(FULL_INSTANCE, UPDATE))
    assert len(lines[0]["message"]) == 500
