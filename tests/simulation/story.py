"""Record what happens in a run: a hash of all of it, and on demand a story to read.

Everything that could differ between two runs goes into the hash (S16): each event received, each
call sent, each record committed, each fault. The hash of a record is that of its stored bytes.
"""

import hashlib
import re
from collections.abc import Callable
from typing import Any

from scheduler.core import effects as fx
from scheduler.core import events as ev
from scheduler.core.app import AppSpec
from scheduler.core.deployment import Deployment
from scheduler.core.instance import Instance
from scheduler.core.records import App, AppVersion, Put, Record
from tests.simulation.clock import Clock

LINES_SHOWN_MAX = 400
ALWAYS_SHOWN = frozenset({"fault", "life", "user"})


class Trace:
    """What has happened so far, in order."""

    def __init__(self, clock: Clock, *, is_kept: bool = False) -> None:
        self.is_kept = is_kept
        """Whether the lines are kept for a story; the hash is always made."""
        self.lines: list[tuple[int, str, str]] = []
        self._begun_ms = clock.now_ms
        self._clock = clock
        self._hash = hashlib.blake2b(digest_size=16)

    def note(self, who: str, what: str) -> None:
        """Add a line."""
        now_ms = self._clock.now_ms
        self._hash.update(f"{now_ms} {who} {what}\n".encode())
        if self.is_kept:
            self.lines.append((now_ms, who, what))

    def stored(self, who: str, record: Record, value: bytes | None) -> None:
        """Add a record that has been committed."""
        self._hash.update(f"{self._clock.now_ms} {who} {record.kind} {record.key}\n".encode())
        self._hash.update(b"deleted" if value is None else value)
        if self.is_kept:
            self.lines.append((self._clock.now_ms, "store", f"{who}: {tell_record(record)}"))

    def hexdigest(self) -> str:
        return self._hash.hexdigest()

    def story(self, violation: str) -> list[str]:
        """Tell what concerns the apps and tasks that ``violation`` names, and what went wrong."""
        subjects = subjects_of(violation)
        told = [
            f"{(at_ms - self._begun_ms) / 1000:9.3f}  {who:<6} {what}"
            for at_ms, who, what in self.lines
            if who in ALWAYS_SHOWN or not subjects or any(s in what for s in subjects)
        ]
        left_out = len(told) - LINES_SHOWN_MAX
        if left_out > 0:
            return [f"… {left_out} lines before", *told[left_out:]]
        return told


def subjects_of(text: str) -> list[str]:
    """Read the apps (``/app0``) and instances that a text names, as they occur in the lines."""
    instances = re.findall(r"\w+\.instance-[0-9a-f-]+", text)
    apps = re.findall(r"/\w+", text)
    return list(dict.fromkeys([*instances, *(apps if not instances else ())]))


def tell(what: object) -> str:
    """Put an event or a call into a few words; the same words for the same content."""
    teller = _TELLERS.get(type(what))
    return teller(what) if teller is not None else repr(what)


def tell_spec(spec: AppSpec) -> str:
    return (
        f"{spec.id} cmd={spec.cmd} n={spec.instances} "
        f"min={spec.upgrade_strategy.minimum_health_capacity_milli} "
        f"over={spec.upgrade_strategy.maximum_over_capacity_milli}"
        f"{' checked' if spec.health_checks else ''}{' UNIQUE' if spec.constraints else ''}"
        f"{f' {spec.update}' if spec.update else ''}"
        f"{f' {spec.restart_policy}' if spec.restart_policy else ''} {spec.unreachable_strategy}"
    )


def tell_record(record: Record) -> str:
    """Say what a record says; the long ones in short."""
    if not isinstance(record, Put):
        return f"{record.kind} {record.key} deleted"
    match record.value:
        case Instance() as it:
            told = f"{it.id} {it.goal} {it.condition} #{it.incarnation} of {it.version}"
            host = f" on {it.placement.agent_id}" if it.placement is not None else ""
            why = f" ({it.kill_reason})" if it.kill_reason else ""
            healthy = " healthy" if it.healthy_since_ms is not None else ""
            return f"{it.app_id} {told}{host}{healthy}{why}"
        case AppVersion() as version:
            return f"version {version.version}/{version.config_version} {tell_spec(version.spec)}"
        case App() as app:
            return f"app {app.id} at {app.version}{' removed' if app.removed else ''}"
        case Deployment() as it:
            changes = ", ".join(f"{c.app_id} {c.before}→{c.after}" for c in it.changes)
            of = f" reverts {it.reverts}" if it.reverts else ""
            paused = f" paused: {it.paused}" if it.paused else ""
            return f"deployment {it.id} step {it.current_step}: {changes}{of}{paused}"
        case value:
            return f"{record.kind} {value}"


def _offers(event: ev.OffersReceived) -> str:
    return "offers " + " ".join(
        f"{o.id}@{o.agent.id}:{o.pools[0].cpus_milli}" for o in event.offers
    )


def _status(u: ev.StatusUpdate) -> str:
    return f"{u.task_id} {u.state} {u.agent_id} {u.uuid} {u.reason} {u.message}"


def _accept(call: fx.Accept) -> str:
    launches = ", ".join(
        f"{launch.instance.task_id} {launch.instance.version} "
        f"{launch.instance.placement.host_ports if launch.instance.placement else ()}"
        for launch in call.launches
    )
    return f"ACCEPT {' '.join(call.offer_ids)} {call.agent_id} {call.refuse_s}: {launches}"


def _reconcile(call: fx.Reconcile) -> str:
    return "RECONCILE " + (" ".join(task_id for task_id, _ in call.tasks) or "all")


def _change(command: ev.ChangeApps) -> str:
    upserts = ", ".join(f"set {tell_spec(u.spec)} (was {u.expect})" for u in command.upserts)
    removals = "".join(f" remove {r.app_id}" for r in command.removals)
    restarts = "".join(f" restart {app_id}" for app_id in command.restarts)
    return f"#{command.request_id} {upserts}{removals}{restarts}{' force' * command.force}"


_TELLERS: dict[type, Callable[[Any], str]] = {
    ev.OffersReceived: _offers,
    ev.StatusUpdate: _status,
    ev.OfferRescinded: lambda it: f"rescinded {it.offer_id}",
    ev.Subscribed: lambda it: f"subscribed {it.framework_id}",
    ev.Disconnected: lambda _: "disconnected",
    ev.ProbeResult: lambda it: (
        f"{it.task_id} probed {it.result.alive} {it.result.consecutive_failures}"
    ),
    ev.Deregistered: lambda it: f"{it.task_id} deregistered",
    ev.ChangeApps: _change,
    fx.Accept: _accept,
    fx.Decline: lambda it: f"DECLINE {' '.join(it.offer_ids)} {it.refuse_s}",
    fx.Kill: lambda it: f"KILL {it.task_id}",
    fx.Reconcile: _reconcile,
    fx.Acknowledge: lambda it: f"ACK {it.task_id} {it.uuid}",
    fx.Suppress: lambda _: "SUPPRESS",
    fx.Revive: lambda _: "REVIVE",
}
