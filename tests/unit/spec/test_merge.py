import pytest

from scheduler.core.app import PortDefinition
from scheduler.spec import InvalidInput, SpecRules, decode_app, merge

RULES = SpecRules()


def current(**fields):
    return decode_app({"id": "/a", "cmd": "true", "instances": 2, **fields}, RULES).spec


def merged(spec, patch):
    return merge(spec, patch, RULES).spec


def test_a_patch_changes_what_it_names_and_nothing_else():
    before = current(env={"A": "1"}, labels={"x": "y"}, backoffSeconds=7)
    after = merged(before, {"instances": 5})
    assert after.instances == 5
    assert (after.env, after.labels, after.backoff) == (before.env, before.labels, before.backoff)


def test_lists_and_objects_are_replaced_as_a_whole():
    after = merged(current(env={"A": "1"}, labels={"x": "y"}), {"env": {"B": "2"}})
    assert after.env == (("B", "2"),)


def test_null_takes_a_field_back_to_its_default():
    after = merged(current(user="nobody", instances=3), {"user": None, "instances": None})
    assert (after.user, after.instances) == (None, 1)


def test_old_spellings_replace_the_fields_of_today():
    before = current(fetch=[{"uri": "x"}], portDefinitions=[{"port": 8080}])
    after = merged(before, {"uris": ["y"], "ports": [0, 0]})
    assert [fetch.uri for fetch in after.fetch] == ["y"]
    assert after.port_definitions == (PortDefinition(), PortDefinition())


def test_moving_off_the_hosts_network_keeps_the_number_of_ports():
    before = current(portDefinitions=[{"port": 8080}, {"port": 8081}])
    after = merged(before, {"networks": [{"mode": "container/bridge"}]})
    assert after.port_definitions is None
    assert after.container is not None
    assert len(after.container.port_mappings) == 2


def test_a_docker_network_of_old_replaces_the_networks():
    after = merged(current(), {"container": {"docker": {"image": "x", "network": "BRIDGE"}}})
    assert after.networks[0].mode == "container/bridge"


@pytest.mark.parametrize("patch", [[], 3, None, {"id": "/b"}, {"cpus": "x"}, {"instances": -1}])
def test_a_patch_that_breaks_a_rule_is_refused(patch):
    with pytest.raises(InvalidInput):
        merge(current(), patch, RULES)


def test_sending_back_what_was_shown_changes_nothing():
    before = current(healthChecks=[{"path": "/x"}])
    assert merged(before, {"cmd": "true", "version": "2020", "tasksRunning": 1}) == before
