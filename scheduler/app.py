"""Put the scheduler together: the one place that builds the rooms and joins them.

Start: listen for HTTP, campaign, load, then in every term discovery, health checks and, last,
Mesos, because from then on events arrive. Stop, on SIGTERM or SIGINT: the other way round, HTTP
first, so that no caller is left without an answer. Nothing is ever torn down: tasks, their
registrations and the framework stay as they are for the next start. A second signal ends the
process at once.
"""

import asyncio
import contextlib
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Generator
from importlib import metadata
from pathlib import Path
from random import Random

import structlog
import uvicorn
from attrs import evolve, frozen
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette

from executor.build import write_archive
from scheduler.api import ApiConfig, create_app
from scheduler.api.errors import ApiError
from scheduler.api.guard import HEADER_BYTES_MAX, Guard
from scheduler.config import Config
from scheduler.discovery import (
    ConsulAddress,
    DefaultDiscovery,
    Discovery,
    DiscoverySettings,
    Mode,
)
from scheduler.health import Prober, Readiness
from scheduler.mesos.driver import DriverConfig
from scheduler.mesos.endpoint import Credential, Scheme, Tls
from scheduler.mesos.executor_info import archive_name
from scheduler.mesos.framework import CAPABILITIES, Framework
from scheduler.mesos.link import Security
from scheduler.mesos.masters import Masters, parse_masters
from scheduler.runtime import NotLeader, Runtime, Surroundings, epoch_ms
from scheduler.runtime.discovery_room import DiscoveryRoom
from scheduler.runtime.health_room import HealthRoom
from scheduler.runtime.mesos_room import MesosRefused, MesosRoom, TeardownFailed
from scheduler.spec import FEATURE_GPUS, SpecRules, decode_spec, encode_spec
from scheduler.store import Codec, MemoryStore, SqliteStore, StaleEpoch, Store, StoreError
from scheduler.telemetry import Bus, LogFormat, Metrics, log_fact, set_up_logs
from scheduler.telemetry.dropwizard import to_dropwizard
from scheduler.telemetry.metrics import Labelled

_log = structlog.get_logger("app")

_VERSION = metadata.version("egret")
_GRACE_S = 5
"""Time for requests under way when the scheduler stops."""
_LAG_PERIOD_S = 1.0


def run_scheduler(config: Config) -> int:
    """Run until a signal or a fault; returns the exit status of the process.

    0: asked to stop. 1: must not or cannot go on, the log says why. 2: cannot start like this.
    """
    set_up_logs(LogFormat(config.log_format), config.log_level)
    _log.info("scheduler_starting", version=_VERSION, config=repr(config))
    if config.mesos_user == "root":
        _log.warning("tasks_run_as_root", advice="name another user with --mesos-user")
    if config.consul is None:
        _log.info("discovery_off", advice="register running tasks with --consul URL")
    try:
        _masters(config)
    except ValueError as error:
        _log.error("configuration_refused", option="--master", problem=str(error))
        return 2
    with contextlib.ExitStack() as stack:
        try:
            archive = _archive(stack.enter_context(_folder(config)))
        except OSError as error:
            _log.critical("cannot_write", problem=str(error))
            return 2
        return asyncio.run(_serve(config, archive))


@contextlib.contextmanager
def _folder(config: Config) -> Generator[Path]:
    """Give a place for the executor's archive: beside the store, where nothing piles up."""
    if config.store.path is not None:
        config.store.path.parent.mkdir(parents=True, exist_ok=True)
        yield config.store.path.parent
        return
    with tempfile.TemporaryDirectory(prefix="egret-") as folder:
        yield Path(folder)


async def _serve(config: Config, archive: Path) -> int:
    try:
        listener = _listen(config)
    except OSError as error:
        _log.error("cannot_listen", http=str(config.http), problem=error.strerror)
        return 2
    with listener:
        parts = _build(config, archive)
        stop = _stop_on_signals()
        server = _Server(_server_config(parts.api, _guard(config, parts.metrics)))
        serving = asyncio.create_task(server.serve(sockets=[listener]), name="http")
        leading = asyncio.create_task(parts.runtime.run(), name="runtime")
        watching = asyncio.create_task(_watch_lag(parts.metrics), name="lag")
        stopping = asyncio.create_task(stop.wait(), name="signals")
        _log.info("listening", url=config.webui_url)
        await asyncio.wait({serving, leading, stopping}, return_when=asyncio.FIRST_COMPLETED)
        _log.info("scheduler_stopping")
        parts.api.state.api.hub.close()
        server.should_exit = True
        await asyncio.wait({serving}, timeout=_GRACE_S + 1)
        parts.runtime.stop()
        await asyncio.wait({leading})
        for task in (watching, stopping, serving):
            task.cancel()
        return _status_of(leading)


