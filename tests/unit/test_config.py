"""Four places, one frozen configuration, every problem named."""

from pathlib import Path

import pytest
from attrs import fields

from scheduler.app import _driver_config
from scheduler.config import (
    OPTIONS,
    Config,
    ConfigError,
    HostPort,
    Secret,
    StoreChoice,
    load_config,
    options_table,
)

DOCUMENT = Path(__file__).parents[2] / "docs/configuration.md"
MASTER = {"master": "m:5050"}


def problems_of(flags: dict[str, str], environment: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_config({**MASTER, **flags}, environment or {})
    return caught.value.problems


def test_flags_come_before_the_environment_before_the_file_before_the_default(tmp_path: Path):
    file = tmp_path / "egret.toml"
    file.write_text(
        'mesos-user = "file"\nframework-name = "file"\nhostname = "file"\ninsecure = true\n'
        "consul-deregister-timeout = 2.5\n"
    )
    config = load_config(
        {**MASTER, "mesos_user": "flag"},
        {
            "EGRET_CONFIG": str(file),
            "EGRET_MESOS_USER": "environment",
            "EGRET_FRAMEWORK_NAME": "environment",
        },
    )
    assert config.mesos_user == "flag"
    assert config.framework_name == "environment"
    assert config.hostname == "file"
    assert config.insecure is True
    assert config.consul_deregister_timeout_s == 2.5
    assert config.mesos_role == "*"


def test_a_master_alone_is_enough():
    config = load_config(MASTER, {})
    assert config.store == StoreChoice(Path("/var/lib/egret/egret.db"))
    assert config.http == HostPort("127.0.0.1", 8080)
    assert config.webui_url == "http://127.0.0.1:8080"
    assert config.consul is None
    assert config.settings.discovery is False
    assert config.settings.deregister_timeout_ms == 5_000


def test_the_core_gets_what_was_set():
    config = load_config(
        {
            **MASTER,
            "consul": "http://c:8500/",
            "consul_deregister_timeout_s": "0.5",
            "mesos_role": "shop",
            "launch_timeout_s": "7",
        },
        {},
    )
    assert config.consul == "http://c:8500"
    assert config.settings.discovery is True
    assert config.settings.deregister_timeout_ms == 500
    assert config.settings.launch_timeout_ms == 7_000
    assert config.settings.roles == ("shop",)


def test_every_problem_is_reported_at_once():
    with pytest.raises(ConfigError) as caught:
        load_config({"http": "nonsense", "log_level": "loud"}, {"EGRET_FAILOVER_TIMEOUT": "a week"})
    assert caught.value.problems == [
        "--master (or EGRET_MASTER) is missing",
        "--http: 'nonsense' is not HOST:PORT",
        "EGRET_FAILOVER_TIMEOUT: 'a week' is no number of seconds",
        "--log-level: 'loud' is none of debug, info, warning, error",
    ]


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("master", " "),
        ("store", "sqlite://relative/egret.db"),
        ("store", "sqlite:///folder/"),
        ("store", "postgres:///x"),
        ("http", "host"),
        ("http", "host:99999"),
        ("http", "http://host:80"),
        ("webui_url", "ftp://x"),
        ("consul", "localhost:8500"),
        ("containerizers", "mesos,podman"),
        ("service_ports", "10000"),
        ("service_ports", "20000-10000"),
        ("service_ports", "0-10"),
        ("service_ports", "1-65536"),
        ("metrics_default", "xml"),
        ("consul_mode", "magic"),
        ("consul_agent_url", "{host}:8500"),
        ("consul_agent_url", "http://{agent}:8500"),
        ("mesos_role", "a/b"),
        ("mesos_role", "-a"),
        ("mesos_secret", "/does/not/exist"),
        ("failover_timeout_s", "-1"),
        ("failover_timeout_s", "nan"),
        ("deployments_max", "0"),
        ("deployments_max", "1.5"),
    ],
)
def test_a_value_that_cannot_be_used_is_named_by_its_flag(field: str, text: str):
    [option] = [option for option in OPTIONS if option.field == field]
    [problem] = problems_of({field: text})
    assert problem.startswith(f"{option.flag}: ")


