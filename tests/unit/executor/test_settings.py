"""What the agent's environment means."""

import pytest

from executor.http import Address
from executor.settings import BadEnvironment, read_settings

# As a Mesos 1.12 agent sets it.
ENV = {
    "MESOS_EXECUTOR_ID": "x1",
    "MESOS_CHECKPOINT": "1",
    "MESOS_HTTP_COMMAND_EXECUTOR": "0",
    "MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD": "2secs",
    "MESOS_SUBSCRIPTION_BACKOFF_MAX": "2secs",
    "MESOS_AGENT_ENDPOINT": "127.0.0.1:7251",
    "MESOS_SANDBOX": "/sandbox",
    "MESOS_RECOVERY_TIMEOUT": "15mins",
    "MESOS_FRAMEWORK_ID": "f-0000",
    "MESOS_DIRECTORY": "/directory",
}


def test_the_environment_of_a_real_agent_is_understood() -> None:
    settings = read_settings(ENV)
    assert settings.agent == Address("127.0.0.1", 7251)
    assert settings.checkpoint
    assert settings.recovery_timeout_s == 900
    assert settings.subscription_backoff_max_s == 2
    assert settings.shutdown_grace_s == 2
    assert settings.sandbox == "/sandbox"
    assert settings.max_tasks == 50


@pytest.mark.parametrize(("text", "means"), [("1", True), ("0", False), ("", False)])
def test_checkpointing_is_on_only_where_the_text_is_1(text: str, means: bool) -> None:
    assert read_settings({**ENV, "MESOS_CHECKPOINT": text}).checkpoint is means


def test_an_ipv6_endpoint_and_a_domain_socket_are_understood() -> None:
    env = {**ENV, "MESOS_AGENT_ENDPOINT": "[::1]:5051", "MESOS_DOMAIN_SOCKET": "/run/x.sock"}
    address = read_settings(env).agent
    assert address == Address("::1", 5051, "/run/x.sock")
    assert address.authority == "[::1]:5051"


def test_the_token_is_kept_but_never_shown() -> None:
    settings = read_settings({**ENV, "MESOS_EXECUTOR_AUTHENTICATION_TOKEN": "t0ken"})
    assert settings.token == "t0ken"
    assert "t0ken" not in repr(settings)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MESOS_EXECUTOR_ID", ""),
        ("MESOS_AGENT_ENDPOINT", "nowhere"),
        ("MESOS_AGENT_ENDPOINT", "host:port"),
        ("MESOS_RECOVERY_TIMEOUT", "soon"),
        ("MESOS_RECOVERY_TIMEOUT", "15"),
        ("EGRET_EXECUTOR_MAX_TASKS", "0"),
        ("EGRET_EXECUTOR_FETCH_MAX_MIB", "-1"),
    ],
)
def test_what_cannot_be_read_is_named(name: str, value: str) -> None:
    with pytest.raises(BadEnvironment, match=name):
        read_settings({**ENV, name: value})
