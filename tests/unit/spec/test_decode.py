"""What an app's JSON means: defaults, old spellings, and every rule with its path."""

import pytest

from scheduler.core.app import (
    UNLIMITED,
    ContainerType,
    Network,
    NetworkMode,
    PortDefinition,
    PortMapping,
    SecretRef,
)
from scheduler.core.ids import AppId, GroupId
from scheduler.spec import InvalidInput, SpecRules, decode_app, to_json

RULES = SpecRules()
GPUS = SpecRules(features=frozenset({"gpu_resources"}))


def spec_of(fields, rules=RULES, **kwargs):
    return decode_app({"id": "/a", "cmd": "true", **fields}, rules, **kwargs).spec


def problems_of(fields, rules=RULES, **kwargs):
    with pytest.raises(InvalidInput) as refused:
        decode_app(fields, rules, **kwargs)
    return {problem.path: problem.message for problem in refused.value.problems}


def problem_paths(fields, rules=RULES):
    return set(problems_of({"id": "/a", "cmd": "true", **fields}, rules))


def test_the_smallest_app_gets_marathons_defaults():
    assert to_json(decode_app({"id": "/a", "cmd": "true"}, RULES).spec) == {
        "id": "/a",
        "cmd": "true",
        "cpus": 1,
        "mem": 128,
        "disk": 0,
        "gpus": 0,
        "instances": 1,
        "executor": "",
        "labels": {},
        "networks": [{"mode": "host"}],
        "portDefinitions": [{"port": 0, "name": "default", "protocol": "tcp"}],
        "requirePorts": False,
        "role": "*",
        "backoffSeconds": 1,
        "backoffFactor": 1.15,
        "maxLaunchDelaySeconds": 300,
        "killSelection": "YOUNGEST_FIRST",
        "unreachableStrategy": {"inactiveAfterSeconds": 0, "expungeAfterSeconds": 0},
        "upgradeStrategy": {"minimumHealthCapacity": 1, "maximumOverCapacity": 1},
    }


