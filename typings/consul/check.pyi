from collections.abc import Mapping, Sequence
from typing import Any

class Check:
    @classmethod
    def http(
        cls,
        url: str,
        interval: str,
        timeout: str | None = None,
        deregister: str | None = None,
        header: Mapping[str, Sequence[str]] | None = None,
    ) -> dict[str, Any]: ...
    @classmethod
    def tcp(
        cls,
        host: str,
        port: int,
        interval: str,
        timeout: str | None = None,
        deregister: str | None = None,
    ) -> dict[str, Any]: ...
    @classmethod
    def ttl(cls, ttl: str) -> dict[str, Any]: ...
