"""Take in what health and readiness checks found, and end what fails for too long."""

from attrs import evolve

from scheduler.core.batch import Batch
from scheduler.core.events import ProbeResult, ReadinessResult
from scheduler.core.health import check_results
from scheduler.core.ids import TaskId
from scheduler.core.instance import Condition, Instance
from scheduler.core.signals import Cause, Signal
from scheduler.core.transitions import judge, put_health


def on_probe(batch: Batch, event: ProbeResult) -> None:
    """Store a verdict of the prober; one for a task that has ended or moves on is dropped."""
    instance = _running(batch, event.task_id)
    if instance is None:
        return
    spec = batch.world.spec_at(instance.app_id, instance.version)
    checks = list(check_results(instance, spec))
    if event.check_index >= len(checks):
        return
    checks[event.check_index] = event.result
    put_health(batch, instance, evolve(instance, checks=tuple(checks)))
    judged = batch.world.instances[instance.id]
    judge(batch, judged, Cause(Signal.DEADLINE))


def on_readiness(batch: Batch, event: ReadinessResult) -> None:
    """Store that a task is ready. Readiness is asked once for each task: it does not lapse."""
    instance = _running(batch, event.task_id)
    if instance is None or instance.ready or not event.ready:
        return
    put_health(batch, instance, evolve(instance, ready=True))


def _running(batch: Batch, task_id: TaskId) -> Instance | None:
    """Return the instance whose present task is ``task_id``, if that task runs."""
    instance = batch.world.instance_of(task_id)
    if instance is None or instance.condition is not Condition.RUNNING:
        return None
    return instance