def test_every_field_is_shown_again_as_it_was_posted():
    posted = {
        "id": "/shop/web",
        "args": ["serve", "-v"],
        "cpus": 0.125,
        "mem": 64,
        "disk": 10,
        "gpus": 2,
        "instances": 7,
        "executor": "/opt/executor",
        "executorResources": {"cpus": 0.2, "mem": 64, "disk": 20},
        "resourceLimits": {"cpus": "unlimited", "mem": 256},
        "user": "nobody",
        "env": {"A": "1", "B": {"secret": "pw"}},
        "labels": {"tier": "front"},
        "fetch": [
            {
                "uri": "https://x/y.tgz",
                "extract": False,
                "executable": True,
                "cache": True,
                "destPath": "y",
            }
        ],
        "container": {
            "type": "MESOS",
            "docker": {
                "image": "web:1",
                "forcePullImage": True,
                "privileged": False,
                "parameters": [],
                "pullConfig": {"secret": "pw"},
            },
            "linuxInfo": {"ipcInfo": {"mode": "PRIVATE", "shmSize": 16}},
            "volumes": [
                {"containerPath": "/data", "hostPath": "/srv", "mode": "RO"},
                {"containerPath": "/pw", "secret": "pw"},
            ],
            "portMappings": [
                {
                    "containerPort": 80,
                    "hostPort": 0,
                    "servicePort": 10001,
                    "name": "http",
                    "protocol": "udp,tcp",
                    "labels": {"VIP_0": "/web:80"},
                    "networkNames": ["net1"],
                }
            ],
        },
        "networks": [
            {"mode": "container", "name": "net1", "labels": {"x": "y"}},
            {"mode": "container", "name": "net2"},
        ],
        "requirePorts": False,
        "healthChecks": [
            {
                "protocol": "HTTP",
                "path": "/health",
                "portIndex": 0,
                "gracePeriodSeconds": 1,
                "intervalSeconds": 2,
                "timeoutSeconds": 3,
                "maxConsecutiveFailures": 0,
                "delaySeconds": 4,
                "ignoreHttp1xx": True,
                "ipProtocol": "IPv4",
            },
            {
                "protocol": "COMMAND",
                "command": {"value": "true"},
                "gracePeriodSeconds": 1,
                "intervalSeconds": 2,
                "timeoutSeconds": 3,
                "maxConsecutiveFailures": 3,
                "delaySeconds": 4,
                "ipProtocol": "IPv4",
            },
        ],
        "check": {
            "http": {"portIndex": 0, "path": "/c", "scheme": "HTTPS"},
            "intervalSeconds": 1,
            "timeoutSeconds": 2,
            "delaySeconds": 3,
        },
        "readinessChecks": [
            {
                "name": "ready",
                "protocol": "HTTP",
                "path": "/ready",
                "portName": "http",
                "intervalSeconds": 30,
                "timeoutSeconds": 10,
                "httpStatusCodesForReady": [200, 204],
                "preserveLastResponse": True,
            }
        ],
        "constraints": [["hostname", "UNIQUE"], ["rack", "LIKE", "r-.*"]],
        "acceptedResourceRoles": ["*"],
        "role": "*",
        "backoffSeconds": 5,
        "backoffFactor": 2,
        "maxLaunchDelaySeconds": 60,
        "upgradeStrategy": {"minimumHealthCapacity": 0.7, "maximumOverCapacity": 0.25},
        "killSelection": "OLDEST_FIRST",
        "taskKillGracePeriodSeconds": 9,
        "unreachableStrategy": {"inactiveAfterSeconds": 60, "expungeAfterSeconds": 120},
        "secrets": {"pw": {"source": "vault/pw"}},
        "tty": True,
        "dependencies": ["/shop/db"],
        "discovery": {
            "enabled": True,
            "services": [
                {"name": "web", "portName": "http", "tags": ["a"], "meta": {"team": "shop"}}
            ],
        },
        "update": {
            "order": "startFirst",
            "maxParallel": 2,
            "minHealthySeconds": 5,
            "healthyDeadlineSeconds": 60,
            "progressDeadlineSeconds": 600,
            "autoRevert": True,
            "canaryInstances": 1,
            "autoPause": False,
        },
        "restartPolicy": {
            "mode": "onFailure",
            "attempts": 3,
            "intervalSeconds": 60,
            "delaySeconds": 1,
        },
    }
    decoded = decode_app(posted, GPUS)
    assert decoded.ignored == ()
    assert to_json(decoded.spec) == posted


def test_what_the_api_adds_to_an_app_may_be_sent_back():
    shown = {"id": "/a", "cmd": "true", "tasksRunning": 3, "version": "x", "versionInfo": 1}
    assert decode_app(shown, RULES).ignored == ()


def test_unknown_fields_are_ignored_but_named():
    decoded = decode_app(
        {
            "id": "/a",
            "cmd": "true",
            "replicas": 3,
            "healthChecks": [{"path": "/", "interval": 1}],
            "env": {"S": {"secret": "x", "why": 1}},
            "secrets": {"x": {"source": "y"}},
        },
        RULES,
    )
    assert set(decoded.ignored) == {"/replicas", "/healthChecks(0)/interval", "/env/S/why"}


# ------------------------------------------------------------------------ types


@pytest.mark.parametrize(
    ("field", "value", "path"),
    [
        ("instances", "3", "/instances"),
        ("instances", True, "/instances"),
        ("instances", 1.5, "/instances"),
        ("instances", 2**63, "/instances"),
        ("cpus", "1", "/cpus"),
        ("cpus", False, "/cpus"),
        ("requirePorts", 1, "/requirePorts"),
        ("cmd", 1, "/cmd"),
        ("args", "serve", "/args"),
        ("args", {"a": 1}, "/args"),
        ("args", ["a", None], "/args(1)"),
        ("env", [], "/env"),
        ("env", {"A": 1}, "/env/A"),
        ("labels", {"A": None}, "/labels/A"),
        ("container", [], "/container"),
        ("container", {"docker": {"image": ["x"]}}, "/container/docker/image"),
        ("healthChecks", [{}, 3], "/healthChecks(1)"),
        ("constraints", [["hostname", 1]], "/constraints(0)(1)"),
        ("unreachableStrategy", 3, "/unreachableStrategy"),
        ("resourceLimits", {"cpus": []}, "/resourceLimits/cpus"),
    ],
)
def test_a_wrong_type_is_malformed_and_named_by_its_path(field, value, path):
    with pytest.raises(InvalidInput) as refused:
        decode_app({"id": "/a", "cmd": "true", field: value}, RULES)
    assert refused.value.is_malformed
    assert [problem.path for problem in refused.value.problems] == [path]


