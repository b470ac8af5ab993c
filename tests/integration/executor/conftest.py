"""The fake agent, fresh for every test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.executor.fake_agent import FakeAgent


@pytest.fixture
async def agent(tmp_path: Path) -> AsyncIterator[FakeAgent]:
    """An agent that listens; it ends the executor after the test."""
    agent = FakeAgent(tmp_path / "sandbox")
    await agent.listen()
    yield agent
    await agent.close()
