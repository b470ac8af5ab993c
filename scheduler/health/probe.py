"""Carry out one probe over HTTP, HTTPS or TCP and say what came of it.

The verdict is the status line alone: 200 to 399 is alive, as in Marathon; redirects are not
followed, certificates are not verified, no proxy is asked, and of the body no more is read than
politeness needs. One absolute deadline covers name, connection, handshake and answer, so a server
that sends a byte at a time gains nothing.
"""

import asyncio
import errno
import ssl
from typing import cast
from urllib.parse import quote

from scheduler.core.app import HealthProtocol
from scheduler.health.target import ProbeCheck
from scheduler.health.verdict import Answer, Outcome

STATUS_LINE_BYTES_MAX = 4096
BODY_BYTES_MAX = 65_536
LINGER_S = 1.0
"""How long a connection stays open after the verdict for the server to finish its answer: closing
at once resets it, and many servers log that as an error, once for each probe."""
CAUSE_CHARS_MAX = 200
STALL_MS = 1000
"""A deadline noticed this late was missed by us, not by the task."""

_OUR_FAULTS = {
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOBUFS,
    errno.ENOMEM,
    errno.EADDRNOTAVAIL,
}
_ALIVE = Outcome(Answer.ALIVE)
NO_TARGET = (ValueError, OverflowError)
"""What asyncio, sockets and TLS raise for a target that is none: a host name that no resolver takes
or that is empty, a port beyond 65535, a path that is no text."""


async def probe(check: ProbeCheck, *, user_agent: str) -> Outcome:
    """Probe once. Takes at most the check's timeout; never raises but for cancellation."""
    loop = asyncio.get_running_loop()
    started_s = loop.time()
    timeout_s = check.timeout_ms / 1000
    try:
        async with asyncio.timeout(timeout_s):
            if check.protocol is HealthProtocol.TCP:
                return await _probe_tcp(check)
            return await _probe_http(check, user_agent)
    except TimeoutError:
        late_ms = (loop.time() - started_s - timeout_s) * 1000
        if late_ms > STALL_MS:
            return Outcome(Answer.IGNORED, "the prober itself was stalled")
        return Outcome(Answer.DEAD, f"no answer within {timeout_s:g} s")
    except OSError as error:
        # ssl.SSLError and socket.gaierror are OSErrors, too.
        is_ours = error.errno in _OUR_FAULTS and not isinstance(error, ssl.SSLError)
        return Outcome(Answer.IGNORED if is_ours else Answer.DEAD, cause_of(error))
    except NO_TARGET as error:
        return Outcome(Answer.DEAD, cause_of(error))


def judge_status_line(line: bytes, *, ignore_1xx: bool) -> Outcome:
    """Judge an HTTP status line, without its line end."""
    version, _, rest = line.partition(b" ")
    code = rest[:3]
    if not version.startswith(b"HTTP/") or len(code) != 3 or not code.isdigit():
        return Outcome(Answer.DEAD, "the answer is not HTTP")
    status = int(code)
    if 200 <= status <= 399:
        return _ALIVE
    if ignore_1xx and 100 <= status <= 199:
        return Outcome(Answer.IGNORED, f"HTTP status {status}")
    return Outcome(Answer.DEAD, f"HTTP status {status}")


def request_bytes(check: ProbeCheck, *, user_agent: str) -> bytes:
    """Write the request."""
    host = host_header(check.address, check.port)
    return (
        f"GET {request_target(check.path)} HTTP/1.1\r\nHost: {host}\r\n"
        f"User-Agent: {user_agent}\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    ).encode("ascii", "replace")


def request_target(path: str) -> str:
    """Escape a path, so that no line break in it can forge a header."""
    rooted = path if path.startswith("/") else f"/{path}"
    # What may stand in a path and query stays, "%" included: the path is already escaped.
    return quote(rooted, safe="/?&=%:@!$'()*+,;-._~[]")


def host_header(address: str, port: int) -> str:
    """Write the value of the header Host."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


class _HttpExchange(asyncio.Protocol):
    """One request; ``outcome`` is set when the status line is there or cannot come any more."""

    def __init__(
        self, request: bytes, outcome: asyncio.Future[Outcome], *, ignore_1xx: bool
    ) -> None:
        self._request = request
        self._outcome = outcome
        self._ignore_1xx = ignore_1xx
        self._line = bytearray()
        self._body_bytes = 0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # TCP and TLS transports write; the signature is as wide as asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if self._outcome.done():
            self._body_bytes += len(data)
            if self._body_bytes > BODY_BYTES_MAX and self._transport is not None:
                self._transport.abort()
            return
        self._line += data
        end = self._line.find(b"\n")
        if end >= 0:
            line = bytes(self._line[:end]).rstrip(b"\r")
            self._outcome.set_result(judge_status_line(line, ignore_1xx=self._ignore_1xx))
            self._line.clear()
        elif len(self._line) > STATUS_LINE_BYTES_MAX:
            self._outcome.set_result(Outcome(Answer.DEAD, "the answer is not HTTP"))

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._outcome.done():
            cause = cause_of(exc) if exc else "connection closed without an answer"
            self._outcome.set_result(Outcome(Answer.DEAD, cause))


async def _probe_http(check: ProbeCheck, user_agent: str) -> Outcome:
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[Outcome] = loop.create_future()
    request = request_bytes(check, user_agent=user_agent)
    transport, _ = await loop.create_connection(
        lambda: _HttpExchange(request, outcome, ignore_1xx=check.ignore_http_1xx),
        check.address,
        check.port,
        ssl=lenient_tls() if check.protocol is HealthProtocol.HTTPS else None,
    )
    try:
        # Shielded from its own deadline: a verdict that is there counts, however late we look.
        await asyncio.wait((outcome,))
    except asyncio.CancelledError:
        if not outcome.done():
            transport.abort()
            raise
    loop.call_later(LINGER_S, transport.abort)
    return outcome.result()


async def _probe_tcp(check: ProbeCheck) -> Outcome:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_connection(asyncio.Protocol, check.address, check.port)
    transport.close()
    return _ALIVE


_tls_context: ssl.SSLContext | None = None


def lenient_tls() -> ssl.SSLContext:
    """Return the context for checks: whatever the task speaks is good enough to see it alive."""
    global _tls_context  # noqa: PLW0603 - made once, on first use: it costs milliseconds
    if _tls_context is None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        _tls_context = context
    return _tls_context


def cause_of(error: Exception) -> str:
    """Say in a few words why no answer came."""
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    text = str(error) or type(error).__name__
    return text[:CAUSE_CHARS_MAX]
