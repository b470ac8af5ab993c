"""Tell other terminals of this user about a running `egret local`, and find it from there.

One small file holds the address and the process id. It is removed at the end; one that was left
behind by a killed process is recognised by that id and the moment the process was started.
"""

import os
from pathlib import Path
from typing import Any

import orjson
from attrs import frozen


@frozen
class Announcement:
    server: str
    """Base URL of the scheduler's API."""
    mesos: str
    consul: str | None
    work_dir: str
    pid: int


def announcement_path() -> Path:
    """Return where the file lies: in the user's runtime directory, else in their cache."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and os.access(runtime, os.W_OK):
        return Path(runtime) / "egret" / "local.json"
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "egret" / "local.json"


def announce(told: Announcement) -> bool:
    """Write the file, unless it tells of another `egret local` that runs: that one stays found.

    Returns whether it was written.

    Raises:
        OSError: it cannot be written.
    """
    known = find_announcement()
    if known is not None and known.pid != told.pid:
        return False
    path = announcement_path()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    body = {
        "server": told.server,
        "mesos": told.mesos,
        "consul": told.consul,
        "work_dir": told.work_dir,
        "pid": told.pid,
        "started": _started(told.pid),
    }
    draft = path.with_name(f"{path.name}.{told.pid}")
    draft.write_bytes(orjson.dumps(body))
    draft.replace(path)
    return True


def find_announcement() -> Announcement | None:
    """Return what a living `egret local` of this user announced."""
    try:
        body: dict[str, Any] = orjson.loads(announcement_path().read_bytes())
        told = Announcement(
            str(body["server"]),
            str(body["mesos"]),
            body["consul"],
            str(body["work_dir"]),
            int(body["pid"]),
        )
        started = body["started"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return told if started is not None and _started(told.pid) == started else None


def withdraw(pid: int) -> None:
    """Remove the file and the folder made for it, unless another process has taken it over."""
    told = find_announcement()
    if told is None or told.pid != pid:
        return
    path = announcement_path()
    path.unlink(missing_ok=True)
    try:
        path.parent.rmdir()
    except OSError:
        return  # Something else lies there.


def _started(pid: int) -> int | None:
    """Return when a process began, in clock ticks since boot: an id alone may be used again."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return int(stat.rpartition(")")[2].split()[19])
