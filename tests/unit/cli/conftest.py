"""A scheduler's API of canned answers, and the command line pointed at it."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from attrs import define, field
from click.testing import CliRunner, Result

from scheduler.cli import main


@define
class Asked:
    method: str
    path: str
    params: dict[str, str]
    body: Any


@define
class Stub:
    """Answers by method and path; a list of answers is given one after the other."""

    url: str = ""
    answers: dict[tuple[str, str], Any] = field(factory=dict)
    asked: list[Asked] = field(factory=list)

    def on(self, method: str, path: str, status: int = 200, body: Any = None, **headers: str):
        self.answers.setdefault((method, path), []).append((status, body, headers))

    def take(self, method: str, path: str) -> tuple[int, Any, dict[str, str]]:
        found = self.answers.get((method, path))
        if not found:
            return 404, {"message": f"no answer for {method} {path}"}, {}
        return found.pop(0) if len(found) > 1 else found[0]

    def bodies(self, method: str) -> list[Any]:
        return [one.body for one in self.asked if one.method == method]


def _handler(stub: Stub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            parts = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            text = self.rfile.read(length)
            body = json.loads(text) if text else None
            stub.asked.append(Asked(self.command, parts.path, dict(parse_qsl(parts.query)), body))
            status, answer, headers = stub.take(self.command, parts.path)
            data = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name
            """Stay quiet."""

    for method in ("GET", "PUT", "POST", "PATCH", "DELETE"):
        setattr(Handler, f"do_{method}", Handler._serve)

    return Handler


@pytest.fixture
def stub() -> Iterator[Stub]:
    stub = Stub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(stub))
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
    stub.url = f"http://127.0.0.1:{server.server_port}"
    stub.on("GET", "/v2/queue", body={"queue": []})
    yield stub
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user without settings and without a demo."""
    for name in ("EGRET_SERVER", "EGRET_CLI_CONFIG", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    runtime = tmp_path / "runtime"
    runtime.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def egret(stub: Stub) -> Callable[..., Result]:
    """Run the command line against the stub."""

    def run(*arguments: str, **options: Any) -> Result:
        return CliRunner().invoke(main, ["--server", stub.url, *arguments], **options)

    return run


def an_app(app_id: str = "/hello", **changes: Any) -> dict[str, Any]:
    """An app as GET shows it: everything wanted runs."""
    app = {
        "id": app_id,
        "cmd": "sleep 100",
        "instances": 1,
        "cpus": 0.1,
        "mem": 32,
        "version": "2026-01-01T00:00:00.000Z",
        "deployments": [],
        "tasksRunning": 1,
        "tasksHealthy": 0,
        "tasksUnhealthy": 0,
        "tasks": [],
    }
    return {**app, **changes}


def an_outcome(outcome: str = "done", **changes: Any) -> dict[str, Any]:
    """A deployment of /hello as GET shows it, under way or over."""
    at = "2026-01-01T00:00:00.000Z"
    is_over = outcome not in {"queued", "running"}
    shown: dict[str, Any] = {
        "id": "d1",
        "outcome": outcome,
        "reason": None,
        "version": "v",
        "startedAt": at,
        "endedAt": at if is_over else None,
        "changes": [{"app": "/hello", "before": "u", "after": "v"}],
        "reverts": None,
        "revertedBy": None,
    }
    if not is_over:
        shown.update(currentStep=1, totalSteps=2, blockedBy=[])
    return {**shown, **changes}
