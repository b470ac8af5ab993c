"""Import pymesos, here and nowhere else, and undo what the import does to the process.

Importing pymesos 0.3.15 installs a SIGINT handler of its own (module level of its ``process``
module) and attaches a stderr handler at INFO to the logger ``pymesos``. The first steals Ctrl-C
from asyncio, and fails if the import happens off the main thread; the second prints every line
twice. So the import runs once, early, on the main thread, with the disposition put back after it.
"""

import logging
import signal

_previous = signal.getsignal(signal.SIGINT)
# pymesos calls the handler it found without asking whether it is callable: give it one that is.
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    from pymesos import MesosSchedulerDriver, Scheduler, decode_data, encode_data
finally:
    # None means that the handler was not set from Python; then nothing can be put back.
    signal.signal(signal.SIGINT, signal.SIG_DFL if _previous is None else _previous)

_logger = logging.getLogger("pymesos")
for _handler in tuple(_logger.handlers):
    _logger.removeHandler(_handler)
_logger.setLevel(logging.NOTSET)

__all__ = ["MesosSchedulerDriver", "Scheduler", "decode_data", "encode_data"]
