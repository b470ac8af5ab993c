"""Serve HTTP: the /v2 API, metrics and the web page."""

from scheduler.api.context import Api, ApiConfig
from scheduler.api.server import create_app

__all__ = ["Api", "ApiConfig", "create_app"]