@pytest.mark.parametrize("address", ["0.0.0.0:80", "10.0.0.1:80", "[::]:80", "example.org:80"])
def test_other_machines_are_let_in_only_on_purpose(address: str):
    [problem] = problems_of({"http": address})
    assert "--insecure" in problem
    assert load_config({**MASTER, "http": address, "insecure": "true"}, {}).insecure


@pytest.mark.parametrize("address", ["127.0.0.1:80", "127.8.8.8:80", "[::1]:80", "localhost:80"])
def test_the_machine_itself_is_always_let_in(address: str):
    assert load_config({**MASTER, "http": address}, {}).http.is_loopback


def test_the_names_it_goes_by_are_those_it_was_given():
    """A page of another site may let its own name mean this machine."""
    given = {**MASTER, "hostname": "H1.example", "webui_url": "https://Egret.example:9/x"}
    names = load_config(given, {}).host_names
    assert names == {"127.0.0.1", "h1.example", "egret.example"}
    assert load_config({**given, "insecure": "true"}, {}).host_names is None


def test_the_address_for_others_is_never_the_one_that_means_anywhere():
    config = load_config({**MASTER, "http": "0.0.0.0:80", "insecure": "true", "hostname": "h1"}, {})
    assert config.public_address == "h1:80"
    assert config.webui_url == "http://h1:80"


def test_an_address_that_is_one_is_shown_to_others_unless_a_name_is_given():
    """Agents fetch from there, and may not know this machine by the name it gives itself."""
    own = {**MASTER, "http": "10.0.0.9:80", "insecure": "true"}
    assert load_config(own, {}).webui_url == "http://10.0.0.9:80"
    assert load_config({**own, "hostname": "h1"}, {}).webui_url == "http://h1:80"


def test_things_that_belong_together_are_given_together(tmp_path: Path):
    file = tmp_path / "file"
    file.write_text("x")
    assert problems_of({"mesos_principal": "egret"})
    assert problems_of({"mesos_client_cert": str(file)})


def test_the_consul_agents_have_an_address_only_where_they_are_used():
    """A flag that does nothing in the mode that is set would be taken for done."""
    url = {"consul_agent_url": "http://{host}:8500/"}
    assert problems_of(url)
    config = load_config({**MASTER, **url, "consul_mode": "agent"}, {})
    assert config.consul_agent_url == "http://{host}:8500"


def test_secrets_do_not_show_themselves(tmp_path: Path):
    file = tmp_path / "secret"
    file.write_text("s3cret\n")
    config = load_config(
        {
            "master": "zk://egret:zkpass@h1,h2/mesos",
            "mesos_principal": "egret",
            "mesos_secret": str(file),
        },
        {},
    )
    assert config.mesos_secret is not None
    assert config.mesos_secret.reveal() == "s3cret"
    assert "s3cret" not in repr(config) + str(Secret("s3cret"))
    assert "zkpass" not in repr(config) + repr(config.as_marathon)
    assert config.master == "zk://egret:zkpass@h1,h2/mesos"


def test_the_file_may_hold_nothing_else(tmp_path: Path):
    file = tmp_path / "egret.toml"
    file.write_text('mesos-usr = "x"\nhttp = [1]\n')
    assert [problem.rpartition(": ")[2] for problem in problems_of({"config": str(file)})] == [
        "mesos-usr is no option",
        "http must be text or a number",
    ]
    file.write_text("= broken")
    assert str(file) in problems_of({"config": str(file)})[0]
    assert "absent.toml" in problems_of({"config": str(tmp_path / "absent.toml")})[0]


def test_every_option_has_a_field_and_every_field_an_option():
    assert [option.field for option in OPTIONS if option.field] != []
    assert {option.field for option in OPTIONS} == {field.name for field in fields(Config)}


def test_the_document_holds_the_table_of_options():
    """To mend it: python -c "from scheduler.config import *; print(options_table())"."""
    assert options_table() in DOCUMENT.read_text()


@pytest.mark.parametrize("gpus", [True, False])
def test_gpus_are_asked_of_mesos_exactly_if_apps_may_have_them(gpus: bool):
    flags = {"master": "h:5050", "gpus": str(gpus).lower()}
    config = load_config(flags, {})
    assert ("GPU_RESOURCES" in _driver_config(config).framework.capabilities) is gpus
    assert config.as_marathon["features"] == ["secrets", *(["gpu_resources"] if gpus else [])]
