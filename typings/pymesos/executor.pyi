from collections.abc import Callable
from http.client import HTTPConnection
from typing import Any

from .interface import Executor, ExecutorDriver
from .process import Process

class MesosExecutorDriver(Process, ExecutorDriver):
    executor: Any  # The subclass knows its own.
    framework_id: dict[str, str]
    executor_id: dict[str, str]
    grace_shutdown_period: float
    checkpoint: bool
    local: bool
    framework_info: dict[str, Any] | None
    executor_info: dict[str, Any] | None
    tasks: dict[str, dict[str, Any]]
    updates: dict[Any, dict[str, Any]]
    _dict_cls: Callable[[dict[str, Any]], dict[str, Any]]
    _conn: HTTPConnection | None
    _http_timeout: float

    def __init__(
        self,
        executor: Executor,
        use_addict: bool = False,
        timeout: float = 86400,
        http_timeout: float = 10,
    ) -> None: ...
    def _delay_kill(self) -> None: ...
    def _get_conn(self) -> HTTPConnection | None: ...
    def _send(
        self,
        body: dict[str, Any],
        path: str = "/api/v1/executor",
        method: str = "POST",
        headers: dict[str, str] = ...,
    ) -> dict[str, Any]: ...
    def sendStatusUpdate(self, status: dict[str, Any]) -> None: ...
    def sendFrameworkMessage(self, data: str) -> None: ...
    def on_subscribed(self, info: dict[str, Any]) -> None: ...
    def on_launch(self, event: dict[str, Any]) -> None: ...
    def on_launch_group(self, event: dict[str, Any]) -> None: ...
    def on_kill(self, event: dict[str, Any]) -> None: ...
    def on_acknowledged(self, event: dict[str, Any]) -> None: ...
    def on_message(self, event: dict[str, Any]) -> None: ...
    def on_error(self, event: dict[str, Any]) -> None: ...
    def on_shutdown(self) -> None: ...
