"""Import pymesos without its side effects, and name what the executor uses of it.

pymesos installs a SIGINT handler and a log handler when it is imported. Both belong to the
program, so they are put back at once. This must be the only module that imports pymesos.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Mapping
from typing import Any

_sigint = signal.getsignal(signal.SIGINT)
# pymesos calls the earlier handler; it takes whatever is there for a function.
signal.signal(signal.SIGINT, signal.default_int_handler)

from pymesos import (  # noqa: E402 (SIGINT must be callable before this)
    Executor,
    MesosExecutorDriver,
    decode_data,
    encode_data,
)
from pymesos.utils import parse_duration  # noqa: E402

signal.signal(signal.SIGINT, signal.SIG_DFL if _sigint is None else _sigint)
_logger = logging.getLogger("pymesos")
_logger.handlers.clear()
_logger.setLevel(logging.NOTSET)

# What travels: a JSON object, decoded.
Json = Mapping[str, Any]

__all__ = [
    "Executor",
    "Json",
    "MesosExecutorDriver",
    "decode_data",
    "encode_data",
    "parse_duration",
]
