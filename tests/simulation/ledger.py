"""Mirror what is stored, record by record, and check what no history may contain.

The ledger sees every record that was really written, also when the writer was not told. From it
the other checkers know what is durable; by itself it checks that epochs only grow (S6), that an app
is in one deployment at most (S10), that what has ended stays ended (S11), that the framework id
stays (S13), that tasks drain before they are killed (S15), that back-off grows, and that an app is
taken back or removed only by who may do that (S7, S10).
"""

from collections.abc import Callable, Sequence

from attrs import define, field

from scheduler.core.deployment import Deployment
from scheduler.core.ids import AppId, DeploymentId, Epoch, InstanceId, Version
from scheduler.core.instance import Condition, Instance, TaskState
from scheduler.core.records import (
    App,
    AppVersion,
    Delay,
    Ended,
    Entity,
    Framework,
    Kind,
    Put,
    Queued,
    Record,
)
from scheduler.core.settings import Settings
from scheduler.core.world import World
from tests.simulation.violation import demand


@define
class _Batch:
    """What one commit did to apps; who may have done it is known only at its end."""

    regressed: dict[AppId, tuple[Version, Version]] = field(factory=dict)
    """Apps set back to an older version: (from, to)."""
    removed: dict[AppId, Version] = field(factory=dict)
    reverts: list[Deployment] = field(factory=list)


