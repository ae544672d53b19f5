"""What is installed works where there is nothing else: the wheel, one made of the source archive, and a clone."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.data.pictures import write_folder
from tests.evaluation.photographed import photos

ROOT = Path(__file__).parents[1]
CONFIGS = sorted(path.stem for path in (ROOT / "configs").glob("*.yaml"))

for needed in ("hatchling", "pip"):
    if importlib.util.find_spec(needed) is None:
        pytest.skip(f"{needed} is not installed", allow_module_level=True)


def python(*arguments: str | Path, cwd: Path, path: Path | None = None, expect: int = 0) -> str:
    """Run Python as somebody does who has `path` installed; return its stdout."""
    environment = {
        name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "CNNTRAIN_CACHE_DIR")
    }
    outside = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry and Path(entry) != ROOT]
    environment["PYTHONPATH"] = os.pathsep.join([*([] if path is None else [str(path)]), *outside])
    result = subprocess.run(
        [sys.executable, *map(str, arguments)], capture_output=True, text=True, cwd=cwd, env=environment, check=False
    )
    assert result.returncode == expect, result.stderr
    return result.stdout


def build(source: Path, *options: str, to: Path) -> Path:
    python("-m", "hatchling", "build", *options, "-d", to, cwd=source)
    return next(to.glob("*.whl" if "wheel" in options else "*.tar.gz"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(ROOT, "-t", "wheel", to=tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def wheel_of_the_archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    archive = build(ROOT, "-t", "sdist", to=tmp_path_factory.mktemp("archive"))
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(archive) as file:
        file.extractall(folder, filter="data")
    return build(next(folder.iterdir()), "-t", "wheel", to=tmp_path_factory.mktemp("again"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("installed")
    options = ["--no-deps", "--no-index", "--quiet", "--disable-pip-version-check"]
    python("-m", "pip", "install", *options, "--target", target, wheel, cwd=target)
    return target


def content(wheel: Path) -> dict[str, int]:
    with zipfile.ZipFile(wheel) as archive:
        return {entry.filename: entry.CRC for entry in archive.infolist() if not entry.filename.endswith("/RECORD")}


def test_both_wheels_hold_the_same(wheel: Path, wheel_of_the_archive: Path) -> None:
    assert content(wheel) == content(wheel_of_the_archive)
    names = set(content(wheel))
    kinds = {".py", ".typed", ".yaml", ".html", ".css", ".js"}
    sources = [path for path in (ROOT / "cnntrain").rglob("*") if path.suffix in kinds or path.name == "py.typed"]
    assert {path.suffix for path in sources} == kinds
    assert {str(path.relative_to(ROOT)) for path in sources} <= names
    assert {f"cnntrain/recipes/{name}.yaml" for name in CONFIGS} <= names
    assert {"cnntrain/cli/starters/mnist.yaml", "cnntrain/cli/starters/photos.yaml"} <= names
    assert not [name for name in names if name.startswith(("tests/", "configs/", "data/"))]


STEPS = """
import json, sys
from click.testing import CliRunner
import cnntrain
import cnntrain.api, cnntrain.training.session
from cnntrain.cli import main
told = [cnntrain.__file__]
for arguments in json.loads(sys.argv[1]):
    result = CliRunner().invoke(main, arguments)
    if result.exit_code:
        raise RuntimeError(result.output) from result.exception
    told.append(result.stdout)
print(json.dumps(told))
"""


def commands(*lines: str, cwd: Path, path: Path) -> list[str]:
    """Run commands in one process, which is quicker; return where the package is, and what each prints."""
    told: list[str] = json.loads(python("-c", STEPS, json.dumps([line.split() for line in lines]), cwd=cwd, path=path))
    return told


def test_the_first_steps_in_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    write_folder(tmp_path, photos())
    where, recipes, lenet, new, mnist, text, _, _, starter, found = commands(
        "recipes --json", "check --recipe mnist-lenet5", "new", "check mnist.yaml", "recipes keras-mnist", "new photos",
        "data inspect photos --write found.yaml", "check photos.yaml", "check found.yaml", cwd=tmp_path, path=installed,
    )  # fmt: skip
    assert Path(where).is_relative_to(installed)
    assert [recipe["name"] for recipe in json.loads(recipes)["recipes"]] == CONFIGS
    assert Path(json.loads(recipes)["folder"]) == installed / "cnntrain" / "recipes"
    assert "61,706" in lenet
    assert new == "mnist.yaml\n"
    assert "29,738" in mnist
    assert text == (ROOT / "configs" / "keras-mnist.yaml").read_text()
    assert starter.startswith("photos: 2 classes\n")
    assert found.startswith("found: 2 classes\n")


def test_a_training_in_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    """As README begins where there is no clone, but for the download."""
    for compiled in (ROOT / "cnntrain" / "kernels").rglob("*.nb?"):  # good there too: the sources are the same
        (installed / compiled.relative_to(ROOT)).parent.mkdir(exist_ok=True)
        shutil.copy(compiled, installed / compiled.relative_to(ROOT))
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mnist").symlink_to(ROOT / "data" / "mnist")
    few = "--set train.epochs=null --set train.steps=3 --quiet"
    _, _, run, report, page = commands(
        "new", f"train mnist.yaml {few}", "eval runs/mnist-1", "explain runs/mnist-1 --html step.html",
        cwd=tmp_path, path=installed,
    )  # fmt: skip
    assert run == "runs/mnist-1\n"
    assert "on the test split, 10,000 images" in report
    assert "conv2d" in page
    assert (tmp_path / "step.html").stat().st_size > 100_000


def test_a_clone_somewhere_else(tmp_path: Path) -> None:
    """`configs/` beside the package is where a clone has its recipes."""
    for name in ("cnntrain", "configs"):
        shutil.copytree(ROOT / name, tmp_path / "clone" / name, ignore=shutil.ignore_patterns("*.nbi", "*.nbc"))
    (tmp_path / "empty").mkdir()
    where, nielsen = commands("check --recipe nielsen-1", cwd=tmp_path / "empty", path=tmp_path / "clone")
    assert Path(where).is_relative_to(tmp_path / "clone")
    assert "289,630" in nielsen
