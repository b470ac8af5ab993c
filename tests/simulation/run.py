"""Run one seed: chaos, then healing, then it must converge.

Chaos: commands of users, faults of everything. Healing: faults stop, whoever is away returns, every
app is set to a definition that can run. Converging: within ``CONVERGE_MS`` of virtual time every
app is at its target, no deployment is left, no stray task lives (L1).
"""

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
    OnReturn,
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
from scheduler.core.ids import AppId, RequestId
from scheduler.core.invariants import check
from scheduler.core.settings import Settings
from scheduler.core.world import World
from scheduler.spec import decode_spec, encode_spec
from scheduler.store import Codec, CorruptState, Fault
from tests.simulation.catalog import Catalog
from tests.simulation.checkers import Checkers
from tests.simulation.clock import Clock
from tests.simulation.counting import is_complete
from tests.simulation.faults import Faults
from tests.simulation.ledger import Ledger
from tests.simulation.liveness import LOOK_MS, Liveness, unlike_discovery
from tests.simulation.mesos import SimMesos
from tests.simulation.options import Options
from tests.simulation.process import Process, Surroundings, WatchedStore
from tests.simulation.story import Trace, tell
from tests.simulation.violation import demand

START_MS = 1_700_000_000_000
CONVERGE_MS = 600_000
RESTART_MS = 500
SETTLE_MS = 30_000
LONG_SETTLE_MS = 120_000
AWAY_MS = 25_000
RIVAL_LATE_MS = 60_000
FROZEN_MS = 40_000


