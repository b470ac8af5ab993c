import pytest

from scheduler.local.constraints import find_constraints_problem, satisfies
from scheduler.local.resources import JsonObject

AGENT: JsonObject = {
    "hostname": "agent1.test",
    "attributes": [
        {"name": "rack", "type": "TEXT", "text": {"value": "r1"}},
        {"name": "level", "type": "SCALAR", "scalar": {"value": 10.0}},
    ],
    "domain": {"fault_domain": {"region": {"name": "eu-1"}, "zone": {"name": "eu-1a"}}},
}


def _of(*groups: list[tuple[JsonObject, JsonObject]]) -> JsonObject:
    built = [
        {"attribute_constraints": [{"selector": s, "predicate": p} for s, p in group]}
        for group in groups
    ]
    return {"role_constraints": {"web": {"groups": built}}}


RACK: JsonObject = {"attribute_name": "rack"}
LEVEL: JsonObject = {"attribute_name": "level"}
DISK: JsonObject = {"attribute_name": "disk"}
HOST: JsonObject = {"pseudoattribute_type": "HOSTNAME"}
ZONE: JsonObject = {"pseudoattribute_type": "ZONE"}
NO: JsonObject = {"text_equals": {"value": "no"}}


@pytest.mark.parametrize(
    ("selector", "predicate", "expected"),
    [
        (RACK, {"text_equals": {"value": "r1"}}, True),
        (RACK, {"text_equals": {"value": "r2"}}, False),
        (RACK, {"text_not_equals": {"value": "r1"}}, False),
        (RACK, {"text_matches": {"regex": "r."}}, True),
        (RACK, {"text_matches": {"regex": "r"}}, False),
        (RACK, {"text_not_matches": {"regex": "s."}}, True),
        (RACK, {"exists": {}}, True),
        (DISK, {"exists": {}}, False),
        (DISK, {"not_exists": {}}, True),
        (DISK, {"text_equals": {"value": "ssd"}}, False),
        (DISK, {"text_not_matches": {"regex": "s.d"}}, True),
        (LEVEL, NO, True),
        (HOST, {"text_matches": {"regex": "agent1.*"}}, True),
        (ZONE, {"text_not_equals": {"value": "eu-1a"}}, False),
        ({"pseudoattribute_type": "REGION"}, {"text_equals": {"value": "eu-1"}}, True),
    ],
)
def test_each_predicate(selector: JsonObject, predicate: JsonObject, expected: bool) -> None:
    assert satisfies(_of([(selector, predicate)]), "web", AGENT) is expected


def test_groups_are_alternatives_and_their_constraints_all_hold() -> None:
    good, bad = (RACK, {"exists": {}}), (RACK, NO)
    assert satisfies(_of([bad], [good]), "web", AGENT)
    assert not satisfies(_of([good, bad]), "web", AGENT)
    assert satisfies(_of([bad]), "other", AGENT)


@pytest.mark.parametrize(
    ("constraints", "problem"),
    [
        (_of(), "has an empty 'RoleConstraints::groups' for role web"),
        (_of([]), "contains an empty RoleConstraints::Group"),
        (_of([({}, NO)]), "Exactly one of"),
        (_of([(RACK, {})]), "Unknown predicate type"),
        (_of([(RACK, {"text_matches": {"regex": "("}})]), "Failed to construct regex"),
        ({"role_constraints": {"nope": {"groups": []}}}, "for a role 'nope'not contained"),
    ],
)
def test_invalid_constraints_are_named(constraints: JsonObject, problem: str) -> None:
    assert problem in (find_constraints_problem(constraints, ("web",)) or "")
