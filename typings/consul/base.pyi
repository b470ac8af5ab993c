from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from .api.agent import Agent
from .api.catalog import Catalog
from .api.health import Health
from .api.kv import KV
from .api.session import Session
from .api.status import Status
from .api.txn import Txn

_T = TypeVar("_T")

class Response(NamedTuple):
    code: int
    headers: Mapping[str, str]
    body: Any

class HTTPClient:
    host: str
    port: int
    scheme: str
    verify: bool | str
    base_uri: str
    cert: str | tuple[str, str] | None

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 8500,
        scheme: str = "http",
        verify: bool | str = True,
        cert: str | tuple[str, str] | None = None,
    ) -> None: ...
    def uri(self, path: str, params: Sequence[tuple[str, Any]] | None = None) -> str: ...
    def get(
        self,
        callback: Callable[[Response], _T],
        path: str,
        params: Sequence[tuple[str, Any]] | None = None,
        headers: dict[str, str] | None = None,
        raw: bool = False,
    ) -> _T: ...
    def put(
        self,
        callback: Callable[[Response], _T],
        path: str,
        params: Sequence[tuple[str, Any]] | None = None,
        data: str | bytes = "",
        headers: dict[str, str] | None = None,
    ) -> _T: ...
    def delete(
        self,
        callback: Callable[[Response], _T],
        path: str,
        params: Sequence[tuple[str, Any]] | None = None,
        data: str | bytes = "",
        headers: dict[str, str] | None = None,
    ) -> _T: ...
    def close(self) -> None: ...

class Consul:
    http: HTTPClient
    token: str | None
    scheme: str
    dc: str | None
    consistency: str
    agent: Agent
    catalog: Catalog
    health: Health
    kv: KV
    session: Session
    status: Status
    txn: Txn

    def http_connect(
        self,
        host: str,
        port: int,
        scheme: str,
        verify: bool | str = True,
        cert: str | tuple[str, str] | None = None,
    ) -> HTTPClient: ...
    def prepare_headers(self, token: str | None = None) -> dict[str, str]: ...
    def __enter__(self) -> Consul: ...
    def __exit__(self, *exc_info: object) -> None: ...
