"""What is handed to operators names only what there is."""

import re
from pathlib import Path

from scheduler.config import OPTIONS
from scheduler.telemetry.catalog import BY_NAME

DEPLOY = Path(__file__).resolve().parent.parent.parent / "deploy"


def test_alerts_ask_for_metrics_that_exist() -> None:
    """An alert on a misspelt metric never fires."""
    alerts = (DEPLOY / "prometheus" / "alerts.yaml").read_text()
    asked = set(re.findall(r"egret_\w+", alerts))
    assert asked
    assert asked <= set(BY_NAME)


def test_the_unit_of_systemd_names_variables_that_exist() -> None:
    unit = (DEPLOY / "systemd" / "egret.service").read_text()
    named = set(re.findall(r"EGRET_\w+", unit))
    assert named
    assert named <= {option.variable for option in OPTIONS}
