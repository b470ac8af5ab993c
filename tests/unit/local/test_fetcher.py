import tarfile
import zipfile
from pathlib import Path

import pytest

from scheduler.local.fetcher import FetchError, fetch_uris
from scheduler.local.httpserver import HttpServer, Request, Response


@pytest.fixture
def given(tmp_path: Path) -> Path:
    folder = tmp_path / "given"
    folder.mkdir()
    (folder / "a.txt").write_text("hello")
    with tarfile.open(folder / "a.tgz", "w:gz") as tar:
        tar.add(folder / "a.txt", "inner.txt")
    with zipfile.ZipFile(folder / "a.zip", "w") as zipped:
        zipped.writestr("zipped.txt", "hello")
    return folder


@pytest.fixture
def sandbox(tmp_path: Path) -> Path:
    folder = tmp_path / "sandbox"
    folder.mkdir()
    return folder


def test_paths_and_file_urls_are_copied(given: Path, sandbox: Path) -> None:
    fetch_uris([{"value": str(given / "a.txt")}], sandbox)
    fetch_uris([{"value": f"file://{given}/a.txt", "output_file": "sub/b.txt"}], sandbox)
    assert (sandbox / "a.txt").read_text() == "hello"
    assert (sandbox / "sub/b.txt").read_text() == "hello"


def test_archives_are_unpacked_unless_told_not_to(given: Path, sandbox: Path) -> None:
    fetch_uris([{"value": str(given / "a.zip")}], sandbox)
    fetch_uris([{"value": str(given / "a.tgz"), "extract": False}], sandbox)
    assert (sandbox / "zipped.txt").exists()
    assert not (sandbox / "inner.txt").exists()
    fetch_uris([{"value": str(given / "a.tgz")}], sandbox)
    assert (sandbox / "inner.txt").read_text() == "hello"


def test_an_executable_may_be_run(given: Path, sandbox: Path) -> None:
    fetch_uris([{"value": str(given / "a.txt"), "executable": True}], sandbox)
    assert (sandbox / "a.txt").stat().st_mode & 0o111


async def test_http_is_downloaded(sandbox: Path) -> None:
    import asyncio

    def serve(request: Request) -> Response:
        return Response(200, b"over http") if request.path == "/f.txt" else Response(404)

    server = HttpServer(serve)
    port = await server.start("127.0.0.1", 0)
    url = f"http://127.0.0.1:{port}"
    await asyncio.to_thread(fetch_uris, [{"value": f"{url}/f.txt?x=1"}], sandbox)
    assert (sandbox / "f.txt").read_text() == "over http"
    with pytest.raises(FetchError, match="404"):
        await asyncio.to_thread(fetch_uris, [{"value": f"{url}/none"}], sandbox)
    server.stop()


@pytest.mark.parametrize(
    "uri",
    [
        {"value": "/no/such/file"},
        {"value": "ftp://127.0.0.1/x"},
        {"value": "relative.txt"},
        {"value": "/etc/passwd", "output_file": "../outside"},
    ],
)
def test_what_cannot_be_fetched_is_named(uri: dict[str, str], sandbox: Path) -> None:
    with pytest.raises(FetchError, match=uri["value"]):
        fetch_uris([uri], sandbox)
