from __future__ import annotations

import os

import pytest
from hypothesis import settings

# A shared two-core machine makes any deadline flaky; in CI the examples are the same in every run.
settings.register_profile("cnntrain", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("cnntrain")


@pytest.fixture(autouse=True)
def _cache_of_its_own(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's cache."""
    monkeypatch.setenv("CNNTRAIN_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
