"""Fetch the URIs of a custom executor into its sandbox, as Mesos's fetcher does.

Absolute paths and file:// are copied, http(s) is downloaded; archives are unpacked beside
themselves unless `extract` is false; `executable` sets the mode instead; `output_file` renames
(docs/fetcher.md). Tasks of the command executor are fetched for by that executor.
"""

import shutil
import tarfile
import urllib.request
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from scheduler.local.resources import JsonObject

TIMEOUT_S = 60.0


class FetchError(Exception):
    """A URI could not be fetched; the text says which and why."""


def fetch_uris(uris: list[JsonObject], sandbox: Path) -> None:
    """Fetch all, in order. Blocks: run it in a thread.

    Raises:
        FetchError: at the first that fails.
    """
    for uri in uris:
        try:
            _fetch(uri, sandbox)
        except (OSError, ValueError, tarfile.TarError, zipfile.BadZipFile) as error:
            raise FetchError(f"Failed to fetch '{uri['value']}': {error}") from error


def _fetch(uri: JsonObject, sandbox: Path) -> None:
    value = str(uri["value"])
    parts = urlsplit(value)
    name = str(uri.get("output_file") or Path(unquote(parts.path)).name)
    target = (sandbox / name).resolve()
    if not name or not target.is_relative_to(sandbox.resolve()):
        raise ValueError("it has no file name inside the sandbox")
    target.parent.mkdir(parents=True, exist_ok=True)
    if parts.scheme in {"http", "https"}:
        with urllib.request.urlopen(value, timeout=TIMEOUT_S) as reply, target.open("wb") as out:  # noqa: S310
            shutil.copyfileobj(reply, out)
    elif parts.scheme in {"", "file"} and parts.path.startswith("/"):
        shutil.copyfile(unquote(parts.path), target)
    else:
        raise ValueError("only http, https, file and absolute paths are supported")
    if uri.get("executable", False):
        target.chmod(0o755)
    elif uri.get("extract", True):
        _extract(target, sandbox)


def _extract(archive: Path, sandbox: Path) -> None:
    if tarfile.is_tarfile(archive):
        with tarfile.open(archive) as tar:
            # Older patch releases of Python 3.11 know no filter, and need trust instead.
            safe: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
            tar.extractall(sandbox, **safe)  # noqa: S202
    elif archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as zipped:
            zipped.extractall(sandbox)  # noqa: S202 (zipfile keeps inside by itself)
