"""Find the scheduler to talk to.

In this order: `--server`, $EGRET_SERVER, the configuration file, a running `egret local`, and
http://127.0.0.1:8080. Where an address came from is kept, because a wrong one is only repaired
where it was given.
"""

import os
import tomllib
from pathlib import Path
from typing import Any

from attrs import frozen

from scheduler.cli.announcement import find_announcement
from scheduler.cli.failures import ExitCode, Failure

CONFIG_VARIABLE = "EGRET_CLI_CONFIG"
"""Not the scheduler's $EGRET_CONFIG: the two files hold different settings."""
DEFAULT_SERVER = "http://127.0.0.1:8080"


@frozen
class Server:
    url: str
    origin: str
    """Where the address was found, in words."""


def config_path() -> Path:
    """Return the user's configuration file, which need not exist."""
    named = os.environ.get(CONFIG_VARIABLE)
    if named:
        return Path(named)
    home = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(home) / "egret" / "config.toml"


def find_server(option: str | None) -> Server:
    """Return the scheduler's base URL.

    Raises:
        Failure: the configuration file cannot be read.
    """
    if option:
        return Server(_url(option), "given by --server")
    variable = os.environ.get("EGRET_SERVER")
    if variable:
        return Server(_url(variable), "from $EGRET_SERVER")
    configured = _read_config().get("server")
    if configured is not None:
        return Server(_url(str(configured)), f"from {config_path()}")
    demo = find_announcement()
    if demo is not None:
        return Server(demo.server, f"the running `egret local`, process {demo.pid}")
    return Server(DEFAULT_SERVER, "the default")


def _url(text: str) -> str:
    url = text if "://" in text else f"http://{text}"
    return url.rstrip("/")


def _read_config() -> dict[str, Any]:
    path = config_path()
    try:
        with path.open("rb") as file:
            config = tomllib.load(file)
    except FileNotFoundError:
        if os.environ.get(CONFIG_VARIABLE):
            raise Failure(
                ExitCode.USAGE, f"{path} does not exist.", f"${CONFIG_VARIABLE} names it."
            ) from None
        return {}
    except (OSError, ValueError) as error:
        raise Failure(ExitCode.USAGE, f"{path} cannot be read: {error}") from None
    unknown = sorted(set(config) - {"server"})
    if unknown:
        raise Failure(
            ExitCode.USAGE,
            f"{path} holds unknown settings: {', '.join(unknown)}.",
            'Known: server = "http://HOST:PORT".',
        )
    return config
