"""Hold everything that is known: frozen entities, and the indexes that decisions read.

Stored entities change only through ``apply``, live and at load alike. The indexes are kept by
app, config version and bucket, so that no decision ever walks over an app's instances. What is
not stored (offers, the connection, timers, reports) lives here too and starts empty in every
term of a leader.
"""

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from attrs import frozen

from scheduler.core.app import AppSpec
from scheduler.core.brake import Brake
from scheduler.core.deadlines import deadline_of, unproven_deadline
from scheduler.core.deployment import Change, Deployment
from scheduler.core.events import StatusUpdate
from scheduler.core.executors import Executors
from scheduler.core.group import Group
from scheduler.core.health import Health, health_of
from scheduler.core.ids import (
    AgentId,
    AppId,
    DeploymentId,
    GroupId,
    InstanceId,
    TaskId,
    Version,
    instance_id_of,
)
from scheduler.core.instance import Condition, Goal, Instance
from scheduler.core.offer import Agent
from scheduler.core.offers import OfferBook
from scheduler.core.reconciliation import Reconciliation
from scheduler.core.records import (
    App,
    AppVersion,
    Delay,
    Ended,
    Failure,
    Finished,
    Framework,
    Kind,
    Put,
    Queued,
    Record,
    RolledBack,
    Rollout,
)
from scheduler.core.reports import Reports
from scheduler.core.service_ports import ServicePorts, service_ports
from scheduler.core.settings import Settings
from scheduler.core.tally import Age, AppCounts, Bucket, Tally
from scheduler.core.timers import Timer

K = TypeVar("K")
V = TypeVar("V")


@frozen
class Lock:
    """An app's part in the deployment that works on it."""

    deployment_id: DeploymentId
    change: Change
    step: int | None
    """Index of the step that acts on the app; None if no step does."""


