"""Serve the one read-only page: what runs, how healthy it is, what waits and why.

Page, script and style are three files of our own; the policy lets the browser load nothing else,
and the script puts every text in as text.
"""

from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from scheduler.api.context import Api

_STATIC = Path(__file__).parent / "static"
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:;"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def _static(name: str, media_type: str) -> Response:
    return Response((_STATIC / name).read_bytes(), media_type=media_type)


async def show_page(_api: Api, _request: Request) -> Response:
    """GET /."""
    response = _static("page.html", "text/html")
    response.headers["Content-Security-Policy"] = _POLICY
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


async def show_script(_api: Api, _request: Request) -> Response:
    """GET /page.js."""
    return _static("page.js", "text/javascript")


async def show_style(_api: Api, _request: Request) -> Response:
    """GET /page.css."""
    return _static("page.css", "text/css")
