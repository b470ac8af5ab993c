"""An owner and an app of the test's own: tests share a Consul."""

import itertools
import os

import pytest

_numbers = itertools.count(1)


@pytest.fixture
def owner():
    return f"egret-{os.getpid()}-{next(_numbers)}"


@pytest.fixture
def app_id(owner):
    """An app whose service name no other test uses."""
    return f"/{owner}/web"
