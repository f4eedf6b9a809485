"""What the fault tests share: the repository of the journeys."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.journeys.repository import make_repository


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_repository(tmp_path_factory.mktemp("git") / "shop")
