"""Fetch a task's URIs into its sandbox, as a process of its own.

A process, not a thread: it runs as the task's user, its memory and its time are bounded from
outside, and a kill of the task simply kills it. It needs the standard library alone.

What a URI means follows Mesos's fetcher: an absolute path or file:// is copied, http, https, ftp
and ftps are downloaded; archives are unpacked unless `extract` is false; `executable` sets the mode
and unpacks nothing; `output_file` renames.
"""

from __future__ import annotations

import json
import posixpath
import shutil
import sys
import tarfile
import urllib.request
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from executor.messages import Uri

_TAR_ENDINGS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
_CHUNK_BYTES = 1024 * 1024
_MIB = 1024 * 1024
_SOCKET_TIMEOUT_S = 30.0


class FetchError(Exception):
    """A URI that cannot, or must not, be fetched."""


_FAILURES = (FetchError, OSError, ValueError, tarfile.TarError, zipfile.BadZipFile)


class Budget:
    """How many bytes may still be written to the sandbox, downloads and unpacked files together."""

    def __init__(self, limit_bytes: int) -> None:
        self._left = limit_bytes

    def spend(self, count: int) -> None:
        """Take count bytes. Raises FetchError when there are not so many left."""
        self._left -= count
        if self._left < 0:
            raise FetchError("more bytes than EGRET_EXECUTOR_FETCH_MAX_MIB allows")


def fetch_argv(uris: tuple[Uri, ...], max_mib: int) -> tuple[str, ...]:
    """The command that fetches these URIs into its working directory."""
    # The directory, or the archive, that holds this package: it need not be on the path there.
    root = str(Path(__file__).absolute().parent.parent)
    start = "import sys; sys.path.insert(0, sys.argv[1]); from executor.fetch import main; main()"
    wanted = json.dumps([asdict(uri) for uri in uris])
    # Isolated: a module of the task's in the sandbox must not stand in for one of Python's.
    return (sys.executable, "-I", "-c", start, root, wanted, str(max_mib))


def main() -> None:
    """Fetch what the arguments name; say on standard error what failed, and exit with 1."""
    wanted, max_mib = json.loads(sys.argv[2]), int(sys.argv[3])
    budget = Budget(max_mib * _MIB)
    for uri in wanted:
        address = uri.pop("value")
        try:
            fetch(address, Path(), budget, **uri)
        except _FAILURES as error:
            sys.stderr.write(f"Failed to fetch {address}: {error}\n")
            sys.exit(1)


def fetch(
    uri: str,
    directory: Path,
    budget: Budget,
    *,
    executable: bool = False,
    extract: bool = True,
    output_file: str = "",
) -> Path:
    """Fetch one URI into a directory; return the path of the file.

    Raises:
        FetchError, OSError, ValueError, tarfile.TarError, zipfile.BadZipFile: it could not be.
    """
    path = directory / _inside(output_file or _name_of(uri))
    path.parent.mkdir(parents=True, exist_ok=True)
    with _open(uri) as source, path.open("wb") as target:
        for chunk in iter(lambda: source.read(_CHUNK_BYTES), b""):
            budget.spend(len(chunk))
            target.write(chunk)
    if executable:
        path.chmod(0o755)
    elif extract and path.name.endswith(_TAR_ENDINGS):
        _unpack_tar(path, directory, budget)
    elif extract and path.name.endswith(".zip"):
        _unpack_zip(path, directory, budget)
    return path


def _open(uri: str) -> BinaryIO:
    parts = urlsplit(uri)
    if parts.scheme in ("", "file"):
        path = Path(unquote(parts.path) if parts.scheme else uri)
        if not path.is_absolute():
            raise FetchError("a path must be absolute")
        return path.open("rb")
    if parts.scheme not in ("http", "https", "ftp", "ftps"):
        raise FetchError(f"scheme {parts.scheme} is not supported")
    # The scheme is one of those above: no file: and no data: can come in here.
    return urllib.request.urlopen(uri, timeout=_SOCKET_TIMEOUT_S)  # noqa: S310


def _name_of(uri: str) -> str:
    parts = urlsplit(uri)
    name = posixpath.basename(unquote(parts.path) if parts.scheme else uri)
    if not name:
        raise FetchError("it names no file")
    return name


def _inside(name: str) -> str:
    """A relative path that stays in its directory. Raises FetchError otherwise."""
    if name.startswith("/") or ".." in name.split("/"):
        raise FetchError(f"{name} is outside the sandbox")
    return name


def _unpack_tar(path: Path, directory: Path, budget: Budget) -> None:
    with tarfile.open(path) as archive:
        for member in archive:
            _check_member(member)
            budget.spend(member.size)
            # Where Python has the filter it checks again; older ones rely on _check_member.
            if hasattr(tarfile, "data_filter"):
                archive.extract(member, directory, filter="data")
            else:
                archive.extract(member, directory)


def _check_member(member: tarfile.TarInfo) -> None:
    _inside(member.name)
    if member.issym():
        _inside(posixpath.normpath(posixpath.join(posixpath.dirname(member.name), member.linkname)))
    elif member.islnk():
        _inside(member.linkname)
    elif not (member.isfile() or member.isdir()):
        raise FetchError(f"{member.name} is neither a file, a directory nor a link")
    member.mode &= 0o755


def _unpack_zip(path: Path, directory: Path, budget: Budget) -> None:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            target = directory / _inside(member.filename)
            if member.is_dir():
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            budget.spend(member.file_size)
            with archive.open(member) as source, target.open("wb") as file:
                shutil.copyfileobj(source, file)
            mode = (member.external_attr >> 16) & 0o755
            if mode:
                target.chmod(mode)
