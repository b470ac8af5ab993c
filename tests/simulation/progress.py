"""Check ``update.progressDeadlineSeconds``: a rollout that comes no further fails in time.

Progress is that more instances of the new version serve than ever did in this deployment, or that
the app's step begins, or that the deployment is resumed. What is not the rollout's fault gives it
all its time again.
"""

from attrs import define

from scheduler.core import effects as fx
from scheduler.core import events as ev
from scheduler.core.deployment import Deployment
from scheduler.core.ids import AppId, DeploymentId
from scheduler.core.instance import Instance
from scheduler.core.records import AppVersion, Kind
from scheduler.core.world import World
from tests.simulation import counting
from tests.simulation.ledger import Ledger
from tests.simulation.process import Process
from tests.simulation.violation import demand

OVERDUE_MS = 8_000
PATIENCE_MS = 35_000
"""Who has just come does not judge at once."""


@define
class _Course:
    """How one app of one deployment has come on."""

    step: int
    is_paused: bool
    serving: int
    at_ms: int
    deadline_ms: int


class Progress:
    """The course of each rollout with a deadline."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._changed: dict[AppId, None] = {}
        self._courses: dict[tuple[AppId, DeploymentId], _Course] = {}
        self._free_ms: dict[tuple[AppId, DeploymentId], int] = {}
        """When a rollout was last seen to be excused."""

    def stored(self, instance: Instance) -> None:
        """Note that a record of an instance is written."""
        self._changed[instance.app_id] = None

    def handled(self, process: Process, event: ev.Event) -> None:
        """An operator who resumes a deployment gives it all its time again."""
        if isinstance(event, ev.SteerDeployment) and event.verb is ev.Steering.RESUME:
            for (_, deployment_id), course in self._courses.items():
                if deployment_id == event.deployment_id:
                    course.at_ms = max(course.at_ms, process.now_ms)

    def committed(self, process: Process, deployments: list[Deployment]) -> None:
        """Take in how far the rollouts have come with one commit, which changed ``deployments``."""
        changed, self._changed = self._changed, {}
        for deployment in deployments:
            changed.update({change.app_id: None for change in deployment.changes})
        for app_id in changed:
            owner = self._ledger.owners.get(app_id)
            version = self._version_of(app_id)
            deadline_ms = _deadline_ms(version)
            if owner is None or version is None or deadline_ms is None:
                continue
            deployment = self._ledger.rows[Kind.DEPLOYMENT][owner]
            assert isinstance(deployment, Deployment)
            self._follow(process, version, deployment, deadline_ms)

    def _follow(
        self, process: Process, version: AppVersion, deployment: Deployment, deadline_ms: int
    ) -> None:
        key = (version.app_id, deployment.id)
        step, is_paused = deployment.current_step, deployment.paused is not None
        serving = self._serving(version)
        course = self._courses.get(key)
        if course is None:
            course = _Course(step, is_paused, serving, process.decided_ms, deadline_ms)
            self._courses[key] = course
        if course.step != step or course.is_paused or serving > course.serving:
            course.at_ms = process.decided_ms
        course.step, course.is_paused = step, is_paused
        course.serving = max(course.serving, serving)

    def published(self, process: Process, fact: fx.DeploymentFailed) -> None:
        """A rollout that fails for want of progress has had its time."""
        name, is_late, _ = fact.reason.partition(" made no progress for ")
        course = self._courses.get((AppId(name), fact.deployment.id))
        if not is_late or course is None:
            return
        waited_ms = process.decided_ms - course.at_ms + self._ledger.clock_jump_ms
        told = f"{name}: {fact.deployment.id} fails after {waited_ms} of {course.deadline_ms} ms"
        demand(waited_ms >= course.deadline_ms, "progress", told)

    def look(self, leader: Process, now_ms: int, heard_ms: int) -> None:
        """See that nothing is late. The leader has been heard, and acted, since ``heard_ms``."""
        known, self._free_ms = self._free_ms, {}
        world = leader.world
        for app_id, lock in world.locks.items():
            key = (app_id, lock.deployment_id)
            deployment = world.deployments[lock.deployment_id]
            version = self._version_of(app_id)
            course = self._courses.get(key)
            if version is None or course is None or deployment.current_step != lock.step:
                continue
            free_ms = max(known.get(key, 0), heard_ms + PATIENCE_MS)
            if self._is_excused(world, version, deployment):
                free_ms = now_ms
            self._free_ms[key] = free_ms
            due_ms = max(course.at_ms - leader.skew_ms, free_ms) + course.deadline_ms
            told = f"{app_id}: {lock.deployment_id} made no progress since {course.at_ms}"
            is_late = now_ms > due_ms + OVERDUE_MS + self._ledger.clock_jump_ms
            demand(not is_late, "progress", told)

    def rest(self) -> None:
        """Nothing can be asked of the leader now."""
        self._free_ms = {}

    def _is_excused(self, world: World, version: AppVersion, deployment: Deployment) -> bool:
        """Whether it is paused or held, or its canaries wait for a word, or others are to come."""
        if deployment.paused is not None or world.brake.holds:
            return True
        there = self._serving(version) + self._done(version)
        policy = version.spec.update
        is_tried = policy is not None and policy.auto_pause and not deployment.promoted
        if policy is not None and is_tried and policy.canary_instances:
            return there >= min(policy.canary_instances, version.spec.instances)
        return there >= version.spec.instances

    def _version_of(self, app_id: AppId) -> AppVersion | None:
        app = self._ledger.app(app_id)
        if app is None or app.removed:
            return None
        return self._ledger.versions[app_id, app.version]

    def _serving(self, version: AppVersion) -> int:
        return sum(
            counting.serves(i, version.spec) and i.ready and i.proven
            for i in self._ledger.instances_of(version.app_id)
            if i.version == version.config_version
        )

    def _done(self, version: AppVersion) -> int:
        return sum(
            counting.is_done(i) and i.version == version.config_version
            for i in self._ledger.instances_of(version.app_id)
        )


def _deadline_ms(version: AppVersion | None) -> int | None:
    policy = None if version is None else version.spec.update
    seconds = None if policy is None else policy.progress_deadline_s
    return None if seconds is None else seconds * 1000
