"""Which services an app asks for: field, labels or default."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.core.app import (
    Container,
    Discovery,
    DiscoveryService,
    Network,
    NetworkMode,
    PortDefinition,
    PortMapping,
)
from scheduler.discovery.names import DefaultDiscovery, clean_tag, plan_of
from tests.discovery_support import app

ALL, LABELLED, OFF = DefaultDiscovery


def port(name=None, **labels):
    return PortDefinition(name=name, labels=tuple(labels.items()))


def names(spec, default=ALL):
    return [(s.port_index, s.name) for s in plan_of(spec, default).services]


def test_the_first_port_has_the_apps_name_and_further_ones_add_theirs():
    spec = app("/shop/web", port_definitions=(port("http"), port("admin"), port()))
    assert names(spec) == [(0, "shop-web"), (1, "shop-web-admin"), (2, "shop-web-2")]


def test_an_app_without_ports_has_no_service():
    assert names(app(port_definitions=())) == []
    assert names(app(port_definitions=None)) == []


def test_a_containers_ports_are_its_mappings():
    spec = app(
        networks=(Network(mode=NetworkMode.BRIDGE),),
        port_definitions=None,
        container=Container(
            port_mappings=(PortMapping(container_port=80), PortMapping(81, name="admin"))
        ),
    )
    assert names(spec) == [(0, "shop-web"), (1, "shop-web-admin")]


def test_the_default_says_which_apps_are_registered_without_the_field():
    plain = app()
    labelled = app(labels=(("consul", "web"),))
    asked = app(discovery=Discovery())
    denied = app(discovery=Discovery(enabled=False), labels=(("consul", "web"),))
    found = {
        default: [bool(names(spec, default)) for spec in (plain, labelled, asked, denied)]
        for default in DefaultDiscovery
    }
    assert found == {
        ALL: [True, True, True, False],
        LABELLED: [False, True, True, False],
        OFF: [False, False, True, False],
    }


def test_the_field_chooses_ports_by_index_and_by_name():
    spec = app(
        port_definitions=(port("http"), port("admin")),
        discovery=Discovery(
            services=(
                DiscoveryService("front", tags=("a",), meta=(("team", "x"),)),
                DiscoveryService("back", port_name="admin"),
                DiscoveryService("other", port_index=1),
                DiscoveryService("missing", port_name="nope"),
                DiscoveryService("beyond", port_index=2),
            )
        ),
    )
    plan = plan_of(spec, OFF)
    assert [(s.port_index, s.name) for s in plan.services] == [
        (0, "front"),
        (1, "back"),
        (1, "other"),
    ]
    assert plan.services[0].tags == ("a",)
    assert plan.services[0].meta == (("team", "x"),)
    assert len({s.key for s in plan.services}) == 3
    assert [(r.name, r.reason) for r in plan.refusals] == [
        ("missing", "the app has no such port"),
        ("beyond", "the app has no such port"),
    ]


@pytest.mark.parametrize(
    ("value", "name"), [("", "shop.web"), ("true", "shop.web"), ("storefront", "storefront")]
)
def test_marathon_consuls_label_names_the_first_port_only(value, name):
    spec = app(ports=2, labels=(("consul", value),))
    assert names(spec) == [(0, name)]


def test_marathon_consuls_port_labels_choose_the_ports():
    spec = app(
        labels=(("consul", "no-effect"), ("everywhere", "tag")),
        port_definitions=(port(), port(consul="two", only_here="tag"), port(consul="")),
    )
    plan = plan_of(spec, LABELLED)
    assert [(s.port_index, s.name, s.tags) for s in plan.services] == [
        (1, "two", ("everywhere", "only_here")),
        (2, "shop.web", ("everywhere",)),
    ]


def test_port_labels_without_the_apps_label_choose_nothing():
    assert names(app(port_definitions=(port(consul="x"),)), LABELLED) == []


def test_labels_with_the_value_tag_are_tags_by_default_too():
    spec = app(labels=(("urlprefix-shop.example/", "tag"), ("other", "value")))
    (service,) = plan_of(spec, ALL).services
    assert service.tags == ("urlprefix-shop.example/",)


@pytest.mark.parametrize("name", ["", "a b", "-a", "a/b", "é", "a" * 129, 'a"'])
def test_a_name_that_no_client_could_use_is_refused_and_the_others_stand(name):
    services = (DiscoveryService(name), DiscoveryService("good"))
    plan = plan_of(app(discovery=Discovery(services=services)), ALL)
    assert [service.name for service in plan.services] == ["good"]
    assert [refusal.name for refusal in plan.refusals] == [name]


def test_tags_and_meta_that_break_readers_are_made_safe():
    service = DiscoveryService(
        "web",
        tags=('a"b', "c,d", "e\nf", "urlprefix-/x allow=ip:1.1.1.1,ip:2.2.2.2", '"', "c,d"),
        meta=(("ok", "v" * 600), ("not ok", "v"), ("egret-owner", "forged")),
    )
    (planned,) = plan_of(app(discovery=Discovery(services=(service,))), ALL).services
    assert planned.tags == ("ab", "c_d", "ef", "urlprefix-/x allow=ip:1.1.1.1,ip:2.2.2.2")
    assert planned.meta == (("ok", "v" * 512),)


@given(st.text())
def test_no_tag_keeps_a_quote_or_a_line_break(tag):
    clean = clean_tag(tag)
    assert not set(clean) & set("\"'`\n\r")
    assert clean.startswith("urlprefix-") or "," not in clean
    assert clean_tag(clean) == clean
