from requests import Session

from . import base

class HTTPClient(base.HTTPClient):
    session: Session
    connections_timeout: float | None

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 8500,
        scheme: str = "http",
        verify: bool | str = True,
        cert: str | tuple[str, str] | None = None,
        *,
        connections_timeout: float | None = 30,
    ) -> None: ...

class Consul(base.Consul):
    http: HTTPClient
    connections_timeout: float | None

    def __init__(
        self,
        host: str | None = None,
        port: int | None = None,
        token: str | None = None,
        scheme: str | None = None,
        consistency: str = "default",
        dc: str | None = None,
        verify: bool | str | None = None,
        cert: str | tuple[str, str] | None = None,
        *,
        connections_timeout: float | None = 30,
    ) -> None: ...
