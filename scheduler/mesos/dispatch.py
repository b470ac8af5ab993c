"""Carry out what the core wants of Mesos: one effect, one call.

Only an ACCEPT needs an answer: tasks that were certainly not launched are told to the core at
once. Everything else is sent again by whoever wanted it: kills and reconciliations by timers of
the core, acknowledgements because Mesos repeats the update.
"""

import asyncio
from collections.abc import Callable
from functools import partial

import structlog

from scheduler.core.effects import (
    Accept,
    Acknowledge,
    Decline,
    Kill,
    MesosEffect,
    Reconcile,
    Revive,
    Suppress,
)
from scheduler.core.events import LaunchRefused, StatusUpdate
from scheduler.core.ids import AgentId, OfferId, TaskId
from scheduler.core.instance import TaskState
from scheduler.mesos.driver import EgretDriver
from scheduler.mesos.framework import JsonObject
from scheduler.mesos.outcome import CallOutcome, NotSent, Refused
from scheduler.mesos.task_info import TaskNotBuildable, kill_policy, task_infos

_log = structlog.get_logger(__name__)


class MesosDispatch:
    """Turns effects into calls of one driver. Use it on the event loop's thread."""

    def __init__(
        self,
        driver: EgretDriver,
        on_event: Callable[[LaunchRefused | StatusUpdate], None],
    ) -> None:
        self._driver = driver
        self._on_event = on_event

    def send(self, effect: MesosEffect) -> None:
        """Write the call for ``effect``; returns at once. Not subscribed: nothing is sent."""
        driver = self._driver
        match effect:
            case Accept():
                self._accept(effect)
            case Decline(offer_ids, refuse_s):
                driver.call(driver.declineOffer, _offer_ids(offer_ids), _filters(refuse_s))
            case Kill(task_id, agent_id, grace_s):
                named = _task(task_id, agent_id)
                driver.call(
                    driver.killTask,
                    named["task_id"],
                    named.get("agent_id"),
                    kill_policy(grace_s),
                )
            case Reconcile(tasks):
                driver.call(driver.reconcileTasks, [_task(*task) for task in tasks])
            case Acknowledge(task_id, agent_id, uuid):
                status = {**_task(task_id, agent_id), "uuid": uuid}
                driver.call(driver.acknowledgeStatusUpdate, status)
            case Suppress():
                driver.call(driver.suppressOffers)
            case Revive():
                driver.call(driver.reviveOffers)

    def _accept(self, accept: Accept) -> None:
        """Launch what can be launched; offers that end up unused are given back."""
        infos: list[JsonObject] = []
        sent: list[TaskId] = []
        built = task_infos(accept.launches, self._driver.framework_id or "")
        for launch, info in zip(accept.launches, built, strict=True):
            task_id = launch.instance.task_id
            if not isinstance(info, TaskNotBuildable):
                infos.append(info)
                sent.append(TaskId(info["task_id"]["value"]))
                continue
            _log.error("mesos_task_not_buildable", task_id=task_id, problem=str(info))
            if task_id is not None:
                # As Mesos would have refused it: not for ever at once, and the app says why.
                self._on_event(
                    StatusUpdate(task_id, TaskState.ERROR, accept.agent_id, message=str(info))
                )
        offers = _offer_ids(accept.offer_ids)
        if not infos:
            self._driver.call(self._driver.declineOffer, offers, _filters(0.0))
            return
        outcome = self._driver.call(
            self._driver.launchTasks, offers, infos, _filters(accept.refuse_s)
        )
        outcome.add_done_callback(partial(self._on_launched, accept.offer_ids, tuple(sent)))

    def _on_launched(
        self,
        offer_ids: tuple[OfferId, ...],
        task_ids: tuple[TaskId, ...],
        done: asyncio.Future[CallOutcome],
    ) -> None:
        """Tell of tasks that Mesos certainly never got. Unknown is not told: they may live."""
        outcome = done.result()
        if isinstance(outcome, NotSent | Refused):
            # The offers of a refused ACCEPT stay ours (traces, 07): without this, for ever.
            self._driver.call(self._driver.declineOffer, _offer_ids(offer_ids), _filters(0.0))
            self._on_event(LaunchRefused(task_ids, outcome.reason))


def _offer_ids(offer_ids: tuple[OfferId, ...]) -> list[JsonObject]:
    return [{"value": offer_id} for offer_id in offer_ids]


def _filters(refuse_s: float) -> JsonObject:
    return {"refuse_seconds": refuse_s}


def _task(task_id: TaskId, agent_id: AgentId | None) -> JsonObject:
    task: JsonObject = {"task_id": {"value": task_id}}
    if agent_id is not None:
        task["agent_id"] = {"value": agent_id}
    return task
