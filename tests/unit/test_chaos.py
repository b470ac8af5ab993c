"""The checks of the crash tests notice what they are to notice."""

import pytest

from tests.chaos.ids import INVALID, LAUNCHED, TaskIds


def test_ids_that_are_used_once_are_well_also_when_the_master_has_forgotten_them() -> None:
    ids = TaskIds()
    ids.look(["a.1", "b.1"], {LAUNCHED: 2})
    ids.look(["b.1", "c.1"], {LAUNCHED: 3})


@pytest.mark.parametrize(
    ("shown", "metrics"),
    [
        (["a.1", "b.1", "a.1"], {LAUNCHED: 3}),
        # The first of them was forgotten meanwhile.
        (["b.1", "a.1"], {LAUNCHED: 3}),
        # Refused while the first still ran: it never shows among the tasks.
        (["b.1", "a.1"], {LAUNCHED: 2, INVALID: 1}),
    ],
)
def test_an_id_that_is_used_twice_is_seen(shown: list[str], metrics: dict[str, float]) -> None:
    ids = TaskIds()
    ids.look(["a.1"], {LAUNCHED: 1})
    with pytest.raises(AssertionError):
        ids.look(shown, metrics)
