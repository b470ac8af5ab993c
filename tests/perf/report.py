"""Print numbers as JSON lines, ``{"bench", "metric", "value", "unit", "budget", …}``."""

import json
import math
from collections.abc import Sequence
from typing import Any

from scheduler.telemetry import LogFormat, set_up_logs


def emit(
    bench: str,
    metric: str,
    value: float,
    unit: str,
    *,
    budget: float | None = None,
    **conditions: Any,
) -> None:
    """Print one number.

    Args:
        bench: which benchmark it is of.
        metric: its name there.
        value: shown with four digits.
        unit: of ``value`` and ``budget``.
        budget: what it may be (docs/architecture.md), on this line for the reader to compare;
            None, and not on the line, where no budget names it.
        conditions: under which it was measured.
    """
    line: dict[str, Any] = {"bench": bench, "metric": metric, "value": _shown(value), "unit": unit}
    if budget is not None:
        line["budget"] = _shown(budget)
    print(json.dumps({**line, **conditions}, ensure_ascii=False), flush=True)


def log_errors_only() -> None:
    """Let nothing but errors come between the numbers."""
    set_up_logs(LogFormat.JSON, "error")


def _shown(value: float) -> float:
    return float(f"{value:.4g}")


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least ``share`` of all do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
