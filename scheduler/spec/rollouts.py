"""Judge ``update`` and ``restartPolicy``: refuse what could never succeed or would mean nothing.

A rollout with such a policy would hang, fail for certain, or lack the protection that its author
believes it has; better to hear of that before it begins.
"""

from collections.abc import Iterator

from scheduler.core.app import AppSpec, RestartMode, UpdateOrder, UpdatePolicy
from scheduler.spec.problems import Problem
from scheduler.spec.rules import SpecRules


def rollout_problems(spec: AppSpec, _: SpecRules) -> Iterator[Problem]:
    """Yield what is wrong with how an app is to be updated and restarted."""
    restart = spec.restart_policy
    if restart is not None and restart.mode is RestartMode.NEVER and restart.attempts is not None:
        yield Problem("/restartPolicy/attempts", "means nothing where mode is never")
    if spec.update is None:
        return
    yield from _deadlines(spec.update)
    if spec.update.auto_pause and not spec.update.canary_instances:
        yield Problem("/update/autoPause", "needs canaries: give canaryInstances")
    if spec.update.auto_revert and not _can_fail(spec):
        message = (
            "needs something by which a deployment fails: healthyDeadlineSeconds,"
            " progressDeadlineSeconds, or a restartPolicy with attempts or mode never"
        )
        yield Problem("/update/autoRevert", message)
    if spec.is_single_instance:
        yield from _single(spec.update)


def _deadlines(update: UpdatePolicy) -> Iterator[Problem]:
    healthy_s, progress_s = update.healthy_deadline_s, update.progress_deadline_s
    proving = f"must be more than minHealthySeconds ({update.min_healthy_s})"
    if healthy_s is not None and healthy_s <= update.min_healthy_s:
        yield Problem("/update/healthyDeadlineSeconds", f"{proving}: no instance could meet it")
    if progress_s is None:
        return
    if progress_s <= update.min_healthy_s:
        yield Problem("/update/progressDeadlineSeconds", f"{proving}: no rollout could meet it")
    elif healthy_s is not None and progress_s < healthy_s:
        message = f"must be at least healthyDeadlineSeconds ({healthy_s}), which it would forestall"
        yield Problem("/update/progressDeadlineSeconds", message)


def _can_fail(spec: AppSpec) -> bool:
    update, restart = spec.update, spec.restart_policy
    if update is not None and (update.healthy_deadline_s or update.progress_deadline_s):
        return True
    if restart is None:
        return False
    return restart.attempts is not None or restart.mode is RestartMode.NEVER


def _single(update: UpdatePolicy) -> Iterator[Problem]:
    if update.canary_instances:
        message = "a single instance app has no canaries: it would run twice"
        yield Problem("/update/canaryInstances", message)
    if update.order is UpdateOrder.START_FIRST:
        message = "must not be startFirst for a single instance app: it would run twice"
        yield Problem("/update/order", message)
