"""Say what an app should look like at this moment: which version, how many instances.

With a deployment under way that is the version before it until its step has begun, and the
version after it from then on; without one it is simply the version the app points at.
"""

from attrs import frozen

from scheduler.core.app import AppSpec
from scheduler.core.ids import AppId, Version
from scheduler.core.records import AppVersion
from scheduler.core.world import World


@frozen
class Target:
    """``version`` None: the app shall have no instance at all."""

    version: AppVersion | None
    is_rolling: bool
    """Whether instances of other config versions are to be replaced. Outside a deployment they
    are left in peace: an operator who stopped a deployment by force wants no more changes."""
    is_paused: bool = False
    """Whether nothing is created or replaced for the time being."""
    is_promoted: bool = False
    """Whether an operator has approved the canaries."""

    @property
    def holds_old_version(self) -> bool:
        """Whether an instance of the old version whose task ends is launched as it was."""
        if not self.is_rolling or self.is_paused:
            return True
        policy = self.spec.update
        return policy is not None and policy.canary_instances > 0 and not self.is_promoted

    def brings(self, config_version: Version) -> bool:
        """Whether a rollout under way is to put this version in the place of others."""
        if self.version is None or not self.is_rolling:
            return False
        return self.config_version == config_version

    @property
    def instances(self) -> int:
        return 0 if self.version is None else self.version.spec.instances

    @property
    def spec(self) -> AppSpec:
        assert self.version is not None
        return self.version.spec

    @property
    def config_version(self) -> Version:
        assert self.version is not None
        return self.version.config_version


def target_of(world: World, app_id: AppId) -> Target:
    """Decide the present target of an app; an unknown or removed app has none."""
    lock = world.locks.get(app_id)
    if lock is None:
        app = world.live_app(app_id)
        return Target(None if app is None else world.version_of(app_id), is_rolling=False)
    deployment = world.deployments[lock.deployment_id]
    has_begun = lock.step is not None and deployment.current_step >= lock.step
    is_over = has_begun and deployment.current_step != lock.step
    version = lock.change.after if has_begun else lock.change.before
    known = world.versions.get(app_id, {})
    return Target(
        None if version is None else known[version],
        is_rolling=has_begun,
        is_paused=has_begun and deployment.paused is not None,
        is_promoted=is_over or deployment.promoted or deployment.goes_back,
    )