def test_all_wrong_types_are_told_at_once():
    bad = {"id": 1, "cpus": "x", "env": {"A": 1, "B": []}, "ports": [0, "1"]}
    paths = set(problems_of(bad))
    assert paths == {"/id", "/cpus", "/env/A", "/env/B", "/ports(1)"}


def test_a_whole_number_may_be_written_with_a_fraction_of_zero():
    assert spec_of({"instances": 3.0}).instances == 3


def test_null_means_not_given():
    spec = spec_of({"instances": None, "env": None, "container": None, "upgradeStrategy": None})
    assert spec == spec_of({})


# -------------------------------------------------------------------- quantities


def test_quantities_are_exact_integers_inside():
    spec = spec_of({"cpus": 0.1, "mem": 100.2, "disk": 0.5})
    assert spec.resources.cpus_milli == 100
    assert spec.resources.mem_mib == 101
    assert spec.resources.disk_mib == 1


def test_limits_may_be_unlimited():
    limits = spec_of({"resourceLimits": {"cpus": "unlimited", "mem": 512}}).limits
    assert limits is not None
    assert (limits.cpus_milli, limits.mem_mib) == (UNLIMITED, 512)


# ------------------------------------------------------------------ old spellings


def test_ports_become_port_definitions():
    spec = spec_of({"ports": [0, 8080], "requirePorts": True})
    assert spec.port_definitions == (PortDefinition(0), PortDefinition(8080))
    assert "ports" not in to_json(spec)


def test_an_empty_list_of_ports_means_no_port():
    assert spec_of({"portDefinitions": []}).port_definitions == ()


def test_uris_become_fetches_that_extract_archives():
    fetch = spec_of({"uris": ["http://x/a.tar.gz?v=1", "http://x/b.jar"]}).fetch
    assert [(f.uri, f.extract) for f in fetch] == [
        ("http://x/a.tar.gz?v=1", True),
        ("http://x/b.jar", False),
    ]


def test_docker_bridge_networking_of_old_becomes_a_bridge_with_host_ports():
    spec = spec_of(
        {
            "container": {
                "docker": {
                    "image": "x",
                    "network": "BRIDGE",
                    "portMappings": [{"containerPort": 80}],
                }
            }
        }
    )
    assert spec.networks == (Network(NetworkMode.BRIDGE),)
    assert spec.port_definitions is None
    assert spec.container is not None
    assert spec.container.port_mappings == (PortMapping(container_port=80, host_port=0),)


def test_docker_host_networking_of_old_drops_the_mappings():
    spec = spec_of(
        {"container": {"docker": {"image": "x", "network": "HOST", "portMappings": [{}]}}}
    )
    assert spec.networks == (Network(NetworkMode.HOST),)
    assert spec.port_definitions == (PortDefinition(name="default"),)
    assert spec.container is not None
    assert spec.container.port_mappings == ()


def test_ip_address_of_old_becomes_a_container_network():
    spec = spec_of(
        {
            "ipAddress": {
                "networkName": "dcos",
                "labels": {"a": "b"},
                "discovery": {"ports": [{"number": 80, "name": "http"}]},
            }
        }
    )
    assert spec.networks == (Network(NetworkMode.CONTAINER, "dcos", (("a", "b"),)),)
    assert spec.container is not None
    assert spec.container.type is ContainerType.MESOS
    assert spec.container.port_mappings == (PortMapping(container_port=80, name="http"),)


