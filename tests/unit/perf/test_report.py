import json

import pytest

from tests.perf.report import emit, percentile


def test_a_number_stands_beside_its_budget(capsys: pytest.CaptureFixture[str]) -> None:
    emit("core", "update_mean", 28.0149, "µs", budget=30, instances=1_000)
    assert json.loads(capsys.readouterr().out) == {
        "bench": "core",
        "metric": "update_mean",
        "value": 28.01,
        "unit": "µs",
        "budget": 30,
        "instances": 1_000,
    }


def test_a_number_that_no_budget_names_has_none_on_its_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    emit("cluster", "ratio", 0.5, "", tasks=5)
    assert json.loads(capsys.readouterr().out) == {
        "bench": "cluster",
        "metric": "ratio",
        "value": 0.5,
        "unit": "",
        "tasks": 5,
    }


def test_a_budget_of_nothing_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    emit("core", "pause", 1.0, "ms", budget=0)
    assert json.loads(capsys.readouterr().out)["budget"] == 0


def test_a_percentile_is_one_of_the_values_that_were_measured() -> None:
    values = [float(number) for number in range(100, 0, -1)]
    assert [percentile(values, share) for share in (0.0, 0.5, 0.99, 1.0)] == [1, 50, 99, 100]
