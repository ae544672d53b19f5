from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cnntrain.report.records import RunRecord, read_run
from cnntrain.runs.folder import RunFolder
from tests.training.small import train, write_config


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunFolder, RunFolder]:
    """Two runs of three epochs that differ in their learning rate."""
    folder = tmp_path_factory.mktemp("runs")
    config = write_config(folder, train={"epochs": 3})
    return train(config, folder / "slow", "optimizer.sgd.learning_rate=0.01"), train(config, folder / "fast")


@pytest.fixture
def run(trained: tuple[RunFolder, RunFolder], tmp_path: Path) -> RunFolder:
    """A copy that a test may damage."""
    shutil.copytree(trained[1].path, tmp_path / "run")
    return RunFolder(tmp_path / "run")


@pytest.fixture
def records(trained: tuple[RunFolder, RunFolder]) -> list[RunRecord]:
    return [read_run(folder.path, folder.path.name) for folder in trained]
