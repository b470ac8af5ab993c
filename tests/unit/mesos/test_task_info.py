"""TaskInfos, field by field. Expected messages are written out as Mesos takes them."""

import base64
import json
from typing import Any

import pytest
from attrs import evolve

from scheduler.core.app import (
    UNLIMITED,
    Check,
    Container,
    ContainerType,
    Docker,
    Fetch,
    HealthCheck,
    HealthProtocol,
    HostVolume,
    LinuxInfo,
    Network,
    NetworkMode,
    PortDefinition,
    PortMapping,
    ResourceLimits,
    Resources,
    SecretRef,
    SecretVolume,
)
from scheduler.core.effects import Launch
from scheduler.core.executors import Executor, ExecutorId
from scheduler.mesos.executor_info import archive_name, is_fetchable
from scheduler.mesos.task_info import TaskNotBuildable, kill_policy, task_infos
from tests.unit.mesos.launches import VERSION, launch, pool

CHECKSUM = "0123456789abcdef" * 4
NAME = archive_name(CHECKSUM)
EXECUTOR = Executor(
    ExecutorId("egret-the-first-task"),
    "www",
    "web",
    f"http://10.0.0.9:8080/downloads/{NAME}",
    (pool(),),
)
TASK_ID = "shop_web.instance-1._app.1"
BRIDGE = (Network(NetworkMode.BRIDGE),)


def build(one: Launch) -> dict[str, Any]:
    (info,) = task_infos((one,), "F1")
    assert not isinstance(info, TaskNotBuildable), info
    return json.loads(json.dumps(info))


def variables(info: dict[str, Any]) -> dict[str, str]:
    listed = info["command"]["environment"]["variables"]
    assert len({variable["name"] for variable in listed}) == len(listed)
    return {variable["name"]: variable.get("value", "") for variable in listed}


def test_a_plain_command():
    info = build(launch())
    environment = info["command"].pop("environment")
    assert environment["variables"]
    assert info == {
        "name": "web.shop",
        "task_id": {"value": TASK_ID},
        "agent_id": {"value": "S1"},
        "resources": [
            {
                "name": "cpus",
                "type": "SCALAR",
                "scalar": {"value": 0.1},
                "allocation_info": {"role": "web"},
            },
            {
                "name": "mem",
                "type": "SCALAR",
                "scalar": {"value": 32.0},
                "allocation_info": {"role": "web"},
            },
        ],
        "command": {"shell": True, "value": "sleep 100"},
        "discovery": {"visibility": "FRAMEWORK", "name": "web.shop", "ports": {"ports": []}},
    }


def test_resources_of_several_reservations_are_echoed_as_they_were_offered():
    reservations = [{"role": "web", "type": "STATIC"}]
    reserved = pool(
        8080, role="web", reservation=json.dumps(reservations), disk_mib=10, gpus=1, mem_mib=0
    )
    info = build(launch(pools=(reserved, pool(31000, cpus_milli=50)), ports=(8080, 31000)))
    allocated = {"allocation_info": {"role": "web"}}
    own = {**allocated, "reservations": reservations}
    assert info["resources"] == [
        {"name": "cpus", "type": "SCALAR", "scalar": {"value": 0.1}, **own},
        {"name": "disk", "type": "SCALAR", "scalar": {"value": 10.0}, **own},
        {"name": "gpus", "type": "SCALAR", "scalar": {"value": 1.0}, **own},
        {
            "name": "ports",
            "type": "RANGES",
            "ranges": {"range": [{"begin": 8080, "end": 8080}]},
            **own,
        },
        {"name": "cpus", "type": "SCALAR", "scalar": {"value": 0.05}, **allocated},
        {"name": "mem", "type": "SCALAR", "scalar": {"value": 32.0}, **allocated},
        {
            "name": "ports",
            "type": "RANGES",
            "ranges": {"range": [{"begin": 31000, "end": 31000}]},
            **allocated,
        },
    ]


def test_args_without_an_image_are_a_program_and_its_arguments():
    command = build(launch(cmd=None, args=("/bin/echo", "a b")))["command"]
    assert command["shell"] is False
    assert command["value"] == "/bin/echo"
    assert command["arguments"] == ["/bin/echo", "a b"]


def test_args_with_an_image_go_to_its_entry_point():
    container = Container(docker=Docker("nginx"))
    command = build(launch(cmd=None, args=("-g", "x"), container=container))["command"]
    assert command["shell"] is False
    assert "value" not in command
    assert command["arguments"] == ["-g", "x"]


