import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.local.resources import (
    EMPTY,
    Bundle,
    describe,
    find_invalid,
    make_bundle,
    parse_resources,
)

scalars = st.dictionaries(st.sampled_from(["cpus", "mem", "disk"]), st.integers(0, 10_000))
spans = st.sets(st.integers(1, 60), max_size=30)


def _bundle(amounts: dict[str, int], numbers: set[int]) -> Bundle:
    bundle = Bundle(amounts)
    for number in numbers:
        bundle = bundle.plus(Bundle({}, {"ports": ((number, number),)}))
    return bundle


def _numbers(bundle: Bundle) -> set[int]:
    return {n for low, high in bundle.ranges.get("ports", ()) for n in range(low, high + 1)}


@given(scalars, spans, scalars, spans)
def test_what_was_taken_and_given_back_leaves_everything_as_it_was(
    some: dict[str, int], some_ports: set[int], more: dict[str, int], more_ports: set[int]
) -> None:
    part = _bundle(some, some_ports)
    whole = part.plus(_bundle(more, more_ports - some_ports))
    assert whole.contains(part)
    rest = whole.minus(part)
    assert _numbers(rest) == more_ports - some_ports
    again = rest.plus(part)
    assert again.ranges.get("ports", ()) == whole.ranges.get("ports", ())
    assert all(again.scalars.get(k, 0) == v for k, v in whole.scalars.items())


@given(spans, spans)
def test_ports_are_contained_exactly_when_each_is(has: set[int], wants: set[int]) -> None:
    assert _bundle({}, has).contains(_bundle({}, wants)) == (wants <= has)


def test_thousandths_do_not_drift() -> None:
    rest = make_bundle(1, 0, 0, ())
    tenth = parse_resources([{"name": "cpus", "type": "SCALAR", "scalar": {"value": 0.1}}], "web")
    for _ in range(10):
        rest = rest.minus(tenth)
    assert rest.scalars["cpus"] == 0


@pytest.mark.parametrize(
    "extra",
    [
        {"reservations": [{"type": "DYNAMIC", "role": "web"}]},
        {"role": "web"},
        {"allocation_info": {"role": "other"}},
        {"disk": {"persistence": {"id": "v"}}},
        {"revocable": {}},
    ],
)
def test_what_is_not_plain_never_fits(extra: dict[str, object]) -> None:
    wanted = {"name": "disk", "type": "SCALAR", "scalar": {"value": 1}, **extra}
    plain = make_bundle(10, 1000, 1000, ((1, 10),))
    assert not plain.contains(parse_resources([wanted], "web"))


def test_offers_list_ports_cpus_mem_disk_and_leave_nothing_out_but_nothing() -> None:
    resources = make_bundle(0.5, 128, 0, ((31_000, 31_009),)).to_json("web")
    assert [r["name"] for r in resources] == ["ports", "cpus", "mem"]
    assert resources[1] == {
        "name": "cpus",
        "type": "SCALAR",
        "scalar": {"value": 0.5},
        "allocation_info": {"role": "web"},
    }
    assert EMPTY.to_json("web") == []


def test_the_old_format_names_the_role_of_the_unreserved() -> None:
    (cpus,) = make_bundle(1, 0, 0, ()).to_json(None, old_format=True)
    assert cpus["role"] == "*"
    assert "allocation_info" not in cpus


def test_resources_are_printed_as_mesos_prints_them() -> None:
    resources = make_bundle(2.9, 15_936, 0, ((1, 2), (5, 5))).to_json()
    expected = (
        "ports(allocated: web):[1-2, 5-5]; cpus(allocated: web):2.9; mem(allocated: web):15936"
    )
    assert describe(resources, "web") == expected


def test_negative_amounts_are_found() -> None:
    good = {"name": "cpus", "type": "SCALAR", "scalar": {"value": 0}}
    bad = {"name": "mem", "type": "SCALAR", "scalar": {"value": -0.5}}
    assert find_invalid([good]) is None
    expected = "Resource 'mem:-0.5' is invalid: Invalid scalar resource: value <= 0"
    assert find_invalid([good, bad]) == expected
