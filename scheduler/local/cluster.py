"""The embedded cluster: one master and its agents on the running event loop, over real sockets.

This is the door for the demo, for tests and for the fault injector: start it, point a scheduler at
`master_address`, break it with the methods below, stop it. Nothing it started outlives it.
"""

import asyncio
import sys
import tempfile
import uuid
from collections.abc import Awaitable, Sequence
from pathlib import Path
from typing import Self

import structlog
from attrs import evolve

from scheduler.local import guard, membership
from scheduler.local.agent_api import serve_agent
from scheduler.local.agent_config import AgentConfig, AgentSettings, make_domain
from scheduler.local.agents import Agent
from scheduler.local.docker import find_docker
from scheduler.local.executors import CLUSTER_MARK
from scheduler.local.faults import Faults
from scheduler.local.httpserver import (
    Dropped,
    HttpServer,
    Reply,
    Request,
)
from scheduler.local.master import Master, MasterSettings
from scheduler.local.operator_api import serve_master
from scheduler.local.port_blocks import PortBlocks
from scheduler.local.scheduler_api import serve_scheduler
from scheduler.local.timing import Timing

MANY_AGENTS = 8
"""More real agents than this get a hundred ports each instead of a thousand."""
VIRTUAL_PORTS = ((31_000, 31_999),)

log = structlog.get_logger("egret.local.cluster")