def test_an_image_alone_runs_its_own_command():
    command = build(launch(cmd=None, container=Container(docker=Docker("nginx"))))["command"]
    assert command["shell"] is False
    assert "value" not in command
    assert command["arguments"] == []


def test_user_fetch_labels_grace_and_limits():
    info = build(
        launch(
            user="www",
            fetch=(Fetch("http://x/a.tgz"), Fetch("http://x/b", False, True, True, "c/b")),
            labels=(("team", "shop"),),
            kill_grace_s=30,
            limits=ResourceLimits(cpus_milli=1500, mem_mib=UNLIMITED),
        )
    )
    assert info["command"]["user"] == "www"
    assert info["command"]["uris"] == [
        {"value": "http://x/a.tgz", "extract": True, "executable": False, "cache": False},
        {
            "value": "http://x/b",
            "extract": False,
            "executable": True,
            "cache": True,
            "output_file": "c/b",
        },
    ]
    assert info["labels"] == {"labels": [{"key": "team", "value": "shop"}]}
    assert info["kill_policy"] == {"grace_period": {"nanoseconds": 30_000_000_000}}
    assert info["limits"] == {"cpus": {"value": 1.5}, "mem": {"value": "Infinity"}}


def test_no_grace_period_leaves_it_to_mesos():
    assert kill_policy(None) is None
    assert kill_policy(0) == {"grace_period": {"nanoseconds": 0}}


# ---------------------------------------------------------------- environment


def test_the_variables_marathon_generates():
    one = launch(
        resources=Resources(cpus_milli=1000, mem_mib=128, disk_mib=0, gpus=0),
        container=Container(ContainerType.MESOS, Docker("nginx:1")),
        labels=(("my-team", "a"), ("Role", "b"), ("long", "x" * 512), ("almost", "x" * 511)),
    )
    assert variables(build(one)) == {
        "MESOS_TASK_ID": TASK_ID,
        "MARATHON_APP_ID": "/shop/web",
        "MARATHON_APP_VERSION": VERSION,
        "MARATHON_APP_DOCKER_IMAGE": "nginx:1",
        "MARATHON_APP_RESOURCE_CPUS": "1.0",
        "MARATHON_APP_RESOURCE_MEM": "128.0",
        "MARATHON_APP_RESOURCE_DISK": "0.0",
        "MARATHON_APP_RESOURCE_GPUS": "0",
        "MARATHON_APP_LABELS": "MY_TEAM ROLE ALMOST",
        "MARATHON_APP_LABEL_MY_TEAM": "a",
        "MARATHON_APP_LABEL_ROLE": "b",
        "MARATHON_APP_LABEL_ALMOST": "x" * 511,
        "HOST": "agent1.test",
    }


def port_variables(one: Launch) -> dict[str, str]:
    return {name: value for name, value in variables(build(one)).items() if name.startswith("PORT")}


def test_port_variables_of_host_networking():
    definitions = (PortDefinition(0, "http-api"), PortDefinition(8080), PortDefinition(0))
    assert port_variables(launch(ports=(31005, 31001, 31002), port_definitions=definitions)) == {
        "PORT": "31005",
        "PORTS": "31005,31001,31002",
        "PORT0": "31005",
        "PORT1": "31001",
        "PORT2": "31002",
        "PORT_31005": "31005",
        "PORT_8080": "31001",
        "PORT_31002": "31002",
        "PORT_HTTP_API": "31005",
    }


def test_port_variables_of_container_networking():
    mappings = (
        PortMapping(container_port=80, host_port=0, name="http"),
        PortMapping(container_port=9000),
        PortMapping(container_port=0, host_port=0),
    )
    one = launch(
        ports=(31005, 31006),
        networks=BRIDGE,
        container=Container(docker=Docker("nginx"), port_mappings=mappings),
    )
    assert port_variables(one) == {
        "PORT": "31005",
        "PORTS": "31005,9000,31006",
        "PORT0": "31005",
        "PORT1": "9000",
        "PORT2": "31006",
        "PORT_80": "31005",
        "PORT_9000": "9000",
        "PORT_31006": "31006",
        "PORT_HTTP": "31005",
    }


def test_an_app_without_ports_gets_no_port_variables():
    assert port_variables(launch()) == {}


def test_the_users_own_variable_wins_over_a_generated_one():
    assert variables(build(launch(env=(("HOST", "mine"), ("A", "b")))))["HOST"] == "mine"


def test_secrets_are_named_and_never_seen():
    info = build(launch(env=(("PW", SecretRef("db")),), secrets=(("db", "path/to/pw"),)))
    (variable,) = [v for v in info["command"]["environment"]["variables"] if v["name"] == "PW"]
    assert variable == {
        "name": "PW",
        "type": "SECRET",
        "secret": {"type": "REFERENCE", "reference": {"name": "path/to/pw"}},
    }


