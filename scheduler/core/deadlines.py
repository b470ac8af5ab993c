"""Say until when an instance may stay in its present condition.

A deadline is derived from the stored instance alone, so that a new leader waits for the rest of
the time, not for all of it again. What happens when it passes is the ``DEADLINE`` column of the
life cycle's table.
"""

from scheduler.core.app import AppSpec
from scheduler.core.instance import Condition, Instance, TaskState
from scheduler.core.settings import Settings


def deadline_of(instance: Instance, spec: AppSpec, settings: Settings) -> int | None:
    """Return the epoch ms at which ``instance`` must be looked at; None if it may stay for ever."""
    since_ms = instance.since_ms
    match instance.condition:
        case Condition.PROVISIONED:
            # Asked about after one period, which begins anew then: given up after the second.
            return since_ms + settings.launch_confirm_timeout_ms
        case Condition.STAGING | Condition.STARTING:
            return (instance.staged_at_ms or since_ms) + settings.launch_timeout_ms
        case Condition.DRAINING:
            return since_ms + settings.deregister_timeout_ms
        case Condition.KILLING:
            return since_ms + max(1, instance.kill_attempts) * kill_period_ms(spec, settings)
        case Condition.UNREACHABLE if instance.task_state is TaskState.UNKNOWN:
            return since_ms
        case Condition.UNREACHABLE:
            strategy = spec.unreachable_strategy
            return None if strategy is None else since_ms + strategy.inactive_after_s * 1000
        case Condition.UNREACHABLE_INACTIVE:
            strategy = spec.unreachable_strategy
            return None if strategy is None else since_ms + strategy.expunge_after_s * 1000
        case Condition.RUNNING:
            return _running_deadline(instance, spec)
        case Condition.SCHEDULED:
            return None


def kill_period_ms(spec: AppSpec, settings: Settings) -> int:
    """Say how long a kill may take before it is sent again: the task's grace comes on top."""
    return settings.kill_retry_ms + (spec.kill_grace_s or 0) * 1000


def _running_deadline(instance: Instance, spec: AppSpec) -> int | None:
    """When a running task is proved by its health, or condemned for the lack of it.

    Both come from the app's ``update``: minHealthySeconds and healthyDeadlineSeconds.
    """
    if instance.spare_until_ms is not None:
        return instance.spare_until_ms
    policy = spec.update
    if policy is None or instance.proven:
        return None
    if instance.healthy_since_ms is not None:
        return instance.healthy_since_ms + policy.min_healthy_s * 1000
    if policy.healthy_deadline_s is None or instance.staged_at_ms is None:
        return None
    since_ms = max(instance.staged_at_ms, instance.unproven_since_ms or 0)
    return since_ms + policy.healthy_deadline_s * 1000


def unproven_deadline(instance: Instance, spec: AppSpec) -> int | None:
    """By when an instance must have proved itself, with however many tasks; None if it need not.

    Each task has ``update.healthyDeadlineSeconds`` of its own before it is killed; the instance
    has them once, so that a crash loop fails a rollout as well.
    """
    policy = spec.update
    if policy is None or policy.healthy_deadline_s is None or instance.unproven_since_ms is None:
        return None
    return instance.unproven_since_ms + policy.healthy_deadline_s * 1000
