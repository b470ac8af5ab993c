"""Make py-consul fit for a daemon: own time-outs, own token, no environment, narrow errors.

py-consul lets ``CONSUL_HTTP_TOKEN`` override the token it is given and sends none with a
transaction; requests asks proxies and netrc for each call. All of that is set right here, so the
rest of the room only speaks of registrations.
"""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import requests
from attrs import frozen
from consul import Consul, ConsulException
from consul.exceptions import BadRequest

from scheduler.discovery.entry import META_OWNER

T = TypeVar("T")

_SENSELESS = (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError)
"""What reading an answer raises that is not what Consul's documents say: a proxy's, perhaps."""

_asked = threading.local()
"""``last`` is the request that this thread sent last: whose answer it reads."""


class ConsulUnavailableError(Exception):
    """Consul did not do what was asked, or it is unknown whether it did; try again later."""


class ConsulRefusedError(Exception):
    """Consul refused a request, a transaction as a whole: nothing of it was applied."""

    def __init__(self, operation: int, message: str) -> None:
        super().__init__(message)
        self.operation = operation
        """Index of the first operation that was at fault; -1 if Consul named none."""


@frozen
class ConsulAddress:
    """How to reach Consul; ``url`` is ``http://host:port`` or ``https://host:port``."""

    url: str
    token_file: Path | None = None
    """Read again for each round, so that a token can be replaced without a restart."""
    ca_file: Path | None = None
    timeout_s: float = 5.0
    """For connecting and for each answer."""


class _Session(requests.Session):
    """Sends nothing any more once it is told to stop, however many requests were to follow."""

    def __init__(self, stop: threading.Event) -> None:
        super().__init__()
        self._stop = stop
        self.trust_env = False

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        if self._stop.is_set():
            raise requests.ConnectionError("not sent: the term is over")
        url, _, _ = (request.url or "").partition("?")
        _asked.last = f"{request.method} {url}"
        return super().send(request, **kwargs)


def connect(address: ConsulAddress, stop: threading.Event, url: str | None = None) -> Consul:
    """Make a client for ``url``, by default the address's own; ``use_token`` is to follow.

    Once ``stop`` is set it sends nothing more; the request under way ends within its time-outs.

    Raises:
        ConsulUnavailableError: the URL is none.
    """
    try:
        parts = urlsplit(url or address.url)
        port = parts.port or 8500
    except ValueError as error:
        raise ConsulUnavailableError(f"no address: {error}"[:500]) from error
    client = Consul(
        host=parts.hostname,
        port=port,
        scheme=parts.scheme,
        verify=str(address.ca_file) if address.ca_file else True,
        connections_timeout=address.timeout_s,
    )
    client.http.session = _Session(stop)
    return client


def use_token(client: Consul, address: ConsulAddress) -> None:
    """Take the token as the file has it now; for every call, also those that py-consul forgets."""
    token = None
    if address.token_file is not None:
        try:
            token = address.token_file.read_text().strip()
        except (OSError, ValueError) as error:
            raise ConsulUnavailableError(f"token file: {error}") from error
        if not token:
            # Without one, Consul would show us less than there is, and we would believe it.
            raise ConsulUnavailableError(f"token file: {address.token_file} is empty")
    client.token = token
    headers = client.http.session.headers
    if token is None:
        headers.pop("X-Consul-Token", None)
    else:
        headers["X-Consul-Token"] = token


def ask(call: Callable[[], T]) -> T:
    """Run one py-consul call, and what reads its answer.

    Raises:
        ConsulRefusedError: Consul says that the request itself is wrong.
        ConsulUnavailableError: for whatever else went wrong: network, time, Consul's answer.
    """
    try:
        return call()
    except BadRequest as error:
        raise ConsulRefusedError(-1, str(error)[:500]) from error
    except (requests.RequestException, ConsulException, OSError) as error:
        raise ConsulUnavailableError(f"{type(error).__name__}: {error}"[:500]) from error
    except _SENSELESS as error:
        raise _senseless(error) from error


def commit(client: Consul, operations: list[dict[str, Any]]) -> None:
    """Run one transaction: all of it or nothing.

    Raises:
        ConsulRefusedError: nothing was applied, and will not be when sent again.
        ConsulUnavailableError: it may or may not have been applied.
    """
    try:
        client.txn.put(operations)
    except (requests.RequestException, OSError) as error:
        raise ConsulUnavailableError(f"{type(error).__name__}: {error}"[:500]) from error
    except ConsulException as error:
        # "409 {body}" for a transaction that was rolled back, "400 …" for one not understood.
        status, _, body = str(error).partition(" ")
        if status == "409":
            raise _refusal(body) from error
        if status == "400":
            raise ConsulRefusedError(-1, body[:500]) from error
        raise ConsulUnavailableError(f"{type(error).__name__}: {error}"[:500]) from error
    except _SENSELESS as error:
        raise _senseless(error) from error


def _senseless(error: Exception) -> ConsulUnavailableError:
    where = getattr(_asked, "last", "nothing")
    cause = f"{type(error).__name__}: {error}"
    return ConsulUnavailableError(f"an answer that makes no sense, to {where} ({cause})"[:500])


def has_foreign_entries(client: Consul, owner: str, name: str) -> bool:
    """Whether anything without our owner mark is registered under ``name``, on any node."""

    def is_foreign() -> bool:
        _, found = client.catalog.service(name, consistency="consistent")
        metas: list[dict[str, str] | None] = [each.get("ServiceMeta") for each in found]
        return any((meta or {}).get(META_OWNER) != owner for meta in metas)

    return ask(is_foreign)


def _refusal(body: str) -> ConsulRefusedError:
    try:
        first = json.loads(body)["Errors"][0]
        return ConsulRefusedError(int(first["OpIndex"]), str(first["What"])[:500])
    except _SENSELESS:
        return ConsulRefusedError(-1, body[:500])
