"""Read what an operator sets, once, from four places; the first that says something wins.

    flag                 --mesos-user web
    environment          EGRET_MESOS_USER=web
    configuration file   mesos-user = "web"        (TOML; --config FILE or EGRET_CONFIG)
    default              root

Every problem found is reported, not only the first. Secrets are read from files, never given as
values, and are hidden when the configuration is shown. ``OPTIONS`` is the only list of options:
the command line and docs/configuration.md follow it.
"""

import ipaddress
import socket
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from attrs import field, frozen

from scheduler.core.settings import Settings


class ConfigError(Exception):
    """The configuration cannot be used; one line for each problem."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@frozen(repr=False)
class Secret:
    """Text that does not show itself."""

    _text: str

    def reveal(self) -> str:
        """Give the text to whoever has to send it."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(***)"


@frozen
class HostPort:
    """Where to listen."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def is_anywhere(self) -> bool:
        """Whether it stands for every address of this machine, and is none itself."""
        return self.host in {"0.0.0.0", "::"}  # noqa: S104 - compared, not bound

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@frozen
class StoreChoice:
    """``path`` is None for a store in memory."""

    path: Path | None


@frozen
class Config:
    """Everything that can be set. One field for each option, named after its flag."""

    master: str = field(repr=lambda text: repr(_without_password(text)))
    store: StoreChoice
    http: HostPort
    http_receipt_timeout_s: float
    http_connections_max: int
    insecure: bool
    hostname: str
    webui_url: str
    framework_name: str
    mesos_user: str
    mesos_role: str
    mesos_principal: str | None
    mesos_secret: Secret | None
    mesos_ca: Path | None
    mesos_client_cert: Path | None
    mesos_client_key: Path | None
    failover_timeout_s: float
    containerizers: frozenset[str]
    gpus: bool
    consul: str | None
    """None: no discovery."""
    consul_mode: str
    consul_agent_url: str | None
    consul_token_file: Path | None
    consul_ca: Path | None
    consul_deregister_timeout_s: float
    discovery_default: str
    launch_confirm_timeout_s: float
    launch_timeout_s: float
    kill_retry_s: float
    decline_s: float
    reconcile_interval_s: float
    service_ports: tuple[int, int]
    deployments_max: int
    versions_max: int
    health_checks_max: int
    brake_percent: int
    brake_instances_min: int
    brake_agents_min: int
    metrics_default: str
    log_format: str
    log_level: str

    @property
    def public_address(self) -> str:
        """``host:port`` under which others reach the API."""
        return str(HostPort(self.hostname, self.http.port) if self.http.is_anywhere else self.http)

    @property
    def host_names(self) -> frozenset[str] | None:
        """What requests may call this scheduler by; None: anything, for it is open on purpose."""
        if self.insecure:
            return None
        shown = urlsplit(self.webui_url).hostname or ""
        return frozenset({self.http.host.lower(), self.hostname.lower(), shown})

    @property
    def as_marathon(self) -> dict[str, Any]:
        """The same by the names and in the units of Marathon's flags, as /v2/info shows them."""
        return {
            "master": _without_password(self.master),
            "hostname": self.hostname,
            "webui_url": self.webui_url,
            "framework_name": self.framework_name,
            "mesos_user": self.mesos_user,
            "mesos_role": self.mesos_role,
            "features": ["secrets", *(["gpu_resources"] if self.gpus else [])],
            "failover_timeout": round(self.failover_timeout_s),
            "checkpoint": True,
            "ha": False,
            "task_launch_timeout": _ms(self.launch_timeout_s),
            "task_launch_confirm_timeout": _ms(self.launch_confirm_timeout_s),
            "reconciliation_interval": _ms(self.reconcile_interval_s),
            "decline_offer_duration": _ms(self.decline_s),
            "local_port_min": self.service_ports[0],
            "local_port_max": self.service_ports[1],
        }

    @property
    def settings(self) -> Settings:
        """What of it the core decides by."""
        return Settings(
            launch_confirm_timeout_ms=_ms(self.launch_confirm_timeout_s),
            launch_timeout_ms=_ms(self.launch_timeout_s),
            kill_retry_ms=_ms(self.kill_retry_s),
            deregister_timeout_ms=_ms(self.consul_deregister_timeout_s),
            discovery=self.consul is not None,
            decline_s=self.decline_s,
            reconcile_interval_ms=_ms(self.reconcile_interval_s),
            service_ports=self.service_ports,
            deployments_max=self.deployments_max,
            versions_max=self.versions_max,
            brake_share_milli=self.brake_percent * 10,
            brake_instances_min=self.brake_instances_min,
            brake_agents_min=self.brake_agents_min,
            roles=(self.mesos_role,),
        )


