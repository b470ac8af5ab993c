"""Decide how long an app that fails waits before its next launch.

Marathon's rule (page "Applications", backoffSeconds): each failure multiplies the delay by the
factor, up to the maximum. It belongs to one config version, so a new definition starts afresh.
The delay does not fall when a task reaches RUNNING (a crash loop reaches it each time), but only
after the app was quiet for as long as the present delay and the maximum together.
"""

from scheduler.core.app import Backoff
from scheduler.core.batch import Batch
from scheduler.core.ids import AppId, Version
from scheduler.core.records import Delay, Kind, version_key
from scheduler.core.world import World


def next_delay_ms(policy: Backoff, last: Delay | None, now_ms: int) -> int:
    """Return the wait after a failure at ``now_ms``, given the delay of the failure before.

    >>> next_delay_ms(Backoff(base_ms=1000, factor_milli=2000, max_ms=3000), None, 0)
    1000
    """
    if last is None or now_ms - last.last_failure_ms >= last.delay_ms + policy.max_ms:
        return min(policy.base_ms, policy.max_ms)
    grown_ms = max(last.delay_ms, 1) * policy.factor_milli // 1000
    return min(max(grown_ms, policy.base_ms), policy.max_ms)


def is_delayed(world: World, app_id: AppId, version: Version, now_ms: int) -> bool:
    """Tell whether the launches of a config version still wait for their back-off."""
    delay = world.delays.get((app_id, version))
    return delay is not None and now_ms < delay.until_ms


def penalise(batch: Batch, app_id: AppId, version: Version) -> None:
    """Delay the next launch of ``version`` because one of its tasks failed.

    Failures of one moment count once: fifty instances that die together are one event of the
    app, not fifty steps towards the maximum.
    """
    world = batch.world
    last = world.delays.get((app_id, version))
    if last is not None and batch.now_ms < last.until_ms:
        return
    spec = world.spec_at(app_id, version)
    delay_ms = next_delay_ms(spec.backoff, last, batch.now_ms)
    if spec.restart_policy is not None:
        delay_ms = max(delay_ms, spec.restart_policy.delay_s * 1000)
    batch.put(
        Delay(
            app_id=app_id,
            version=version,
            delay_ms=delay_ms,
            until_ms=batch.now_ms + delay_ms,
            last_failure_ms=batch.now_ms,
        )
    )


def forgive(batch: Batch, app_id: AppId) -> None:
    """Forget every delay of an app."""
    for version in tuple(batch.world.versions.get(app_id, ())):
        if (app_id, version) in batch.world.delays:
            batch.delete(Kind.DELAY, version_key(app_id, version))


def refuse_ms(batch: Batch, app_id: AppId, version: Version) -> None:
    """Delay by the maximum at once: Mesos refused the task itself, haste cannot help."""
    policy = batch.world.spec_at(app_id, version).backoff
    batch.put(
        Delay(
            app_id=app_id,
            version=version,
            delay_ms=policy.max_ms,
            until_ms=batch.now_ms + policy.max_ms,
            last_failure_ms=batch.now_ms,
        )
    )