class World:
    """The state of one leader's term."""

    def __init__(self, settings: Settings) -> None:  # noqa: PLR0915 - a list of what is known
        self.settings = settings
        self.framework: Framework | None = None
        self.groups: dict[GroupId, Group] = {}
        self.apps: dict[AppId, App] = {}
        self.versions: dict[AppId, dict[Version, AppVersion]] = {}
        self.agents: dict[AgentId, Agent] = {}
        self.deployments: dict[DeploymentId, Deployment] = {}
        self.instances: dict[InstanceId, Instance] = {}
        self.delays: dict[tuple[AppId, Version], Delay] = {}
        self.failures: dict[AppId, Failure] = {}
        self.ended: dict[InstanceId, Ended] = {}
        self.rollouts: dict[AppId, Rollout] = {}
        self.queued: dict[DeploymentId, Queued] = {}
        """Changes that wait for deployments in their way, oldest first."""
        self.rolled_back: dict[tuple[AppId, Version], RolledBack] = {}
        self.finished: dict[DeploymentId, Finished] = {}
        """What became of the latest deployments, oldest first."""

        self.tallies: dict[AppId, dict[Version, Tally]] = {}
        self.on_agent: dict[AppId, Counter[AgentId]] = {}
        """App → agent → instances that may be alive there."""
        self.tasks_on: Counter[AgentId] = Counter()
        """The same of all apps together."""
        self.executors = Executors()
        self.locks: dict[AppId, Lock] = {}
        """Which deployment works on an app, and its part in it."""
        self.waiting: dict[tuple[AppId, Version], None] = {}
        """Config versions that have an instance to launch."""
        self.service_ports = ServicePorts()
        self.wanted: dict[AppId, int] = {}
        """App → instances that its definition asks for; without removed apps."""
        self.revision = 0
        """Grows with every record: what was read at the same revision is the same."""
        self.last_version: Version = Version("")
        """The greatest version ever given: the next one is greater."""

        self.dirty: dict[AppId, None] = {}
        self.vacated: dict[AgentId, None] = {}
        """Agents that the last task may have left: to be forgotten if nothing is there."""
        self._changes: list[tuple[Instance | None, Instance | None]] = []
        self._timers: list[tuple[int, str]] = []

        self._appliers: dict[Kind, Callable[[str, object], None]] = {
            Kind.FRAMEWORK: self._apply_framework,
            Kind.GROUP: lambda key, value: _set(self.groups, GroupId(key), value, Group),
            Kind.VERSION: self._apply_version,
            Kind.APP: self._apply_app,
            Kind.AGENT: self._apply_agent,
            Kind.DEPLOYMENT: self._apply_deployment,
            Kind.INSTANCE: self._apply_instance,
            Kind.DELAY: self._apply_delay,
            Kind.FAILURE: lambda key, value: _set(self.failures, AppId(key), value, Failure),
            Kind.ENDED: lambda key, value: _set(self.ended, InstanceId(key), value, Ended),
            Kind.ROLLOUT: self._apply_rollout,
            Kind.QUEUED: lambda key, value: _set(self.queued, DeploymentId(key), value, Queued),
            Kind.ROLLED_BACK: lambda key, value: _set(
                self.rolled_back, _app_version(key), value, RolledBack
            ),
            Kind.FINISHED: lambda key, value: _set(
                self.finished, DeploymentId(key), value, Finished
            ),
        }

        # Volatile: of this term, this connection.
        self.connected = False
        self.patient_until_ms = 0
        """Until then silence may be our own fault: we have only just come, or come back."""
        self.master: str | None = None
        self.offers = OfferBook()
        self.suppressed = False
        self.revive_wanted = False
        self.revived_at_ms: int | None = None
        self.reconciliation = Reconciliation()
        self.reports = Reports()
        self.witnesses: dict[DeploymentId, int] = {}
        """Which action of its present step was last seen to hold a deployment up."""
        self.failed_rollouts: dict[AppId, str] = {}
        """Apps whose deployment has failed in this step → why; taken up when it is settled."""
        self.unknown_tasks: dict[TaskId, StatusUpdate] = {}
        """Tasks that Mesos reports for us and that we do not know → what was last said."""
        self.condemned: dict[TaskId, None] = {}
        """Those of them that are being killed: proved to be ours and to have ended."""
        self.stray_kills_left = 0
        """How many more may be condemned before the next round of reconciliation."""
        self.illegal: Counter[tuple[str, str]] = Counter()
        """(condition, signal) → how often a cell that nobody thought of was met."""
        self.brake = Brake(settings)

    # ---------------------------------------------------------------- changes

    def apply(self, record: Record) -> None:
        """Take over one record. Live and at load this is the only way stored state changes."""
        value = record.value if isinstance(record, Put) else None
        self.revision += 1
        self._appliers[record.kind](record.key, value)

    def load(self, records: Iterable[Record]) -> None:
        """Apply stored records, whatever their order: those that others refer to go first.

        What stands in line (instances, tombstones, outcomes) goes in by age, as it once came.
        """
        by_kind: dict[Kind, list[Record]] = {kind: [] for kind in Kind}
        for record in records:
            by_kind[record.kind].append(record)
        for kind in Kind:
            for record in sorted(by_kind[kind], key=_age_ms):
                self.apply(record)
        self.vacated = {a: None for a in self.agents if a not in self.tasks_on}

    def take_changes(self) -> list[tuple[Instance | None, Instance | None]]:
        """Return (before, after) of every instance change since the last call."""
        changes, self._changes = self._changes, []
        return changes

    def wake_at(self, at_ms: int, key: str) -> None:
        """Ask for a look at ``key`` (an instance id, or what ``Timer`` lists) at ``at_ms``."""
        heapq.heappush(self._timers, (at_ms, key))

    def wake_all_at(self, at_ms: int, keys: Iterable[str]) -> None:
        """Ask for a look at each of ``keys``: those that the disaster brake lets go, say."""
        for key in keys:
            self.wake_at(at_ms, key)

    def pop_due(self, now_ms: int) -> Iterator[str]:
        """Yield the keys whose time has come, earliest first."""
        while self._timers and self._timers[0][0] <= now_ms:
            yield heapq.heappop(self._timers)[1]

    @property
    def next_due_ms(self) -> int | None:
        """When the next Tick is wanted, epoch ms; None if nothing waits for time to pass."""
        times = [self._timers[0][0]] if self._timers else []
        if self.reconciliation.next_ms is not None and self.connected:
            times.append(self.reconciliation.next_ms)
        if self.revive_wanted and self.connected and self.revived_at_ms is not None:
            times.append(self.revived_at_ms + self.settings.revive_interval_ms)
        return min(times, default=None)

    # ---------------------------------------------------------------- reading

    def version_of(self, app_id: AppId) -> AppVersion:
        """Return the wanted version of an app that exists (removed or not)."""
        return self.versions[app_id][self.apps[app_id].version]

    def spec_of(self, app_id: AppId) -> AppSpec:
        return self.version_of(app_id).spec

    def spec_at(self, app_id: AppId, config_version: Version) -> AppSpec:
        """Return the definition that instances of ``config_version`` run."""
        return self.versions[app_id][config_version].spec

    def live_app(self, app_id: AppId) -> App | None:
        """Return the app if the API may show it: it exists and is not being removed."""
        app = self.apps.get(app_id)
        return None if app is None or app.removed else app

    def tally(self, app_id: AppId, version: Version) -> Tally:
        """Return the counts of one version, to read: without instances it has none of its own."""
        of_app = self.tallies.get(app_id)
        tally = None if of_app is None else of_app.get(version)
        return Tally() if tally is None else tally

    def instances_of(self, app_id: AppId) -> Iterator[Instance]:
        """Yield an app's instances, by version and bucket: for display, never to decide."""
        for tally in self.tallies.get(app_id, {}).values():
            for ids in tally.buckets.values():
                for instance_id in ids:
                    yield self.instances[instance_id]

    def counts_of(self, app_id: AppId) -> AppCounts:
        """Count as Marathon's API does; O(config versions), not O(instances)."""
        staged = running = healthy = unhealthy = 0
        for version, tally in self.tallies.get(app_id, {}).items():
            has_checks = bool(self.spec_at(app_id, version).health_checks)
            sick = tally.count(Bucket.UNHEALTHY)
            serving = tally.count(Bucket.SERVING)
            staged += tally.count(Bucket.PENDING)
            running += serving + sick + tally.count(Bucket.UNPROVEN)
            running += tally.count(Bucket.RECYCLING) + tally.count(Bucket.DOOMED)
            proving = tally.count(Bucket.PROVING)
            running += proving
            healthy += serving + proving if has_checks else 0
            unhealthy += sick
        return AppCounts(staged=staged, running=running, healthy=healthy, unhealthy=unhealthy)

    def instance_of(self, task_id: TaskId) -> Instance | None:
        """Return the instance whose present task is ``task_id``."""
        instance = self.instances.get(instance_id_of(task_id) or InstanceId(""))
        return instance if instance is not None and instance.task_id == task_id else None

    def deployment_of(self, app_id: AppId) -> Deployment | None:
        lock = self.locks.get(app_id)
        return None if lock is None else self.deployments[lock.deployment_id]

    def bucket_of(self, instance: Instance) -> Bucket:
        """Say what an instance counts as. The order of the rules matters."""
        condition = instance.condition
        if instance.goal is Goal.DECOMMISSIONED:
            return Bucket.DOOMED
        if instance.goal is Goal.STOPPED:
            # It fills its place, also while its last task is still being ended.
            return Bucket.DONE if condition is Condition.SCHEDULED else Bucket.RECYCLING
        if condition is Condition.RUNNING:
            if instance.spare_until_ms is not None:
                return Bucket.INACTIVE
            return self._running_bucket(instance)
        return _BUCKETS[condition]

    # ---------------------------------------------------------------- indexes

    def _running_bucket(self, instance: Instance) -> Bucket:
        health = health_of(instance, self.spec_at(instance.app_id, instance.version))
        if health is Health.UNHEALTHY:
            return Bucket.UNHEALTHY
        if health is Health.UNKNOWN:
            return Bucket.UNPROVEN
        return Bucket.SERVING if instance.ready and instance.proven else Bucket.PROVING

    def _apply_framework(self, _key: str, value: object) -> None:
        assert value is None or isinstance(value, Framework)
        self.framework = value

    def _apply_delay(self, key: str, value: object) -> None:
        app_id, version = _app_version(key)
        _set(self.delays, (app_id, version), value, Delay)
        self.dirty[app_id] = None
        if isinstance(value, Delay):
            self.wake_at(value.until_ms, Timer.LAUNCH_DELAY + key)

    def _apply_instance(self, key: str, value: object) -> None:
        assert value is None or isinstance(value, Instance)
        instance_id = InstanceId(key)
        before = self.instances.get(instance_id)
        if before is not None:
            self._index(before, -1)
        if value is None:
            self.instances.pop(instance_id, None)
        else:
            self.instances[instance_id] = value
            self._index(value, +1)
            deadline_ms = deadline_of(
                value, self.spec_at(value.app_id, value.version), self.settings
            )
            if deadline_ms is not None:
                self.wake_at(deadline_ms, instance_id)
            if value.unproven_since_ms is not None:
                self._watch_unproven(before, value)
        self._line_up(before, value)
        self._changes.append((before, value))

    def _watch_unproven(self, before: Instance | None, after: Instance) -> None:
        if before is not None and before.unproven_since_ms == after.unproven_since_ms:
            return
        due_ms = unproven_deadline(after, self.spec_at(after.app_id, after.version))
        if due_ms is not None:
            self.wake_at(due_ms, Timer.UNPROVEN + after.id)

    def _line_up(self, before: Instance | None, after: Instance | None) -> None:
        """Put an instance into its bucket. One that stays in it keeps its place in the line."""
        left = None if before is None else self._line_of(before)
        joined = None if after is None else self._line_of(after)
        if left == joined:
            return
        if left is not None and before is not None:
            app_id, version, bucket = left
            ids = self.tallies[app_id][version].buckets[bucket]
            del ids[before.id]
            if bucket is Bucket.SCHEDULED and not ids:
                self.waiting.pop((app_id, version), None)
                self.reports.drop(app_id, version)
        if joined is not None and after is not None:
            app_id, version, bucket = joined
            tally = self._tally(app_id, version)
            ids = tally.buckets[bucket]
            if ids and bucket not in tally.mixed and after.age < self.age_of(next(reversed(ids))):
                tally.mixed.add(bucket)
            ids[after.id] = None
            if bucket is Bucket.SCHEDULED:
                self.waiting[(app_id, version)] = None
        if left is not None:
            self._drop_if_empty(left[0], left[1])

    def age_of(self, instance_id: InstanceId) -> Age:
        return self.instances[instance_id].age

    def _tally(self, app_id: AppId, version: Version) -> Tally:
        """Return the counts of one version, to change."""
        of_app = self.tallies.get(app_id)
        if of_app is None:
            of_app = self.tallies[app_id] = {}
        tally = of_app.get(version)
        if tally is None:
            tally = of_app[version] = Tally()
        return tally

    def _drop_if_empty(self, app_id: AppId, version: Version) -> None:
        of_app = self.tallies[app_id]
        if any(of_app[version].buckets.values()):
            return
        del of_app[version]
        if not of_app:
            del self.tallies[app_id]

    def _line_of(self, instance: Instance) -> tuple[AppId, Version, Bucket]:
        return instance.app_id, instance.version, self.bucket_of(instance)

    def _index(self, instance: Instance, sign: int) -> None:
        """Count an instance in (+1) or out (-1). Must see the same versions both times."""
        self.dirty[instance.app_id] = None
        tally = self._tally(instance.app_id, instance.version)
        if instance.placement is not None and instance.condition.has_task:
            self._index_place(instance, instance.placement.agent_id, tally, sign)
        self._index_health(instance, sign)

    def _apply_agent(self, key: str, value: object) -> None:
        """Take over where an agent is; what stands there is counted by its new attributes."""
        agent_id = AgentId(key)
        before = self.agents.get(agent_id)
        moved: list[Instance] = []
        if before is not None and before != value:
            apps = [app_id for app_id, counts in self.on_agent.items() if agent_id in counts]
            moved = [
                instance
                for app_id in apps
                for instance in self.instances_of(app_id)
                if instance.placement is not None and instance.placement.agent_id == agent_id
            ]
        for instance in moved:
            self._index(instance, -1)
        _set(self.agents, agent_id, value, Agent)
        for instance in moved:
            self._index(instance, +1)

    def _index_place(self, instance: Instance, agent_id: AgentId, tally: Tally, sign: int) -> None:
        _count(self.on_agent.setdefault(instance.app_id, Counter()), agent_id, sign)
        _count(self.tasks_on, agent_id, sign)
        if agent_id not in self.tasks_on:
            self.vacated[agent_id] = None
        if instance.placement is not None and instance.placement.executor is not None:
            self.executors.count(instance.app_id, agent_id, instance.placement.executor, sign)
        spec = self.spec_at(instance.app_id, instance.version)
        agent = self.agents.get(agent_id)
        if not spec.constraints or agent is None:
            return
        for name in dict.fromkeys(constraint.field for constraint in spec.constraints):
            value = agent.value_of(name)
            if value is not None:
                _count(tally.placed.setdefault(name, Counter()), value, sign)

    def _index_health(self, instance: Instance, sign: int) -> None:
        if instance.condition is Condition.UNREACHABLE and instance.placement is not None:
            self.brake.sight.count(instance.placement.agent_id, sign)
        if instance.condition is not Condition.RUNNING:
            return
        self.brake.running += sign
        if instance.was_healthy:
            self.brake.once_healthy += sign
            if sign > 0:
                self.brake.find_healthy(instance.id)
            if any(check.alive is False for check in instance.checks):
                self.brake.failing += sign

    def _apply_rollout(self, key: str, value: object) -> None:
        """Take it over, and ask for a look when the app must have come further."""
        _set(self.rollouts, AppId(key), value, Rollout)
        if not isinstance(value, Rollout) or value.app_id not in self.apps:
            return
        policy = self.spec_of(value.app_id).update
        if policy is not None and policy.progress_deadline_s is not None:
            deadline_ms = value.progressed_at_ms + policy.progress_deadline_s * 1000
            self.wake_at(deadline_ms, Timer.ROLLOUT + value.app_id)

    def _apply_app(self, key: str, value: object) -> None:
        assert value is None or isinstance(value, App)
        app_id = AppId(key)
        if value is None:
            self.apps.pop(app_id, None)
            self.service_ports.set(app_id, ())
            self._want(app_id, 0)
            self.on_agent.pop(app_id, None)
            self.reports.forget(app_id)
        else:
            self.apps[app_id] = value
            wanted = None if value.removed else self.versions.get(app_id, {}).get(value.version)
            self.service_ports.set(app_id, service_ports(wanted.spec) if wanted else ())
            self._want(app_id, wanted.spec.instances if wanted else 0)
        self.dirty[app_id] = None

    def _want(self, app_id: AppId, instances: int) -> None:
        self.brake.wanted += instances - self.wanted.pop(app_id, 0)
        if instances:
            self.wanted[app_id] = instances

    def _apply_version(self, key: str, value: object) -> None:
        assert value is None or isinstance(value, AppVersion)
        app_id, version = _app_version(key)
        of_app = self.versions.setdefault(app_id, {})
        if value is not None:
            of_app[value.version] = value
            self.last_version = max(self.last_version, value.version)
            return
        of_app.pop(version, None)
        if not of_app:
            del self.versions[app_id]

    def _apply_deployment(self, key: str, value: object) -> None:
        assert value is None or isinstance(value, Deployment)
        deployment_id = DeploymentId(key)
        before = self.deployments.pop(deployment_id, None)
        for change in before.changes if before is not None else ():
            self.locks.pop(change.app_id, None)
            self.dirty[change.app_id] = None
        if value is None:
            return
        self.deployments[deployment_id] = value
        self.last_version = max(self.last_version, value.version)
        steps = value.step_index()
        for change in value.changes:
            step = steps.get(change.app_id)
            self.locks[change.app_id] = Lock(deployment_id, change, step)
            self.dirty[change.app_id] = None


