"""One name, several apps: who has it."""

from hypothesis import given
from hypothesis import strategies as st

from scheduler.core.ids import AppId
from scheduler.discovery.claims import Claims

A, B, C = AppId("/a-b"), AppId("/a/b"), AppId("/c")


def test_the_first_to_ask_keeps_the_name_and_the_others_are_refused():
    claims = Claims()
    claims.add(B, ["a-b"])
    claims.add(A, ["a-b"])
    claims.add(C, ["c"])
    assert claims.is_held_by(B, "a-b")
    assert not claims.is_held_by(A, "a-b")
    (refusal,) = claims.refusals()
    assert (refusal.app_id, refusal.name) == (A, "a-b")
    assert refusal.reason == "the app /a/b has this name"


def test_the_name_passes_on_with_the_last_instance_of_its_holder():
    claims = Claims()
    claims.add(B, ["a-b"])
    claims.add(B, ["a-b"])
    claims.add(A, ["a-b"])
    assert claims.remove(B, ["a-b"]) == set()
    assert claims.is_held_by(B, "a-b")
    assert claims.remove(B, ["a-b"]) == {A}
    assert claims.is_held_by(A, "a-b")
    assert claims.refusals() == ()
    assert claims.remove(A, ["a-b"]) == set()
    assert not claims.is_held_by(A, "a-b")


@given(st.lists(st.tuples(st.booleans(), st.sampled_from([A, B, C]), st.sampled_from("xy"))))
def test_a_name_that_is_asked_for_has_exactly_one_holder(steps):
    claims, asked = Claims(), []
    for is_new, app_id, name in steps:
        if is_new:
            claims.add(app_id, [name])
            asked.append((app_id, name))
        elif (app_id, name) in asked:
            holders = {n: h for n in "xy" for h in (A, B, C) if claims.is_held_by(h, n)}
            claims.remove(app_id, [name])
            asked.remove((app_id, name))
            if (holders[name], name) in asked:
                assert claims.is_held_by(holders[name], name)
        for each in "xy":
            holders = [h for h in (A, B, C) if claims.is_held_by(h, each)]
            askers = {h for h, n in asked if n == each}
            assert len(holders) == (1 if askers else 0)
            assert set(holders) <= askers