def test_a_docker_container_is_given_secrets_in_its_environment_all_the_same():
    env, secrets = (("PW", SecretRef("db")),), (("db", "path/to/pw"),)
    info = build(launch(container=Container(docker=Docker("x")), env=env, secrets=secrets))
    sources = [
        variable["secret"]["reference"]["name"]
        for variable in info["command"]["environment"]["variables"]
        if variable["type"] == "SECRET"
    ]
    assert sources == ["path/to/pw"]


def test_secrets_of_a_custom_executor_are_looked_up_for_its_own_container():
    env, secrets = (("PW", SecretRef("db")),), (("db", "path/to/pw"),)
    info = build(launch(executor="/opt/mine", env=env, secrets=secrets))
    variables = info["executor"]["command"]["environment"]["variables"]
    (variable,) = [v for v in variables if v["name"] == "PW"]
    assert variable["secret"] == {"type": "REFERENCE", "reference": {"name": "path/to/pw"}}


# ------------------------------------------------------- containers, networks, ports


def test_docker_on_the_bridge():
    mappings = (
        PortMapping(80, 0, name="web", protocol="udp,tcp", labels=(("VIP_0", "/x:80"),)),
        PortMapping(9000),
        PortMapping(0, 0),
    )
    docker = Docker("nginx", force_pull_image=True, privileged=True, parameters=(("a", "b"),))
    volumes = (HostVolume("/data", "/srv", "RO"),)
    info = build(
        launch(
            ports=(31005, 31006),
            networks=BRIDGE,
            container=Container(docker=docker, port_mappings=mappings, volumes=volumes),
        )
    )
    assert info["container"] == {
        "type": "DOCKER",
        "volumes": [{"container_path": "/data", "host_path": "/srv", "mode": "RO"}],
        "docker": {
            "image": "nginx",
            "network": "BRIDGE",
            "privileged": True,
            "force_pull_image": True,
            "parameters": [{"key": "a", "value": "b"}],
            "port_mappings": [
                {"host_port": 31005, "container_port": 80, "protocol": "udp"},
                {"host_port": 31005, "container_port": 80, "protocol": "tcp"},
                {"host_port": 31006, "container_port": 31006, "protocol": "tcp"},
            ],
        },
    }
    scope = {"key": "network-scope", "value": "host"}
    vip = {"key": "VIP_0", "value": "/x:80"}
    assert info["discovery"]["ports"]["ports"] == [
        {"number": 31005, "protocol": "udp", "labels": {"labels": [vip, scope]}, "name": "web"},
        {"number": 31005, "protocol": "tcp", "labels": {"labels": [vip, scope]}, "name": "web"},
        {"number": 31006, "protocol": "tcp", "labels": {"labels": [scope]}},
    ]


def test_docker_on_the_hosts_network_and_on_a_network_of_the_users():
    plain = build(launch(container=Container(docker=Docker("nginx"))))["container"]
    assert plain["docker"]["network"] == "HOST"
    assert "network_infos" not in plain
    networks = (Network(NetworkMode.CONTAINER, "dcos", (("a", "b"),)),)
    user = build(launch(networks=networks, container=Container(docker=Docker("nginx"))))
    assert user["container"]["docker"]["network"] == "USER"
    assert user["container"]["network_infos"] == [
        {"name": "dcos", "labels": {"labels": [{"key": "a", "value": "b"}]}}
    ]


def test_an_image_in_a_mesos_container_on_two_networks():
    container = Container(
        ContainerType.MESOS,
        Docker("nginx", force_pull_image=True, pull_config_secret="reg"),
        volumes=(SecretVolume("/run/pw", "db"),),
        port_mappings=(PortMapping(80, 0), PortMapping(9000, network_names=("b",))),
        linux_info=LinuxInfo("SHARE_PARENT", 64),
    )
    info = build(
        launch(
            ports=(31005,),
            networks=(Network(NetworkMode.CONTAINER, "a"), Network(NetworkMode.CONTAINER, "b")),
            container=container,
            secrets=(("reg", "r/s"), ("db", "d/s")),
        )
    )
    assert info["container"] == {
        "type": "MESOS",
        "volumes": [
            {
                "container_path": "/run/pw",
                "mode": "RO",
                "source": {
                    "type": "SECRET",
                    "secret": {"type": "REFERENCE", "reference": {"name": "d/s"}},
                },
            }
        ],
        "mesos": {
            "image": {
                "type": "DOCKER",
                "docker": {
                    "name": "nginx",
                    "config": {"type": "REFERENCE", "reference": {"name": "r/s"}},
                },
                "cached": False,
            }
        },
        "network_infos": [
            {
                "name": "a",
                "port_mappings": [{"host_port": 31005, "container_port": 80, "protocol": "tcp"}],
            },
            {"name": "b"},
        ],
        "linux_info": {"ipc_mode": "SHARE_PARENT", "shm_size": 64},
    }
    seen = [
        (port["number"], {pair["key"]: pair["value"] for pair in port["labels"]["labels"]})
        for port in info["discovery"]["ports"]["ports"]
    ]
    assert seen == [
        (31005, {"network-scope": "host"}),
        (80, {"network-scope": "container", "network-name": "a"}),
        (80, {"network-scope": "container", "network-name": "b"}),
        (9000, {"network-scope": "container", "network-name": "b"}),
    ]


