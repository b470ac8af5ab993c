"""Declare the metrics, set up the logs, pass facts on."""

from scheduler.telemetry.bus import Bus
from scheduler.telemetry.catalog import CATALOG
from scheduler.telemetry.factlog import log_fact
from scheduler.telemetry.logs import LEVELS, LogFormat, set_up_logs
from scheduler.telemetry.metrics import Metrics

__all__ = ["CATALOG", "LEVELS", "Bus", "LogFormat", "Metrics", "log_fact", "set_up_logs"]
