"""Carry out what the core wants of Mesos: one effect, one call.

Tasks that were certainly not launched are told to the core at once. Kills and reconciliations are
sent again by timers of the core, acknowledgements because Mesos repeats the update. Nobody repeats
what is said about offers, so where such a call may be lost, the subscription is made anew: an
offer whose ACCEPT or DECLINE never arrived stays ours at the master, and its agent out of use,
for as long as the subscription lasts; after a lost REVIVE no offer comes. A new subscription voids
every offer, and what of the old one's calls may still arrive.
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
from scheduler.mesos.outcome import CallOutcome, NotSent, Refused, Unknown
from scheduler.mesos.task_info import TaskNotBuildable, kill_policy, task_infos

_log = structlog.get_logger(__name__)
_INVALID = 400
"""The master could not read the call, or it breaks a rule (traces: 07-bad-calls). Also its answer
on a stream that is ours no more: then nothing is lost by trying each task alone."""


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
                self._decline(offer_ids, refuse_s)
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
                self._must_arrive(driver.call(driver.suppressOffers))
            case Revive():
                self._must_arrive(driver.call(driver.reviveOffers))

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
        if not infos:
            self._decline(accept.offer_ids, refuse_s=0.0)
            return
        offers, filters = _offer_ids(accept.offer_ids), _filters(accept.refuse_s)
        outcome = self._driver.call(self._driver.launchTasks, offers, infos, filters)
        self._must_arrive(outcome)
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
            self._decline(offer_ids, refuse_s=0.0)
            is_invalid = isinstance(outcome, Refused) and outcome.status == _INVALID
            self._on_event(LaunchRefused(task_ids, outcome.reason, is_invalid))

    def _decline(self, offer_ids: tuple[OfferId, ...], refuse_s: float) -> None:
        driver = self._driver
        call = driver.call(driver.declineOffer, _offer_ids(offer_ids), _filters(refuse_s))
        self._must_arrive(call)

    def _must_arrive(self, call: asyncio.Future[CallOutcome]) -> None:
        """Subscribe anew if ``call`` may not have reached the master on this subscription."""
        call.add_done_callback(partial(self._on_outcome, self._driver.stats.link.subscriptions))

    def _on_outcome(self, subscription: int, done: asyncio.Future[CallOutcome]) -> None:
        outcome, driver = done.result(), self._driver
        is_present = driver.is_subscribed and driver.stats.link.subscriptions == subscription
        if is_present and isinstance(outcome, NotSent | Unknown):
            driver.renew_subscription(f"a call about offers may be lost: {outcome.reason}")


def _offer_ids(offer_ids: tuple[OfferId, ...]) -> list[JsonObject]:
    return [{"value": offer_id} for offer_id in offer_ids]


def _filters(refuse_s: float) -> JsonObject:
    return {"refuse_seconds": refuse_s}


def _task(task_id: TaskId, agent_id: AgentId | None) -> JsonObject:
    task: JsonObject = {"task_id": {"value": task_id}}
    if agent_id is not None:
        task["agent_id"] = {"value": agent_id}
    return task
