import pytest

from scheduler.api.errors import ApiError
from scheduler.api.selectors import read_selector

LABELS = {"tier": "front", "a.b/c": "x y", "n": ""}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("tier", True),
        ("missing", False),
        ("tier == front", True),
        ("tier==back", False),
        ("tier!=back", True),
        ("missing!=x", False),
        ("tier in (back,front)", True),
        ("tier notin (front)", False),
        ("missing notin (a)", False),
        ("missing in (a)", False),
        (r"a.b/c == x\ y", True),
        ("tier,n", True),
        ("tier , missing", False),
        ("inner", False),
    ],
)
def test_a_selector_holds_or_not(text, holds):
    assert read_selector(text)(LABELS) is holds


@pytest.mark.parametrize(
    "text", ["", ",", "a,", "a==", "a in", "a in (", "a = b", "(", "a b", "a" * 9000]
)
def test_what_is_no_selector_is_refused(text):
    with pytest.raises(ApiError):
        read_selector(text)
