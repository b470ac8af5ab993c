"""Model a Mesos cluster: the truth that the scheduler only hears about through faulty channels.

Modelled as far as a scheduler can notice: offers that die with the connection, ACCEPT that is all
or nothing on its offer ids, updates that an agent repeats until they are acknowledged, masters
that forget and learn again from agents, agents that go out of sight and come back with their
tasks. Sources: the traces in ``tests/traces`` and the Mesos documents they stand for.
"""

from collections.abc import Callable
from random import Random
from typing import Protocol

from attrs import define, evolve, field

from scheduler.core import effects as fx
from scheduler.core import events as ev
from scheduler.core.app import AppSpec, Resources
from scheduler.core.ids import (
    AgentId,
    AppId,
    FrameworkId,
    InstanceId,
    OfferId,
    TaskId,
    Version,
)
from scheduler.core.instance import Condition, Instance, Placement, TaskState
from scheduler.core.offer import Agent, Offer, Pool, PortRange
from tests.simulation.clock import Clock
from tests.simulation.faults import Faults

UPDATE_RETRY_MS = 10_000
ALLOCATION_MS = 1_000
PINGS_MISSED_MS = 3_000
REREGISTER_MS = 8_000
GRACE_MS = 2_000
ILL_SHARE = 4
"""At most one of so many tasks is ill."""


class Observer(Protocol):
    """Watches the truth for broken promises."""

    def launched(self, task: "SimTask") -> None: ...

    def ended(self, task: "SimTask", now_ms: int) -> None: ...

    def lost_sight(self, agent_id: AgentId, now_ms: int) -> None: ...


@define(eq=False)
class SimTask:
    """One task on an agent: alive until its state is terminal."""

    launch: fx.Launch
    agent: "SimAgent"
    state: TaskState = TaskState.STAGING
    ignores_kill: bool = False
    tells_kill: bool = False
    """It says that it is being killed, and takes a while to end."""
    kill_asked: bool = False
    was_out_of_sight: bool = False
    is_ill: bool = False
    """It runs, and fails every check from now on."""
    queue: list[ev.StatusUpdate] = field(factory=list)
    """Updates not acknowledged yet, oldest first; only the first is on its way."""
    delivery: int = 0

    @property
    def id(self) -> TaskId:
        task_id = self.launch.instance.task_id
        assert task_id is not None
        return task_id

    @property
    def is_alive(self) -> bool:
        return not self.state.is_terminal


@define(eq=False)
class SimAgent:
    index: int
    agent: Agent
    is_up: bool = True
    """The process lives."""
    is_visible: bool = True
    """The network between it and the master works."""
    is_registered: bool = True
    """The leading master counts it as present."""
    is_draining: bool = False
    """An operator wants it empty: it offers nothing, and its tasks are ended."""
    tasks: dict[TaskId, SimTask] = field(factory=dict)
    generation: int = 0


@define(eq=False)
class Subscription:
    """One stream to a scheduler process."""

    deliver: Callable[[ev.Event], None]
    is_open: bool = True
    known_offers: dict[OfferId, None] = field(factory=dict)