class Cluster:
    """A master and its agents. Use `async with Cluster(...)`, or `start` and `stop`."""

    def __init__(
        self,
        agents: int | Sequence[AgentConfig] = 1,
        *,
        port: int = 0,
        host: str = "127.0.0.1",
        work_dir: Path | None = None,
        executor_command: Sequence[str] = (sys.executable, "-I", "-m", "executor"),
        domain: tuple[str, str] | None = None,
        timing: Timing = Timing(),
    ) -> None:
        """Describe a cluster; nothing is started yet.

        Args:
            agents: how many (each 4 cpus, 4 GiB, a thousand ports), or one config for each.
            port: of the master's API; 0: a free one.
            host: the address the master listens on.
            work_dir: for sandboxes; None: a temporary directory, removed at the end.
            executor_command: how to start the executor that runs command tasks.
            domain: the master's (region, zone); None: it has none.
            timing: intervals and timeouts.
        """
        self.faults = Faults()
        self._port, self._host = port, host
        configs = make_agent_configs(agents) if isinstance(agents, int) else list(agents)
        self._configs = configs
        temporary = tempfile.TemporaryDirectory(prefix="egret-") if work_dir is None else None
        self._temporary = temporary
        self.work_dir = Path(temporary.name) if temporary is not None else Path(work_dir or ".")
        self._settings = MasterSettings(
            timing=timing,
            domain=None if domain is None else make_domain(*domain),
            host=host,
            quirks=self.faults,
        )
        self._agent_settings = AgentSettings(
            executor_command=tuple(executor_command),
            work_dir=self.work_dir,
            mark=uuid.uuid4().hex,
            timing=timing,
        )
        self.agents: list[Agent] = []
        self.master: Master | None = None
        self._server = HttpServer(self._serve)
        self._port_blocks = PortBlocks()
        self._guard: asyncio.subprocess.Process | None = None

    # Life

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def master_address(self) -> str:
        """Return the master's ``host:port``."""
        return f"{self._host}:{self._server.port}"

    @property
    def docker_available(self) -> bool:
        """Return whether agents can run Docker containers."""
        return self._agent_settings.docker is not None

    async def start(self) -> None:
        """Start the master and all agents; they are registered when this returns.

        Raises:
            OSError: a port is taken, or no task ports are left.
        """
        try:
            await self._start()
        except OSError:
            await self.stop()
            raise

    async def _start(self) -> None:
        self.work_dir.mkdir(parents=True, exist_ok=True)
        if any(not c.is_virtual for c in self._configs):
            docker = await find_docker()
            self._agent_settings = evolve(self._agent_settings, docker=docker)
        await self._start_guard()
        await self._server.start(self._host, self._port)
        master = self._start_master(frozenset())
        for config in self._configs:
            await self._start_agent(config, master)
        log.info("cluster_started", master=self.master_address, agents=len(self.agents))

    async def _start_guard(self) -> None:
        self._guard = await asyncio.create_subprocess_exec(
            sys.executable,
            "-S",
            "-E",
            str(Path(guard.__file__)),
            self._mark,
            self._agent_settings.docker or "",
            "" if self._temporary is None else self._temporary.name,
            stdin=asyncio.subprocess.PIPE,
            start_new_session=True,
        )

    @property
    def _mark(self) -> str:
        return f"{CLUSTER_MARK}={self._agent_settings.mark}"

    def _start_master(self, known_agents: frozenset[str]) -> Master:
        self.master = Master(self._settings, self._server.port, known_agents)
        self.master.start()
        return self.master

    async def _start_agent(self, config: AgentConfig, master: Master) -> Agent:
        docker = "docker" if self.docker_available else "none"
        attributes = {"containers": docker, **config.attributes}
        config = evolve(config, attributes=attributes, ports=self._ports_of(config))
        agent = Agent(config, self._agent_settings)
        if config.is_virtual:
            agent.port = self._server.port
        await agent.start(serve_agent)
        self.agents.append(agent)
        agent.join(master)
        return agent

    def _ports_of(self, config: AgentConfig) -> tuple[tuple[int, int], ...]:
        if config.ports is not None:
            return config.ports
        if config.is_virtual:
            return VIRTUAL_PORTS
        return (self._port_blocks.claim(1 if len(self._configs) > MANY_AGENTS else 10),)

    async def stop(self) -> None:
        """Stop everything: master, agents, executors, tasks; remove a temporary work dir."""
        if self.master is not None:
            self.master.stop()
            self.master = None
        self._server.stop()
        for agent in self.agents:
            agent.die()
            agent.kill_all()
        for agent in self.agents:
            await agent.wait_until_ended()
        if self._guard is not None:
            await self._kill_rest(self._guard)
        self.agents = []
        self._port_blocks.release()
        if self._temporary is not None:
            self._temporary.cleanup()
        log.info("cluster_stopped")

    async def _kill_rest(self, sentinel: asyncio.subprocess.Process) -> None:
        """Let the guard kill whatever still carries the cluster's mark."""
        assert sentinel.stdin is not None
        sentinel.stdin.close()
        await sentinel.wait()
        self._guard = None

    # Requests

    def _serve(self, request: Request) -> Reply | Awaitable[Reply]:
        if self.faults.delay_s > 0:
            return self._serve_late(request)
        return self._serve_now(request)

    async def _serve_late(self, request: Request) -> Reply:
        await asyncio.sleep(self.faults.delay_s)
        return self._serve_now(request)

    def _serve_now(self, request: Request) -> Reply:
        if self.master is None:
            return Dropped
        path = request.path.removeprefix("/master")
        if not path.startswith("/api/v1/scheduler"):
            return serve_master(self.master, request, path)
        return serve_scheduler(self.master, request)

    # Faults

    async def kill_agent(self, index: int, *, with_executors: bool = False) -> None:
        """Kill an agent's process: the master sees its connection break; executors live on."""
        agent = self.agents[index]
        agent_id = agent.id
        agent.die()
        if with_executors:
            agent.kill_all()
        if self.master is not None:
            membership.on_agent_disconnected(self.master, agent_id)

    async def return_agent(self, index: int) -> None:
        """Start a killed agent again: same id, same port; or end its partition."""
        agent = self.agents[index]
        if agent.is_alive:
            self.heal_agent(index)
            return
        await agent.start(serve_agent)
        await agent.recover()
        if self.master is not None:
            agent.join(self.master)

    async def stop_agent(self, index: int) -> None:
        """Stop an agent gracefully: it kills its executors and unregisters."""
        agent = self.agents[index]
        agent_id = agent.id
        agent.leave()
        if self.master is not None:
            membership.remove_agent(self.master, agent_id)

    def partition_agent(self, index: int) -> None:
        """Lose every message between master and agent, in both directions."""
        agent = self.agents[index]
        agent.link.is_up = False
        if self.master is not None:
            membership.expect_agent(self.master, agent.id)

    def heal_agent(self, index: int) -> None:
        """End a partition; an agent that was given up registers again."""
        agent = self.agents[index]
        agent.link.is_up = True
        if self.master is not None:
            membership.heard_of_agent(self.master, agent.id)
            if agent.id not in self.master.agents:
                agent.join(self.master)

    async def add_agent(self, config: AgentConfig) -> int:
        """Add an agent and return its index."""
        assert self.master is not None
        await self._start_agent(config, self.master)
        return len(self.agents) - 1

    async def restart_master(
        self, *, with_memory: bool = True, down_s: float = 0.0, agents_return_after_s: float = 0.0
    ) -> None:
        """Kill the master and start another on the same port.

        Args:
            with_memory: its registry still knows the agents (and so it waits for them before it
                answers about unknown tasks).
            down_s: how long nobody listens.
            agents_return_after_s: how long agents take to notice the new master.
        """
        old = self.master
        known = frozenset(old.agents) if old is not None and with_memory else frozenset[str]()
        port = self._server.port
        self.stop_master()
        if down_s > 0:
            await asyncio.sleep(down_s)
        await self._server.start(self._host, port)
        master = self._start_master(known)
        if old is not None and with_memory:
            master.gone = old.gone
            for agent_id in known:
                membership.expect_agent(master, agent_id)
        if agents_return_after_s > 0:
            await asyncio.sleep(agents_return_after_s)
        for agent in self.agents:
            if agent.is_alive and agent.link.is_up and self.master is master:
                agent.join(master)

    def stop_master(self) -> None:
        """Kill the master; `restart_master` starts another."""
        if self.master is not None:
            self.master.stop()
            self.master = None
        for agent in self.agents:
            agent.master = None
        self._server.stop()

    def rescind_offers(self) -> int:
        """Take every outstanding offer back and say so; return how many."""
        master = self.master
        offer_ids = list(master.offers) if master is not None else []
        for offer_id in offer_ids:
            assert master is not None
            master.rescind(offer_id)
        return len(offer_ids)

    def cut_connections(self) -> None:
        """Cut every connection to the master; it goes on."""
        self._server.cut()

    def end_virtual_task(self, task_id: str, state: str, message: str = "") -> bool:
        """Have a virtual task reach a state by itself; return whether there is such a task."""
        for agent in self.agents:
            for task in agent.tasks.values():
                if task.id == task_id and agent.config.is_virtual:
                    agent.virtual.report(task, state, message or None)
                    return True
        return False


def make_agent_configs(
    count: int,
    *,
    cpus: float = 4.0,
    mem_mib: float = 4096.0,
    disk_mib: float = 20_000.0,
    is_virtual: bool = False,
) -> list[AgentConfig]:
    """Return configs of like agents with an attribute `rack` each; virtual ones have own names."""
    return [
        AgentConfig(
            hostname=f"agent{number}.local" if is_virtual else "127.0.0.1",
            cpus=cpus,
            mem_mib=mem_mib,
            disk_mib=disk_mib,
            attributes={"rack": f"r{number}"},
            is_virtual=is_virtual,
        )
        for number in range(1, count + 1)
    ]
