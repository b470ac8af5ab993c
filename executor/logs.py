"""Write the executor's log: one JSON object a line, on standard error.

Mesos collects standard error in the executor's sandbox. The archive carries no logging library, so
this is the standard one with the shape of the scheduler's log: an event name and fields.
"""

from __future__ import annotations

import json
import logging
import sys
import time

_LOGGER = logging.getLogger("egret.executor")


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def set_up() -> None:
    """Send the executor's log, and what libraries log from WARNING on, to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    _LOGGER.setLevel(logging.INFO)


def info(event: str, **fields: object) -> None:
    """Log an event that is expected to happen."""
    _LOGGER.info(event, extra={"fields": fields})


def warning(event: str, **fields: object) -> None:
    """Log an event that somebody may have to look into."""
    _LOGGER.warning(event, extra={"fields": fields})


def failure(event: str, **fields: object) -> None:
    """Log the exception at hand with its traceback."""
    _LOGGER.exception(event, extra={"fields": fields})  # noqa: LOG004 (called from one)