def test_a_mesos_container_on_the_bridge_joins_the_bridge_of_mesos():
    container = Container(ContainerType.MESOS, port_mappings=(PortMapping(80, 0),))
    info = build(launch(ports=(31005,), networks=BRIDGE, container=container))["container"]
    assert info["network_infos"][0]["name"] == "mesos-bridge"
    assert "mesos" not in info


def test_a_terminal_needs_a_container_of_its_own():
    assert build(launch(tty=True))["container"] == {"type": "MESOS", "tty_info": {}}


# -------------------------------------------------------------------- checks


def test_checks_that_run_beside_the_task():
    http = HealthCheck(
        HealthProtocol.MESOS_HTTPS,
        path="/health",
        port_index=1,
        grace_period_s=5,
        interval_s=6,
        timeout_s=7,
        max_consecutive_failures=2,
        delay_s=1,
        ip_protocol="IPv6",
    )
    info = build(
        launch(
            ports=(31005, 31006),
            port_definitions=(PortDefinition(), PortDefinition()),
            health_checks=(HealthCheck(HealthProtocol.HTTP), http),
            check=Check("tcp", port_index=0, interval_s=3, timeout_s=2, delay_s=1),
        )
    )
    assert info["health_check"] == {
        "type": "HTTP",
        "http": {"port": 31006, "protocol": "IPv6", "scheme": "https", "path": "/health"},
        "delay_seconds": 1.0,
        "interval_seconds": 6.0,
        "timeout_seconds": 7.0,
        "grace_period_seconds": 5.0,
        "consecutive_failures": 2,
    }
    assert info["check"] == {
        "type": "TCP",
        "tcp": {"port": 31005},
        "delay_seconds": 1.0,
        "interval_seconds": 3.0,
        "timeout_seconds": 2.0,
    }


@pytest.mark.parametrize("protocol", [HealthProtocol.HTTP, HealthProtocol.TCP])
def test_checks_that_the_scheduler_probes_are_not_sent_to_mesos(protocol: HealthProtocol):
    assert "health_check" not in build(launch(health_checks=(HealthCheck(protocol),)))


def test_checks_beside_the_task_ask_the_containers_port():
    mappings = (PortMapping(80, 0), PortMapping(0, 0))
    container = Container(docker=Docker("nginx"), port_mappings=mappings)
    for index, port in ((0, 80), (1, 31006)):
        check = HealthCheck(HealthProtocol.MESOS_TCP, port_index=index)
        info = build(
            launch(
                ports=(31005, 31006), networks=BRIDGE, container=container, health_checks=(check,)
            )
        )
        assert info["health_check"]["tcp"] == {"port": port}
        assert info["health_check"]["type"] == "TCP"


def test_a_fixed_port_wins_over_an_index_and_commands_need_none():
    fixed = HealthCheck(HealthProtocol.MESOS_HTTP, port=4711)
    assert build(launch(health_checks=(fixed,)))["health_check"]["http"] == {
        "port": 4711,
        "scheme": "http",
        "path": "/",
    }
    command = HealthCheck(HealthProtocol.COMMAND, command="test -e x")
    health = build(launch(health_checks=(command,)))["health_check"]
    assert (health["type"], health["command"]) == ("COMMAND", {"shell": True, "value": "test -e x"})
    check = build(launch(check=Check("exec", command="true")))["check"]
    assert check["command"] == {"command": {"shell": True, "value": "true"}}
    assert build(launch(check=Check("http", port=1)))["check"]["http"] == {"port": 1, "path": "/"}


# ----------------------------------------------------------------- executors


def own_data(info: dict[str, Any]) -> dict[str, Any]:
    return json.loads(base64.b64decode(info["data"]))["egret"]


