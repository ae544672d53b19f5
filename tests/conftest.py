from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from hypothesis import settings

from cnntrain import memory
from tests.canaries import Canaries

# A shared two-core machine makes any deadline flaky; in CI the examples are the same in every run.
settings.register_profile("cnntrain", deadline=None, derandomize="CI" in os.environ)
settings.register_profile("fuzz", parent=settings.get_profile("cnntrain"), max_examples=2000, derandomize=False)
settings.load_profile("cnntrain")  # --hypothesis-profile=fuzz, as in `make fuzz`, goes before it


_numbers = count()


@pytest.fixture(scope="session")
def _caches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("caches")


@pytest.fixture(autouse=True)
def _cache_of_its_own(_caches: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's cache; the folder is made by whoever writes into it, as the user's is."""
    monkeypatch.setenv("CNNTRAIN_CACHE_DIR", str(_caches / str(next(_numbers))))


_canaries = Canaries()


@pytest.fixture(autouse=True)
def _no_kernel_writes_beside_its_arrays(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every array that kernels write lies between canaries, which must be alive after the test."""
    monkeypatch.setattr(memory, "reserve", _canaries.reserve)
    yield
    _canaries.check()