def test_the_mesos_bridge_named_in_ip_address_is_a_bridge():
    spec = spec_of({"ipAddress": {"networkName": "mesos-bridge"}})
    assert spec.networks == (Network(NetworkMode.BRIDGE),)


def test_container_networking_gets_one_default_mapping():
    spec = spec_of({"networks": [{"mode": "container/bridge"}]})
    assert spec.container is not None
    assert spec.container.port_mappings == (PortMapping(name="default", host_port=0),)


def test_an_empty_list_of_mappings_means_no_port():
    spec = spec_of(
        {
            "networks": [{"mode": "container/bridge"}],
            "container": {"type": "MESOS", "portMappings": []},
        }
    )
    assert spec.container is not None
    assert spec.container.port_mappings == ()


def test_require_ports_means_nothing_off_the_hosts_network():
    spec = spec_of({"networks": [{"mode": "container/bridge"}], "requirePorts": True})
    assert not spec.require_ports


def test_a_network_without_a_name_gets_the_clusters_default():
    rules = SpecRules(default_network_name="calico")
    assert spec_of({"networks": [{"mode": "container"}]}, rules).networks[0].name == "calico"


def test_a_health_check_without_a_port_asks_the_first_one():
    check = spec_of({"healthChecks": [{}]}).health_checks[0]
    assert (check.port_index, check.path) == (0, "/")


def test_a_single_instance_app_is_stopped_before_it_is_started():
    spec = spec_of({"labels": {"MARATHON_SINGLE_INSTANCE_APP": "true"}})
    assert spec.upgrade_strategy.minimum_health_capacity_milli == 0
    assert spec.upgrade_strategy.maximum_over_capacity_milli == 0


def test_an_unreachable_task_may_be_waited_for_without_end():
    spec = spec_of({"unreachableStrategy": "disabled"})
    assert spec.unreachable_strategy is None
    assert to_json(spec)["unreachableStrategy"] == "disabled"


def test_a_secret_is_referred_to_by_name_and_never_looked_up():
    posted = {"env": {"A": {"secret": "s"}}, "secrets": {"s": {"source": "vault/x"}}}
    spec = spec_of(posted)
    assert (spec.env, spec.secrets) == ((("A", SecretRef("s")),), (("s", "vault/x"),))
    shown = to_json(spec)
    assert {name: shown[name] for name in posted} == posted


def mesos_container(**fields):
    return {"container": {"type": "MESOS", "docker": {"image": "x"}, **fields}}


SECRET_VOLUME = {"containerPath": "/run/pw", "secret": "s"}
PULLED = {"image": "x", "pullConfig": {"secret": "s"}}


@pytest.mark.parametrize(
    ("fields", "path", "message"),
    [
        ({"env": {"A": {"secret": "s"}}}, "/env/A", "references an undefined secret"),
        (
            mesos_container(volumes=[SECRET_VOLUME]),
            "/container/volumes(0)",
            "volume.secret must refer to an existing secret",
        ),
        (
            mesos_container(docker=PULLED),
            "/container/docker/pullConfig",
            "pullConfig.secret must refer to an existing secret",
        ),
    ],
)
def test_a_secret_that_is_referred_to_must_be_defined(fields, path, message):
    posted = {"id": "/a", "cmd": "true", **fields, "secrets": {"other": {"source": "x"}}}
    assert problems_of(posted) == {path: message}
    posted["secrets"]["s"] = {"source": "y"}
    assert decode_app(posted, RULES).spec.secrets == (("other", "x"), ("s", "y"))


@pytest.mark.parametrize(
    ("container", "path"),
    [
        ({"docker": PULLED}, "/container/docker/pullConfig"),
        (
            {"docker": {"image": "x"}, "volumes": [SECRET_VOLUME]},
            "/container/volumes(0)/secret",
        ),
    ],
)
def test_docker_containers_take_secrets_in_their_environment_only(container, path):
    secrets = {"s": {"source": "x"}}
    assert problem_paths({"container": container, "secrets": secrets}) == {path}
    fields = {"container": {"docker": {"image": "x"}}, "env": {"A": {"secret": "s"}}}
    assert spec_of({**fields, "secrets": secrets}).env == (("A", SecretRef("s")),)


