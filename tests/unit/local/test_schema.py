from typing import Any

import pytest

from scheduler.local.schema import SCHEDULER_CALL, ConversionError, check_message


def _problem(call: Any) -> str:
    with pytest.raises(ConversionError) as caught:
        check_message(call, SCHEDULER_CALL)
    return str(caught.value)


def _decline(refuse_s: Any) -> dict[str, Any]:
    return {"type": "DECLINE", "decline": {"filters": {"refuse_seconds": refuse_s}}}


@pytest.mark.parametrize("number", [5, 5.5, "5", "-1e3"])
def test_a_number_may_come_as_a_string(number: Any) -> None:
    check_message(_decline(number), SCHEDULER_CALL)


@pytest.mark.parametrize(
    ("value", "kind"), [("five", "string"), ("inf", "string"), (True, "boolean"), ([], "array")]
)
def test_what_is_no_number_is_named(value: Any, kind: str) -> None:
    expected = f"Not expecting a JSON {kind} for field 'refuse_seconds'"
    assert _problem(_decline(value)) == expected


def test_unknown_fields_and_nulls_are_ignored() -> None:
    call = {"type": "KILL", "kill": {"task_id": {"value": "x"}, "agent_id": None, "more": 1}}
    check_message(call, SCHEDULER_CALL)


def test_a_wrong_type_goes_before_what_is_missing() -> None:
    assert _problem({"kill": {"kill_policy": 1}}) == (
        "Not expecting a JSON number for field 'kill_policy'"
    )


def test_all_missing_fields_are_named_with_their_paths() -> None:
    tasks = [{"name": "a", "task_id": {}}, {"task_id": {"value": "b"}, "agent_id": {"value": "s"}}]
    call = {"accept": {"operations": [{"launch": {"task_infos": tasks}}]}}
    path = "accept.operations[0].launch.task_infos"
    expected = f"{path}[0].task_id.value, {path}[0].agent_id, {path}[1].name"
    assert _problem(call) == f"Missing required fields: {expected}"


@pytest.mark.parametrize("value", [None, [], "x", 1])
def test_a_call_is_an_object(value: Any) -> None:
    assert _problem(value) == "Expecting a JSON object"


def test_bytes_are_base64() -> None:
    call = {"message": {"agent_id": {"value": "a"}, "executor_id": {"value": "e"}, "data": "*"}}
    assert _problem(call) == ("Failed to base64 decode bytes field 'data': Invalid character '*'")
