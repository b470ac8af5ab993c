"""Print numbers as JSON lines, ``{"bench", "metric", "value", "unit", …}``."""

import json
import math
from collections.abc import Sequence
from typing import Any


def emit(bench: str, metric: str, value: float, unit: str, **conditions: Any) -> None:
    """Print one number; ``conditions`` say under which it was measured."""
    shown = float(f"{value:.4g}")
    line = {"bench": bench, "metric": metric, "value": shown, "unit": unit, **conditions}
    print(json.dumps(line, ensure_ascii=False), flush=True)


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least ``share`` of all do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