@pytest.mark.parametrize(
    ("secrets", "path"),
    [
        ({"": {"source": "x"}}, "/secrets"),
        ({"s": {}}, "/secrets/s/source"),
        ({"s": {"source": ""}}, "/secrets/s/source"),
    ],
)
def test_a_secret_has_a_name_and_a_source(secrets, path):
    assert problem_paths({"secrets": secrets}) == {path}


def test_a_secret_is_text_or_a_reference_and_nothing_else():
    assert problem_paths({"env": {"A": {"source": "x"}}}) == {"/env/A/secret"}
    assert problem_paths({"secrets": {"s": "x"}}) == {"/secrets/s"}


# --------------------------------------------------------------------------- ids


@pytest.mark.parametrize(
    "app_id", ["/A", "/a_b", "/-a", "/a-", "/a b", "/", "/a/restart", "/a/tasks", "/a/../..", "/é"]
)
def test_ids_with_odd_characters_or_reserved_ends_are_refused(app_id):
    assert set(problems_of({"id": app_id, "cmd": "true"})) == {"/id"}


def test_relative_ids_are_resolved_against_the_group():
    decoded = decode_app(
        {"id": "web", "cmd": "true", "dependencies": ["db", "../queue", "/x"]},
        RULES,
        base=GroupId("/shop"),
    )
    assert decoded.spec.id == "/shop/web"
    assert decoded.spec.dependencies == ("/queue", "/shop/db", "/x")


def test_an_app_must_be_inside_its_group():
    found = problems_of({"id": "/b/web", "cmd": "true"}, base=GroupId("/shop"))
    assert found == {"/id": "identifier /b/web is not child of /shop"}


def test_the_id_in_the_body_must_be_the_one_of_the_path():
    assert set(problems_of({"id": "/b", "cmd": "true"}, app_id=AppId("/a"))) == {"/id"}


# -------------------------------------------------------------------------- rules


