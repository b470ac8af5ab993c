from collections.abc import Sequence
from typing import Any

class Session:
    def create(
        self,
        name: str | None = None,
        node: str | None = None,
        checks: Sequence[str] | None = None,
        lock_delay: int = 15,
        behavior: str = "release",
        ttl: int | None = None,
        dc: str | None = None,
        token: str | None = None,
    ) -> str: ...
    def destroy(self, session_id: str, dc: str | None = None, token: str | None = None) -> bool: ...
    def info(
        self,
        session_id: str,
        index: str | None = None,
        wait: str | None = None,
        consistency: str | None = None,
        dc: str | None = None,
        token: str | None = None,
    ) -> tuple[str, Any]: ...
    def renew(self, session_id: str, dc: str | None = None, token: str | None = None) -> Any: ...
