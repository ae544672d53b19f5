from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import cnntrain
from tests.kernels.compiler.copied import KERNEL, Copy, Outcome, Processes


@pytest.fixture(scope="session")
def processes() -> Iterator[Processes]:
    with Processes.started() as started:
        yield started


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory, processes: Processes) -> tuple[Copy, Outcome]:
    """A copy of the package and what came of the first run."""
    root = tmp_path_factory.mktemp("original")
    source = Path(cnntrain.__file__).parent
    shutil.copytree(source, root / "cnntrain", ignore=shutil.ignore_patterns("__pycache__"))
    made = Copy(root, processes)
    (made.kernels / "sample.py").write_text(KERNEL)
    return made, made.run()


@pytest.fixture
def copy(original: tuple[Copy, Outcome], tmp_path: Path) -> Copy:
    """A copy that has run once: the cache is copied along, and does not depend on the place."""
    shutil.copytree(original[0].root, tmp_path / "copy")
    return Copy(tmp_path / "copy", original[0].processes)


@pytest.fixture
def before(original: tuple[Copy, Outcome]) -> list[float]:
    """What the first run computed."""
    return original[1].result