@pytest.mark.parametrize(
    ("fields", "paths"),
    [
        ({"cmd": None}, {"/"}),
        ({"args": ["x"]}, {"/"}),
        ({"cmd": ""}, {"/cmd", "/"}),
        ({"cmd": "a\0b"}, {"/cmd"}),
        ({"cpus": 0}, {"/cpus"}),
        ({"mem": -1}, {"/mem"}),
        ({"instances": -1}, {"/instances"}),
        ({"instances": 100_001}, {"/instances"}),
        ({"backoffFactor": 0.5}, {"/backoffFactor"}),
        ({"executor": "//x"}, {"/executor"}),
        ({"gpus": 1}, {"/gpus"}),
        ({"resourceLimits": {"cpus": 0.5}}, {"/resourceLimits/cpus"}),
        ({"resourceLimits": {"mem": "lots"}}, {"/resourceLimits/mem"}),
        ({"uris": ["a"], "fetch": [{"uri": "b"}]}, {"/uris"}),
        ({"fetch": [{"uri": "a b"}]}, {"/fetch(0)/uri"}),
        ({"fetch": [{}]}, {"/fetch(0)/uri"}),
        ({"fetch": [{"uri": "x", "destPath": "../y"}]}, {"/fetch(0)/destPath"}),
        ({"portDefinitions": [{"port": 1}, {"port": 1}]}, {"/portDefinitions"}),
        ({"portDefinitions": [{"name": "x"}, {"name": "x"}]}, {"/portDefinitions"}),
        ({"portDefinitions": [{"name": "UPPER"}]}, {"/portDefinitions(0)/name"}),
        ({"ports": [1], "portDefinitions": [{"port": 2}]}, {"/"}),
        ({"ports": [70000]}, {"/ports(0)"}),
        ({"networks": [{"mode": "host"}, {"mode": "container/bridge"}]}, {"/networks"}),
        ({"networks": [{"mode": "container"}]}, {"/networks"}),
        ({"networks": [{"mode": "host", "name": "x"}]}, {"/networks"}),
        ({"networks": [{"mode": "void"}]}, {"/networks(0)/mode", "/networks"}),
        ({"container": {"type": "DOCKER"}}, {"/container/docker"}),
        (
            {"container": {"docker": {"image": "x", "credential": {}}}},
            {"/container/docker/credential"},
        ),
        (
            {"container": {"docker": {"image": "x", "network": "NONE"}}},
            {"/container/docker/network"},
        ),
        ({"healthChecks": [{"portIndex": 1}]}, {"/healthChecks(0)"}),
        ({"healthChecks": [{"protocol": "COMMAND"}]}, {"/healthChecks(0)"}),
        ({"healthChecks": [{}, {}]}, {"/healthChecks"}),
        ({"portDefinitions": [], "healthChecks": [{}]}, {"/healthChecks(0)"}),
        ({"healthChecks": [{"path": "no/slash"}]}, {"/healthChecks(0)"}),
        ({"healthChecks": [{"protocol": "MESOS_TCP"}, {"protocol": "MESOS_HTTP"}]}, {"/"}),
        ({"check": {}}, {"/check"}),
        ({"check": {"tcp": {}}}, {"/check/tcp"}),
        ({"readinessChecks": [{}]}, {"/readinessChecks(0)/portName"}),
        ({"constraints": [["hostname"]]}, {"/constraints(0)"}),
        ({"constraints": [["hostname", "NEAR"]]}, {"/constraints(0)"}),
        ({"constraints": [["hostname", "UNIQUE", "x"]]}, {"/constraints(0)"}),
        ({"constraints": [["hostname", "MAX_PER", "x"]]}, {"/constraints(0)"}),
        ({"constraints": [["hostname", "LIKE", "("]]}, {"/constraints(0)"}),
        ({"constraints": [["hostname", "LIKE"]]}, {"/constraints(0)"}),
        ({"constraints": [["hostname", "IS", "[1]"]]}, {"/constraints(0)"}),
        ({"acceptedResourceRoles": []}, {"/acceptedResourceRoles"}),
        ({"acceptedResourceRoles": ["prod"]}, {"/acceptedResourceRoles"}),
        ({"role": "prod"}, {"/role"}),
        (
            {"upgradeStrategy": {"minimumHealthCapacity": 1.1}},
            {"/upgradeStrategy/minimumHealthCapacity"},
        ),
        (
            {"unreachableStrategy": {"inactiveAfterSeconds": 2, "expungeAfterSeconds": 1}},
            {"/unreachableStrategy/inactiveAfterSeconds"},
        ),
        ({"unreachableStrategy": "enabled"}, {"/unreachableStrategy"}),
        (
            {"labels": {"MARATHON_SINGLE_INSTANCE_APP": "true"}, "instances": 2},
            {"/instances"},
        ),
        ({"labels": {"DCOS_MIGRATION_API_VERSION": "v1"}}, {"/"}),
        ({"env": {"": "x"}}, {"/env/"}),
        ({"dependencies": ["a"]}, {"/dependencies(0)"}),
        (
            {"discovery": {"services": [{"name": "x", "portIndex": 4}]}},
            {"/discovery/services(0)/portIndex"},
        ),
        ({"discovery": {"services": [{}]}}, {"/discovery/services(0)/name"}),
        ({"restartPolicy": {"mode": "sometimes"}}, {"/restartPolicy/mode"}),
    ],
)
def test_each_rule_names_its_path(fields, paths):
    assert problem_paths(fields) == paths


@pytest.mark.parametrize(
    ("volume", "path"),
    [
        ({"containerPath": "d", "mode": "RW", "persistent": {"size": 1}}, "persistent"),
        ({"containerPath": "d", "mode": "RW", "external": {"provider": "dvdi"}}, "external"),
        (
            {
                "containerPath": "d",
                "mode": "RW",
                "external": {"provider": "csi", "options": {"capability": {"accessMode": "x"}}},
            },
            "external",
        ),
    ],
)
def test_volumes_that_can_never_run_are_refused_by_path(volume, path):
    fields = {"container": {"type": "MESOS", "volumes": [volume]}}
    assert problem_paths(fields) == {f"/container/volumes(0)/{path}"}


