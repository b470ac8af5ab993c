"""Run one seed: chaos, then healing, then it must converge.

Chaos: commands of users, faults of everything. Healing: faults stop, whoever is away returns, every
app is set to a definition that can run. Converging: within ``CONVERGE_MS`` of virtual time every
app is at its target, no deployment is left, no stray task lives (L1).
"""

import hashlib
from collections.abc import Callable
from itertools import count
from random import Random

from attrs import evolve

from scheduler.core import events as ev
from scheduler.core.app import (
    AppSpec,
    Backoff,
    Constraint,
    HealthCheck,
    Operator,
    PortDefinition,
    Resources,
    RestartMode,
    RestartPolicy,
    UnreachableStrategy,
    UpdateOrder,
    UpdatePolicy,
    UpgradeStrategy,
)
from scheduler.core.deployment import Action, ActionKind
from scheduler.core.deployments import is_satisfied
from scheduler.core.ids import AppId, RequestId
from scheduler.core.invariants import check
from scheduler.core.settings import Settings
from scheduler.core.world import World
from scheduler.spec import decode_spec, encode_spec
from scheduler.store import Codec, Fault
from tests.simulation.checkers import Checkers, demand
from tests.simulation.clock import Clock
from tests.simulation.mesos import SimMesos
from tests.simulation.options import Options
from tests.simulation.process import Process, WatchedStore

START_MS = 1_700_000_000_000
CONVERGE_MS = 600_000


