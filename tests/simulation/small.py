"""Play short scenarios in a small calm world, and let the scheduler die at any one step of them.

A user asks for one thing after the other, and asks again after a crash until the state shows that
it was heard. The points at which a process may die are numbered from the moment in which the
scenario begins; ``points_of`` counts them, ``play`` dies at one.
"""

from collections.abc import Callable

from attrs import evolve, frozen

from scheduler.core import events as ev
from scheduler.core.app import (
    AppSpec,
    HealthCheck,
    PortDefinition,
    Resources,
    UnreachableStrategy,
    UpgradeStrategy,
)
from scheduler.core.ids import AppId, RequestId, Version
from scheduler.core.world import World
from tests.simulation.options import Options
from tests.simulation.process import Process
from tests.simulation.run import Simulation
from tests.simulation.violation import demand

WEB = AppId("/web")
ASK_MS = 200
SPEC = AppSpec(
    id=WEB,
    cmd="ok",
    env=(("N", "1"),),
    instances=2,
    resources=Resources(cpus_milli=100, mem_mib=32),
    health_checks=(HealthCheck(path="/"),),
    upgrade_strategy=UpgradeStrategy(1000, 500),
    unreachable_strategy=UnreachableStrategy(5, 10),
    port_definitions=(PortDefinition(),),
)
NEW = evolve(SPEC, env=(("N", "2"),))

Wish = Callable[[World, RequestId], ev.Command | None]
"""What a user asks for, given the state; None when there is nothing to ask for any more."""


def _set(spec: AppSpec) -> Wish:
    def wish(world: World, request_id: RequestId) -> ev.Command | None:
        app = world.live_app(WEB)
        if app is not None and evolve(world.spec_of(WEB), port_definitions=()) == evolve(
            spec, port_definitions=()
        ):
            return None
        expect: Version | None = None if app is None else app.version
        return ev.ChangeApps(request_id, upserts=(ev.Upsert(spec, expect),), force=True)

    return wish


def _kill(world: World, request_id: RequestId) -> ev.Command | None:
    """End the tasks that were started first; those that came after them are left alone."""
    first = [
        task_id
        for instance in world.instances_of(WEB)
        if (task_id := instance.task_id) is not None
        and instance.incarnation == 1
        and instance.kill_reason is None
    ]
    return ev.KillTasks(request_id, tuple(first)) if first else None


def _wipe(world: World, request_id: RequestId) -> ev.Command | None:
    """End one task and lower the instance count."""
    if world.spec_of(WEB).instances == 1:
        return None
    task_ids = [t for instance in world.instances_of(WEB) if (t := instance.task_id) is not None]
    return ev.KillTasks(request_id, tuple(task_ids[:1]), scale=True, force=True)


def _cancel(world: World, request_id: RequestId) -> ev.Command | None:
    """Take the deployment back that leads to the new definition."""
    deployment = world.deployment_of(WEB)
    if deployment is None or deployment.reverts is not None:
        return None
    return ev.CancelDeployment(request_id, deployment.id)


def _remove(world: World, request_id: RequestId) -> ev.Command | None:
    is_there = world.live_app(WEB) is not None
    return ev.ChangeApps(request_id, removals=(ev.Removal(WEB, None),)) if is_there else None


@frozen
class Scenario:
    name: str
    wishes: tuple[Wish, ...]
    """Each asked for when the one before is heard."""
    ends_with: AppSpec | None
    """The definition at the end, but for ports; None for no app at all."""
    is_set_up: bool = True
    """Whether the app runs already when the scenario begins."""
    discovery: bool = True
    store_delay_ms: int = 0


SCENARIOS = (
    Scenario("deploy", (_set(SPEC),), SPEC, is_set_up=False),
    Scenario("scale up", (_set(evolve(SPEC, instances=4)),), evolve(SPEC, instances=4)),
    Scenario("scale down", (_set(evolve(SPEC, instances=0)),), evolve(SPEC, instances=0)),
    Scenario("kill", (_kill,), SPEC),
    Scenario("kill and scale", (_wipe,), evolve(SPEC, instances=1)),
    Scenario("roll", (_set(NEW),), NEW),
    Scenario("roll without discovery", (_set(NEW),), NEW, discovery=False, store_delay_ms=3),
    Scenario("roll and cancel", (_set(NEW), _cancel), SPEC),
    Scenario("remove", (_remove,), None),
    Scenario("remove and create", (_remove, _set(NEW)), NEW, store_delay_ms=3),
)


class SmallWorld(Simulation):
    """A scenario on three agents, where nothing goes wrong but the one crash."""

    def __init__(self, scenario: Scenario, crash_at: int | None, again_at: int | None) -> None:
        options = evolve(
            Options.calm(),
            apps=1,
            agents=3,
            discovery=scenario.discovery,
            store_delay_ms=scenario.store_delay_ms,
            chaos_ms=1_000_000,
        )
        super().__init__(0, options)
        self.scenario = scenario
        self.crash_at = crash_at
        self.again_at = again_at
        self.points = 0

    def begin(self, process: Process) -> None:
        """Without a set-up the first process is watched from its first step, as the second is."""
        if process.epoch == 1 and not self.scenario.is_set_up:
            process.crash_in = self.crash_at
        if process.epoch == 2:
            process.crash_in = self.again_at

    def run(self) -> str:
        """Play the scenario; raises Violation where it does not end as it should."""
        self._start_process()
        self._look()
        if self.scenario.is_set_up:
            self._ask(_set(SPEC))
            self.clock.run_until(self.clock.now_ms + 4_000)
        leader = self.leader
        assert leader is not None
        points = leader.points if self.scenario.is_set_up else 0
        if self.scenario.is_set_up:
            leader.crash_in = self.crash_at
        for wish in self.scenario.wishes:
            self._ask(wish)
        self.clock.run_until(self.clock.now_ms + 15_000)
        self.points = leader.points - points
        self.faults.is_over = True
        self.healed_ms = self.clock.now_ms
        self.converge()
        self._check_end()
        return self.trace.hexdigest()

    def _ask(self, wish: Wish) -> None:
        """Ask until the state shows that there is nothing to ask for."""
        while True:
            leader = self.leader
            if leader is not None and leader.is_alive:
                command = wish(leader.world, RequestId(next(self.requests)))
                if command is None:
                    return
                leader.post(command)
            self.clock.run_until(self.clock.now_ms + ASK_MS)

    def _check_end(self) -> None:
        leader = self.leader
        assert leader is not None
        world = leader.world
        app = world.live_app(WEB)
        found = None if app is None else evolve(world.spec_of(WEB), port_definitions=())
        wanted = self.scenario.ends_with
        wanted = None if wanted is None else evolve(wanted, port_definitions=())
        demand(found == wanted, "S7", f"{self.scenario.name}: {WEB} ends as {found}")


def play(scenario: Scenario, crash_at: int | None, again_at: int | None = None) -> int:
    """Play a scenario; returns how many points the process passed at which it might have died.

    Args:
        scenario: what is asked for.
        crash_at: the point at which the process dies, 1 is the first; None lets it live.
        again_at: the point at which the next process dies as well.
    """
    world = SmallWorld(scenario, crash_at, again_at)
    world.run()
    has_died = world.leader is not None and world.leader.epoch > 1
    assert has_died == (crash_at is not None), "the process did not die as it should"
    return world.points
