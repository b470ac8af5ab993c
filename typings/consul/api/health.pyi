from collections.abc import Mapping
from typing import Any

class Health:
    def service(
        self,
        service: str,
        *,
        index: str | None = None,
        wait: str | None = None,
        passing: bool | None = None,
        tag: str | list[str] | None = None,
        dc: str | None = None,
        near: str | None = None,
        token: str | None = None,
        node_meta: Mapping[str, str] | None = None,
        filter_expr: str | None = None,
    ) -> tuple[str, Any]: ...
    def checks(
        self,
        service: str,
        index: str | None = None,
        wait: str | None = None,
        dc: str | None = None,
        near: str | None = None,
        token: str | None = None,
        node_meta: Mapping[str, str] | None = None,
        filter_expr: str | None = None,
    ) -> tuple[str, Any]: ...
    def state(
        self,
        name: str,
        index: str | None = None,
        wait: str | None = None,
        dc: str | None = None,
        near: str | None = None,
        token: str | None = None,
        node_meta: Mapping[str, str] | None = None,
        filter_expr: str | None = None,
    ) -> tuple[str, Any]: ...
    def node(
        self,
        node: str,
        index: str | None = None,
        wait: str | None = None,
        dc: str | None = None,
        token: str | None = None,
        filter_expr: str | None = None,
    ) -> tuple[str, Any]: ...
