"""Let logs be read: the sandbox files of an agent, by both of Mesos's APIs.

Only what lies inside the work directory is served; ``..`` and links that lead out of it are not.
"""

import base64
import grp
import os
import pwd
import stat
from pathlib import Path

from scheduler.local.httpserver import Response, json_response, text_response
from scheduler.local.resources import JsonObject

READ_BYTES_MAX = 16 * 1024 * 1024
"""Mesos reads at most 16 pages of memory; this only bounds one reply."""


def browse(root: Path, wanted: str) -> Response:
    """Answer ``/files/browse``: the entries of a directory."""
    directory = _find(root, wanted)
    if directory is None or not directory.is_dir():
        return text_response(404, "404 Not Found.")
    return json_response([_describe(p) for p in sorted(directory.iterdir())])


def read_text(root: Path, wanted: str, query: dict[str, str]) -> Response:
    """Answer ``/files/read``; without a length: to the end; offset -1: only the file's size."""
    file = _find(root, wanted)
    if file is None or not file.is_file():
        return text_response(404, "404 Not Found.")
    try:
        offset, length = int(query.get("offset", "-1")), int(query.get("length", "-1"))
    except ValueError:
        return text_response(400, "Failed to parse offset or length")
    if offset == -1:
        return json_response({"offset": file.stat().st_size, "data": ""})
    data = _read(file, offset, length)
    return json_response({"data": data.decode("utf-8", "replace"), "offset": offset})


def list_files(root: Path, wanted: str) -> Response:
    """Answer the LIST_FILES call."""
    directory = _find(root, wanted)
    if directory is None or not directory.is_dir():
        return text_response(404, f"Could not find path '{wanted}'")
    infos = [_file_info(p) for p in sorted(directory.iterdir())]
    return json_response({"type": "LIST_FILES", "list_files": {"file_infos": infos}})


def read_file(root: Path, call: JsonObject) -> Response:
    """Answer the READ_FILE call."""
    file = _find(root, call["path"])
    if file is None or not file.is_file():
        return text_response(404, f"Could not find path '{call['path']}'")
    data = _read(file, int(call["offset"]), int(call.get("length", -1)))
    body = {"size": file.stat().st_size, "data": base64.b64encode(data).decode()}
    return json_response({"type": "READ_FILE", "read_file": body})


def _find(root: Path, wanted: str) -> Path | None:
    path, base = Path(wanted).resolve(), root.resolve()
    return path if path.is_relative_to(base) and path.exists() else None


def _read(file: Path, offset: int, length: int) -> bytes:
    with file.open("rb") as opened:
        opened.seek(max(0, offset))
        return opened.read(min(length, READ_BYTES_MAX) if length >= 0 else READ_BYTES_MAX)


def _describe(path: Path) -> JsonObject:
    found = path.lstat()
    return {
        "gid": _group(found),
        "mode": stat.filemode(found.st_mode),
        "mtime": float(int(found.st_mtime)),
        "nlink": found.st_nlink,
        "path": str(path),
        "size": found.st_size,
        "uid": _user(found),
    }


def _file_info(path: Path) -> JsonObject:
    found = path.lstat()
    return {
        "path": str(path),
        "nlink": found.st_nlink,
        "size": found.st_size,
        "mtime": {"nanoseconds": int(found.st_mtime) * 1_000_000_000},
        "mode": found.st_mode,
        "uid": _user(found),
        "gid": _group(found),
    }


def _user(found: os.stat_result) -> str:
    try:
        return pwd.getpwuid(found.st_uid).pw_name
    except KeyError:
        return str(found.st_uid)


def _group(found: os.stat_result) -> str:
    try:
        return grp.getgrgid(found.st_gid).gr_name
    except KeyError:
        return str(found.st_gid)