class Simulation:
    """One run, from beginning to end: that of a seed, or of options that are given."""

    def __init__(
        self,
        seed: int,
        options: Options | None = None,
        *,
        muted: frozenset[int] = frozenset(),
        is_kept: bool = False,
    ) -> None:
        """Set everything up.

        Args:
            seed: where all chance comes from.
            options: what goes wrong; by default what the seed draws.
            muted: numbers of the faults and commands that are left out (see ``faults``).
            is_kept: whether to keep a story to read.
        """
        self.options = options or Options.draw(seed)
        self.rng = Random(f"world {seed}")
        self.user = Random(f"user {seed}")
        self.clock = Clock(START_MS)
        self.trace = Trace(self.clock, is_kept=is_kept)
        self.faults = Faults(self.options, self.trace, muted)
        # Machines that are gone for good must not hold the brake until the end of the run.
        # A round of reconciliation must fall into the time to converge: it alone finds strays.
        settings = Settings(
            discovery=self.options.discovery,
            brake_memory_ms=120_000,
            # Every check is asked again in far less: what it held back is to be seen let go.
            brake_linger_ms=30_000,
            reconcile_interval_ms=300_000,
        )
        self.ledger = Ledger(settings, self.options.clock_jump_ms)
        self.checkers = Checkers(self.ledger)
        self.mesos = SimMesos(self.faults, self.clock, self.rng, self.checkers)
        self.store = WatchedStore(Codec(encode_spec, decode_spec), self.checkers, self.trace)
        self.store.next_fault = self._store_fault
        self.catalog = Catalog()
        self.liveness = Liveness(self.checkers, self.mesos, self.catalog)
        self.around = Surroundings(
            clock=self.clock,
            rng=self.rng,
            mesos=self.mesos,
            store=self.store,
            catalog=self.catalog,
            settings=settings,
            faults=self.faults,
            trace=self.trace,
            watch=self.checkers,
        )
        self.requests = count(1)
        self.leader: Process | None = None
        self.former: Process | None = None
        """A leader that was replaced and may not know it yet."""
        self.skew_ms = 0
        self.end_of_chaos_ms = START_MS + self.options.chaos_ms
        self.healed_ms: int | None = None

    # ------------------------------------------------------------------- run

    def run(self) -> str:
        """Run it all; returns the hash of the trace. Raises Violation."""
        o = self.options
        self._start_process()
        self._look()
        self._repeat(o.mean_command_ms, self._command)
        self._repeat(o.mean_crash_ms, self._crash)
        self._repeat(o.mean_agent_fault_ms, self.mesos.fault_agent)
        self._repeat(o.mean_master_fault_ms, self.mesos.fail_over)
        self._repeat(o.mean_disconnect_ms, self.mesos.cut)
        self._repeat(o.mean_rescind_ms, self.mesos.rescind)
        self._repeat(o.mean_task_death_ms, self.mesos.kill_random_task)
        self._repeat(o.mean_blind_ms, self._blind)
        self._repeat(o.mean_split_ms, self.mesos.split_network)
        self._repeat(o.mean_damage_ms, self._damage)
        self._repeat(o.mean_illness_ms, self.mesos.make_ill)
        self._repeat(o.mean_drain_ms, self.mesos.drain)
        self.clock.run_until(self.end_of_chaos_ms)
        self.heal()
        self._heal_apps()
        self.converge()
        return self.trace.hexdigest()

    def heal(self) -> None:
        """Let no fault strike any more, and whoever is away come back."""
        self.trace.note("life", "all faults end")
        self.faults.is_over = True
        self.mesos.heal()
        self.store.restore()
        self.around.blind_until_ms = 0
        for process in (self.former, self.leader):
            if process is not None:
                process.crash_in = None
                process.hurry()
        # At times nobody comes to help for so long that every deadline passes.
        settle_ms = LONG_SETTLE_MS if self.user.random() < 0.3 else SETTLE_MS
        self.clock.run_until(self.clock.now_ms + settle_ms)
        self.healed_ms = self.clock.now_ms

    def _repeat(self, mean_ms: float, action: Callable[[], None]) -> None:
        if mean_ms == float("inf"):
            return

        def fire() -> None:
            if self.clock.now_ms < self.end_of_chaos_ms:
                action()
                again()

        def again() -> None:
            self.clock.after(int(self.faults.rng.expovariate(1 / mean_ms)) + 1, fire)

        again()

    def _look(self) -> None:
        if self.leader is not None:
            self.liveness.look(self.leader, self.clock.now_ms, self.healed_ms)
        self.clock.after(LOOK_MS, self._look)

    # ---------------------------------------------------------------- faults

    def _store_fault(self) -> Fault:
        o = self.options
        if self.faults.chance(o.p_store_unavailable, "the store fails"):
            return Fault.UNAVAILABLE
        if self.faults.chance(o.p_store_unknown, "the fate of a commit is not told"):
            return self.faults.rng.choice([Fault.UNKNOWN_LOST, Fault.UNKNOWN_WRITTEN])
        return Fault.NONE

    def _start_process(self, late_ms: int = 0) -> None:
        if self.options.clock_jump_ms and not self.faults.is_over:
            self.skew_ms = self.faults.rng.randint(-self.options.clock_jump_ms, 0)
        self.trace.note("life", f"a scheduler starts, its clock is off by {self.skew_ms} ms")
        self.clock.after(RESTART_MS, self._supervise)
        try:
            process = Process(self.around, self.skew_ms, late_ms)
        except CorruptState as error:
            self.trace.note("life", f"it refuses to lead: {error}")
            return
        self.trace.note("life", f"it leads as {process.name}, subscribes {late_ms} ms late")
        self.former, self.leader = self.leader, process
        self.begin(process)
        process.start()

    def begin(self, process: Process) -> None:
        """Prepare a process before its first turn; a test may do more."""

    def _supervise(self) -> None:
        """Start the scheduler again when it is dead, as an operating system would."""
        is_alive = self.leader is not None and self.leader.is_alive
        if is_alive:
            self.clock.after(RESTART_MS, self._supervise)
        elif self.faults.chance(self.options.p_late_restart, "the scheduler stays away"):
            self.clock.after(self.faults.rng.randint(1_000, AWAY_MS), self._start_process)
        else:
            self._start_process()

    def _crash(self) -> None:
        """Kill the leader at one of its next steps, or start a rival beside it."""
        leader = self.leader
        if leader is None or not leader.is_alive:
            return
        rng = self.faults.rng
        frozen_ms = rng.randint(100, FROZEN_MS)
        if self.faults.chance(self.options.p_freeze, f"{leader.name} stops for {frozen_ms} ms"):
            leader.freeze(self.clock.now_ms + frozen_ms)
        if self.faults.chance(self.options.p_two_leaders, "a rival is elected"):
            # The old one does not know yet; the store and Mesos fence it off. Until the rival
            # subscribes it is told all that Mesos has to say.
            late_ms = rng.choice([0, rng.randint(0, 5_000), rng.randint(0, RIVAL_LATE_MS)])
            self._start_process(late_ms)
            return
        if leader.is_frozen:
            return
        points, delay_ms = rng.randint(1, 12), rng.randint(0, 3_000)
        if self.faults.strike(f"{leader.name} shall die after {points} steps or {delay_ms} ms"):
            leader.crash_in = points
            self.clock.after(delay_ms, leader.die)

    def _blind(self) -> None:
        """Let the prober lose its network: every check fails for a while."""
        until_ms = self.clock.now_ms + self.faults.rng.randint(2_000, 20_000)
        if self.faults.strike(f"every probe fails for {until_ms - self.clock.now_ms} ms"):
            self.around.blind_until_ms = until_ms

    def _damage(self) -> None:
        """Spoil a stored record and kill the leader; an operator restores it a little later."""
        leader = self.leader
        until_ms = self.clock.now_ms + self.faults.rng.randint(1_000, 5_000)
        if leader is None or not leader.is_alive or not self.faults.strike("a record is spoilt"):
            return
        has_tasks = any(i.incarnation > 0 for i in self.ledger.instances.values())
        damage = self.store.spoil(self.faults.rng, has_tasks=has_tasks)
        self.trace.note("life", f"{damage}")
        leader.die()
        self.clock.at(until_ms, self.store.restore)

    # -------------------------------------------------------------- commands

    def _command(self) -> None:
        """Do something a user may do."""
        process = self.leader
        former = self.former
        if former is not None and former.is_alive and self.user.random() < 0.3:
            # Whoever asks a leader that was replaced is answered as little as by a dead one.
            process = former
        if process is None or not process.is_alive:
            return
        command = self._any_command(process.world)
        if command is not None and self.faults.strike(f"a user asks: {tell(command)}"):
            process.post(command)

    def _any_command(self, world: World) -> ev.Command | None:
        rng = self.user
        app_id = AppId(f"/app{rng.randrange(self.options.apps)}")
        app = world.live_app(app_id)
        request_id = RequestId(next(self.requests))
        force, queue = rng.random() < 0.4, rng.random() < 0.3
        roll = rng.random()
        if app is None or roll < 0.45:
            others = [AppId(f"/app{index}") for index in range(self.options.apps)]
            more = rng.sample(others, min(len(others), 3)) if rng.random() < 0.2 else []
            chosen = dict.fromkeys([app_id, *more])
            upserts = tuple(self._upsert(world, chosen_id) for chosen_id in chosen)
            return ev.ChangeApps(request_id, upserts=upserts, force=force, queue=queue)
        if roll < 0.55:
            removals = (ev.Removal(app_id, None),)
            return ev.ChangeApps(request_id, removals=removals, force=force, queue=queue)
        if roll < 0.65:
            return ev.ChangeApps(request_id, restarts=(app_id,), force=force, queue=queue)
        if roll < 0.67:
            return self._override(world, request_id)
        if roll < 0.8 and world.deployments:
            deployment_id = rng.choice([*world.deployments, *world.queued])
            if rng.random() < 0.5:
                return ev.CancelDeployment(request_id, deployment_id, force=force)
            return ev.SteerDeployment(request_id, deployment_id, rng.choice(list(ev.Steering)))
        task_ids = [t for i in world.instances_of(app_id) if (t := i.task_id)]
        if not task_ids:
            return None
        killed = tuple(rng.sample(task_ids, rng.randint(1, len(task_ids))))
        return ev.KillTasks(
            request_id, killed, scale=rng.random() < 0.3, wipe=rng.random() < 0.3, force=force
        )

    def _override(self, world: World, request_id: RequestId) -> ev.Command:
        """Release the brake, or end tasks that nobody knows."""
        if world.unknown_tasks and self.user.random() < 0.5:
            return ev.KillUnknown(request_id, tuple(world.unknown_tasks))
        return ev.ReleaseBrake(request_id, for_s=self.user.choice([0, 30]))

    def _upsert(self, world: World, app_id: AppId) -> ev.Upsert:
        """Define an app anew, or scale it."""
        app = world.live_app(app_id)
        spec = self._spec(app_id)
        if app is not None and self.user.random() < 0.4:
            spec = evolve(world.spec_of(app_id), instances=self.user.randint(0, 6))
        return ev.Upsert(spec, None if app is None else app.version)

    def _spec(self, app_id: AppId, *, sound: bool = False) -> AppSpec:
        rng = self.user
        cmd = "ok" if sound else rng.choice([*["ok"] * 5, "crash", "sick", "done", "invalid"])
        most = 3 if sound else rng.choice([3, 3, 1, 0])
        checks = (HealthCheck(path="/", max_consecutive_failures=most),)
        constraints = (Constraint("hostname", Operator.UNIQUE),)
        inactive_s = rng.choice([0, 0, 5, 30])
        # One app in some runs asks for ports that only a few instances can have.
        fixed_port = not sound and rng.random() < 0.1
        return AppSpec(
            id=app_id,
            cmd=cmd,
            env=(("N", str(rng.randrange(10**6))),),
            instances=rng.randint(0, 6) if not sound else rng.randint(1, 4),
            # In the end there must be room for all, old and new, side by side.
            resources=Resources(cpus_milli=50 if sound else rng.choice([50, 100]), mem_mib=32),
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
                    UnreachableStrategy(
                        inactive_s, inactive_s + 20, rng.choice(list(OnReturn)), keep_both_s=10
                    ),
                    None,
                ]
            ),
            backoff=Backoff(max_ms=20_000),
            update=None if rng.random() < 0.6 else self._update_policy(sound=sound),
            restart_policy=None if sound or rng.random() < 0.7 else self._restart_policy(),
            require_ports=fixed_port,
            dependencies=(f"/app{int(app_id[4:]) - 1}",)
            if app_id != "/app0" and rng.random() < 0.2
            else (),
            port_definitions=(PortDefinition(31_000 + rng.randrange(4) if fixed_port else 0),),
        )

    def _update_policy(self, *, sound: bool) -> UpdatePolicy:
        """Draw how an app is replaced; a sound one neither waits for a word nor gives up."""
        rng = self.user
        return UpdatePolicy(
            order=rng.choice([None, *UpdateOrder]),
            max_parallel=rng.choice([None, 1, 2]),
            min_healthy_s=rng.choice([0, 0, 3]),
            healthy_deadline_s=None if sound else rng.choice([None, 10, 30]),
            progress_deadline_s=None if sound else rng.choice([None, 15, 60]),
            auto_revert=rng.random() < 0.5,
            canary_instances=rng.choice([0, 0, 1, 2]),
            auto_pause=not sound and rng.random() < 0.3,
        )

    def _restart_policy(self) -> RestartPolicy:
        rng = self.user
        return RestartPolicy(
            mode=rng.choice(list(RestartMode)),
            attempts=rng.choice([None, 0, 2]),
            interval_s=30,
        )

    # --------------------------------------------------------------- healing

    def _heal_apps(self) -> None:
        """Set apps to a definition that can run, whatever deployment stands in the way.

        What can run already is left alone at times: then it must come to rest by itself.
        """
        leader = self.leader
        if leader is None or not leader.is_alive:
            return
        world = leader.world
        chosen = {
            app_id: None
            for app_id, app in world.apps.items()
            if not app.removed
            and (
                self.user.random() < 0.5
                or app_id in self.checkers.left_mixed
                or not _can_run(world.spec_of(app_id))
            )
        }
        for _ in world.deployments:
            for deployment in world.deployments.values():
                of_it = {change.app_id: None for change in deployment.changes}
                if deployment.paused is not None or of_it.keys() & chosen:
                    live = (a for a in of_it if world.live_app(a) is not None)
                    chosen.update(dict.fromkeys(live))
        upserts = tuple(
            ev.Upsert(self._spec(app_id, sound=True), world.apps[app_id].version)
            for app_id in chosen
        )
        for queued in list(world.queued.values()):
            # What begins only now must be able to run as well.
            if not all(_can_run(upsert.spec) for upsert in queued.upserts):
                leader.post(ev.CancelDeployment(RequestId(next(self.requests)), queued.id))
        if upserts:
            request_id = RequestId(next(self.requests))
            leader.post(ev.ChangeApps(request_id, upserts=upserts, force=True))

    def converge(self) -> None:
        """Wait until all is as it should be; say what is not when the time is over (L1)."""
        deadline_ms = self.clock.now_ms + CONVERGE_MS
        while self.clock.now_ms < deadline_ms:
            self.clock.run_until(self.clock.now_ms + 5_000)
            if not self._unsettled():
                return
        demand(False, "L1", "; ".join(self._unsettled()))

    def _unsettled(self) -> list[str]:
        """Say what is not as it should be; empty when all is well."""
        leader = self.leader
        if leader is None or not leader.is_alive:
            return ["no leader"]
        world = leader.world
        found = [
            f"deployment {d.id} of {[c.app_id for c in d.changes]} at step {d.current_step}"
            for d in world.deployments.values()
        ]
        found += [f"change {queued_id} waits" for queued_id in world.queued]
        found += [f"{app.id} is still being removed" for app in world.apps.values() if app.removed]
        for app_id, app in world.apps.items():
            version = None if app.removed else world.version_of(app_id)
            if version is not None and not is_complete(
                self.ledger.instances_of(app_id), version.config_version, version.spec
            ):
                counts = world.counts_of(app_id)
                found.append(f"{app_id}: {counts}, wanted {version.spec.instances}")
        known = {task_id for i in world.instances.values() if (task_id := i.task_id)}
        alien = self.mesos.alien
        alive = {task.id for task in self.mesos.live_tasks()}
        if alien is not None and alien.id in alive:
            alive.remove(alien.id)
            if alien.id not in world.unknown_tasks:
                found.append(f"{alien.id} is not listed as unknown")
        # Only so many strays are killed in a round; the others are listed.
        spared = set(world.unknown_tasks) if world.stray_kills_left <= 0 else set()
        found += [f"stray task {task_id}" for task_id in sorted(alive - known - spared)]
        found += [f"ghost task {task_id}" for task_id in sorted(known - alive)]
        found += unlike_discovery(leader, self.catalog)
        found += self._left_over(world)
        found += check(world)
        if world.illegal:
            found.append(f"illegal cells: {dict(world.illegal)}")
        return found

    def _left_over(self, world: World) -> list[str]:
        """Name what nothing needs any more (S10), and offers that are not wanted (L4)."""
        found = [f"rollout of {app_id}" for app_id in world.rollouts if app_id not in world.locks]
        found += [
            f"delay of {a}@{v}" for a, v in world.delays if v not in world.versions.get(a, {})
        ]
        found += [f"failure of {app_id}" for app_id in world.failures if app_id not in world.apps]
        if not world.waiting and not self.mesos.suppressed:
            found.append("offers are not suppressed, and nothing waits")
        return found


def _can_run(spec: AppSpec) -> bool:
    """Whether an app comes to rest by itself, whatever the cluster looks like."""
    is_modest = spec.instances <= 4 and not spec.constraints and not spec.require_ports
    is_plain = _goes_on(spec.update) and spec.restart_policy is None
    # What may fail its checks for ever stays ill.
    is_curable = all(check.max_consecutive_failures for check in spec.health_checks)
    return is_modest and is_plain and is_curable and spec.cmd == "ok"


def _goes_on(policy: UpdatePolicy | None) -> bool:
    """Whether an update neither waits for a word nor gives up by itself."""
    if policy is None:
        return True
    has_deadline = policy.healthy_deadline_s is not None or policy.progress_deadline_s is not None
    return not policy.auto_pause and not has_deadline