class Ledger:
    """The truth about the store."""

    def __init__(self, settings: Settings, clock_jump_ms: int) -> None:
        self.settings = settings
        self.clock_jump_ms = clock_jump_ms
        self.epoch = Epoch(0)
        self.rows: dict[Kind, dict[str, Entity]] = {kind: {} for kind in Kind}
        self.instances: dict[InstanceId, Instance] = {}
        self.by_app: dict[AppId, dict[InstanceId, Instance]] = {}
        self.versions: dict[tuple[AppId, Version], AppVersion] = {}
        self.versions_ever: dict[AppId, dict[Version, AppVersion]] = {}
        self.delays: dict[tuple[AppId, Version], Delay] = {}
        self.deployments_ever: dict[DeploymentId, Deployment] = {}
        self.empty_deployments: dict[DeploymentId, None] = {}
        """Deployments that changed no app: they are over as they begin, and never stored."""
        self.queued_ever: dict[DeploymentId, Queued] = {}
        self.owners: dict[AppId, DeploymentId] = {}
        self.removals_asked: dict[AppId, None] = {}
        """Apps that a user asked to remove, at any time."""
        self.follow: Callable[[Instance | None, Instance | None], None] = lambda _before, _after: (
            None
        )
        """Told each record of an instance as it is written: what was, and what is."""

    # ---------------------------------------------------------------- reading

    @property
    def framework(self) -> Framework | None:
        found = self.rows[Kind.FRAMEWORK].get("self")
        assert found is None or isinstance(found, Framework)
        return found

    def app(self, app_id: AppId) -> App | None:
        found = self.rows[Kind.APP].get(app_id)
        assert found is None or isinstance(found, App)
        return found

    def wanted(self) -> int:
        """How many instances the definitions of all apps ask for."""
        apps = [self.app(AppId(key)) for key in self.rows[Kind.APP]]
        return sum(
            self.versions[app.id, app.version].spec.instances
            for app in apps
            if app is not None and not app.removed
        )

    def instances_of(self, app_id: AppId) -> list[Instance]:
        return list(self.by_app.get(app_id, {}).values())

    def has_ended(self, instance_id: InstanceId, incarnation: int) -> bool:
        """Whether it is on record that we launched this task and that it is over."""
        instance = self.instances.get(instance_id)
        if instance is not None:
            is_present = instance.task_id is not None and instance.incarnation == incarnation
            return incarnation <= instance.incarnation and not is_present
        tombstone = self.rows[Kind.ENDED].get(instance_id)
        return isinstance(tombstone, Ended) and incarnation <= tombstone.incarnation

    def differences(self, world: World) -> list[str]:
        """Name what a loaded world has otherwise than the store (S7, S14)."""
        tables: dict[Kind, dict[str, object]] = {
            Kind.FRAMEWORK: {} if world.framework is None else {"self": world.framework},
            Kind.GROUP: {**world.groups},
            Kind.APP: {**world.apps},
            Kind.AGENT: {**world.agents},
            Kind.DEPLOYMENT: {**world.deployments},
            Kind.INSTANCE: {**world.instances},
            Kind.FAILURE: {**world.failures},
            Kind.ENDED: {**world.ended},
            Kind.QUEUED: {**world.queued},
            Kind.FINISHED: {**world.finished},
            Kind.ROLLOUT: {**world.rollouts},
            Kind.VERSION: {
                f"{app_id}@{version}": value
                for app_id, of_app in world.versions.items()
                for version, value in of_app.items()
            },
            Kind.DELAY: {f"{a}@{v}": value for (a, v), value in world.delays.items()},
            Kind.ROLLED_BACK: {f"{a}@{v}": value for (a, v), value in world.rolled_back.items()},
        }
        return [
            f"{kind} {key}: stored {self.rows[kind].get(key)}, loaded {table.get(key)}"
            for kind, table in tables.items()
            if table != self.rows[kind]
            for key in sorted({*table, *self.rows[kind]})
            if table.get(key) != self.rows[kind].get(key)
        ]

    # ---------------------------------------------------------------- writing

    def committed(self, epoch: Epoch, records: Sequence[Record]) -> None:
        """Take in one commit."""
        demand(epoch >= self.epoch, "S6", f"epoch {epoch} wrote after epoch {self.epoch}")
        self.epoch = epoch
        batch = _Batch()
        for record in records:
            value = record.value if isinstance(record, Put) else None
            match record.kind:
                case Kind.INSTANCE:
                    assert value is None or isinstance(value, Instance)
                    self._instance(InstanceId(record.key), value)
                case Kind.DEPLOYMENT:
                    assert value is None or isinstance(value, Deployment)
                    self._deployment(DeploymentId(record.key), value, batch)
                case Kind.APP:
                    assert value is None or isinstance(value, App)
                    self._app(AppId(record.key), value, batch)
                case Kind.QUEUED:
                    if isinstance(value, Queued):
                        # As it was asked for; it may follow a revert in the same step.
                        self.queued_ever.setdefault(value.id, value)
                case Kind.FRAMEWORK:
                    self._framework(value)
                case Kind.VERSION:
                    self._version(record.key, value)
                case Kind.DELAY:
                    self._delay(record.key, value)
                case _:
                    pass
            if value is None:
                self.rows[record.kind].pop(record.key, None)
            else:
                self.rows[record.kind][record.key] = value
        self._check_reverts(batch)

    def _framework(self, value: Entity | None) -> None:
        known = self.framework
        if known is not None:
            is_same = isinstance(value, Framework) and value.id == known.id
            demand(is_same, "S13", f"framework id {known.id} replaced by {value}")

    def _version(self, key: str, value: Entity | None) -> None:
        app_id, _, version = key.partition("@")
        if isinstance(value, AppVersion):
            self.versions[value.app_id, value.version] = value
            self.versions_ever.setdefault(value.app_id, {})[value.version] = value
        else:
            self.versions.pop((AppId(app_id), Version(version)), None)

    def _delay(self, key: str, value: Entity | None) -> None:
        """Back-off: failure upon failure the wait grows by the factor, up to the maximum."""
        app_id, _, version = key.partition("@")
        before = self.delays.pop((AppId(app_id), Version(version)), None)
        if not isinstance(value, Delay):
            return
        self.delays[value.app_id, value.version] = value
        policy = self.versions[value.app_id, value.version].spec.backoff
        least_ms = min(policy.base_ms, policy.max_ms)
        if before is not None:
            quiet_ms = value.last_failure_ms - before.last_failure_ms
            if quiet_ms < before.delay_ms + policy.max_ms:
                grown_ms = max(before.delay_ms, 1) * policy.factor_milli // 1000
                least_ms = min(grown_ms, policy.max_ms)
        told = f"{value.app_id}: the delay after {before} is {value}"
        demand(value.delay_ms >= least_ms, "back-off", told)
        demand(value.until_ms >= value.last_failure_ms + value.delay_ms, "back-off", told)

    def _app(self, app_id: AppId, value: App | None, batch: _Batch) -> None:
        before = self.app(app_id)
        if before is None:
            return
        if value is None:
            is_empty = not self.by_app.get(app_id)
            demand(is_empty, "S10", f"{app_id} was forgotten while it has instances")
            is_free = app_id not in self.owners
            demand(is_free, "S10", f"{app_id} was forgotten while it is deployed")
        if before.removed:
            return
        if value is None or value.removed:
            batch.removed[app_id] = before.version
        elif value.version < before.version:
            batch.regressed[app_id] = (before.version, value.version)

    def _deployment(
        self, deployment_id: DeploymentId, value: Deployment | None, batch: _Batch
    ) -> None:
        for app_id in [a for a, owner in self.owners.items() if owner == deployment_id]:
            del self.owners[app_id]
        if value is None:
            return
        for change in value.changes:
            other = self.owners.get(change.app_id)
            demand(other is None, "S10", f"{change.app_id} is in {other} and in {value.id}")
            self.owners[change.app_id] = value.id
        if value.reverts is not None and value.id not in self.deployments_ever:
            batch.reverts.append(value)
        before = self.deployments_ever.get(deployment_id)
        is_forward = before is None or value.current_step >= before.current_step
        demand(is_forward, "S10", f"{deployment_id} went back to step {value.current_step}")
        self.deployments_ever[deployment_id] = value

    def _check_reverts(self, batch: _Batch) -> None:
        """S10: a revert takes back only what its deployment changed, and deletes only what it
        created. S7: nothing else undoes a write.
        """
        for app_id, (left, reached) in batch.regressed.items():
            is_theirs = any(
                (change.before, change.after) == (reached, left)
                for revert in batch.reverts
                for change in self._reverted(revert).changes
                if change.app_id == app_id
            ) or any(
                # Several changes of one commit: the ends are all that was durable.
                change.after == reached
                for revert in batch.reverts
                for change in revert.changes
                if change.app_id == app_id
            )
            demand(is_theirs, "S7", f"{app_id} went back from {left} to {reached}")
        for app_id, left in batch.removed.items():
            created = any(
                change.before is None
                for revert in batch.reverts
                for change in self._reverted(revert).changes
                if change.app_id == app_id
            )
            is_asked = app_id in self.removals_asked
            demand(is_asked or created, "S10", f"{app_id}@{left} was removed, unasked")

    def _reverted(self, revert: Deployment) -> Deployment:
        assert revert.reverts is not None
        return self.deployments_ever[revert.reverts]

    def _instance(self, instance_id: InstanceId, value: Instance | None) -> None:
        before = self.instances.pop(instance_id, None)
        if before is not None:
            self.by_app[before.app_id].pop(instance_id, None)
        self.follow(before, value)
        if value is None:
            return
        self.instances[instance_id] = value
        self.by_app.setdefault(value.app_id, {})[instance_id] = value
        if before is None:
            is_new = instance_id not in self.rows[Kind.ENDED] and value.incarnation == 0
            demand(is_new, "S11", f"{value.app_id}: {instance_id} rose from the dead")
            return

        def told() -> str:
            return f"{value.app_id}: {instance_id} went from {before} to {value}"

        demand(value.incarnation >= before.incarnation, "S11", told)
        if value.task_id is not None and before.task_id is None:
            demand(value.incarnation > before.incarnation, "S11", told)
        if self.settings.discovery and value.task_id == before.task_id:
            self._check_draining(before, value, told)

    def _check_draining(self, before: Instance, after: Instance, told: Callable[[], str]) -> None:
        """S15: out of discovery first; unless it does not answer, or others do the killing."""
        if after.condition is not Condition.KILLING or after.task_state is TaskState.KILLING:
            return
        demand(before.condition is not Condition.RUNNING, "S15", lambda: f"not drained: {told()}")
        if before.condition is Condition.DRAINING and not after.deregistered:
            waited_ms = after.since_ms - before.since_ms + self.clock_jump_ms
            is_over = waited_ms >= self.settings.deregister_timeout_ms
            demand(is_over, "S15", lambda: f"killed before it was deregistered: {told()}")
