from collections.abc import Callable, Mapping
from http.client import HTTPConnection
from typing import Any, TypeAlias

from .interface import Executor, ExecutorDriver
from .process import Process

_Json: TypeAlias = Mapping[str, Any]

class MesosExecutorDriver(Process, ExecutorDriver):
    executor: Executor
    framework_id: dict[str, str]
    executor_id: dict[str, str]
    grace_shutdown_period: float
    checkpoint: bool
    local: bool
    framework_info: _Json | None
    executor_info: _Json | None
    tasks: dict[str, _Json]
    updates: dict[Any, _Json]
    _dict_cls: Callable[[_Json], dict[str, Any]]
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
        body: _Json | str,
        path: str = "/api/v1/executor",
        method: str = "POST",
        headers: dict[str, str] = ...,
    ) -> dict[str, Any]: ...
    def sendStatusUpdate(self, status: dict[str, Any]) -> None: ...
    def sendFrameworkMessage(self, data: str) -> None: ...
    def on_subscribed(self, info: _Json) -> None: ...
    def on_launch(self, event: _Json) -> None: ...
    def on_launch_group(self, event: _Json) -> None: ...
    def on_kill(self, event: _Json) -> None: ...
    def on_acknowledged(self, event: _Json) -> None: ...
    def on_message(self, event: _Json) -> None: ...
    def on_error(self, event: _Json) -> None: ...
    def on_shutdown(self) -> None: ...
