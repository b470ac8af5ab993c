from typing import Any

class KV:
    def get(
        self,
        key: str,
        index: str | None = None,
        recurse: bool = False,
        wait: str | None = None,
        token: str | None = None,
        consistency: str | None = None,
        keys: bool = False,
        separator: str | None = None,
        dc: str | None = None,
    ) -> tuple[str, Any]: ...
    def put(
        self,
        key: str,
        value: str | bytes | None,
        cas: int | None = None,
        flags: int | None = None,
        acquire: str | None = None,
        release: str | None = None,
        token: str | None = None,
        dc: str | None = None,
    ) -> bool: ...
    def delete(
        self,
        key: str,
        recurse: bool | None = None,
        cas: int | None = None,
        token: str | None = None,
        dc: str | None = None,
    ) -> bool: ...