_BUCKETS = {
    Condition.SCHEDULED: Bucket.SCHEDULED,
    Condition.PROVISIONED: Bucket.PENDING,
    Condition.STAGING: Bucket.PENDING,
    Condition.STARTING: Bucket.PENDING,
    Condition.DRAINING: Bucket.RECYCLING,
    Condition.KILLING: Bucket.RECYCLING,
    Condition.UNREACHABLE: Bucket.UNREACHABLE,
    Condition.UNREACHABLE_INACTIVE: Bucket.INACTIVE,
}


def _app_version(key: str) -> tuple[AppId, Version]:
    """Split the key of what belongs to one version of an app (``records.version_key``)."""
    app_id, _, version = key.partition("@")
    return AppId(app_id), Version(version)


def _age_ms(record: Record) -> int:
    """Say since when a record's entity stands in its line; 0 where there is no line."""
    match record:
        case Put(value=Instance() as instance):
            return instance.healthy_since_ms or instance.since_ms
        case Put(value=Ended() as ended):
            return ended.at_ms
        case Put(value=Finished() as finished):
            return finished.ended_at_ms
        case _:
            return 0


def _set(index: dict[K, V], key: K, value: object, kind: type[V]) -> None:
    if value is None:
        index.pop(key, None)
        return
    assert isinstance(value, kind)
    index[key] = value


def _count(counter: Counter[K], key: K, sign: int) -> None:
    counter[key] += sign
    if counter[key] <= 0:
        del counter[key]
