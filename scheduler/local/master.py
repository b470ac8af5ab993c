"""The master: who is subscribed, which agents are there, what is offered, who is told what.

It decides; `scheduler_api` and `operator_api` read the calls, `accept` launches, agents run tasks.
Everything happens on one event loop, and what it tells an agent or a framework may be lost on the
way exactly where Mesos may lose it. The facts come from recorded conversations with Mesos 1.12.
"""

import asyncio
import time
import uuid
from collections import deque

import structlog
from attrs import frozen

from scheduler.local import allocator
from scheduler.local.describe import VERSION, describe_framework, describe_offer, describe_task
from scheduler.local.frameworks import Framework
from scheduler.local.httpserver import Stream
from scheduler.local.recordio import encode_chunk
from scheduler.local.registry import AgentRecord, Offer
from scheduler.local.resources import Bundle, JsonObject
from scheduler.local.tasks import TERMINAL_STATES, Task, task_bundle
from scheduler.local.timing import Timing

COMPLETED_FRAMEWORKS_MAX = 50

log = structlog.get_logger("egret.local.master")


class Quirks:
    """Where faults hook in; here nothing goes wrong."""

    def on_event(self, framework: Framework, event: JsonObject) -> None:
        """Deliver an event of a framework's stream."""
        framework.write(event)

    def refuses_subscribe(self) -> bool:
        """Return whether this SUBSCRIBE is refused."""
        return False

    def loses_accept_before(self) -> bool:
        """Return whether this ACCEPT is lost before it is applied."""
        return False

    def loses_accept_after(self) -> bool:
        """Return whether the reply of this ACCEPT is lost."""
        return False

    def loses_launch(self) -> bool:
        """Return whether this launch is lost between master and agent."""
        return False


@frozen
class MasterSettings:
    """What a real master takes from its flags."""

    timing: Timing = Timing()
    domain: JsonObject | None = None
    host: str = "127.0.0.1"
    quirks: Quirks = Quirks()


