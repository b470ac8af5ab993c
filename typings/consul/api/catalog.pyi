from collections.abc import Mapping
from typing import Any

class Catalog:
    def register(
        self,
        node: str,
        address: str,
        service: Mapping[str, Any] | None = None,
        check: Mapping[str, Any] | None = None,
        dc: str | None = None,
        token: str | None = None,
        node_meta: Mapping[str, str] | None = None,
        skip_node_update: bool | None = None,
        tagged_addresses: Mapping[str, str] | None = None,
    ) -> bool: ...
    def deregister(
        self,
        node: str,
        service_id: str | None = None,
        check_id: str | None = None,
        dc: str | None = None,
        token: str | None = None,
    ) -> bool: ...
    def datacenters(self) -> Any: ...
    def nodes(
        self,
        index: str | None = None,
        wait: str | None = None,
        consistency: str | None = None,
        dc: str | None = None,
        near: str | None = None,
        token: str | None = None,
        node_meta: Mapping[str, str] | None = None,
        filter_expr: str | None = None,
    ) -> tuple[str, Any]: ...
    def services(
        self,
        index: str | None = None,
        wait: str | None = None,
        consistency: str | None = None,
        dc: str | None = None,
        token: str | None = None,
        node_meta: Mapping[str, str] | None = None,
        filter_expr: str | None = None,
    ) -> tuple[str, Any]: ...
    def node(
        self,
        node: str,
        index: str | None = None,
        wait: str | None = None,
        consistency: str | None = None,
        dc: str | None = None,
        token: str | None = None,
        filter_expr: str | None = None,
    ) -> tuple[str, Any]: ...
    def service(
        self,
        service: str,
        *,
        index: str | None = None,
        wait: str | None = None,
        tag: str | None = None,
        consistency: str | None = None,
        dc: str | None = None,
        near: str | None = None,
        token: str | None = None,
        node_meta: Mapping[str, str] | None = None,
        filter_expr: str | None = None,
    ) -> tuple[str, Any]: ...
