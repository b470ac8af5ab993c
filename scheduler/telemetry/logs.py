"""Set up the logs: JSON lines for machines, coloured text for people at a terminal.

Our own modules log through structlog; what libraries log through the standard library takes the
same way out, so that a log holds one form only.
"""

import logging
import sys
from contextlib import nullcontext, suppress
from enum import StrEnum
from typing import TextIO

import orjson
import structlog


class LogFormat(StrEnum):
    """How a line looks; ``auto`` is ``pretty`` on a terminal and ``json`` elsewhere."""

    AUTO = "auto"
    JSON = "json"
    PRETTY = "pretty"


LEVELS = ("debug", "info", "warning", "error")

_QUIET = {"uvicorn": "warning", "urllib3": "warning", "kazoo": "warning"}
"""Loggers of libraries that would write a line for every call or start."""


def set_up_logs(log_format: LogFormat, level: str, stream: TextIO = sys.stderr) -> None:
    """Send all logs of this process to ``stream``.

    Args:
        log_format: how a line looks.
        level: one of ``LEVELS``; what is less important is dropped.
        stream: where to.
    """
    pretty = log_format is LogFormat.PRETTY or (log_format is LogFormat.AUTO and stream.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_renderers(pretty=pretty),
            ],
        )
    )
    # Our own lines do not take the way through the standard library: it costs three times as much.
    structlog.configure(
        processors=[*shared, *_renderers(pretty=pretty)],
        logger_factory=lambda *names: _Writer(handler, *names),
        wrapper_class=structlog.make_filtering_bound_logger(_number(level.upper())),
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name, least in _QUIET.items():
        logging.getLogger(name).setLevel(max(least.upper(), level.upper(), key=_number))


class _Writer:
    """Write whole lines to the stream of a handler, in turn with it."""

    def __init__(self, handler: logging.StreamHandler[TextIO], name: str = "") -> None:
        self._handler = handler
        self.name = name

    def info(self, line: str) -> None:
        """Write one line. A stream that fails loses it, as with the handler itself: a full disk
        under the log must not end the scheduler, and there is nowhere else to say so.
        """
        with self._handler.lock or nullcontext(), suppress(OSError, ValueError):
            self._handler.stream.write(f"{line}\n")
            self._handler.flush()

    debug = warning = error = critical = info


def _number(level: str) -> int:
    return logging.getLevelNamesMapping()[level]


def _renderers(*, pretty: bool) -> list[structlog.typing.Processor]:
    if pretty:
        return [structlog.dev.ConsoleRenderer(colors=True)]
    return [
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(serializer=_to_json),
    ]


def _to_json(value: object, **_: object) -> str:
    return orjson.dumps(value, default=repr).decode()