class Master:
    """One incarnation of the master; a restart makes a new one."""

    def __init__(self, settings: MasterSettings, port: int, known_agents: frozenset[str]) -> None:
        """Take over.

        Args:
            settings: the flags.
            port: where the API is served.
            known_agents: ids in the registry, of agents that have not come back yet.
        """
        self.settings = settings
        self.port = port
        self.id = str(uuid.uuid4())
        self.started_at_s = time.time()
        self.frameworks: dict[str, Framework] = {}
        self.completed: deque[Framework] = deque(maxlen=COMPLETED_FRAMEWORKS_MAX)
        self.removed_ids: set[str] = set()
        self.agents: dict[str, AgentRecord] = {}
        self.unreachable: dict[str, JsonObject] = {}
        self.gone: set[str] = set()
        self.recovering: set[str] = set(known_agents)
        self.offers: dict[str, Offer] = {}
        self.watchers: set[Stream] = set()
        self.metrics: dict[str, int] = {}
        self.idle: dict[str, AgentRecord] = {}
        self._next = {"framework": 0, "agent": 0, "offer": 0}
        self.timers: dict[str, asyncio.TimerHandle] = {}
        self._loops: list[asyncio.Task[None]] = []
        self._allocation_due = False

    # Life

    def start(self) -> None:
        """Start allocating and sending heartbeats."""
        self._loops = [
            asyncio.ensure_future(self._allocate_forever()),
            asyncio.ensure_future(self._beat_forever()),
        ]

    def stop(self) -> None:
        """Die: timers end, streams are cut without a word."""
        for task in self._loops:
            task.cancel()
        for timer in self.timers.values():
            timer.cancel()
        for framework in self.frameworks.values():
            if framework.removal is not None:
                framework.removal.cancel()
            if framework.stream is not None:
                stream, framework.stream = framework.stream, None
                stream.on_close = None
                stream.abort()
        for watcher in self.watchers:
            watcher.abort()

    async def _allocate_forever(self) -> None:
        while True:
            await asyncio.sleep(self.settings.timing.allocation_interval_s)
            self.allocate()

    async def _beat_forever(self) -> None:
        while True:
            await asyncio.sleep(self.settings.timing.heartbeat_interval_s)
            for framework in self.frameworks.values():
                framework.send({"type": "HEARTBEAT"})
            self.announce({"type": "HEARTBEAT"})

    def count(self, name: str, by: int = 1) -> None:
        """Add to a counter of /metrics/snapshot."""
        self.metrics[name] = self.metrics.get(name, 0) + by

    def next_id(self, kind: str) -> str:
        """Return a fresh id: ``<master>-0000`` (framework), ``-S0`` (agent), ``-O0`` (offer)."""
        number = self._next[kind]
        self._next[kind] += 1
        if kind == "framework":
            return f"{self.id}-{number:04d}"
        return f"{self.id}-{'S' if kind == 'agent' else 'O'}{number}"

    def announce(self, event: JsonObject) -> None:
        """Send an event to the operators' streams."""
        if self.watchers:
            chunk = encode_chunk(event)
            for watcher in list(self.watchers):
                watcher.send(chunk)

    def info(self) -> JsonObject:
        """Return the MasterInfo."""
        host = self.settings.host
        address = {"hostname": host, "ip": host, "port": self.port}
        info: JsonObject = {
            "id": self.id,
            "ip": int.from_bytes(bytes(int(p) for p in host.split(".")), "little"),
            "port": self.port,
            "pid": f"master@{host}:{self.port}",
            "hostname": host,
            "version": VERSION,
            "address": address,
        }
        if self.settings.domain is not None:
            info["domain"] = self.settings.domain
        names = ("AGENT_UPDATE", "AGENT_DRAINING", "QUOTA_V2")
        info["capabilities"] = [{"type": name} for name in names]
        return info

    # Frameworks

    def subscribe(
        self,
        info: JsonObject,
        suppressed: list[str],
        constraints: JsonObject,
        stream: Stream,
        stream_id: str,
    ) -> Framework:
        """Connect a framework; an open stream of the same id fails over to this one."""
        framework_id = info.get("id", {}).get("value") or self.next_id("framework")
        framework = self.frameworks.get(framework_id)
        if framework is None:
            framework = Framework(framework_id, info, self.settings.quirks.on_event)
            self.frameworks[framework_id] = framework
            body = {"framework": describe_framework(framework)}
            self.announce({"type": "FRAMEWORK_ADDED", "framework_added": body})
        else:
            self._take_over(framework, info)
        framework.stream, framework.stream_id = stream, stream_id
        framework.suppressed = set(suppressed)
        framework.constraints = constraints
        stream.on_close = lambda _: self.on_stream_closed(framework, stream)
        subscribed = {
            "framework_id": {"value": framework_id},
            "heartbeat_interval_seconds": self.settings.timing.heartbeat_interval_s,
            "master_info": self.info(),
        }
        framework.send({"type": "SUBSCRIBED", "subscribed": subscribed})
        framework.send({"type": "HEARTBEAT"})
        log.info("framework_subscribed", framework_id=framework_id, name=info.get("name"))
        self.allocate_soon()
        for agent in self.agents.values():
            agent.door.resend(framework_id)
        return framework

    def _take_over(self, framework: Framework, info: JsonObject) -> None:
        if framework.stream is not None:
            self.rescind_of(framework, announce=False)
            framework.send({"type": "ERROR", "error": {"message": "Framework failed over"}})
            framework.stream.close()
        if framework.removal is not None:
            framework.removal.cancel()
            framework.removal = None
        framework.filters.clear()
        # User and checkpoint of a known framework never change, whatever it says now.
        kept = {k: framework.info[k] for k in ("user", "checkpoint") if k in framework.info}
        framework.use_info({**info, **kept})
        framework.recovered = False
        framework.reregistered_at_s = time.time()

    def on_stream_closed(self, framework: Framework, stream: Stream) -> None:
        """A scheduler went away: its offers return, its failover timeout runs."""
        if framework.stream is not stream:
            return
        framework.stream = None
        framework.unregistered_at_s = time.time()
        self.rescind_of(framework, announce=False)
        framework.filters.clear()
        log.info("framework_disconnected", framework_id=framework.id)
        self.await_failover(framework)

    def await_failover(self, framework: Framework) -> None:
        """Remove a framework without a stream when its failover timeout is over."""
        timeout_s = framework.failover_timeout_s
        if timeout_s <= 0:
            self.remove_framework(framework)
            return
        loop = asyncio.get_running_loop()
        framework.removal = loop.call_later(
            min(timeout_s, 1e8), lambda: self.remove_framework(framework)
        )

    def remove_framework(self, framework: Framework) -> None:
        """Forget a framework and have its tasks killed; its stream just ends."""
        self.rescind_of(framework, announce=False)
        if framework.removal is not None:
            framework.removal.cancel()
        if framework.stream is not None:
            stream, framework.stream = framework.stream, None
            stream.close()
        for agent in self.agents.values():
            agent.door.shutdown_framework(framework.id)
        for task in list(framework.tasks.values()):
            self.give_back(task)
            if not task.is_terminal:
                task.state = "TASK_KILLED"
            self.forget_task(framework, task)
        for agent_id, executor_id in list(framework.executors):
            self.drop_executor(framework, agent_id, executor_id)
        self.frameworks.pop(framework.id, None)
        self.removed_ids.add(framework.id)
        self.completed.append(framework)
        body = {"framework_info": framework.info}
        self.announce({"type": "FRAMEWORK_REMOVED", "framework_removed": body})
        log.info("framework_removed", framework_id=framework.id)

    # Offers

    def allocate_soon(self) -> None:
        """Allocate once what is being handled is done."""
        if not self._allocation_due:
            self._allocation_due = True
            asyncio.get_running_loop().call_soon(self.allocate)

    def allocate(self) -> None:
        """Offer what is free, one OFFERS event for each framework."""
        self._allocation_due = False
        made: dict[str, list[JsonObject]] = {}
        now_s = asyncio.get_running_loop().time()
        region = _region_of(self.settings.domain)
        idle = list(self.idle.values())
        for framework, role, agent in allocator.allocate(
            idle, self.frameworks.values(), region, now_s
        ):
            offer = Offer(self.next_id("offer"), framework.id, agent.id, role, agent.free)
            self.offers[offer.id] = offer
            agent.offers.add(offer.id)
            self.set_free(agent, agent.free.minus(agent.free))
            made.setdefault(framework.id, []).append(describe_offer(offer, framework, agent))
        for framework_id, offers in made.items():
            self.count("master/messages_resource_offers")
            self.frameworks[framework_id].send({"type": "OFFERS", "offers": {"offers": offers}})

    def set_free(self, agent: AgentRecord, free: Bundle) -> None:
        """Note what is free on an agent."""
        agent.free = free
        if free.is_allocatable:
            self.idle[agent.id] = agent
        else:
            self.idle.pop(agent.id, None)

    def add_free(self, agent: AgentRecord, resources: Bundle) -> None:
        """Give resources of an agent back to the allocator."""
        self.set_free(agent, agent.free.plus(resources))

    def take_offer(self, offer_id: str) -> Offer | None:
        """Remove an offer from the books without giving its resources back."""
        offer = self.offers.pop(offer_id, None)
        if offer is not None and offer.agent_id in self.agents:
            self.agents[offer.agent_id].offers.discard(offer_id)
        return offer

    def return_offer(self, offer_id: str) -> Offer | None:
        """Remove an offer and give its resources back."""
        offer = self.take_offer(offer_id)
        if offer is not None and offer.agent_id in self.agents:
            self.add_free(self.agents[offer.agent_id], offer.resources)
        return offer

    def rescind(self, offer_id: str) -> None:
        """Take an offer back and say so."""
        offer = self.return_offer(offer_id)
        framework = self.frameworks.get(offer.framework_id) if offer else None
        if framework is not None:
            body = {"offer_id": {"value": offer_id}}
            framework.send({"type": "RESCIND", "rescind": body})

    def rescind_of(self, framework: Framework, *, announce: bool) -> None:
        """Take all offers of a framework back, with or without a RESCIND."""
        for offer in [o for o in self.offers.values() if o.framework_id == framework.id]:
            if announce:
                self.rescind(offer.id)
            else:
                self.return_offer(offer.id)

    def decline(self, framework: Framework, offer_ids: list[str], refuse_s: float) -> None:
        """Take declined offers back; what is not (or no longer) this framework's is ignored."""
        now_s = asyncio.get_running_loop().time()
        for offer_id in offer_ids:
            offer = self.offers.get(offer_id)
            if offer is None or offer.framework_id != framework.id:
                continue
            self.return_offer(offer_id)
            allocator.refuse(
                framework, (offer.role, offer.agent_id), offer.resources, refuse_s, now_s
            )

    # Tasks

    def add_task(self, framework: Framework, task: Task) -> None:
        """Take a task into the books."""
        framework.tasks[task.id] = task
        if task.agent_id in self.agents:
            self.agents[task.agent_id].tasks.add((framework.id, task.id))
        self.count("master/tasks_launched")
        if self.watchers:
            added = {"task": describe_task(task)}
            self.announce({"type": "TASK_ADDED", "task_added": added})

    def give_back(self, task: Task) -> None:
        """Release a task's resources, once."""
        agent = self.agents.get(task.agent_id)
        if agent is not None:
            self.add_free(agent, task_bundle(task))
        task.released = True

    def forget_task(self, framework: Framework, task: Task) -> None:
        """Move a task to the completed ones."""
        framework.tasks.pop(task.id, None)
        framework.unreachable.pop(task.id, None)
        framework.completed.append(task)
        if task.agent_id in self.agents:
            self.agents[task.agent_id].tasks.discard((framework.id, task.id))

    def drop_executor(self, framework: Framework, agent_id: str, executor_id: str) -> None:
        """Forget an executor and release its resources."""
        executor = framework.executors.pop((agent_id, executor_id), None)
        if executor is not None and agent_id in self.agents:
            self.add_free(self.agents[agent_id], executor.resources)

    def on_update(
        self, agent_id: str, framework_id: str, status: JsonObject, latest: str, executor: str
    ) -> None:
        """An agent sends a status update: note the latest state, pass the update on."""
        framework = self.frameworks.get(framework_id)
        agent = self.agents.get(agent_id)
        if framework is None or agent is None:
            return
        self.count("master/valid_status_updates")
        task = framework.tasks.get(status["task_id"]["value"])
        if task is not None:
            task.executor_id = task.executor_id or executor or None
            task.note_status(status)
            if not task.is_terminal:
                task.state = latest
            if task.is_terminal and not task.released:
                self.give_back(task)
            if self.watchers:
                body = {"framework_id": {"value": framework_id}, "status": status, "state": latest}
                self.announce({"type": "TASK_UPDATED", "task_updated": body})
        framework.send_status(status)

    def acknowledge(self, framework: Framework, agent_id: str, task_id: str, uid: str) -> None:
        """Pass an acknowledgement on; a task whose end is acknowledged is complete."""
        agent = self.agents.get(agent_id)
        if agent is None or not agent.is_connected:
            return
        task = framework.tasks.get(task_id)
        if task is not None and task.is_terminal and task.statuses:
            last = task.statuses[-1]
            if last.get("uuid") == uid and last["state"] in TERMINAL_STATES:
                self.forget_task(framework, task)
        agent.door.acknowledge(framework.id, task_id, uid)

    def on_executor_exited(
        self, agent_id: str, framework_id: str, executor_id: str, status: int
    ) -> None:
        """A custom executor ended: its framework gets a FAILURE, also for a clean end."""
        framework = self.frameworks.get(framework_id)
        if framework is None:
            return
        self.drop_executor(framework, agent_id, executor_id)
        failure = {
            "agent_id": {"value": agent_id},
            "executor_id": {"value": executor_id},
            "status": status,
        }
        framework.send({"type": "FAILURE", "failure": failure})

    def on_executor_message(
        self, agent_id: str, framework_id: str, executor_id: str, data: str
    ) -> None:
        """An executor sends its framework a message: at most once, as in Mesos."""
        framework = self.frameworks.get(framework_id)
        if framework is not None:
            message = {
                "agent_id": {"value": agent_id},
                "executor_id": {"value": executor_id},
                "data": data,
            }
            framework.send({"type": "MESSAGE", "message": message})


def _region_of(domain: JsonObject | None) -> str | None:
    return None if domain is None else domain["fault_domain"]["region"]["name"]
