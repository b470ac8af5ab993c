"""Decide which old versions of an app are forgotten (Marathon flag: zk_max_versions)."""

from scheduler.core.batch import Batch
from scheduler.core.ids import AppId, Version
from scheduler.core.records import Kind, version_key
from scheduler.core.world import World


def prune_versions(batch: Batch, app_id: AppId) -> None:
    """Delete the oldest versions beyond the limit, never one that something still points at."""
    world = batch.world
    versions = world.versions[app_id]
    excess = len(versions) - world.settings.versions_max
    if excess <= 0:
        return
    needed = _needed(world, app_id)
    for version in list(versions):
        if excess > 0 and version not in needed:
            batch.delete(Kind.VERSION, version_key(app_id, version))
            if (app_id, version) in world.rolled_back:
                batch.delete(Kind.ROLLED_BACK, version_key(app_id, version))
            excess -= 1


def _needed(world: World, app_id: AppId) -> set[Version]:
    """The present version, those of instances and those a deployment may return to."""
    needed = {world.apps[app_id].version}
    needed.update(v for v, tally in world.tallies.get(app_id, {}).items() if tally.total)
    lock = world.locks.get(app_id)
    ends = (lock.change.before, lock.change.after) if lock is not None else ()
    needed.update(version for version in ends if version is not None)
    configs = {world.versions[app_id][version].config_version for version in needed}
    return needed | configs
