"""Other people's programs for Marathon run unchanged: only the address is ours.

They are installed as published and locked (`make clients` does that and runs these tests). The
Python ones are from before Python 3.10, which took names out of `collections`; they get those back
from `older_python/`, and nothing else.
"""

import base64
import contextlib
import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx2
import pytest

from tests.conftest import REPOSITORY
from tests.live_egret import live_egret
from tests.support import free_ports

HERE = Path(__file__).parent
INSTALLED = REPOSITORY / ".tools/clients"
PYTHON = INSTALLED / "python/bin"

pytestmark = [
    pytest.mark.skipif(
        not (INSTALLED / ".done").exists() and not os.environ.get("EGRET_CLIENTS_REQUIRED"),
        reason="other people's clients are not installed: run `make clients`",
    ),
    pytest.mark.timeout(400),
]

OLDER_PYTHON = {**os.environ, "PYTHONPATH": str(HERE / "older_python")}


@pytest.fixture
def url() -> Iterator[str]:
    with live_egret() as egret:
        yield egret.url


def run(*command: object, **more) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
        **more,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    return done.stdout


def test_the_python_client_works(url):
    said = run(PYTHON / "python", HERE / "use_marathon.py", url, env=OLDER_PYTHON)
    assert "all well" in said


def test_a_node_client_and_an_event_bus_client_work(url):
    modules = {**os.environ, "NODE_PATH": str(INSTALLED / "node_modules")}
    assert "all well" in run("node", HERE / "use_marathon_node.js", url, env=modules)


# --------------------------------------------------- certificates for what is deployed


def _decoded(text):
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


class AcmeServer:
    """A certificate authority that registers everybody, notes who asks for what, and refuses."""

    def __init__(self) -> None:
        self.domains: list[str] = []
        acme = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self):
                self._answer(200, {})

            def do_GET(self):
                names = {"new-reg": "new-reg", "new-authz": "new-authz", "new-cert": "new-cert"}
                self._answer(200, {key: f"{acme.url}/{path}" for key, path in names.items()})

            def do_POST(self):
                length = int(self.headers["Content-Length"])
                signed = json.loads(self.rfile.read(length))
                asked = _decoded(signed["payload"])
                if asked.get("resource") == "new-authz":
                    acme.domains.append(asked["identifier"]["value"])
                    self._answer(403, {"type": "urn:acme:error:unauthorized", "detail": "no"})
                else:
                    head = signed.get("header", {}) | _decoded(signed["protected"])
                    self._answer(201, {**asked, "resource": "reg", "key": head["jwk"]})

            def _answer(self, status, body):
                content = json.dumps(body).encode()
                kind = "application/json" if status < 400 else "application/problem+json"
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(content)))
                self.send_header("Replay-Nonce", base64.urlsafe_b64encode(os.urandom(9)).decode())
                self.send_header("Location", f"{acme.url}/reg/1")
                self.send_header("Link", f'<{acme.url}/new-authz>;rel="next"')
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

            def log_message(self, format, *args):  # noqa: A002 - the base's name
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    @contextlib.contextmanager
    def running(self) -> Iterator["AcmeServer"]:
        thread = threading.Thread(target=self._server.serve_forever)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            thread.join()
            self._server.server_close()


def until(probe, what, log: Path):
    give_up_at = time.monotonic() + 60
    while not probe():
        assert time.monotonic() < give_up_at, f"not in time: {what}\n{log.read_text()[-4000:]}"
        time.sleep(0.1)


def app_with(domain):
    labels = {"HAPROXY_GROUP": "external", "MARATHON_ACME_0_DOMAIN": domain}
    return {"id": f"/{domain}", "cmd": "sleep 1", "labels": labels, "instances": 0}


def test_marathon_acme_asks_for_certificates_of_what_is_deployed(url, tmp_path):
    """It reads /v2/apps when its event stream is attached and after each api_post_event."""
    (port,) = free_ports(1)
    log = tmp_path / "log"
    (tmp_path / "certificates").mkdir()
    httpx2.post(f"{url}/v2/apps", json=app_with("before.example.org")).raise_for_status()
    with AcmeServer().running() as acme, log.open("wb") as output:
        command = [
            PYTHON / "marathon-acme", "--acme", f"{acme.url}/directory", "--marathon", url,
            "--lb", acme.url, "--listen", f"127.0.0.1:{port}", "--log-level", "debug",
            tmp_path / "certificates",
        ]  # fmt: skip
        process = subprocess.Popen(
            [str(part) for part in command], stdout=output, stderr=output, env=OLDER_PYTHON
        )
        try:
            until(lambda: "before.example.org" in acme.domains, "the first domain", log)
            httpx2.post(f"{url}/v2/apps", json=app_with("after.example.org")).raise_for_status()
            until(lambda: "after.example.org" in acme.domains, "the domain deployed later", log)
        finally:
            process.kill()
            process.wait()
