"""Fetching: what lands in the sandbox, and what must never leave it."""

import functools
import http.server
import io
import stat
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from executor.fetch import Budget, FetchError, fetch


@pytest.fixture
def sandbox(tmp_path: Path) -> Path:
    path = tmp_path / "sandbox"
    path.mkdir()
    return path


@pytest.fixture
def plenty() -> Budget:
    return Budget(1024 * 1024)


def tar_of(path: Path, *members: tarfile.TarInfo) -> str:
    with tarfile.open(path, "w:gz") as archive:
        for member in members:
            archive.addfile(member, io.BytesIO(b"x" * member.size))
    return str(path)


def member(
    name: str, kind: bytes = tarfile.REGTYPE, link: str = "", size: int = 0
) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size, info.mode = kind, link, size, 0o4777
    return info


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "web").mkdir()
    (tmp_path / "web/a b.txt").write_text("over http")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    handler = functools.partial(Quiet, directory=str(tmp_path / "web"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_a_file_comes_over_http_with_its_name_decoded(
    web: str, sandbox: Path, plenty: Budget
) -> None:
    fetch(f"{web}/a%20b.txt?x=1", sandbox, plenty)
    assert (sandbox / "a b.txt").read_text() == "over http"


def test_what_the_server_does_not_have_is_an_error(web: str, sandbox: Path, plenty: Budget) -> None:
    with pytest.raises(OSError, match="404"):
        fetch(f"{web}/missing", sandbox, plenty)


def test_a_local_file_is_copied_and_made_executable(
    tmp_path: Path, sandbox: Path, plenty: Budget
) -> None:
    (tmp_path / "x.zip").write_text("no archive, and not to be unpacked")
    fetch(f"file://{tmp_path}/x.zip", sandbox, plenty, executable=True, output_file="bin/x.zip")
    assert (sandbox / "bin/x.zip").stat().st_mode & 0o777 == 0o755


def test_archives_are_unpacked_with_safe_modes(
    tmp_path: Path, sandbox: Path, plenty: Budget
) -> None:
    uri = tar_of(
        tmp_path / "a.tgz", member("d/run", size=3), member("d/to", tarfile.SYMTYPE, "run")
    )
    fetch(uri, sandbox, plenty)
    assert (sandbox / "d/to").read_text() == "xxx"
    assert stat.S_IMODE((sandbox / "d/run").stat().st_mode) == 0o755
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("e/f.txt", "zipped")
    fetch(str(tmp_path / "b.zip"), sandbox, plenty)
    assert (sandbox / "e/f.txt").read_text() == "zipped"


def test_an_archive_stays_packed_if_asked(tmp_path: Path, sandbox: Path, plenty: Budget) -> None:
    fetch(tar_of(tmp_path / "a.tgz", member("f", size=1)), sandbox, plenty, extract=False)
    assert [path.name for path in sandbox.iterdir()] == ["a.tgz"]


@pytest.mark.parametrize(
    "bad",
    [
        member("../out", size=1),
        member("/tmp/out", size=1),
        member("link", tarfile.SYMTYPE, "../../out"),
        member("link", tarfile.SYMTYPE, "/etc/passwd"),
        member("link", tarfile.LNKTYPE, "../out"),
        member("device", tarfile.CHRTYPE),
        member("pipe", tarfile.FIFOTYPE),
    ],
)
def test_an_archive_that_reaches_outside_is_refused(
    tmp_path: Path, sandbox: Path, plenty: Budget, bad: tarfile.TarInfo
) -> None:
    uri = tar_of(tmp_path / "bad.tar.gz", bad)
    with pytest.raises((FetchError, tarfile.TarError)):
        fetch(uri, sandbox, plenty)
    assert not (tmp_path / "out").exists()


def test_a_zip_that_reaches_outside_is_refused(
    tmp_path: Path, sandbox: Path, plenty: Budget
) -> None:
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        archive.writestr("../out", "x")
    with pytest.raises(FetchError, match="outside"):
        fetch(str(tmp_path / "bad.zip"), sandbox, plenty)
    assert not (tmp_path / "out").exists()


def test_the_limit_counts_downloads_and_unpacked_bytes_together(
    tmp_path: Path, sandbox: Path
) -> None:
    bomb = tar_of(tmp_path / "bomb.tgz", member("big", size=1_000_000))
    with pytest.raises(FetchError, match="FETCH_MAX_MIB"):
        fetch(bomb, sandbox, Budget(500_000))
    with pytest.raises(FetchError, match="FETCH_MAX_MIB"):
        fetch(bomb, sandbox, Budget(10))


@pytest.mark.parametrize(
    "uri", ["relative/path", "hdfs://x/y", "data:text/plain,x", "http://h/", "file://relative"]
)
def test_what_cannot_be_fetched_is_refused(uri: str, sandbox: Path, plenty: Budget) -> None:
    with pytest.raises((FetchError, OSError)):
        fetch(uri, sandbox, plenty)


@pytest.mark.parametrize("name", ["../out", "/tmp/out", "a/../../out"])
def test_an_output_file_stays_in_the_sandbox(
    tmp_path: Path, sandbox: Path, plenty: Budget, name: str
) -> None:
    (tmp_path / "x").write_text("x")
    with pytest.raises(FetchError, match="outside"):
        fetch(str(tmp_path / "x"), sandbox, plenty, output_file=name)
