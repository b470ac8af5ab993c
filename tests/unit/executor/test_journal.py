"""The journal holds exactly what the agent does not have yet."""

import base64

from hypothesis import given
from hypothesis import strategies as st

from executor.journal import Journal


def uuid_of(number: int) -> str:
    return base64.b64encode(number.to_bytes(16, "big")).decode()


def status(task: str, number: int) -> dict[str, object]:
    return {"task_id": {"value": task}, "uuid": uuid_of(number), "state": "TASK_RUNNING"}


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("launch"), st.sampled_from("abc"), st.just(0)),
        st.tuples(st.just("update"), st.sampled_from("abc"), st.just(0)),
        st.tuples(st.just("ack"), st.sampled_from("abc"), st.integers(0, 15)),
    ),
    max_size=60,
)


@given(STEPS)
def test_it_agrees_with_the_plain_sets_of_made_and_acknowledged(
    steps: list[tuple[str, str, int]],
) -> None:
    journal = Journal()
    made: list[tuple[str, int]] = []
    acknowledged: set[int] = set()
    launched: list[str] = []
    known: set[str] = set()
    for action, task, number in steps:
        if action == "launch":
            assert journal.add_task({"task_id": {"value": task}}) == (task not in launched)
            if task not in launched:
                launched.append(task)
        elif action == "update" and task in launched:
            journal.add_update(status(task, len(made)))
            made.append((task, len(made)))
        elif action == "ack" and number < len(made):
            owner = made[number][0]
            journal.acknowledge(owner, uuid_of(number))
            acknowledged.add(number)
            known.add(owner)
        left = [status(task, number) for task, number in made if number not in acknowledged]
        assert journal.unacknowledged_updates == left
        assert journal.is_empty == (not left)
        tasks = [info["task_id"]["value"] for info in journal.unacknowledged_tasks]
        assert tasks == [task for task in launched if task not in known]


def test_an_acknowledgement_of_something_unknown_changes_nothing() -> None:
    journal = Journal()
    journal.add_task({"task_id": {"value": "a"}})
    journal.add_update(status("a", 1))
    journal.acknowledge("a", uuid_of(2))
    assert journal.unacknowledged_updates == [status("a", 1)]
    assert len(journal.unacknowledged_tasks) == 1


def test_a_task_that_is_over_is_still_no_new_task() -> None:
    journal = Journal()
    assert journal.add_task({"task_id": {"value": "a"}})
    journal.add_update(status("a", 1))
    journal.acknowledge("a", uuid_of(1))
    assert not journal.add_task({"task_id": {"value": "a"}})
