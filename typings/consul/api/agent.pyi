from collections.abc import Mapping, Sequence
from typing import Any

class Agent:
    service: Service
    check: Check

    def self(self) -> Any: ...
    def services(self, filter_expr: str | None = None, token: str | None = None) -> Any: ...
    def checks(self, filter_expr: str | None = None, token: str | None = None) -> Any: ...
    def service_definition(self, service_id: str) -> Any: ...

class Service:
    def register(
        self,
        name: str,
        service_id: str | None = None,
        address: str | None = None,
        port: int | None = None,
        tags: Sequence[str] | None = None,
        check: Mapping[str, Any] | None = None,
        token: str | None = None,
        meta: Mapping[str, str] | None = None,
        weights: Mapping[str, int] | None = None,
        *,
        enable_tag_override: bool = False,
        extra_checks: Sequence[Mapping[str, Any]] | None = None,
        replace_existing_checks: bool = False,
        tagged_addresses: Mapping[str, Any] | None = None,
    ) -> bool: ...
    def deregister(self, service_id: str, token: str | None = None) -> bool: ...
    def maintenance(
        self, service_id: str, enable: bool, reason: str | None = None, token: str | None = None
    ) -> bool: ...

class Check:
    def register(
        self,
        name: str,
        check: Mapping[str, Any] | None = None,
        check_id: str | None = None,
        notes: str | None = None,
        service_id: str | None = None,
        token: str | None = None,
    ) -> bool: ...
    def deregister(self, check_id: str, token: str | None = None) -> bool: ...
    def ttl_pass(
        self, check_id: str, notes: str | None = None, token: str | None = None
    ) -> bool: ...
    def ttl_fail(
        self, check_id: str, notes: str | None = None, token: str | None = None
    ) -> bool: ...
    def ttl_warn(
        self, check_id: str, notes: str | None = None, token: str | None = None
    ) -> bool: ...
