"""Types for the part of kazoo that Egret uses; the library ships none."""

from collections.abc import Callable, Sequence
from typing import Any

from .protocol.states import KazooState as KazooState
from .protocol.states import WatchedEvent, ZnodeStat

class KazooClient:
    handler: Any
    connected: bool
    client_state: str
    client_id: tuple[int, bytes] | None

    def __init__(
        self,
        hosts: str = "127.0.0.1:2181",
        timeout: float = 10.0,
        *,
        auth_data: Sequence[tuple[str, str]] | None = None,
        read_only: bool | None = None,
        connection_retry: Any = None,
        command_retry: Any = None,
        logger: Any = None,
    ) -> None: ...
    def add_listener(self, listener: Callable[[str], Any]) -> None: ...
    def remove_listener(self, listener: Callable[[str], Any]) -> None: ...
    def start(self, timeout: float = 15) -> None: ...
    def start_async(self) -> Any: ...
    def stop(self) -> None: ...
    def close(self) -> None: ...
    def get(
        self, path: str, watch: Callable[[WatchedEvent], Any] | None = None
    ) -> tuple[bytes, ZnodeStat]: ...
    def get_children(
        self, path: str, watch: Callable[[WatchedEvent], Any] | None = None
    ) -> list[str]: ...
    def exists(
        self, path: str, watch: Callable[[WatchedEvent], Any] | None = None
    ) -> ZnodeStat | None: ...
    def create(
        self,
        path: str,
        value: bytes = b"",
        *,
        ephemeral: bool = False,
        sequence: bool = False,
        makepath: bool = False,
    ) -> str: ...
    def set(self, path: str, value: bytes, version: int = -1) -> ZnodeStat: ...
    def delete(self, path: str, version: int = -1, recursive: bool = False) -> bool: ...
    def ensure_path(self, path: str) -> bool: ...
    def transaction(self) -> Any: ...
