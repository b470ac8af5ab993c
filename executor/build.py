"""Build the executor's archive: one file that any Python 3.9 or newer runs.

    python -m executor.build OUT.pyz

It holds this package and the pure Python it needs (pymesos, what pymesos imports, h11), taken from
the environment that builds it. The same sources give the same bytes, so its checksum can be told
to an agent beforehand.
"""

from __future__ import annotations

import hashlib
import io
import sys
import zipfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

_DISTRIBUTIONS = ("addict", "h11", "http-parser", "pymesos", "six")
_NOT_SHIPPED = {"build.py", "py.typed"}
_START = "#!/usr/bin/env python3\n"
# The archive's own entry: the package's __main__ is one level below.
_ENTRY = "from executor.main import main\n\nmain()\n"
_NO_DATE = (1980, 1, 1, 0, 0, 0)


def build_archive() -> bytes:
    """The archive's bytes.

    Raises:
        importlib.metadata.PackageNotFoundError: a package to ship is not installed here.
    """
    out = io.BytesIO(_START.encode())
    out.seek(0, io.SEEK_END)
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in sorted(_contents()):
            entry = zipfile.ZipInfo(name, _NO_DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
    return out.getvalue()


def write_archive(path: Path) -> str:
    """Build the archive into a file; return its SHA-256 in hexadecimal."""
    content = build_archive()
    path.write_bytes(content)
    path.chmod(0o755)
    return hashlib.sha256(content).hexdigest()


def _contents() -> Iterator[tuple[str, bytes]]:
    yield "__main__.py", _ENTRY.encode()
    for source in Path(__file__).parent.glob("*.py"):
        if source.name not in _NOT_SHIPPED:
            yield f"executor/{source.name}", source.read_bytes()
    for name in _DISTRIBUTIONS:
        yield from _distribution(name)


def _distribution(name: str) -> Iterator[tuple[str, bytes]]:
    distribution = metadata.distribution(name)
    for file in distribution.files or []:
        path = Path(str(distribution.locate_file(file)))
        if file.suffix == ".py" and "tests" not in file.parts:
            yield file.as_posix(), path.read_bytes()
        elif file.name.upper().startswith(("LICENSE", "METADATA")):
            yield f"licenses/{name}/{file.name}", path.read_bytes()


def main() -> None:
    """Write the archive to the path in the first argument and say what it is."""
    if len(sys.argv) != 2:
        sys.exit("usage: python -m executor.build OUT.pyz")
    path = Path(sys.argv[1])
    checksum = write_archive(path)
    sys.stdout.write(f"{path}: {path.stat().st_size} bytes, sha256 {checksum}\n")


if __name__ == "__main__":
    main()