def _status_of(leading: asyncio.Task[None]) -> int:
    error = leading.exception()
    if error is None:
        _log.info("scheduler_stopped")
        return 0
    if isinstance(error, StoreError | MesosRefused):
        _log.critical("scheduler_refuses", kind=type(error).__name__, problem=str(error))
    else:
        _log.critical("scheduler_failed", exc_info=error)
    return 1


# ---------------------------------------------------------------------- building


@frozen
class _Parts:
    runtime: Runtime
    api: Starlette
    metrics: Metrics


def _build(config: Config, archive: Path) -> _Parts:
    metrics, bus = Metrics(), Bus()
    bus.subscribe(metrics.on_fact)
    bus.subscribe(log_fact)
    settings = evolve(config.settings, executor_uri=f"{config.webui_url}/downloads/{archive.name}")
    runtime = Runtime(settings, _store(config), Surroundings(), metrics, bus)
    prober = Prober(
        runtime.post,
        epoch_ms,
        Random(),  # noqa: S311 - spreads probes over time, nothing to guess
        concurrency_max=config.health_checks_max,
    )
    mesos = MesosRoom(
        _driver_config(config),
        lambda: _masters(config),
        runtime.post,
        runtime.fail,
    )
    discovery = _discovery(config, runtime)
    if discovery is not None:
        runtime.add_room(DiscoveryRoom(discovery, bus, runtime.fail))
    health = HealthRoom(prober, Readiness(runtime.post, runtime.fail), runtime.fail)
    runtime.add_room(health)
    runtime.add_room(mesos)
    runtime.connect_mesos(mesos.send)
    _connect_metrics(metrics, runtime, mesos, prober, discovery)
    api_config = _api_config(config, metrics, runtime, mesos, archive)
    api_config = evolve(
        api_config,
        discovery=None if discovery is None else discovery.status,
        last_response=health.last_response,
    )
    api = create_app(runtime, api_config)
    return _Parts(runtime, api, metrics)


def _archive(folder: Path) -> Path:
    """Build the executor's archive, in one go for whoever reads it meanwhile; the last one goes."""
    built = folder / f".egret-executor.{os.getpid()}"
    archive = folder / archive_name(write_archive(built))
    for other in folder.glob(archive_name("*")):
        if other != archive:
            other.unlink(missing_ok=True)
    return built.replace(archive)


def _store(config: Config) -> Store:
    codec = Codec(encode_spec, decode_spec)
    if config.store.path is None:
        return MemoryStore(codec)
    return SqliteStore(config.store.path, codec)


def _masters(config: Config) -> Masters:
    speaks_tls = config.mesos_ca is not None or config.mesos_client_cert is not None
    scheme: Scheme = "https" if speaks_tls else "http"
    return parse_masters(config.master, scheme)


def _driver_config(config: Config) -> DriverConfig:
    credential = None
    if config.mesos_principal is not None and config.mesos_secret is not None:
        credential = Credential(config.mesos_principal, config.mesos_secret.reveal())
    return DriverConfig(
        framework=Framework(
            name=config.framework_name,
            user=config.mesos_user,
            roles=(config.mesos_role,),
            principal=config.mesos_principal,
            hostname=config.hostname,
            webui_url=config.webui_url,
            failover_timeout_s=int(config.failover_timeout_s),
            capabilities=(*CAPABILITIES, "GPU_RESOURCES") if config.gpus else CAPABILITIES,
        ),
        security=Security(
            Tls(
                _path(config.mesos_ca),
                _path(config.mesos_client_cert),
                _path(config.mesos_client_key),
            ),
            credential,
        ),
    )


