"""Ask a task over the network how it is: HTTP and TCP checks.

They see what Mesos's own checks see: the loopback address, an answer of 200 to 399 after following
redirects, certificates not verified.
"""

from __future__ import annotations

import asyncio
import ssl
from urllib.parse import urljoin, urlsplit

import h11

from executor.http import Address, Head, HttpConnection
from executor.messages import Check
from executor.pulse import within

_MAX_REDIRECTS = 10


async def probe_network(check: Check) -> int | None:
    """Run an HTTP or TCP check once, within its timeout. Never raises for a failing target.

    Returns:
        For HTTP the status of the answer, None if there was none. For TCP 1, or 0 if the port did
        not accept.
    """
    probe = _probe_http(check) if check.is_http else _probe_tcp(check)
    try:
        return await within(check.timeout_s or None, probe)
    except (OSError, ValueError, h11.ProtocolError, asyncio.TimeoutError):
        return None if check.is_http else 0


async def _probe_tcp(check: Check) -> int:
    _, writer = await asyncio.open_connection(check.host, check.port)
    writer.transport.abort()
    return 1


async def _probe_http(check: Check) -> int | None:
    host = f"[{check.host}]" if ":" in check.host else check.host
    url = f"{check.scheme}://{host}:{check.port}/{check.path.lstrip('/')}"
    for _ in range(_MAX_REDIRECTS):
        head = await _get(url)
        location = head.headers.get("location")
        if not (300 <= head.status < 400 and location):
            return head.status
        url = urljoin(url, location)
    return None  # It redirects in circles.


async def _get(url: str) -> Head:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"not an HTTP address: {url}")
    secure = parts.scheme == "https"
    address = Address(parts.hostname, parts.port or (443 if secure else 80))
    connection = await HttpConnection.open(address, tls=_any_certificate() if secure else None)
    try:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        headers = {"User-Agent": "egret-executor", "Accept": "*/*", "Connection": "close"}
        return await connection.request("GET", target, headers)
    finally:
        connection.close()


def _any_certificate() -> ssl.SSLContext:
    # A task's certificate is made for its clients; a check at 127.0.0.1 could never verify it.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
