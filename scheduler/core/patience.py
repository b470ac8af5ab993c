"""Tell whether a silence, or bad health, may be our own fault: then nobody is condemned for it."""

from scheduler.core.app import AppSpec
from scheduler.core.instance import Condition, Instance
from scheduler.core.world import World

UNHEARD_LOOK_MS = 10_000
"""How often what is overdue is looked at again while nothing can be heard."""
_WAITING_FOR_WORD = frozenset(
    {
        Condition.PROVISIONED,
        Condition.STAGING,
        Condition.STARTING,
        Condition.UNREACHABLE,
        Condition.UNREACHABLE_INACTIVE,
    }
)


def unheard_until_ms(world: World, instance: Instance, now_ms: int) -> int | None:
    """When to look again at an overdue task that may have spoken while nobody listened.

    Its deadline passes only once it has had its say: a task that ran while the scheduler was
    away must not be ended for a silence that was ours. None if it was heard, or Mesos was asked.
    """
    if instance.condition not in _WAITING_FOR_WORD:
        return None
    is_answered = instance.task_id not in world.reconciliation.unanswered
    if world.connected and (is_answered or now_ms >= world.patient_until_ms):
        return None
    return max(world.patient_until_ms, now_ms + UNHEARD_LOOK_MS)


def unprobed_until_ms(world: World, instance: Instance, spec: AppSpec, now_ms: int) -> int | None:
    """When to look again at a task whose checks may not have been asked since we are here.

    Each check of a task that was here before us (before our term, or this connection) has its
    first turn within its interval. None if its health is known.
    """
    if not world.connected:
        # Checks that run beside the task are told by Mesos.
        return now_ms + UNHEARD_LOOK_MS
    patience_ms = world.settings.launch_confirm_timeout_ms
    came_ms = world.patient_until_ms - patience_ms
    if instance.staged_at_ms is None or instance.staged_at_ms >= came_ms:
        return None
    for check in spec.health_checks:
        patience_ms = max(patience_ms, (check.interval_s + check.timeout_s) * 1000)
    return came_ms + patience_ms if now_ms < came_ms + patience_ms else None
