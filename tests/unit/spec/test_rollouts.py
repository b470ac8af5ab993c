"""The rules of ``update`` and ``restartPolicy``: what cannot be meant is refused and named."""

import pytest

from scheduler.spec import InvalidInput, SpecRules, decode_app, to_json

RULES = SpecRules()
SINGLE = {"labels": {"MARATHON_SINGLE_INSTANCE_APP": "true"}}
AT_ONCE = {"upgradeStrategy": {"minimumHealthCapacity": 0, "maximumOverCapacity": 0}}


def decoded(**fields):
    return decode_app({"id": "/a", "cmd": "true", **fields}, RULES)


def problems_of(**fields):
    with pytest.raises(InvalidInput) as caught:
        decoded(**fields)
    assert not caught.value.is_malformed
    return {problem.path: problem.message for problem in caught.value.problems}


@pytest.mark.parametrize("fields", [{"canary": {"instances": 2}}, {"canaryInstances": 2}])
def test_canaries_are_spelled_either_way(fields):
    found = decoded(update=fields)
    assert found.ignored == ()
    assert found.spec.update.canary_instances == 2
    assert to_json(found.spec)["update"]["canaryInstances"] == 2


def test_both_spellings_may_say_the_same_and_nothing_else():
    same = {"canary": {"instances": 2}, "canaryInstances": 2}
    assert decoded(update=same).spec.update.canary_instances == 2
    other = {"canary": {"instances": 2}, "canaryInstances": 3}
    assert "/update/canaryInstances" in problems_of(update=other)


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"update": {"autorevert": True}}, "/update/autorevert"),
        ({"update": {"canary": {"instances": 1, "count": 1}}}, "/update/canary/count"),
        ({"restartPolicy": {"retries": 3}}, "/restartPolicy/retries"),
    ],
)
def test_what_egret_alone_reads_has_no_field_that_it_does_not_know(fields, path):
    """No client of Marathon sends these objects: whatever else is in them is a slip."""
    assert problems_of(**fields) == {path: "is no field that Egret knows"}


@pytest.mark.parametrize(
    ("fields", "path", "says"),
    [
        ({"update": {"maxParallel": 0}}, "/update/maxParallel", "must be at least 1"),
        ({"update": {"canary": {}}}, "/update/canary/instances", "must be given"),
        ({"update": {"canary": {"instances": -1}}}, "/update/canary/instances", "at least 0"),
        (
            {"update": {"minHealthySeconds": 60, "healthyDeadlineSeconds": 60}},
            "/update/healthyDeadlineSeconds",
            "must be more than minHealthySeconds (60)",
        ),
        (
            {"update": {"minHealthySeconds": 60, "progressDeadlineSeconds": 30}},
            "/update/progressDeadlineSeconds",
            "must be more than minHealthySeconds (60)",
        ),
        (
            {"update": {"healthyDeadlineSeconds": 60, "progressDeadlineSeconds": 30}},
            "/update/progressDeadlineSeconds",
            "must be at least healthyDeadlineSeconds (60)",
        ),
        ({"update": {"autoPause": True}}, "/update/autoPause", "needs canaries"),
        (
            {"update": {"autoPause": True, "canary": {"instances": 0}}},
            "/update/autoPause",
            "needs canaries",
        ),
        ({"update": {"autoRevert": True}}, "/update/autoRevert", "healthyDeadlineSeconds"),
        (
            {"update": {"autoRevert": True}, "restartPolicy": {"mode": "onFailure"}},
            "/update/autoRevert",
            "progressDeadlineSeconds",
        ),
        (
            {"update": {"canary": {"instances": 1}}, **SINGLE, **AT_ONCE},
            "/update/canaryInstances",
            "single instance app",
        ),
        (
            {"update": {"order": "startFirst"}, **SINGLE, **AT_ONCE},
            "/update/order",
            "single instance app",
        ),
        (
            {"restartPolicy": {"mode": "never", "attempts": 3}},
            "/restartPolicy/attempts",
            "never",
        ),
    ],
)
def test_each_rule_names_its_path_and_what_is_wrong(fields, path, says):
    found = problems_of(**fields)
    assert list(found) == [path]
    assert says in found[path]


@pytest.mark.parametrize(
    "fields",
    [
        {"update": {}},
        {"update": {"minHealthySeconds": 59, "healthyDeadlineSeconds": 60}},
        {"update": {"healthyDeadlineSeconds": 60, "progressDeadlineSeconds": 60}},
        {"update": {"autoRevert": True, "healthyDeadlineSeconds": 60}},
        {"update": {"autoRevert": True, "progressDeadlineSeconds": 60}},
        {"update": {"autoRevert": True}, "restartPolicy": {"attempts": 3}},
        {"update": {"autoRevert": True}, "restartPolicy": {"mode": "never"}},
        {"update": {"autoPause": True, "canary": {"instances": 1}}},
        {"update": {"canary": {"instances": 5}}, "instances": 2},
        {"update": {"canary": {"instances": 1}}, "instances": 0},
        {"update": {"order": "stopFirst"}, **SINGLE, **AT_ONCE},
    ],
)
def test_what_can_be_meant_is_taken(fields):
    assert decoded(**fields).ignored == ()


def test_marathons_own_unknown_fields_are_ignored_as_ever():
    found = decoded(upgradeStrategy={"minimumHealthCapacity": 1, "more": 1}, more=1)
    assert set(found.ignored) == {"/upgradeStrategy/more", "/more"}
