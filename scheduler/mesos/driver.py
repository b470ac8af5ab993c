"""Drive Mesos through pymesos: its call builders, its event dispatch, and our own transport.

``EgretDriver`` is pymesos's scheduler driver with everything replaced that decides whether a
cluster survives: it never gives up, never tears a framework down by itself, never acknowledges
by itself, never blocks, and tells the outcome of each call. What it keeps: the builders (each
ends in ``_send``) and ``on_event`` with its handlers, which call ``EgretScheduler``.

Use it on one event loop's thread: ``await driver.serve()`` runs until ``stop`` or until Mesos
says that we must not go on; calls go through ``driver.call(driver.killTask, …)``.

Sources: Mesos "Scheduler HTTP API" and "High Availability Framework Guide", traces of Mesos 1.12.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from functools import partial
from random import random
from typing import Any, NoReturn, ParamSpec

import orjson
import structlog
from attrs import define, field, frozen

from scheduler.core.ids import FrameworkId
from scheduler.mesos.callbacks import REMOVED_MESSAGE, EgretScheduler, MesosEvent
from scheduler.mesos.calls import CallLimits
from scheduler.mesos.framework import (
    Framework,
    JsonObject,
    OfferWishes,
    framework_info,
    subscribe_call,
    update_framework_call,
)
from scheduler.mesos.link import LinkListener, LinkStats, MasterLink, Security, settled
from scheduler.mesos.masters import Masters
from scheduler.mesos.outcome import CallOutcome, NotSent, Refused, Sent
from scheduler.mesos.parse import ParseError
from scheduler.mesos.pymesos_import import MesosSchedulerDriver
from scheduler.mesos.subscription import Timing

_log = structlog.get_logger(__name__)
_Builder = ParamSpec("_Builder")

_SUPERSEDED_MESSAGE = "Framework failed over"
"""What the old stream is told when the same framework id subscribes anew (traces, 08)."""

_DEFAULT_HEARTBEAT_S = 15.0

_EVENTS = frozenset(
    {
        "ERROR",
        "FAILURE",
        "HEARTBEAT",
        "INVERSE_OFFERS",
        "MESSAGE",
        "OFFERS",
        "RESCIND",
        "RESCIND_INVERSE_OFFER",
        "SUBSCRIBED",
        "UPDATE",
        "UPDATE_OPERATION_STATUS",
    }
)
"""The events there are; pymesos would look for a method of any name it is told."""

_CALLS = frozenset(
    {
        "ACCEPT",
        "ACCEPT_INVERSE_OFFERS",
        "ACKNOWLEDGE",
        "ACKNOWLEDGE_OPERATION_STATUS",
        "DECLINE",
        "DECLINE_INVERSE_OFFERS",
        "KILL",
        "MESSAGE",
        "RECONCILE",
        "RECONCILE_OPERATIONS",
        "REQUEST",
        "REVIVE",
        "SHUTDOWN",
        "SUPPRESS",
        "TEARDOWN",
        "UPDATE_FRAMEWORK",
    }
)
"""The calls there are. ``UNKNOWN`` from a subscribed framework aborts the master (traces, 07)."""


class DriverEnd(StrEnum):
    """Why ``serve`` returned: never for a reason that passes by itself."""

    STOPPED = "stopped"
    SUPERSEDED = "superseded"
    """Another scheduler has subscribed with our framework id: it leads, we do not."""
    REMOVED = "removed"
    """The framework id is dead. A new one would orphan every task: an operator must decide."""


@frozen
class DriverConfig:
    """Who we are and how we speak to the master."""

    framework: Framework = field(factory=Framework)
    framework_id: FrameworkId | None = None
    """The stored id; None only if there never was one."""
    wishes: OfferWishes = field(factory=OfferWishes)
    """Suppressed roles and offer constraints to subscribe with."""
    security: Security = field(factory=Security)
    timing: Timing = field(factory=Timing)
    limits: CallLimits = field(factory=CallLimits)


@define
class DriverStats:
    """Counts since the start, for metrics."""

    link: LinkStats
    events: Counter[str] = field(factory=Counter[str])
    """By event type; types that we do not know are ``other``."""
    problems: Counter[str] = field(factory=Counter[str])
    """By kind: unreadable events, failed callbacks, rejected subscriptions."""
    calls: Counter[tuple[str, str]] = field(factory=Counter[tuple[str, str]])
    """By call type and outcome (``Sent``, ``Refused``, ``NotSent``, ``Unknown``)."""


class EgretDriver(MesosSchedulerDriver):
    """A pymesos scheduler driver that is safe to leave alone."""

    def __init__(
        self,
        config: DriverConfig,
        masters: Masters,
        on_event: Callable[[MesosEvent], None],
        on_problem: Callable[[str, str], None],
        *,
        random: Callable[[], float] = random,
    ) -> None:
        """Prepare; nothing is sent before ``serve``.

        Args:
            config: who we are and how we speak.
            masters: where to find the leading master.
            on_event: takes every event, in order; must only enqueue.
            on_problem: takes ``(kind, message)`` of everything dropped or refused.
            random: 0 ≤ x < 1, for the jitter of the back-off.
        """
        super().__init__(
            EgretScheduler(on_event, self._problem),
            framework_info(config.framework, config.framework_id),
            master_uri="",
            implicit_acknowledgements=False,
            failover=True,
        )
        listener = LinkListener(
            subscribe_body=self._subscribe_body,
            on_record=self._on_record,
            on_lost=lambda _reason: self._guarded("loss", lambda: self.sched.disconnected(self)),
            on_rejected=partial(self._problem, "subscription_rejected"),
        )
        self._link = MasterLink(
            masters, listener, config.security, config.timing, config.limits, random=random
        )
        self.stats = DriverStats(self._link.stats)
        self._description = config.framework
        self._wishes = config.wishes
        self._report = on_problem
        self._captured: asyncio.Future[CallOutcome] | None = None
        self._end: DriverEnd | None = None

    # ------------------------------------------------------------------ life cycle

    async def serve(self) -> DriverEnd:
        """Subscribe, and again whenever that is lost, until something final happens.

        Cancelling it closes both connections and leaves the framework, and so its tasks, alone.
        """
        if self._end is None:
            await self._link.run()
        end = self._end or DriverEnd.STOPPED
        _log.info("mesos_driver_ended", end=end.value)
        return end

    def stop(self, failover: bool = True) -> None:  # noqa: FBT001, FBT002 - as in pymesos
        """End ``serve`` soon; returns at once. Tasks run on.

        Raises:
            ValueError: ``failover`` is false: a TEARDOWN is asked for by ``teardown`` alone.
        """
        if not failover:
            raise ValueError("stop never tears the framework down; use teardown()")
        self._finish(DriverEnd.STOPPED, "driver stopped")

    def abort(self) -> None:
        """The same as ``stop``."""
        self.stop()

    def renew_subscription(self, reason: str) -> None:
        """End the present subscription and make another: every offer is void then."""
        self._link.give_up(reason)

    async def teardown(self) -> CallOutcome:
        """Remove the framework: Mesos kills **every task** and forgets the framework id.

        Only for an operator who asked for exactly that. Stops the driver when the call was sent.
        """
        _log.warning("mesos_framework_teardown", framework_id=self.framework_id)
        outcome = await self.call(self._send_teardown)
        if isinstance(outcome, Sent):
            self._finish(DriverEnd.STOPPED, "framework torn down")
        return outcome

    # ----------------------------------------------------------------------- calls

    def call(
        self,
        builder: Callable[_Builder, object],
        *args: _Builder.args,
        **kwargs: _Builder.kwargs,
    ) -> asyncio.Future[CallOutcome]:
        """Run one of this driver's builders and tell what becomes of the call it makes.

        The future gets an outcome within the reply deadline, and never an exception.

        Raises:
            ValueError: the builder was given something that makes no valid call.
        """
        if not self._link.is_subscribed:
            return settled(NotSent("not subscribed"))
        self._captured = None
        builder(*args, **kwargs)
        outcome, self._captured = self._captured, None
        if outcome is None:
            raise ValueError(f"{builder!r} made no call of {args!r:.300}")
        return outcome

    def acceptOffers(
        self,
        offer_ids: Sequence[Mapping[str, Any]],
        operations: Sequence[Mapping[str, Any]],
        filters: Mapping[str, Any] | None = None,
    ) -> None:
        """ACCEPT. pymesos makes a DECLINE of an empty one; here that is an error."""
        if not operations:
            raise ValueError("an ACCEPT without operations: decline on purpose instead")
        super().acceptOffers(offer_ids, operations, filters)

    def launchTasks(
        self,
        offer_ids: Sequence[Mapping[str, Any]],
        tasks: Sequence[Mapping[str, Any]],
        filters: Mapping[str, Any] | None = None,
    ) -> None:
        """ACCEPT with one LAUNCH of all the tasks."""
        if not tasks:
            raise ValueError("a LAUNCH without tasks: decline on purpose instead")
        super().launchTasks(offer_ids, tasks, filters)

    def killTask(
        self,
        task_id: Mapping[str, Any],
        agent_id: Mapping[str, Any] | None = None,
        kill_policy: Mapping[str, Any] | None = None,
    ) -> None:
        """KILL. The policy overrides the task's own.

        With the agent, a task unknown to it is answered TASK_GONE instead of TASK_UNKNOWN. The
        command executor of an agent without --http_command_executor ignores the policy
        (traces, 02).
        """
        kill: JsonObject = {"task_id": task_id}
        if agent_id is not None:
            kill["agent_id"] = agent_id
        if kill_policy is not None:
            kill["kill_policy"] = kill_policy
        self._send(self._body("KILL", kill))

    def reconcileTasks(self, tasks: Sequence[Mapping[str, Any]]) -> None:
        """RECONCILE the tasks named by ``task_id`` and, where known, ``agent_id``; none: all."""
        asked = [
            {key: task[key] for key in ("task_id", "agent_id") if key in task} for task in tasks
        ]
        self._send(self._body("RECONCILE", {"tasks": asked}))

    def acknowledgeOperationStatusUpdate(self, status: Mapping[str, Any]) -> None:
        """ACKNOWLEDGE_OPERATION_STATUS.

        The uuid that came as an object goes back as its plain base64 text (traces, 12), and
        nothing goes with it that the call does not have.
        """
        names = ("agent_id", "operation_id", "resource_provider_id")
        body: JsonObject = {name: status[name] for name in names if name in status}
        body["uuid"] = status["uuid"]["value"]
        self._send(self._body("ACKNOWLEDGE_OPERATION_STATUS", body))

    def shutdownExecutor(self, executor_id: Mapping[str, Any], agent_id: Mapping[str, Any]) -> None:
        """SHUTDOWN: end an executor and all its tasks; custom executors only."""
        self._send(self._body("SHUTDOWN", {"executor_id": executor_id, "agent_id": agent_id}))

    def updateFramework(self, framework: Framework, wishes: OfferWishes) -> None:
        """UPDATE_FRAMEWORK: roles, suppressed roles, offer constraints; answered 200.

        Both values are the whole new state, and hold for later subscriptions as well.
        """
        self._description, self._wishes = framework, wishes
        self._send(update_framework_call(self.framework, wishes))

    def _send_teardown(self) -> None:
        self._send(self._body("TEARDOWN", None))

    def _body(self, call_type: str, message: JsonObject | None) -> JsonObject:
        body: JsonObject = {"type": call_type, "framework_id": {"value": self.framework_id}}
        if message is not None:
            body[call_type.lower()] = message
        return body

    def _send(
        self,
        body: Mapping[str, Any] | str,
        path: str = "",
        method: str = "POST",
        headers: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        """Where all builders end: write the call. The other parameters are pymesos's, unused."""
        call_type = body["type"] if not isinstance(body, str) else body
        if call_type not in _CALLS:
            raise ValueError(f"{call_type!r} is no call of the scheduler API")
        outcome = self._link.send(orjson.dumps(body))
        outcome.add_done_callback(partial(self._on_outcome, call_type))
        self._captured = outcome
        return {}

    def _on_outcome(self, call_type: str, done: asyncio.Future[CallOutcome]) -> None:
        if done.cancelled():
            return
        outcome = done.result()
        self.stats.calls[call_type, type(outcome).__name__] += 1
        if isinstance(outcome, Refused):
            _log.warning(
                "mesos_call_refused",
                call=call_type,
                status=outcome.status,
                reason=outcome.reason[:500],
            )

    # ------------------------------------------------------- what pymesos reads of itself

    @property
    def connected(self) -> bool:
        """Always true: a builder shall reach ``_send``, which knows whether it can be sent."""
        return True

    @property
    def is_subscribed(self) -> bool:
        """Whether a master has us subscribed now, as far as we know."""
        return self._link.is_subscribed

    @property
    def framework(self) -> JsonObject:
        """FrameworkInfo exactly as configured, with the framework id where there is one."""
        return framework_info(self._description, self.framework_id)

    def start(self) -> NoReturn:
        """Refused: there is no thread to start."""
        raise RuntimeError("await serve() instead")

    def join(self) -> NoReturn:
        """Refused: joining from the loop's thread would wait for itself."""
        raise RuntimeError("await serve() instead")

    def run(self) -> NoReturn:
        """Refused: there is no thread to start."""
        raise RuntimeError("await serve() instead")

    def change_master(self, master: str | None) -> NoReturn:
        """Refused: pymesos would ask the master for its version and block."""
        raise RuntimeError("masters come from the source given to the driver")

    def _shutdown(self) -> None:
        """Nothing: pymesos would send TEARDOWN here."""

    def _teardown(self) -> None:
        """Nothing: only ``teardown`` does it."""

    # ---------------------------------------------------------------------- events

    def on_subscribed(self, info: Mapping[str, Any]) -> None:
        """SUBSCRIBED: from now on calls are possible and every older offer is void."""
        granted = info["framework_id"]["value"]
        again = self.framework_id is not None
        if again and granted != self.framework_id:
            self._refuse_to_run(f"subscribed as {granted}, not as {self.framework_id}")
            return
        self._link.confirm(float(info.get("heartbeat_interval_seconds") or _DEFAULT_HEARTBEAT_S))
        self.framework_id = granted
        master_info = self._master_info(info.get("master_info", {}))
        _log.info("mesos_subscribed", framework_id=granted, again=again, **master_info)
        if again:
            self.sched.reregistered(self, master_info)
        else:
            self.sched.registered(self, {"value": granted}, master_info)

    def _master_info(self, told: Mapping[str, Any]) -> JsonObject:
        endpoint = self._link.endpoint
        return {
            "hostname": told.get("hostname") or (endpoint.host if endpoint else ""),
            "port": told.get("port") or (endpoint.port if endpoint else 0),
            "version": told.get("version", ""),
        }

    def on_failure(self, failure: Mapping[str, Any]) -> None:
        """FAILURE, whatever it lacks: pymesos dies of an event without agent or status."""
        agent_id = failure.get("agent_id")
        executor_id = failure.get("executor_id")
        if agent_id is None:
            self._problem("unreadable_event", f"FAILURE without agent_id: {failure!r:.300}")
        elif executor_id is None:
            self.sched.slaveLost(self, agent_id)
        else:
            self.sched.executorLost(self, executor_id, agent_id, failure.get("status"))

    def on_error(self, event: Mapping[str, Any]) -> None:
        """ERROR: the subscription is void. Go on only where that can help.

        A removed framework and one that another scheduler runs are left alone for good; all else
        (a role not allowed, a changed principal) may be mended at the master: ask again, slowly.
        """
        message = str(event.get("message", ""))
        _log.error("mesos_error_event", message=message)
        if message.startswith(REMOVED_MESSAGE):
            self._finish(DriverEnd.REMOVED, message)
        elif message.startswith(_SUPERSEDED_MESSAGE):
            self._finish(DriverEnd.SUPERSEDED, message)
        else:
            self._problem("subscription_rejected", message)
            self._link.give_up(f"ERROR: {message}", slowly=True)
        # Told last: whatever a callback does, what had to end has ended.
        self.sched.error(self, message)

    def on_heartbeat(self) -> None:
        """HEARTBEAT: nothing to do, its bytes have moved the deadline already."""

    def on_close(self) -> None:
        """Never called by our transport; pymesos would report a disconnection each time."""

    def _refuse_to_run(self, message: str) -> None:
        _log.critical("mesos_framework_id_changed", message=message)
        self._problem("framework_id_changed", message)
        self._finish(DriverEnd.REMOVED, message)
        self.sched.error(self, f"{REMOVED_MESSAGE}: {message}")

    def _on_record(self, record: bytes) -> None:
        """Take one event. Whatever goes wrong with it, the connection and the rest live on."""
        if self._link.is_given_up:
            return
        try:
            event = _decode(record)
            kind = str(event["type"])
        except (ValueError, KeyError, TypeError) as problem:
            self._problem("unreadable_event", f"{problem}: {record[:300]!r}")
            return
        if kind not in _EVENTS:
            # A newer Mesos may send more. Its name is no label: names are not bounded.
            self.stats.events["other"] += 1
            _log.info("mesos_event_ignored", type=kind[:100])
            return
        self.stats.events[kind] += 1
        if not self._link.is_subscribed and kind not in ("SUBSCRIBED", "ERROR"):
            self._problem("unreadable_event", f"{kind} before SUBSCRIBED")
            return
        self._guarded(kind, lambda: self.on_event(event))
        if kind == "SUBSCRIBED" and not (self._link.is_subscribed or self._link.is_given_up):
            self._link.give_up("SUBSCRIBED cannot be read", slowly=True)

    def _guarded(self, what: str, action: Callable[[], None]) -> None:
        """Run what ends in a callback; whatever it raises is reported and goes no further."""
        try:
            action()
        except ParseError as problem:
            self._problem("unreadable_event", f"{what}: {problem}")
        except Exception as problem:  # noqa: BLE001 - a failing callback must not end the stream
            _log.exception("mesos_callback_failed", during=what)
            self._problem("callback_failed", f"{what}: {problem!r}")

    def _problem(self, kind: str, message: str) -> None:
        _log.error("mesos_problem", kind=kind, message=message[:1000])
        self.stats.problems[kind] += 1
        self._report(kind, message)

    def _finish(self, end: DriverEnd, reason: str) -> None:
        self._end = self._end or end
        self._link.finish(reason)

    def _subscribe_body(self) -> bytes:
        return orjson.dumps(subscribe_call(self.framework, self._wishes))


def _decode(record: bytes) -> JsonObject:
    """Decode an event.

    Mesos passes on what an executor wrote into ``message``, valid UTF-8 or not: such bytes are
    replaced rather than the event lost.
    """
    try:
        return orjson.loads(record)
    except orjson.JSONDecodeError:
        return orjson.loads(record.decode("utf-8", "replace"))
