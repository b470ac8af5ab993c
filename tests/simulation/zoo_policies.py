"""Plant bugs in what apps ask for: health, absence, restarts, deadlines, kills with ``scale``."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from attrs import evolve

from scheduler.core import (
    commands,
    core,
    deadlines,
    due,
    launches,
    restarts,
    transitions,
    upkeep,
    verdicts,
    world,
)
from scheduler.core.batch import Batch
from scheduler.core.brake import Brake
from scheduler.core.health import is_serving
from scheduler.core.instance import Condition, Goal, Instance, TaskState
from scheduler.core.signals import Signal
from scheduler.core.timers import Timer
from tests.simulation.planting import cell, mutant, put_in, wrap


@mutant("kill-at-first-failure", "one failed probe ends a task that may fail three")
def _(stack: ExitStack) -> None:
    _limit_failures(stack, lambda most: min(most, 1))


@mutant("zero-failures-kill", "a check that is to kill nothing kills at once")
def _(stack: ExitStack) -> None:
    _limit_failures(stack, lambda most: most or 1)


def _limit_failures(stack: ExitStack, limit: Callable[[int], int]) -> None:
    def make(real: Any) -> Any:
        def fatal_check(instance: Instance, spec: Any) -> str | None:
            checks = tuple(
                evolve(check, max_consecutive_failures=limit(check.max_consecutive_failures))
                for check in spec.health_checks
            )
            return real(instance, evolve(spec, health_checks=checks))

        return fatal_check

    wrap(stack, transitions, "fatal_check", make)


@mutant("brake-forgets-the-sick", "what the brake held back is never looked at again")
def _(stack: ExitStack) -> None:
    def make(real: Any) -> Any:
        def let_go(self: Brake) -> Any:
            return [key for key in real(self) if key.startswith(Timer.HELD)]

        return let_go

    wrap(stack, Brake, "_let_go", make)


@mutant("proved-at-once", "an upgrade goes on before the new tasks have shown that they hold")
def _(stack: ExitStack) -> None:
    def make(real: Any) -> Any:
        def put_health(batch: Batch, before: Instance, after: Instance) -> None:
            spec = batch.world.spec_at(after.app_id, after.version)
            real(batch, before, evolve(after, proven=after.proven or is_serving(after, spec)))

        return put_health

    wrap(stack, transitions, "put_health", make)
    wrap(stack, verdicts, "put_health", make)


@mutant("breaks-prove-as-well", "a task that fails in between counts as healthy all the time")
def _(stack: ExitStack) -> None:
    def make(real: Any) -> Any:
        def put_health(batch: Batch, before: Instance, after: Instance) -> None:
            real(batch, before, after)
            stored = batch.world.instances[after.id]
            if stored.healthy_since_ms is None and stored.condition is Condition.RUNNING:
                batch.put(evolve(stored, healthy_since_ms=before.healthy_since_ms))

        return put_health

    wrap(stack, transitions, "put_health", make)
    wrap(stack, verdicts, "put_health", make)


@mutant("given-up-early", "a short break of the network starts tasks a second time")
def _(stack: ExitStack) -> None:
    _move_deadline(stack, Condition.UNREACHABLE, -2_000)


@mutant("forgotten-early", "a task that comes back in time is not known any more")
def _(stack: ExitStack) -> None:
    _move_deadline(stack, Condition.UNREACHABLE_INACTIVE, -10_000)


@mutant("given-up-late", "what is lost is missed for a minute longer than its app allows")
def _(stack: ExitStack) -> None:
    _move_deadline(stack, Condition.UNREACHABLE, 60_000)


def _move_deadline(stack: ExitStack, condition: Condition, by_ms: int) -> None:
    def make(real: Any) -> Any:
        def deadline_of(instance: Instance, *rest: Any) -> int | None:
            found = real(instance, *rest)
            is_moved = instance.condition is condition and found is not None
            return found + by_ms if is_moved else found

        return deadline_of

    for module in (deadlines, core, due, transitions, world):
        if hasattr(module, "deadline_of"):
            wrap(stack, module, "deadline_of", make)


@mutant("restarts-without-end", "a task that was to run once runs again and again")
def _(stack: ExitStack) -> None:
    put_in(stack, restarts, "count_attempt", lambda instance, _state, _batch: instance)


@mutant("attempts-are-not-counted", "an app that is to be tried twice crashes for ever")
def _(stack: ExitStack) -> None:
    def make(real: Any) -> Any:
        def count_attempt(instance: Instance, *rest: Any) -> Any:
            return real(evolve(instance, attempts=0), *rest)

        return count_attempt

    wrap(stack, restarts, "count_attempt", make)


@mutant("success-is-a-failure", "what has done its work does it again")
def _(stack: ExitStack) -> None:
    def make(real: Any) -> Any:
        def count_attempt(instance: Instance, _state: TaskState, batch: Batch) -> Any:
            return real(instance, TaskState.FAILED, batch)

        return count_attempt

    wrap(stack, restarts, "count_attempt", make)


@mutant("progress-is-not-seen", "a rollout that goes on is stopped for standing still")
def _(stack: ExitStack) -> None:
    def make(real: Any) -> Any:
        def watch_progress(batch: Batch, app_id: Any, _serving: int) -> None:
            real(batch, app_id, 0)

        return watch_progress

    wrap(stack, upkeep, "watch_progress", make)


@mutant("progress-never-ends", "a rollout that is stuck stays so, though it was to fail")
def _(stack: ExitStack) -> None:
    put_in(stack, due, "check_progress", lambda *_: None)


@mutant("scale-counts-again", "to repeat a kill scales an app down further each time")
def _(stack: ExitStack) -> None:
    def make(real: Any) -> Any:
        def scale_down(batch: Batch, command: Any, instances: list[Instance]) -> Any:
            return real(batch, command, [evolve(i, goal=Goal.RUNNING) for i in instances])

        return scale_down

    wrap(stack, commands, "_scale_down", make)


@mutant("decline-for-a-moment", "an idle scheduler is sent the same offers again and again")
def _(stack: ExitStack) -> None:
    def make(real: Any) -> Any:
        def decline(offer_ids: Any, *, refuse_s: float) -> Any:
            return real(offer_ids, refuse_s=min(refuse_s, 1.0))

        return decline

    wrap(stack, launches, "Decline", make)


@mutant("drain-counts-as-crash", "a drained agent costs an app its attempts")
def _(stack: ExitStack) -> None:
    killed = [(c, Signal.KILLED) for c in Condition if c is not Condition.SCHEDULED]
    cell(stack, killed, transitions.crash)