def _path(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _discovery(config: Config, runtime: Runtime) -> Discovery | None:
    if config.consul is None:
        return None

    def on_stale() -> None:
        runtime.fail(StaleEpoch("Consul has seen a later leader"))

    return Discovery(
        DiscoverySettings(
            address=ConsulAddress(config.consul, config.consul_token_file, config.consul_ca),
            mode=Mode(config.consul_mode),
            default=DefaultDiscovery(config.discovery_default),
            agent_url=config.consul_agent_url,
        ),
        runtime.post,
        on_stale,
        epoch_ms,
    )


def _api_config(
    config: Config, metrics: Metrics, runtime: Runtime, mesos: MesosRoom, archive: Path
) -> ApiConfig:
    async def teardown() -> None:
        if not runtime.is_leading:
            raise NotLeader("this scheduler does not lead")
        try:
            await mesos.teardown()
        except TeardownFailed as error:
            raise ApiError(503, f"The framework was not torn down: {error}") from error
        # The framework is gone: there is nothing left to schedule for.
        asyncio.get_running_loop().call_later(1.0, os.kill, os.getpid(), signal.SIGTERM)

    def on_request(method: str, route: str, status: int, elapsed_s: float) -> None:
        metrics.api_requests.labels(method, route, str(status)).inc()
        metrics.api_request_s.labels(method, route).observe(elapsed_s)

    return ApiConfig(
        version=_VERSION,
        leader_address=config.public_address,
        host_names=config.host_names,
        rules=SpecRules(
            default_role=config.mesos_role,
            features=frozenset({FEATURE_GPUS}) if config.gpus else frozenset(),
            containerizers=frozenset(name.upper() for name in config.containerizers),
        ),
        marathon_config=config.as_marathon,
        downloads={archive.name: archive},
        render_metrics=lambda: (generate_latest(metrics.registry), CONTENT_TYPE_LATEST),
        collect_metrics=lambda: to_dropwizard(metrics.registry),
        metrics_default=config.metrics_default,
        on_request=on_request,
        teardown=teardown,
        abdicate=None if config.store.path is None else runtime.abdicate,
    )


def _connect_metrics(
    metrics: Metrics,
    runtime: Runtime,
    mesos: MesosRoom,
    prober: Prober,
    discovery: Discovery | None,
) -> None:
    def mesos_events() -> Labelled:
        return {(kind,): n for kind, n in mesos.stats.events.items()} if mesos.stats else {}

    def mesos_problems() -> Labelled:
        return {(kind,): n for kind, n in mesos.stats.problems.items()} if mesos.stats else {}

    def mesos_calls() -> Labelled:
        return dict(mesos.stats.calls) if mesos.stats else {}

    def probes() -> Labelled:
        return {(answer.value,): n for answer, n in prober.stats().probes.items()}

    sources = metrics.sources
    sources.world = lambda: runtime.world if runtime.is_leading else None
    sources.clock = epoch_ms
    sources.values |= {
        "egret_epoch": lambda: {(): runtime.epoch or 0},
        "egret_inbox_events": lambda: {(): runtime.inbox_length},
        "egret_mesos_events_total": mesos_events,
        "egret_mesos_problems_total": mesos_problems,
        "egret_mesos_calls_total": mesos_calls,
        "egret_health_checks": lambda: {(): prober.stats().checks},
        "egret_health_probes_in_flight": lambda: {(): prober.stats().in_flight},
        "egret_health_probe_lag_seconds": lambda: {(): prober.stats().lag_ms / 1000},
        "egret_health_probes_total": probes,
    }
    if discovery is not None:
        _connect_discovery_metrics(metrics, discovery)


def _connect_discovery_metrics(metrics: Metrics, discovery: Discovery) -> None:
    def synced() -> Labelled:
        sync = discovery.status().sync
        done = sync.pending == 0 and sync.last_error is None and sync.last_success_ms is not None
        return {(): done}

    metrics.sources.values |= {
        "egret_consul_synced": synced,
        "egret_consul_lag_seconds": lambda: {(): discovery.status().sync.lag_ms / 1000},
        "egret_consul_registrations": lambda: {(): discovery.status().sync.desired},
        "egret_consul_failures_total": lambda: {(): discovery.status().sync.failures},
    }


# ----------------------------------------------------------------------- running


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: this module decides when and how to stop."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Capture none."""
        yield


def _guard(config: Config, metrics: Metrics) -> Guard:
    return Guard(
        receipt_timeout_s=config.http_receipt_timeout_s,
        per_address_max=config.http_connections_max,
        on_cut=lambda reason: metrics.api_connections_cut.labels(reason).inc(),
    )


def _server_config(api: Starlette, guard: Guard) -> uvicorn.Config:
    return uvicorn.Config(
        api,
        http=guard.protocol(),
        h11_max_incomplete_event_size=HEADER_BYTES_MAX,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE_S,
    )


def _listen(config: Config) -> socket.socket:
    http = config.http
    family = socket.AF_INET6 if ":" in http.host else socket.AF_INET
    listener = socket.create_server((http.host, http.port), family=family, backlog=2048)
    listener.set_inheritable(False)
    return listener


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal(number: signal.Signals) -> None:
        if stop.is_set():
            sys.stderr.flush()
            os._exit(128 + number)
        _log.info("signal_received", signal=number.name)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    return stop


async def _watch_lag(metrics: Metrics) -> None:
    loop = asyncio.get_running_loop()
    while True:
        due_s = loop.time() + _LAG_PERIOD_S
        await asyncio.sleep(_LAG_PERIOD_S)
        metrics.on_loop_lag(max(0.0, loop.time() - due_s))
