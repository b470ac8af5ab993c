import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.mesos.backoff import Backoff


def test_waits_double_up_to_the_cap_and_stay_there():
    backoff = Backoff(0.5, 15.0, lambda: 1.0)
    assert [backoff.next_s() for _ in range(8)] == [0.5, 1, 2, 4, 8, 15, 15, 15]


def test_starts_over_after_a_reset():
    backoff = Backoff(0.5, 15.0, lambda: 1.0)
    for _ in range(5):
        backoff.next_s()
    backoff.reset()
    assert backoff.next_s() == 0.5


def test_a_refusal_waits_the_longest_at_once():
    backoff = Backoff(0.5, 15.0, lambda: 1.0)
    assert [backoff.longest_s(), backoff.next_s()] == [15, 15]


@given(st.floats(0, 1, exclude_max=True), st.integers(0, 100))
def test_jitter_takes_at_most_half_and_never_adds(chance: float, failures: int):
    backoff, ceiling = Backoff(0.5, 15.0, lambda: chance), Backoff(0.5, 15.0, lambda: 1.0)
    for _ in range(failures):
        backoff.next_s()
        ceiling.next_s()
    longest = ceiling.next_s()
    assert longest / 2 <= backoff.next_s() <= longest


def test_survives_more_failures_than_a_float_can_double():
    backoff = Backoff(0.5, 15.0, lambda: 1.0)
    assert [backoff.next_s() for _ in range(5000)][-1] == pytest.approx(15.0)
