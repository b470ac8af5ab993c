"""Name the place where a master listens, and open connections to it.

Every address a name resolves to is tried (IPv4 and IPv6, started 250 ms apart, RFC 8305), every
attempt has a deadline, and a name that does not resolve is an attempt that failed, nothing more.
"""

import asyncio
import base64
import ssl
from collections.abc import Callable
from ipaddress import IPv6Address
from typing import Literal, TypeVar
from urllib.parse import urlsplit

from attrs import field, frozen
from attrs.validators import ge, le

DEFAULT_PORT = 5050
API_PATH = "/api/v1/scheduler"
_NEXT_ADDRESS_AFTER_S = 0.25

Scheme = Literal["http", "https"]
Connection = TypeVar("Connection", bound=asyncio.BaseProtocol)


@frozen
class Endpoint:
    """Where to send calls. ``host`` is a name or an address, IPv6 without brackets."""

    scheme: Scheme
    host: str
    port: int = field(default=DEFAULT_PORT, validator=[ge(1), le(65_535)])
    path: str = API_PATH
    server_name: str | None = None
    """Name the certificate must carry, where it is not ``host`` (ZooKeeper tells both)."""

    @property
    def authority(self) -> str:
        """``host:port`` as a Host header and a URL spell it."""
        return f"{bracketed(self.host)}:{self.port}"


@frozen
class Tls:
    """What a https master is checked against, and what it may check us by; file paths."""

    ca_file: str | None = None
    """None: the certificate authorities the system trusts."""
    cert_file: str | None = None
    key_file: str | None = None

    def context(self) -> ssl.SSLContext:
        """Read the files anew: a renewed certificate is used from the next connection on.

        Raises:
            OSError: a file is missing or not what it should be (ssl.SSLError is one).
        """
        context = ssl.create_default_context(cafile=self.ca_file)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.cert_file is not None:
            context.load_cert_chain(self.cert_file, self.key_file)
        return context


@frozen
class Credential:
    """A principal and its secret, sent as HTTP Basic (Mesos "Authentication", HTTP API)."""

    principal: str
    secret: str = field(repr=False)

    def header(self) -> str:
        """Spell the value of the Authorization header."""
        pair = f"{self.principal}:{self.secret}".encode()
        return f"Basic {base64.b64encode(pair).decode('ascii')}"


def bracketed(host: str) -> str:
    """Put an IPv6 address in the brackets that URLs and Host headers want."""
    try:
        IPv6Address(host)
    except ValueError:
        return host
    return f"[{host}]"


def parse_endpoint(text: str, default_scheme: Scheme = "http") -> Endpoint:
    """Read ``HOST``, ``HOST:PORT``, ``[IPV6]:PORT`` or a http(s) URL; no port means 5050.

    Raises:
        ValueError: ``text`` is none of these.
    """
    url = text if "://" in text else f"//{text}"
    parts = urlsplit(url, scheme=default_scheme)
    if not parts.hostname or parts.username is not None or parts.query or parts.fragment:
        raise ValueError(f"not a master address: {text!r}")
    if parts.path not in ("", "/"):
        raise ValueError(f"a master address has no path: {text!r}")
    return Endpoint(_scheme(parts.scheme), parts.hostname, parts.port or DEFAULT_PORT)


def redirected(endpoint: Endpoint, location: str) -> Endpoint:
    """Follow the Location of a 307 that ``endpoint`` sent.

    Mesos sends ``//host:port/master/api/v1/scheduler`` without a scheme (traces, 07). https is
    never left for http: the credentials would go out in clear.

    Raises:
        ValueError: the location names no host, or leads from https to http.
    """
    parts = urlsplit(location, scheme=endpoint.scheme)
    if not parts.hostname:
        raise ValueError(f"redirected to nowhere: {location!r}")
    scheme = _scheme(parts.scheme)
    if endpoint.scheme == "https" and scheme == "http":
        raise ValueError(f"redirected from https to http: {location!r}")
    return Endpoint(scheme, parts.hostname, parts.port or DEFAULT_PORT, parts.path or API_PATH)


def _scheme(text: str) -> Scheme:
    if text == "http":
        return "http"
    if text == "https":
        return "https"
    raise ValueError(f"a master speaks http or https, not {text!r}")


async def connect(
    endpoint: Endpoint, protocol: Callable[[], Connection], tls: Tls, deadline_s: float
) -> tuple[asyncio.Transport, Connection]:
    """Open a connection, with TLS and a verified server name for a https endpoint.

    Raises:
        OSError: no address could be reached in time (TimeoutError), the name does not resolve,
            or TLS failed.
    """
    loop = asyncio.get_running_loop()
    context = tls.context() if endpoint.scheme == "https" else None
    name = (endpoint.server_name or endpoint.host) if context else None
    try:
        async with asyncio.timeout(deadline_s):
            return await loop.create_connection(
                protocol,
                endpoint.host,
                endpoint.port,
                ssl=context,
                server_hostname=name,
                happy_eyeballs_delay=_NEXT_ADDRESS_AFTER_S,
            )
    except TimeoutError as problem:
        raise TimeoutError(f"{endpoint.authority} not reached in {deadline_s:g} s") from problem
    except (UnicodeError, IndexError) as problem:
        # What cannot be a DNS label; and asyncio's own slip when no attempt left an OSError.
        raise OSError(f"{endpoint.authority!r} cannot be connected to") from problem