class SimMesos:
    """One master (they follow each other) and its agents."""

    def __init__(self, faults: Faults, clock: Clock, rng: Random, observer: Observer) -> None:
        options = faults.options
        self.options = options
        self.faults = faults
        self.clock = clock
        self.rng = rng
        self.observer = observer
        self.subscription: Subscription | None = None
        self._ids = 0
        self.agents = [self._new_agent(index) for index in range(options.agents)]
        self.offers: dict[OfferId, tuple[SimAgent, Pool]] = {}
        self.filtered: dict[int, tuple[int, int]] = {}
        """Agent index → until when no more than so many milli-cpus of it are offered."""
        self.suppressed = False
        self.is_up = True
        self.recovering_until_ms = 0
        self.unreachable: dict[AgentId, dict[TaskId, None]] = {}
        self.unreachable_since_ms: dict[AgentId, int] = {}
        self.gone: dict[AgentId, None] = {}
        self.alien: SimTask | None = None
        """A task under our framework id that no record of ours knows."""
        if options.has_alien:
            self._add_alien()
        clock.after(ALLOCATION_MS, self._allocate_periodically)

    # ------------------------------------------------------------ the channel

    def _after(self, action: Callable[[], None]) -> None:
        o = self.options
        late = o.jitter_ms and not self.faults.is_over
        jitter = self.rng.randint(0, o.jitter_ms) if late else 0
        self.clock.after(o.latency_ms + jitter, action)

    def _tell(self, event: ev.Event) -> None:
        """Send an event to whoever is subscribed: maybe late, twice, or never."""
        subscription = self.subscription
        if subscription is None or not self.is_up:
            return
        # A live stream loses nothing; what an agent sends to the master may be lost.
        is_of_agent = isinstance(event, ev.StatusUpdate) and event.uuid is not None
        if is_of_agent and self.faults.chance(self.options.p_drop_event, "lost", event):
            return

        def deliver() -> None:
            if subscription.is_open:
                subscription.deliver(event)

        self._after(deliver)
        if self.faults.chance(self.options.p_duplicate_event, "twice", event):
            self._after(deliver)

    def subscribe(
        self, framework_id: FrameworkId | None, deliver: Callable[[ev.Event], None]
    ) -> Subscription | None:
        """Open a stream; the one before is closed. None while the master is down."""
        if not self.is_up:
            return None
        if self.subscription is not None:
            self.disconnect()
        if framework_id is None:
            framework_id = FrameworkId("framework-" + self._new_id())
        self.offers.clear()
        self.filtered.clear()
        self.suppressed = False
        subscription = Subscription(deliver)
        self.subscription = subscription
        subscribed = ev.Subscribed(framework_id, master="master:5050")
        self.clock.after(self.options.latency_ms, lambda: deliver(subscribed))
        self.clock.after(self.options.latency_ms + 1, self.allocate)
        return subscription

    def disconnect(self) -> None:
        """Cut the stream: what is on its way is lost, and so are the offers."""
        subscription, self.subscription = self.subscription, None
        self.offers.clear()
        if subscription is None:
            return
        subscription.is_open = False
        self.clock.after(1, lambda: subscription.deliver(ev.Disconnected()))

    def call(self, subscription: Subscription, effect: fx.MesosEffect) -> None:
        """Receive a call on a stream; it is fenced off if the stream is not the present one."""
        if self.faults.chance(self.options.p_drop_call, "lost", effect):
            # Calls get lost only with their connection; the driver then subscribes again.
            self.clock.after(self.rng.randint(0, 5_000), lambda: self._break(subscription))
            return

        def receive() -> None:
            if self.is_up and self.subscription is subscription:
                self._receive(effect)

        # Calls of one stream keep their order: they share one connection.
        self.clock.after(self.options.latency_ms, receive)

    def _break(self, subscription: Subscription) -> None:
        if self.subscription is subscription:
            self.disconnect()

    # -------------------------------------------------------------- the master

    def _receive(self, effect: fx.MesosEffect) -> None:
        match effect:
            case fx.Accept():
                self._accept(effect)
            case fx.Decline():
                for offer_id in effect.offer_ids:
                    found = self.offers.pop(offer_id, None)
                    if found is not None:
                        until_ms = self.clock.now_ms + int(effect.refuse_s * 1000)
                        self.filtered[found[0].index] = (until_ms, found[1].cpus_milli)
            case fx.Kill():
                self._kill(effect.task_id)
            case fx.Reconcile():
                self._reconcile(effect)
            case fx.Acknowledge():
                self._acknowledge(effect)
            case fx.Suppress():
                self.suppressed = True
            case fx.Revive():
                self.suppressed = False
                self.filtered.clear()
                self.allocate()

    def _allocate_periodically(self) -> None:
        self.allocate()
        self.clock.after(ALLOCATION_MS, self._allocate_periodically)

    def allocate(self) -> None:
        """Offer what is free on each agent, as one offer."""
        if self.subscription is None or self.suppressed or not self.is_up:
            return
        offered: list[Offer] = []
        for agent in self.agents:
            if not (agent.is_up and agent.is_registered) or agent.is_draining:
                continue
            free = self._free(agent)
            until_ms, refused_milli = self.filtered.get(agent.index, (0, 0))
            is_filtered = until_ms > self.clock.now_ms and free.cpus_milli <= refused_milli
            if is_filtered or free.cpus_milli <= 0:
                continue
            offer_id = OfferId("offer-" + self._new_id())
            self.offers[offer_id] = (agent, free)
            self.subscription.known_offers[offer_id] = None
            offered.append(Offer(offer_id, agent.agent, "*", (free,)))
        if offered:
            self._tell(ev.OffersReceived(tuple(offered)))

    def _free(self, agent: SimAgent) -> Pool:
        cpus, ports = self.options.cpus_milli, {*range(31000, 31050)}
        for task in agent.tasks.values():
            if task.is_alive:
                cpus -= task.launch.spec.resources.cpus_milli
                assert task.launch.instance.placement is not None
                ports -= set(task.launch.instance.placement.host_ports)
        for other, pool in self.offers.values():
            if other is agent:
                cpus -= pool.cpus_milli
                ports -= {p for r in pool.ports for p in range(r.begin, r.end + 1)}
        ranges = tuple(_ranges(sorted(ports)))
        return Pool(cpus_milli=cpus, mem_mib=100_000, disk_mib=100_000, ports=ranges)

    def rescind(self) -> None:
        """Take a random offer back."""
        if self.offers:
            offer_id = self.faults.rng.choice(list(self.offers))
            if not self.faults.strike(f"{offer_id} is rescinded"):
                return
            del self.offers[offer_id]
            self._tell(ev.OfferRescinded(offer_id))

    def _accept(self, effect: fx.Accept) -> None:
        found = [self.offers.get(offer_id) for offer_id in effect.offer_ids]
        for offer_id in effect.offer_ids:
            self.offers.pop(offer_id, None)
        if any(item is None for item in found):
            for launch in effect.launches:
                self._drop(launch, effect.agent_id)
            return
        agent = next(item for item in found if item is not None)[0]
        assert agent.agent.id == effect.agent_id, "an ACCEPT for another agent than its offers"
        if any(launch.spec.cmd == "invalid" for launch in effect.launches):
            # One bad task fails its neighbours (traces: 06-invalid-launches).
            for launch in effect.launches:
                self._refuse(launch, effect.agent_id)
            return
        for launch in effect.launches:
            task = SimTask(launch, agent)
            task.tells_kill = self.rng.random() < self.options.p_task_tells_kill
            task.ignores_kill = self.faults.chance(
                self.options.p_task_ignores_kill, f"{task.id} will ignore its first kill"
            )
            if self.faults.chance(self.options.p_launch_lost, f"the launch of {task.id} is lost"):
                continue
            agent.tasks[task.id] = task
            if not agent.is_up:
                # The machine is gone, the master does not know yet: the launch leads nowhere.
                task.state = TaskState.LOST
                continue
            self.observer.launched(task)
            self._after(lambda task=task: self._start(task))
        if effect.refuse_s:
            until_ms = self.clock.now_ms + int(effect.refuse_s * 1000)
            self.filtered[agent.index] = (until_ms, self._free(agent).cpus_milli)

    def _refuse(self, launch: fx.Launch, agent_id: AgentId) -> None:
        why = ("REASON_TASK_INVALID", "Task is invalid")
        self._turn_down(launch, agent_id, TaskState.ERROR, *why)

    def _drop(self, launch: fx.Launch, agent_id: AgentId) -> None:
        why = ("REASON_INVALID_OFFERS", "Offer is no longer valid")
        self._turn_down(launch, agent_id, TaskState.DROPPED, *why)

    def _turn_down(
        self, launch: fx.Launch, agent_id: AgentId, state: TaskState, reason: str, message: str
    ) -> None:
        task_id = launch.instance.task_id
        assert task_id is not None
        self._tell(
            ev.StatusUpdate(
                task_id=task_id,
                state=state,
                agent_id=agent_id,
                source="SOURCE_MASTER",
                reason=reason,
                message=message,
            )
        )

    def _start(self, task: SimTask) -> None:
        if not task.is_alive or not task.agent.is_up or task.state is TaskState.KILLING:
            return
        if self.faults.chance(self.options.p_task_fails, f"{task.id} fails at its start"):
            self.end(task, TaskState.FAILED, "exited with status 1")
            return
        self._update(task, TaskState.STARTING)
        self._after(lambda: self._run(task))

    def _run(self, task: SimTask) -> None:
        if not task.is_alive or not task.agent.is_up or task.state is TaskState.KILLING:
            return
        self._update(task, TaskState.RUNNING)
        if task.launch.spec.cmd == "done":
            self.clock.after(
                self.rng.randint(1, 3_000), lambda: self.end(task, TaskState.FINISHED, "done")
            )
        if task.launch.spec.cmd == "crash":
            self.clock.after(
                self.rng.randint(1, 3_000), lambda: self.end(task, TaskState.FAILED, "crashed")
            )

    def _kill(self, task_id: TaskId) -> None:
        task = self._find(task_id)
        if task is None:
            if self.clock.now_ms >= self.recovering_until_ms:
                self._tell(self._made_up(task_id, TaskState.UNKNOWN, None))
            return
        agent = task.agent
        if not (agent.is_visible and agent.is_up and agent.is_registered):
            return
        if task.ignores_kill and not task.kill_asked:
            task.kill_asked = True
            return
        task.kill_asked = True
        self._end_slowly(task, "killed", "")

    def _end_slowly(self, task: SimTask, message: str, reason: str) -> None:
        """Kill a task; some say so at once and take their time."""
        if not task.is_alive or task.state is TaskState.KILLING:
            return

        def end() -> None:
            self.end(task, TaskState.KILLED, message, reason)

        if task.tells_kill:
            self._update(task, TaskState.KILLING, message, reason)
            self.clock.after(self.rng.randint(0, GRACE_MS), end)
        else:
            self._after(end)

    def _reconcile(self, effect: fx.Reconcile) -> None:
        if not effect.tasks:
            for agent in self.agents:
                if agent.is_registered and agent.is_up:
                    for task in agent.tasks.values():
                        self._tell(self._made_up(task.id, task.state, agent.agent.id))
            return
        for task_id, agent_id in effect.tasks:
            self._answer(task_id, agent_id)

    def _answer(self, task_id: TaskId, agent_id: AgentId | None) -> None:
        agent = next((a for a in self.agents if a.agent.id == agent_id), None)
        if agent_id in self.gone:
            self._tell(self._made_up(task_id, TaskState.GONE_BY_OPERATOR, agent_id))
        elif agent_id is not None and agent_id in self.unreachable:
            since_ms = self.unreachable_since_ms.get(agent_id)
            answer = self._made_up(task_id, TaskState.UNREACHABLE, agent_id)
            self._tell(evolve(answer, unreachable_since_ms=since_ms))
        elif agent is not None and agent.is_registered:
            task = agent.tasks.get(task_id)
            state = TaskState.GONE if task is None else task.state
            self._tell(self._made_up(task_id, state, agent_id))
        elif self.clock.now_ms >= self.recovering_until_ms and agent is None:
            self._tell(self._made_up(task_id, TaskState.UNKNOWN, agent_id))

    def _made_up(
        self, task_id: TaskId, state: TaskState, agent_id: AgentId | None
    ) -> ev.StatusUpdate:
        return ev.StatusUpdate(
            task_id=task_id,
            state=state,
            agent_id=agent_id,
            source="SOURCE_MASTER",
            reason="REASON_RECONCILIATION",
        )

    def _acknowledge(self, effect: fx.Acknowledge) -> None:
        task = self._find(effect.task_id)
        if task is None or not task.queue or task.queue[0].uuid != effect.uuid:
            return
        if not (task.agent.is_visible and task.agent.is_up):
            return
        task.queue.pop(0)
        task.delivery += 1
        if task.queue:
            self._send_update(task)
        elif not task.is_alive:
            task.agent.tasks.pop(task.id, None)

    def _find(self, task_id: TaskId) -> SimTask | None:
        for agent in self.agents:
            if agent.is_registered and task_id in agent.tasks:
                return agent.tasks[task_id]
        return None

    # -------------------------------------------------------------- the agents

    def _update(self, task: SimTask, state: TaskState, message: str = "", reason: str = "") -> None:
        task.state = state
        uuid = self._new_id()
        update = ev.StatusUpdate(
            task_id=task.id,
            state=state,
            agent_id=task.agent.agent.id,
            uuid=uuid,
            source="SOURCE_EXECUTOR",
            reason=reason,
            message=message,
        )
        task.queue.append(update)
        if len(task.queue) == 1:
            self._send_update(task)

    def _send_update(self, task: SimTask) -> None:
        """Deliver the first unacknowledged update, and again until it is acknowledged."""
        if not task.queue or not task.agent.is_up:
            return
        if task.agent.is_visible and task.agent.is_registered:
            self._tell(task.queue[0])
        delivery = task.delivery

        def again() -> None:
            if task.delivery == delivery:
                self._send_update(task)

        self.clock.after(UPDATE_RETRY_MS, again)

    def end(self, task: SimTask, state: TaskState, message: str, reason: str = "") -> None:
        """End a task's process."""
        if not task.is_alive or not task.agent.is_up:
            return
        self._update(task, state, message, reason)
        self.observer.ended(task, self.clock.now_ms)

    def live_tasks(self) -> list[SimTask]:
        """Every task whose process exists, seen or not."""
        return [t for a in self.agents if a.is_up for t in a.tasks.values() if t.is_alive]

    # ------------------------------------------------------------------ faults

    def kill_random_task(self) -> None:
        tasks = self.live_tasks()
        if tasks:
            task = self.faults.rng.choice(tasks)
            if self.faults.strike(f"{task.id} dies"):
                self.end(task, TaskState.FAILED, "killed by hand")

    def make_ill(self) -> None:
        """Let a random task fail its checks until its end; few at a time, or the brake holds."""
        tasks = self.live_tasks()
        well = [task for task in tasks if not task.is_ill]
        ill = len(tasks) - len(well)
        if well and (not ill or (ill + 1) * ILL_SHARE <= len(tasks)):
            task = self.faults.rng.choice(well)
            if self.faults.strike(f"{task.id} falls ill"):
                task.is_ill = True

    def is_ill(self, task_id: TaskId) -> bool:
        """Whether a task answers no check, in truth."""
        return any(task_id in agent.tasks and agent.tasks[task_id].is_ill for agent in self.agents)

    def drain(self) -> None:
        """Have an operator drain an agent, and take it back into service after a while."""
        there = [a for a in self.agents if a.is_up and a.is_registered and not a.is_draining]
        if not there:
            return
        agent = self.faults.rng.choice(there)
        for_ms = self.faults.rng.randint(5_000, 30_000)
        if not self.faults.strike(f"{agent.agent.id} is drained for {for_ms} ms"):
            return
        agent.is_draining = True
        self._drop_offers(agent)
        for task in list(agent.tasks.values()):
            if task is not self.alien:
                self._end_slowly(task, "Agent is draining", "REASON_AGENT_DRAINING")
        self.clock.after(for_ms, lambda: self._serve_again(agent))

    def _serve_again(self, agent: SimAgent) -> None:
        agent.is_draining = False

    def fault_agent(self) -> None:
        """Let an agent die, or go out of sight, for a while."""
        rng = self.faults.rng
        agent = rng.choice(self.agents)
        back_ms = rng.randint(500, 40_000)
        is_cut_off = rng.random() < 0.5
        if not agent.is_up or not agent.is_visible:
            return
        what = "is out of sight" if is_cut_off else "dies"
        if not self.faults.strike(f"{agent.agent.id} {what} for {back_ms} ms"):
            return
        if is_cut_off:
            self._partition(agent)
            self.clock.after(back_ms, lambda: self._rejoin(agent))
        else:
            self._die(agent)
            self.clock.after(back_ms, lambda: self._reboot(agent))

    def split_network(self) -> None:
        """Let most agents, or all, go out of sight at about the same time."""
        rng = self.faults.rng
        there = [agent for agent in self.agents if agent.is_up and agent.is_visible]
        lost = rng.sample(there, max(0, len(there) - rng.randint(0, 1)))
        back_ms = rng.randint(PINGS_MISSED_MS, 60_000)
        names = ", ".join(agent.agent.id for agent in lost)
        if not lost or not self.faults.strike(f"{names} are out of sight for {back_ms} ms"):
            return
        for agent in lost:
            self._partition(agent)
            self.clock.after(back_ms, lambda agent=agent: self._rejoin(agent))

    def _partition(self, agent: SimAgent) -> None:
        agent.is_visible = False
        generation = agent.generation
        self.clock.after(PINGS_MISSED_MS, lambda: self._lose_sight(agent, generation))

    def _lose_sight(self, agent: SimAgent, generation: int) -> None:
        is_back = agent.is_visible and agent.is_up
        if is_back or agent.generation != generation or not agent.is_registered:
            return
        self._mark_unreachable(agent)

    def _mark_unreachable(self, agent: SimAgent) -> None:
        agent.is_registered = False
        self.observer.lost_sight(agent.agent.id, self.clock.now_ms)
        self._drop_offers(agent)
        for task in agent.tasks.values():
            task.was_out_of_sight = True
        if not self.is_up:
            return
        self.unreachable[agent.agent.id] = dict.fromkeys(agent.tasks)
        self.unreachable_since_ms[agent.agent.id] = self.clock.now_ms
        for task in list(agent.tasks.values()):
            self._tell(
                ev.StatusUpdate(
                    task_id=task.id,
                    state=TaskState.UNREACHABLE,
                    agent_id=agent.agent.id,
                    source="SOURCE_MASTER",
                    reason="REASON_SLAVE_REMOVED",
                    unreachable_since_ms=self.clock.now_ms,
                )
            )
        self._tell(ev.AgentLost(agent.agent.id))

    def _rejoin(self, agent: SimAgent) -> None:
        agent.is_visible = True
        agent.generation += 1
        if not agent.is_up or agent.is_registered:
            return
        agent.is_registered = True
        self.unreachable.pop(agent.agent.id, None)
        for task in agent.tasks.values():
            if task.is_alive and task.state is not TaskState.STAGING:
                self._tell(
                    ev.StatusUpdate(
                        task_id=task.id,
                        state=task.state,
                        agent_id=agent.agent.id,
                        source="SOURCE_MASTER",
                        reason="REASON_SLAVE_REREGISTERED",
                    )
                )
            self._send_update(task)

    def _die(self, agent: SimAgent) -> None:
        """The machine is gone with all its tasks; the master notices a little later."""
        for task in agent.tasks.values():
            if task.is_alive:
                task.state = TaskState.LOST
                self.observer.ended(task, self.clock.now_ms)
        agent.is_up = False
        generation = agent.generation
        self.clock.after(PINGS_MISSED_MS, lambda: self._lose_sight(agent, generation))

    def _reboot(self, agent: SimAgent) -> None:
        """The machine returns as a new agent; its old id is unreachable, or gone at times."""
        if self.agents[agent.index] is not agent:
            return
        if agent.is_registered:
            self._mark_unreachable(agent)
        old_id = agent.agent.id
        if self.faults.chance(self.options.p_agent_forgotten, f"{old_id} is forgotten"):
            self.unreachable.pop(old_id, None)
        else:
            self.unreachable.setdefault(old_id, {})
            if self.faults.rng.random() < 0.3:
                self.gone[old_id] = None
        fresh = self._new_agent(agent.index)
        self.agents[agent.index] = fresh

    def fail_over(self) -> None:
        """The leading master dies; the next one knows no task until the agents have come back."""
        down_ms = self.faults.rng.randint(100, 10_000)
        if not self.faults.strike(f"the master dies for {down_ms} ms"):
            return
        self.disconnect()
        self.is_up = False
        self.clock.after(down_ms, self._lead)

    def _lead(self) -> None:
        self.is_up = True
        self.recovering_until_ms = self.clock.now_ms + REREGISTER_MS + 1
        for agent in self.agents:
            agent.is_registered = False
            agent.generation += 1
            delay_ms = self.rng.randint(0, REREGISTER_MS)
            self.clock.after(delay_ms, lambda agent=agent: self._reregister(agent))

    def _reregister(self, agent: SimAgent) -> None:
        if agent.is_registered or agent not in self.agents:
            return
        if agent.is_up and agent.is_visible:
            agent.is_registered = True
            self.unreachable.pop(agent.agent.id, None)
            for task in agent.tasks.values():
                self._send_update(task)
        else:
            self._mark_unreachable(agent)

    def heal(self) -> None:
        """Stop all faults; what is away comes back."""
        for agent in list(self.agents):
            agent.is_draining = False
            if not agent.is_up:
                self._reboot(agent)
            elif not agent.is_visible:
                self._rejoin(agent)
        present = {agent.agent.id for agent in self.agents}
        for agent_id in [a for a in self.unreachable if a not in present]:
            self._mark_gone(agent_id)
        # Whatever was said while nobody listened is asked for anew.
        self.disconnect()

    def _mark_gone(self, agent_id: AgentId) -> None:
        """An operator says that a machine never returns."""
        self.gone[agent_id] = None
        for task_id in self.unreachable.pop(agent_id):
            self._tell(
                ev.StatusUpdate(
                    task_id=task_id,
                    state=TaskState.GONE_BY_OPERATOR,
                    agent_id=agent_id,
                    source="SOURCE_MASTER",
                    reason="REASON_SLAVE_REMOVED_BY_OPERATOR",
                )
            )

    # ----------------------------------------------------------------- helpers

    def cut(self) -> None:
        """Cut the stream by a fault."""
        if self.subscription is not None and self.faults.strike("the stream is cut"):
            self.disconnect()

    def _add_alien(self) -> None:
        """Let a task of an unknown app run under our framework id."""
        agent = self.agents[0]
        pool = Pool(cpus_milli=10, mem_mib=1)
        instance = Instance(
            id=InstanceId("alien.instance-0"),
            app_id=AppId("/alien"),
            version=Version(""),
            condition=Condition.RUNNING,
            incarnation=1,
            placement=Placement(agent.agent.id, agent.agent.host, (pool,), "*", ()),
        )
        spec = AppSpec(AppId("/alien"), cmd="ok", resources=Resources(cpus_milli=10, mem_mib=1))
        self.alien = SimTask(fx.Launch(instance, spec), agent, TaskState.RUNNING)
        agent.tasks[self.alien.id] = self.alien

    def _drop_offers(self, agent: SimAgent) -> None:
        for offer_id, (other, _) in list(self.offers.items()):
            if other is agent:
                del self.offers[offer_id]
                self._tell(ev.OfferRescinded(offer_id))

    def _new_agent(self, index: int) -> SimAgent:
        return SimAgent(
            index,
            Agent(
                id=AgentId(f"agent-{index}-" + self._new_id()),
                host=f"host{index}",
                attributes=(("rack", f"r{index % 2}"),),
            ),
        )

    def _new_id(self) -> str:
        self._ids += 1
        return str(self._ids)


def _ranges(ports: list[int]) -> list[PortRange]:
    """Put neighbours together, as Mesos does; ``ports`` are sorted."""
    ranges: list[PortRange] = []
    for port in ports:
        if ranges and ranges[-1].end == port - 1:
            ranges[-1] = PortRange(ranges[-1].begin, port)
        else:
            ranges.append(PortRange(port, port))
    return ranges
