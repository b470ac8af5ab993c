"""Serve HTTP: the /v2 API, metrics and the web page."""
