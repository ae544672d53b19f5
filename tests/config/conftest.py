from __future__ import annotations

import pytest

from cnntrain.shape import Shape


@pytest.fixture(autouse=True)
def mnist_without_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """A faulty config is checked against the data's shape; here these are never the data on disk."""
    monkeypatch.setattr("cnntrain.config.load.describe", lambda settings: (Shape(1, 28, 28), 10))
