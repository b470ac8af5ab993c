"""The description of the API is sound OpenAPI, and the API does as it says.

schemathesis makes requests from docs/openapi.json, sound and broken ones: none may be answered
5xx, or otherwise than described. `FUZZ_EXAMPLES` is how many it makes for each operation.
"""

import os
import subprocess

import httpx2
import pytest

from tests.clients.test_clients import INSTALLED, pytestmark, run
from tests.conftest import REPOSITORY
from tests.live_egret import live_egret

__all__ = ["pytestmark"]

FUZZ = INSTALLED / "fuzz/bin"
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,"
    "response_headers_conformance,response_schema_conformance,negative_data_rejection"
)
# The event stream has no end; a teardown ends the tests.
LEFT_OUT = ("--exclude-path", "/v2/events", "--exclude-path", "/v2/egret/teardown")


def test_the_document_is_sound_openapi():
    assert "OK" in run(FUZZ / "openapi-spec-validator", REPOSITORY / "docs/openapi.json")


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("ids", ["anything", "known"])
def test_nothing_is_answered_otherwise_than_described(ids, tmp_path):
    """Once with ids of any kind and every bound of every field, once with ids that there are."""
    phases = "fuzzing" if ids == "known" else "coverage,fuzzing"
    config = tmp_path / "schemathesis.toml"
    known = """
        [[operations]]
        include-path-regex = "^/v2/(apps|queue)"
        parameters = { "path.id" = "fuzz/app" }
        [[operations]]
        include-path-regex = "^/v2/groups"
        parameters = { "path.id" = "fuzz" }
    """
    config.write_text(known if ids == "known" else "")
    with live_egret() as egret:
        app = {"id": "/fuzz/app", "cmd": "sleep 1", "instances": 2}
        httpx2.post(f"{egret.url}/v2/apps", json=app).raise_for_status()
        done = subprocess.run(
            [
                FUZZ / "schemathesis", "--config-file", config, "run", f"{egret.url}/openapi.json",
                "--checks", CHECKS, *LEFT_OUT, "--phases", phases, "--seed", "1", "--no-color",
                "--max-examples", os.environ.get("FUZZ_EXAMPLES", "10"), "--continue-on-failure",
                "--suppress-health-check", "all",
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )  # fmt: skip
        alive = httpx2.get(f"{egret.url}/v2/apps")
    failures = done.stdout.partition("= FAILURES =")[2].partition("= WARNINGS =")[0]
    assert done.returncode == 0, failures[:8000] + done.stderr[-2000:]
    assert alive.status_code == 200
