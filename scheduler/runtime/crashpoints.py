"""Let a test kill this process at a named moment, as hard as a power cut would.

``EGRET_CRASHPOINT=name`` kills at the first passage of ``crash_here("name")``, ``name:3`` at the
third. Read once, at start. The names stand at the boundaries between deciding, committing and
acting, because that is where a crash could lose or repeat something.
"""

import os
import signal

from attrs import define


@define
class _Armed:
    name: str
    passages_left: int


def read_crashpoint(text: str) -> tuple[str, int]:
    """Read ``name`` or ``name:n``, n ≥ 1.

    >>> read_crashpoint("after_commit:2")
    ('after_commit', 2)
    """
    name, _, passages = text.partition(":")
    return name, int(passages or 1)


_armed = _Armed(*read_crashpoint(os.environ.get("EGRET_CRASHPOINT", "")))


def crash_here(name: str) -> None:
    """Do nothing, unless the environment asks to die at this point."""
    if name != _armed.name:
        return
    _armed.passages_left -= 1
    if _armed.passages_left <= 0:
        os.kill(os.getpid(), signal.SIGKILL)