class Simulation:
    """One seed, from beginning to end."""

    def __init__(self, seed: int) -> None:
        self.options = Options.draw(seed)
        self.rng = Random(f"world {seed}")
        self.clock = Clock(START_MS)
        self.checkers = Checkers()
        self.mesos = SimMesos(self.options, self.clock, self.rng, self.checkers)
        self.store = WatchedStore(Codec(encode_spec, decode_spec), self.checkers)
        self.store.next_fault = self._store_fault
        self.settings = Settings(discovery=self.options.discovery)
        self.requests = count(1)
        self.trace = hashlib.sha256()
        self.processes: list[Process] = []
        self.promised: dict[AppId, tuple[RequestId, AppSpec | None]] = {}
        self.skew_ms = 0
        self.end_of_chaos_ms = START_MS + self.options.chaos_ms

    # ------------------------------------------------------------------- run

    def run(self) -> str:
        """Run it all; returns the hash of the trace. Raises Violation."""
        o = self.options
        self._start_process()
        self._repeat(o.mean_command_ms, self._command)
        self._repeat(o.mean_crash_ms, self._crash)
        self._repeat(o.mean_agent_fault_ms, self.mesos.fault_agent)
        self._repeat(o.mean_master_fault_ms, self.mesos.fail_over)
        self._repeat(o.mean_disconnect_ms, self.mesos.disconnect)
        self._repeat(o.mean_rescind_ms, self.mesos.rescind)
        self._repeat(o.mean_task_death_ms, self.mesos.kill_random_task)
        self.clock.run_until(self.end_of_chaos_ms)
        self.mesos.heal()
        for process in self.processes:
            process.crash_in = None
        self.clock.run_until(self.clock.now_ms + 30_000)
        self._heal_apps()
        self._converge()
        self._note("end", str(len(self.leader.world.instances)))
        return self.trace.hexdigest()

    @property
    def leader(self) -> Process:
        return self.processes[-1]

    def _repeat(self, mean_ms: float, action: Callable[[], None]) -> None:
        if mean_ms == float("inf"):
            return

        def fire() -> None:
            if self.clock.now_ms < self.end_of_chaos_ms:
                action()
                again()

        def again() -> None:
            self.clock.after(int(self.rng.expovariate(1 / mean_ms)) + 1, fire)

        again()

    def _note(self, *words: str) -> None:
        self.trace.update(" ".join([str(self.clock.now_ms), *words, "\n"]).encode())

    # ---------------------------------------------------------------- faults

    def _store_fault(self) -> Fault:
        if not self.mesos.faulty:
            return Fault.NONE
        if self.rng.random() < self.options.p_store_unavailable:
            return Fault.UNAVAILABLE
        if self.rng.random() < self.options.p_store_unknown:
            return self.rng.choice([Fault.UNKNOWN_LOST, Fault.UNKNOWN_WRITTEN])
        return Fault.NONE

    def _start_process(self) -> None:
        if self.options.clock_jump_ms and self.mesos.faulty:
            self.skew_ms = self.rng.randint(-self.options.clock_jump_ms, 0)
        process = Process(
            self.clock,
            self.rng,
            self.mesos,
            self.store,
            self.settings,
            self.checkers,
            self.skew_ms,
        )
        self.processes.append(process)
        self._note("start", str(process.epoch))
        process.start()
        self.clock.after(500, self._supervise)

    def _supervise(self) -> None:
        """Start the scheduler again when it is dead, as an operating system would."""
        if self.leader.is_alive:
            self.clock.after(500, self._supervise)
        else:
            self._start_process()

    def _crash(self) -> None:
        """Kill the leader at one of its next steps, or start a rival beside it."""
        leader = self.leader
        if not leader.is_alive:
            return
        if self.rng.random() < self.options.p_two_leaders:
            # The old one does not know yet; the store and Mesos fence it off.
            self._start_process()
            return
        leader.crash_in = self.rng.randint(1, 12)
        self.clock.after(self.rng.randint(0, 3_000), leader.die)

    # -------------------------------------------------------------- commands

    def _command(self) -> None:
        """Do something a user may do."""
        process, rng = self.leader, self.rng
        if not process.is_alive:
            return
        app_id = AppId(f"/app{rng.randrange(self.options.apps)}")
        world = process.world
        app = world.live_app(app_id)
        request_id = RequestId(next(self.requests))
        force = rng.random() < 0.4
        roll = rng.random()
        if app is None or roll < 0.45:
            expect = None if app is None else app.version
            spec = self._spec(app_id)
            if app is not None and rng.random() < 0.4:
                spec = evolve(world.spec_of(app_id), instances=rng.randint(0, 6))
            command: ev.Command = ev.ChangeApps(
                request_id, upserts=(ev.Upsert(spec, expect),), force=force
            )
        elif roll < 0.55:
            command = ev.ChangeApps(request_id, removals=(ev.Removal(app_id, None),), force=force)
        elif roll < 0.65:
            command = ev.ChangeApps(request_id, restarts=(app_id,), force=force)
        elif roll < 0.8 and world.deployments:
            deployment_id = rng.choice(list(world.deployments))
            if rng.random() < 0.5:
                command = ev.CancelDeployment(request_id, deployment_id, force=force)
            else:
                verb = rng.choice(list(ev.Steering))
                command = ev.SteerDeployment(request_id, deployment_id, verb)
        else:
            task_ids = [t for i in world.instances_of(app_id) if (t := i.task_id)]
            if not task_ids:
                return
            chosen = tuple(rng.sample(task_ids, rng.randint(1, len(task_ids))))
            command = ev.KillTasks(
                request_id, chosen, scale=rng.random() < 0.3, wipe=rng.random() < 0.3, force=force
            )
        self._note("command", type(command).__name__, app_id)
        process.post(command)

    def _spec(self, app_id: AppId, *, sound: bool = False) -> AppSpec:
        rng = self.rng
        cmd = "ok" if sound else rng.choice(["ok", "ok", "ok", "crash", "sick"])
        checks = (HealthCheck(path="/", max_consecutive_failures=3),)
        constraints = (Constraint("hostname", Operator.UNIQUE),)
        inactive_s = rng.choice([0, 0, 5, 30])
        # One app in some runs asks for ports that only a few instances can have.
        fixed_port = not sound and rng.random() < 0.1
        return AppSpec(
            id=app_id,
            cmd=cmd,
            env=(("N", str(rng.randrange(10**6))),),
            instances=rng.randint(0, 6) if not sound else rng.randint(1, 4),
            resources=Resources(cpus_milli=100 if sound else rng.choice([50, 100]), mem_mib=32),
            health_checks=checks if rng.random() < 0.5 else (),
            constraints=constraints if not sound and rng.random() < 0.2 else (),
            upgrade_strategy=UpgradeStrategy(
                minimum_health_capacity_milli=rng.choice([0, 500, 750, 1000]),
                maximum_over_capacity_milli=rng.choice([0, 250, 1000]),
            ),
            unreachable_strategy=rng.choice(
                [
                    UnreachableStrategy(inactive_s, inactive_s + rng.choice([0, 20])),
                    UnreachableStrategy(inactive_s, inactive_s),
                    None,
                ]
            ),
            backoff=Backoff(max_ms=20_000),
            update=None if sound or rng.random() < 0.6 else self._update_policy(),
            restart_policy=None if sound or rng.random() < 0.8 else self._restart_policy(),
            require_ports=fixed_port,
            port_definitions=(PortDefinition(31_000 + rng.randrange(4) if fixed_port else 0),),
        )

    def _update_policy(self) -> UpdatePolicy:
        rng = self.rng
        return UpdatePolicy(
            order=rng.choice([None, *UpdateOrder]),
            max_parallel=rng.choice([None, 1, 2]),
            min_healthy_s=rng.choice([0, 0, 3]),
            healthy_deadline_s=rng.choice([None, 10, 30]),
            progress_deadline_s=rng.choice([None, 15, 60]),
            auto_revert=rng.random() < 0.5,
            canary_instances=rng.choice([0, 0, 1, 2]),
            auto_pause=rng.random() < 0.3,
        )

    def _restart_policy(self) -> RestartPolicy:
        rng = self.rng
        return RestartPolicy(
            mode=rng.choice(list(RestartMode)),
            attempts=rng.choice([None, 0, 2]),
            interval_s=30,
        )

    # --------------------------------------------------------------- healing

    def _heal_apps(self) -> None:
        """Set every app to a definition that can run, whatever deployment stands in the way."""
        world = self.leader.world
        upserts = []
        for app_id, app in world.apps.items():
            if not app.removed:
                upserts.append(ev.Upsert(self._spec(app_id, sound=True), app.version))
        if upserts:
            request_id = RequestId(next(self.requests))
            self.leader.post(ev.ChangeApps(request_id, upserts=tuple(upserts), force=True))

    def _converge(self) -> None:
        deadline_ms = self.clock.now_ms + CONVERGE_MS
        while self.clock.now_ms < deadline_ms:
            self.clock.run_until(self.clock.now_ms + 5_000)
            if not self._unsettled():
                return
        demand(False, "L1", "; ".join(self._unsettled()))

    def _unsettled(self) -> list[str]:
        """Say what is not as it should be; empty when all is well."""
        leader = self.leader
        world: World = leader.world
        if not leader.is_alive:
            return ["no leader"]
        found = [f"deployment {d.id} at step {d.current_step}" for d in world.deployments.values()]
        found += [f"{app.id} is still being removed" for app in world.apps.values() if app.removed]
        found += [
            f"{app_id}: {world.counts_of(app_id)}, wanted {world.spec_of(app_id).instances}"
            for app_id, app in world.apps.items()
            if not app.removed and not is_satisfied(world, Action(ActionKind.SCALE, app_id))
        ]
        known = {task_id for i in world.instances.values() if (task_id := i.task_id)}
        alive = {task.id for task in self.mesos.live_tasks()}
        found += [f"stray task {task_id}" for task_id in sorted(alive - known)]
        found += [f"ghost task {task_id}" for task_id in sorted(known - alive)]
        found += check(world)
        if world.illegal:
            found.append(f"illegal cells: {dict(world.illegal)}")
        return found