def test_egrets_executor_gets_the_command_in_the_tasks_data():
    command = HealthCheck(HealthProtocol.COMMAND, command="true")
    info = build(
        launch(executor="egret", user="www", runs_in=EXECUTOR, health_checks=(command, command))
    )
    assert "command" not in info
    own = own_data(info)
    assert own["command"]["value"] == "sleep 100"
    assert own["checks"] == [info["health_check"]]
    archive = f"egret-executor-{CHECKSUM}.pyz"
    allocated = {"allocation_info": {"role": "web"}}
    assert info["executor"] == {
        "executor_id": {"value": "egret-the-first-task"},
        "type": "CUSTOM",
        "framework_id": {"value": "F1"},
        "name": "Egret executor of /shop/web",
        "source": "egret",
        "command": {
            "shell": True,
            "value": f"echo '{CHECKSUM}  {archive}' | sha256sum -c - >&2"
            f" && exec python3 -I {archive}",
            "uris": [
                {
                    "value": f"http://10.0.0.9:8080/downloads/{archive}",
                    "extract": False,
                    "executable": False,
                    "cache": False,
                }
            ],
            "user": "www",
        },
        "resources": [
            {"name": "cpus", "type": "SCALAR", "scalar": {"value": 0.1}, **allocated},
            {"name": "mem", "type": "SCALAR", "scalar": {"value": 32.0}, **allocated},
        ],
    }


def test_tasks_of_one_executor_describe_it_with_the_same_words():
    """Else Mesos refuses every one but the first, whatever its own version of the app says."""
    one = build(launch(executor="egret", runs_in=EXECUTOR, ports=(31000,)))
    other = build(
        launch(number=2, executor="egret", runs_in=EXECUTOR, cmd="other", env=(("A", "b"),))
    )
    assert one["executor"] == other["executor"]


UNFIT = {
    "no executor was chosen": (None, "no address"),
    "nothing is served": (evolve(EXECUTOR, uri=""), "no address"),
    "another file": (evolve(EXECUTOR, uri="http://h/egret-executor.pyz"), "is no address"),
    "out of reach": (evolve(EXECUTOR, uri=f"http://127.0.0.1:8080/{NAME}"), "cannot reach"),
    "out of reach by name": (evolve(EXECUTOR, uri=f"http://localhost/{NAME}"), "--webui-url"),
}


@pytest.mark.parametrize("why", UNFIT)
def test_an_executor_that_no_agent_can_fetch_is_not_sent(why: str):
    executor, text = UNFIT[why]
    (info,) = task_infos((launch(executor="egret", runs_in=executor),), "F1")
    assert isinstance(info, TaskNotBuildable)
    assert text in str(info)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.1.2.3", ""])
def test_an_agent_on_the_schedulers_machine_can_fetch_from_loopback(address: str):
    assert is_fetchable("http://127.0.0.1:8080/x", address)
    assert is_fetchable("http://[::1]:8080/x", address)


def test_an_executor_given_by_its_path():
    info = build(launch(executor="/opt/my executor", cmd="run it"))
    assert "command" not in info
    assert info["executor"]["executor_id"] == {"value": f"marathon-{TASK_ID}"}
    assert info["executor"]["command"]["value"] == (
        "chmod ug+rx '/opt/my executor' && exec '/opt/my executor' run it"
    )


def test_the_command_executor_by_its_name():
    assert "command" in build(launch(executor="//cmd"))


@pytest.mark.parametrize(
    "odd",
    [
        launch(env=(("PW", SecretRef("nowhere")),)),
        launch(health_checks=(HealthCheck(HealthProtocol.MESOS_TCP, port_index=3),)),
        launch(executor="egret"),
        launch(pools=(pool(reservation="{"),)),
    ],
)
def test_a_task_that_cannot_be_described_is_named_and_the_others_are_built(odd: Launch):
    first, second = task_infos((odd, launch(number=2)), "F1")
    assert isinstance(first, TaskNotBuildable)
    assert "/shop/web" in str(first)
    assert isinstance(second, dict)


@pytest.mark.parametrize(
    "spec",
    [
        {"container": Container(docker=Docker("nginx"))},
        {"container": Container(type=ContainerType.MESOS)},
        {"networks": (Network(NetworkMode.CONTAINER, "net"),)},
    ],
)
def test_egrets_executor_runs_no_containers(spec: dict[str, Any]):
    (info,) = task_infos((launch(executor="egret", runs_in=EXECUTOR, **spec),), "F1")
    assert isinstance(info, TaskNotBuildable)
    assert "no containers" in str(info)
