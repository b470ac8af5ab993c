"""What holds for every definition and for every input, whoever wrote it."""

import json

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.core import app as model
from scheduler.core.ids import AppId
from scheduler.spec import (
    InvalidInput,
    SpecRules,
    decode_app,
    decode_spec,
    encode_spec,
    merge,
    parse_json,
    read_apps,
    to_json,
)
from scheduler.spec.structure import camel
from scheduler.spec.wire import WireApp

RULES = SpecRules(features=frozenset({"gpu_resources"}), default_network_name="net")

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
names = st.sampled_from(["a", "http", "web-1", "admin"])
st.register_type_strategy(int, st.integers(-(2**63), 2**63 - 1))
st.register_type_strategy(str, text)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | text
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3)
)
field_names = [camel(field.name) for field in attrs.fields(WireApp)]
nearly_apps = st.dictionaries(st.sampled_from(field_names), values, max_size=8)

labels = st.dictionaries(names, text, max_size=2)
port_lists = st.lists(names, unique=True, max_size=3)
valid_apps = st.fixed_dictionaries(
    {"id": st.sampled_from(["/a", "b/c", "/shop/web.v1"]), "cmd": st.sampled_from(["x", "run it"])},
    optional={
        "instances": st.integers(0, 1000),
        "cpus": st.floats(0.001, 64),
        "mem": st.floats(0, 1e6),
        "disk": st.integers(0, 1000),
        "gpus": st.integers(0, 4),
        "env": st.dictionaries(
            names,
            text.filter(lambda t: "\0" not in t) | st.just({"secret": "pw"}),
            max_size=3,
        ),
        "secrets": st.sampled_from([{"pw": {"source": "vault/pw"}}, {"x": {"source": "y"}}]),
        "labels": labels,
        "uris": st.lists(st.sampled_from(["http://x/a.tgz", "http://x/b"]), max_size=2),
        "portDefinitions": port_lists.map(
            lambda found: [{"name": name, "protocol": "udp"} for name in found]
        ),
        "networks": st.sampled_from(
            [[{"mode": "host"}], [{"mode": "container/bridge"}], [{"mode": "container"}]]
        ),
        "requirePorts": st.booleans(),
        "healthChecks": st.sampled_from(
            [
                [],
                [{"protocol": "COMMAND", "command": {"value": "x"}}],
                [{"port": 80, "protocol": "TCP"}],
                [{"port": 80, "ignoreHttp1xx": True}, {"port": 81, "maxConsecutiveFailures": 0}],
            ]
        ),
        "constraints": st.sampled_from(
            [[["hostname", "unique"]], [["rack", "GROUP_BY"], ["rack", "MAX_PER", "2"]]]
        ),
        "backoffFactor": st.floats(1, 10),
        "backoffSeconds": st.integers(0, 100),
        "upgradeStrategy": st.fixed_dictionaries(
            {},
            optional={
                "minimumHealthCapacity": st.floats(0, 1),
                "maximumOverCapacity": st.floats(0, 1),
            },
        ),
        "unreachableStrategy": st.just("disabled")
        | st.integers(0, 9).map(lambda s: {"inactiveAfterSeconds": s, "expungeAfterSeconds": s}),
        "acceptedResourceRoles": st.just(["*"]),
        "taskKillGracePeriodSeconds": st.integers(0, 60),
        "tty": st.booleans(),
        "dependencies": st.lists(st.sampled_from(["/x", "../y", "z"]), max_size=3),
        "restartPolicy": st.fixed_dictionaries({"mode": st.sampled_from(["always", "never"])}),
        "update": st.just({"maxParallel": 1}),
        "discovery": st.just({"enabled": False}),
        "container": st.sampled_from(
            [
                {"type": "MESOS"},
                {"type": "MESOS", "docker": {"image": "x"}, "portMappings": []},
                {
                    "type": "MESOS",
                    "docker": {"image": "x", "pullConfig": {"secret": "pw"}},
                    "volumes": [{"containerPath": "/d", "secret": "pw"}],
                },
                {
                    "type": "MESOS",
                    "volumes": [{"containerPath": "/d", "hostPath": "/e", "mode": "RW"}],
                    "linuxInfo": {"ipcInfo": {"mode": "PRIVATE"}},
                },
            ]
        ),
    },
)

specs = st.builds(
    model.AppSpec,
    id=st.sampled_from([AppId("/a"), AppId("/b/c")]),
    cmd=st.none() | text,
    args=st.none() | st.lists(text, max_size=2).map(tuple),
    instances=st.integers(0, 2**31),
    limits=st.none() | st.builds(model.ResourceLimits, st.none() | st.integers(-1, 9)),
    env=st.lists(st.tuples(text, text | st.builds(model.SecretRef, text)), max_size=3).map(tuple),
    container=st.none()
    | st.builds(
        model.Container,
        volumes=st.lists(
            st.builds(model.HostVolume, text, text) | st.builds(model.SecretVolume, text, text),
            max_size=2,
        ).map(tuple),
        port_mappings=st.lists(
            st.builds(model.PortMapping, host_port=st.none() | st.integers(0, 9)), max_size=2
        ).map(tuple),
    ),
    port_definitions=st.none() | st.lists(st.builds(model.PortDefinition), max_size=2).map(tuple),
    health_checks=st.lists(st.from_type(model.HealthCheck), max_size=2).map(tuple),
    constraints=st.lists(st.from_type(model.Constraint), max_size=2).map(tuple),
    unreachable_strategy=st.none() | st.builds(model.UnreachableStrategy),
    discovery=st.none() | st.from_type(model.Discovery),
    update=st.none() | st.from_type(model.UpdatePolicy),
    restart_policy=st.none() | st.from_type(model.RestartPolicy),
    executor_resources=st.none() | st.builds(model.Resources),
)


@given(specs)
def test_what_is_stored_comes_back_exactly(spec):
    assert decode_spec(encode_spec(spec)) == spec


@given(valid_apps)
def test_what_is_shown_can_be_posted_and_means_the_same(posted):
    try:
        spec = decode_app(posted, RULES).spec
    except InvalidInput:
        return
    shown = json.loads(json.dumps(to_json(spec)))
    again = decode_app(shown, RULES)
    assert again.spec == spec
    assert again.ignored == ()
    assert merge(spec, {}, RULES).spec == spec
    assert decode_spec(encode_spec(spec)) == spec


def refusal_of(read):
    """Return the refusal, or None; any other exception is a failure of the test."""
    try:
        read()
    except InvalidInput as refused:
        return refused
    return None


def assert_says_where(refused):
    assert refused is None or (
        refused.problems and all(problem.path.startswith("/") for problem in refused.problems)
    )


@settings(max_examples=300)
@given(values | nearly_apps)
def test_no_json_value_breaks_the_reader(value):
    base = decode_app({"id": "/a", "cmd": "x"}, RULES).spec
    assert_says_where(refusal_of(lambda: decode_app(value, RULES)))
    assert_says_where(refusal_of(lambda: merge(base, value, RULES)))


@given(st.binary(max_size=40) | values.map(lambda value: json.dumps(value).encode()))
def test_no_bytes_break_the_readers_of_text(body):
    for read in (parse_json, read_apps, decode_spec):
        assert_says_where(refusal_of(lambda read=read: read(body)))