def _without_password(url: str) -> str:
    """Hide the password of zk://user:password@host.

    >>> _without_password("zk://egret:s3cret@h1,h2/mesos")
    'zk://egret:***@h1,h2/mesos'
    """
    credential, at, rest = url.rpartition("@")
    scheme, separator, pair = credential.partition("://")
    return f"{scheme}{separator}{pair.partition(':')[0]}:***@{rest}" if at else url


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


# ------------------------------------------------------------------- the options

Read = Callable[[str], Any]
"""Turns text into a value; raises ValueError with the reason that follows ``--flag: ``."""


def _text(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be empty")
    return text.strip()


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < 1e9:
        raise ValueError(f"{text!r} is no number of seconds")
    return seconds


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 1_000_000:
        raise ValueError(f"{text!r} is no number from 1 to 1000000")
    return int(text)


def _percent(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 100:
        raise ValueError(f"{text!r} is no number from 1 to 100")
    return int(text)


def _switch(text: str) -> bool:
    if text.lower() not in {"true", "false"}:
        raise ValueError(f"{text!r} is neither true nor false")
    return text.lower() == "true"


def _one_of(*choices: str) -> Read:
    def read(text: str) -> str:
        if text not in choices:
            raise ValueError(f"{text!r} is none of {', '.join(choices)}")
        return text

    return read


def _file(text: str) -> Path:
    path = Path(text)
    try:
        path.open("rb").close()
    except OSError as error:
        raise ValueError(f"cannot read {text}: {error.strerror}") from error
    return path


def _secret(text: str) -> Secret:
    return Secret(_file(text).read_text().strip())


def _store(text: str) -> StoreChoice:
    if text == "memory://":
        return StoreChoice(None)
    scheme, _, path = text.partition("://")
    if scheme != "sqlite" or not path.startswith("/") or path.endswith("/"):
        raise ValueError(f"{text!r} is neither sqlite:///absolute/path nor memory://")
    return StoreChoice(Path(path))


def _host_port(text: str) -> HostPort:
    parts = urlsplit(f"//{text}")
    try:
        port = parts.port
    except ValueError:
        port = None
    if not parts.hostname or port is None or parts.path or parts.username is not None:
        raise ValueError(f"{text!r} is not HOST:PORT")
    return HostPort(parts.hostname, port)


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"{text!r} is no http or https URL")
    return text.rstrip("/")


def _agent_url(text: str) -> str:
    left = text.replace("{host}", "host")
    if "{" in left or "}" in left:
        raise ValueError(f"{text!r} has another placeholder than {{host}}")
    _url(left)
    return text.rstrip("/")


def _consul(text: str) -> str | None:
    return None if text == "off" else _url(text)


def _containerizers(text: str) -> frozenset[str]:
    names = frozenset(name.strip() for name in text.split(","))
    if not names <= {"mesos", "docker"}:
        raise ValueError(f"{text!r} is no list of mesos and docker")
    return names


def _port_range(text: str) -> tuple[int, int]:
    first, dash, last = text.partition("-")
    if not (dash and first.isdecimal() and last.isdecimal()):
        raise ValueError(f"{text!r} is no range of ports such as 10000-20000")
    if not 0 < int(first) <= int(last) <= 65535:
        raise ValueError(f"{text!r} is no range of ports from 1 to 65535")
    return int(first), int(last)


def _role(text: str) -> str:
    # Mesos document "Roles": what the master would refuse, long after the start.
    if text in {"", ".", ".."} or text.startswith("-") or any(c in text for c in " \t/\\"):
        raise ValueError(f"{text!r} is no role name")
    return text


@frozen
class Option:
    """One option."""

    flag: str
    read: Read
    default: str | None
    """As text; None where there is none: then the value is None, or the option is required."""
    meaning: str
    marathon: str = "–"
    """The flag of Marathon 1.11 that it takes the place of."""
    metavar: str = "TEXT"
    name: str = ""
    """Field of Config, where it is not the flag's own name."""
    is_required: bool = False

    @property
    def field(self) -> str:
        """Name of the field of Config."""
        return self.name or self.flag.removeprefix("--").replace("-", "_")

    @property
    def key(self) -> str:
        """Name in a configuration file."""
        return self.flag.removeprefix("--")

    @property
    def variable(self) -> str:
        """Name in the environment."""
        return "EGRET_" + self.key.replace("-", "_").upper()

    @property
    def is_switch(self) -> bool:
        """Whether the flag alone means true."""
        return self.read is _switch


OPTIONS: tuple[Option, ...] = (
    Option(
        "--master", _text, None,
        "Mesos master: HOST:PORT, http(s)://HOST:PORT, several with commas, or zk://H1,H2/mesos",
        "--master", "ADDRESS", is_required=True,
    ),
    Option(
        "--store", _store, "sqlite:///var/lib/egret/egret.db",
        "where state is kept: sqlite:///absolute/path, or memory:// (lost with the process)",
        "--zk", "URL",
    ),
    Option("--http", _host_port, "127.0.0.1:8080", "where to serve the API and the web page",
           "--http_address, --http_port", "HOST:PORT"),
    Option("--http-receipt-timeout", _seconds, "15",
           "longest time for a request to arrive whole", metavar="SECONDS",
           name="http_receipt_timeout_s"),
    Option("--http-connections-max", _count, "100",
           "most connections from one address; this machine's own have no limit",
           metavar="NUMBER"),
    Option("--insecure", _switch, "false",
           "serve other machines, under any name, although nobody has to authenticate"),
    Option("--hostname", _text, None,
           "name under which others reach this scheduler; default: this machine's", "--hostname"),
    Option("--webui-url", _url, None,
           "shown by Mesos, and where agents fetch Egret's executor; default: as --http",
           "--webui_url", "URL"),
    Option("--framework-name", _text, "egret", "name at the Mesos master", "--framework_name"),
    Option("--mesos-user", _text, "root",
           "user that tasks run as unless their app says otherwise", "--mesos_user"),
    Option("--mesos-role", _role, "*", "role to be offered resources for", "--mesos_role"),
    Option("--mesos-principal", _text, None, "principal to authenticate with",
           "--mesos_authentication_principal"),
    Option("--mesos-secret-file", _secret, None, "file that holds the principal's secret",
           "--mesos_authentication_secret_file", "FILE", name="mesos_secret"),
    Option("--mesos-ca", _file, None,
           "certificate authorities a https master is checked against; default: the system's",
           metavar="FILE"),
    Option("--mesos-client-cert", _file, None, "certificate to show to the master",
           metavar="FILE"),
    Option("--mesos-client-key", _file, None, "key of that certificate", metavar="FILE"),
    Option("--failover-timeout", _seconds, "604800",
           "how long Mesos keeps the tasks of a scheduler that stays away", "--failover_timeout",
           "SECONDS", name="failover_timeout_s"),
    Option("--containerizers", _containerizers, "mesos,docker",
           "what the agents can run; apps that need another are refused", metavar="LIST"),
    Option("--gpus", _switch, "false",
           "be offered agents with GPUs, and let apps ask for some",
           "--enable_features gpu_resources"),
    Option("--consul", _consul, "off", "Consul to register running tasks in, or off",
           metavar="URL|off"),
    Option("--consul-mode", _one_of("catalog", "agent"), "catalog",
           "register with synthetic nodes in the catalog, or with the agents", metavar="MODE"),
    Option("--consul-agent-url", _agent_url, None,
           "mode agent: where the Consul agent of a host is, such as http://{host}:8500;"
           " default: the one of --consul for all hosts", metavar="URL"),
    Option("--consul-token-file", _file, None, "file that holds the ACL token", metavar="FILE"),
    Option("--consul-ca", _file, None,
           "certificate authorities a https Consul is checked against", metavar="FILE"),
    Option("--consul-deregister-timeout", _seconds, "5",
           "longest wait for Consul before a task is killed", metavar="SECONDS",
           name="consul_deregister_timeout_s"),
    Option("--discovery-default", _one_of("all", "labelled", "off"), "all",
           "apps to register that say nothing themselves", metavar="WHICH"),
    Option("--launch-confirm-timeout", _seconds, "30",
           "a launch Mesos never mentions is asked about after this, then replaced",
           "--task_launch_confirm_timeout", "SECONDS", name="launch_confirm_timeout_s"),
    Option("--launch-timeout", _seconds, "300", "a task that does not run by then is killed",
           "--task_launch_timeout", "SECONDS", name="launch_timeout_s"),
    Option("--kill-retry", _seconds, "10", "a kill without effect is sent again after this",
           "--kill_retry_timeout", "SECONDS", name="kill_retry_s"),
    Option("--decline-duration", _seconds, "120",
           "how long Mesos keeps an offer from us that we cannot use",
           "--decline_offer_duration", "SECONDS", name="decline_s"),
    Option("--reconcile-interval", _seconds, "600", "time between two reconciliations",
           "--reconciliation_interval", "SECONDS", name="reconcile_interval_s"),
    Option("--service-ports", _port_range, "10000-20000",
           "given to apps that leave a service port open", "--local_port_min, --local_port_max",
           "FIRST-LAST"),
    Option("--deployments-max", _count, "100", "most deployments at a time",
           "--max_running_deployments", "NUMBER"),
    Option("--versions-max", _count, "50", "versions kept of each app", "--zk_max_versions",
           "NUMBER"),
    Option("--health-checks-max", _count, "256", "most health probes at a time",
           "--max_concurrent_marathon_health_checks", "NUMBER"),
    Option("--brake-percent", _percent, "50",
           "with more than this share of all instances ill or out of sight at once nothing is"
           " killed for its health or given up; 100: never",
           metavar="NUMBER"),
    Option("--brake-instances-min", _count, "5", "with fewer instances the brake does not engage",
           metavar="NUMBER"),
    Option("--brake-agents-min", _count, "3",
           "out of sight on fewer agents, tasks are given up all the same", metavar="NUMBER"),
    Option("--metrics-default", _one_of("prometheus", "json"), "prometheus",
           "what /metrics answers to a client that names no type; json is Marathon's",
           metavar="FORMAT"),
    Option("--log-format", _one_of("auto", "json", "pretty"), "auto",
           "auto is pretty on a terminal and json elsewhere", metavar="FORMAT"),
    Option("--log-level", _one_of("debug", "info", "warning", "error"), "info",
           "least important lines to log", "--logging_level", "LEVEL"),
)  # fmt: skip

CONFIG_VARIABLE = "EGRET_CONFIG"


# --------------------------------------------------------------------- reading them


def load_config(flags: Mapping[str, str], environment: Mapping[str, str]) -> Config:
    """Build the configuration.

    Args:
        flags: field name → text, of the flags that were given; ``config`` names the file.
        environment: the process's.

    Raises:
        ConfigError: with every problem there is.
    """
    problems: list[str] = []
    from_file = _read_file(flags.get("config") or environment.get(CONFIG_VARIABLE), problems)
    values: dict[str, Any] = {}
    for option in OPTIONS:
        sources = (
            (flags.get(option.field), option.flag),
            (environment.get(option.variable), option.variable),
            (from_file.get(option.key), f"{option.key} in the configuration file"),
            (option.default, option.flag),
        )
        text, origin = next(((text, name) for text, name in sources if text is not None), ("", ""))
        values[option.field] = None
        if origin:
            try:
                values[option.field] = option.read(text)
            except ValueError as error:
                problems.append(f"{origin}: {error}")
        elif option.is_required:
            problems.append(f"{option.flag} (or {option.variable}) is missing")
    if not problems:
        _fill_in(values)
        problems = _contradictions(values)
    if problems:
        raise ConfigError(problems)
    return Config(**values)


def _read_file(name: str | None, problems: list[str]) -> dict[str, str]:
    if not name:
        return {}
    try:
        content = tomllib.loads(Path(name).read_text())
    except (OSError, ValueError) as error:
        problems.append(f"configuration file {name}: {error}")
        return {}
    known = {option.key for option in OPTIONS}
    texts: dict[str, str] = {}
    for key, value in content.items():
        if key not in known:
            problems.append(f"configuration file {name}: {key} is no option")
        elif isinstance(value, bool):
            texts[key] = str(value).lower()
        elif isinstance(value, str | int | float):
            texts[key] = str(value)
        else:
            problems.append(f"configuration file {name}: {key} must be text or a number")
    return texts


def _fill_in(values: dict[str, Any]) -> None:
    """Give the options that follow from others their values."""
    hostname, http = values["hostname"], values["http"]
    values["hostname"] = hostname or socket.gethostname()
    if values["webui_url"] is None:
        # The machine's own name may mean nothing elsewhere: only what listens anywhere needs it.
        is_own = http.is_loopback or (hostname is None and not http.is_anywhere)
        host = http.host if is_own else values["hostname"]
        values["webui_url"] = f"http://{HostPort(host, http.port)}"


def _contradictions(values: dict[str, Any]) -> list[str]:
    problems: list[str] = []
    http: HostPort = values["http"]
    if not http.is_loopback and not values["insecure"]:
        problems.append(
            f"--http {http} lets other machines in, and nobody has to authenticate:"
            " give --insecure to want that, or listen on 127.0.0.1"
        )
    if values["consul_agent_url"] is not None and values["consul_mode"] != "agent":
        problems.append("--consul-agent-url has a meaning only with --consul-mode agent")
    if (values["mesos_secret"] is None) != (values["mesos_principal"] is None):
        problems.append("--mesos-principal and --mesos-secret-file belong together")
    if (values["mesos_client_cert"] is None) != (values["mesos_client_key"] is None):
        problems.append("--mesos-client-cert and --mesos-client-key belong together")
    return problems


def options_table() -> str:
    """Write the options as the Markdown table of docs/configuration.md."""
    lines = ["| flag | environment | default | meaning | Marathon |", "|---|---|---|---|---|"]
    for option in OPTIONS:
        flag = option.flag if option.is_switch else f"{option.flag} {option.metavar}"
        default = f"`{option.default}`" if option.default is not None else "–"
        marathon = f"`{option.marathon}`" if option.marathon != "–" else "–"
        meaning = option.meaning.replace("|", "\\|")
        escaped = flag.replace("|", "\\|")
        lines.append(f"| `{escaped}` | `{option.variable}` | {default} | {meaning} | {marathon} |")
    return "\n".join(lines) + "\n"