def test_seccomp_is_refused_by_path():
    fields = {"container": {"type": "MESOS", "linuxInfo": {"seccomp": {"unconfined": True}}}}
    assert problem_paths(fields) == {"/container/linuxInfo/seccomp"}


def test_a_docker_app_is_refused_where_no_agent_runs_docker():
    rules = SpecRules(containerizers=frozenset({"MESOS"}))
    assert problem_paths({"container": {"docker": {"image": "x"}}}, rules) == {"/container/type"}


@pytest.mark.parametrize(
    "fields",
    [
        {"container": {"type": "MESOS"}},
        {"networks": [{"mode": "container", "name": "net"}]},
        {"tty": True},
    ],
)
def test_egrets_executor_is_refused_where_it_would_need_a_container(fields):
    assert spec_of({"executor": "egret"}).executor == "egret"
    assert problem_paths({"executor": "egret", **fields}) == {"/executor"}


def test_egrets_executor_is_refused_secrets_that_nobody_would_look_up():
    """The agent does that for the containers it makes, not for tasks inside a shared executor."""
    env = {"A": {"secret": "s"}, "B": "text"}
    fields = {"executor": "egret", "env": env, "secrets": {"s": {"source": "x"}}}
    assert problem_paths(fields) == {"/env/A"}


def test_egrets_executor_is_refused_limits_that_it_cannot_keep():
    fields = {"executor": "egret", "resourceLimits": {"cpus": "unlimited"}}
    assert problem_paths(fields) == {"/resourceLimits"}


def test_every_broken_rule_is_told_at_once():
    found = problem_paths(
        {"instances": -1, "healthChecks": [{"portIndex": 9}], "constraints": [["a", "b"]]}
    )
    assert found == {"/instances", "/healthChecks(0)", "/constraints(0)"}


def test_the_error_body_is_marathons():
    with pytest.raises(InvalidInput) as refused:
        decode_app({"id": "/a", "cmd": "true", "ports": [-1]}, RULES)
    assert refused.value.to_json() == {
        "message": "Object is not valid",
        "details": [{"path": "/ports(0)", "errors": ["must be at least 0"]}],
    }


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"mem": 1e300}, "/mem"),
        ({"cpus": 1e300}, "/cpus"),
        ({"disk": -1e300}, "/disk"),
        ({"resourceLimits": {"cpus": 1e300}}, "/resourceLimits/cpus"),
        ({"resourceLimits": {"mem": 2e12}}, "/resourceLimits/mem"),
    ],
)
def test_amounts_beyond_all_measure_are_refused_not_computed(fields, path):
    with pytest.raises(InvalidInput) as refused:
        decode_app({"id": "/a", "cmd": "x", **fields}, SpecRules())
    assert path in [problem.path for problem in refused.value.problems]
    assert not refused.value.is_malformed


def test_a_word_that_is_no_choice_is_refused_wherever_it_stands():
    fields = {
        "unreachableStrategy": {"onReturn": "maybe"},
        "killSelection": "maybe",
        "update": {"order": "maybe"},
        "restartPolicy": {"mode": "maybe"},
        "networks": [{"mode": "maybe"}],
        "container": {"type": "maybe"},
        "healthChecks": [{"protocol": "maybe"}],
        "constraints": [["hostname", "maybe"]],
    }
    with pytest.raises(InvalidInput) as refused:
        decode_app({"id": "/a", "cmd": "x", **fields}, SpecRules())
    assert {problem.path for problem in refused.value.problems} >= {
        "/unreachableStrategy/onReturn",
        "/killSelection",
        "/update/order",
        "/restartPolicy/mode",
        "/networks(0)/mode",
        "/container/type",
        "/healthChecks(0)/protocol",
        "/constraints(0)",
    }
