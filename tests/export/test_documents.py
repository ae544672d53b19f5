"""What docs/deploy.md shows in C and in numbers. Its Python and commands are run by tests/docs."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from cnntrain.config import infer_shapes, load_config
from cnntrain.data.settings import MeanImage
from cnntrain.export.c.budget import footprint_of
from cnntrain.shape import Shape
from tests.docs.blocks import blocks_of
from tests.export.models import ROOT, digits, of_recipe
from tests.export.test_c import needs_compiler, written

DOCUMENT = "docs/deploy.md"


@needs_compiler
def test_the_program_in_c(tmp_path: Path) -> None:
    blocks = blocks_of(DOCUMENT)
    program = next(block.text for block in blocks if block.first.startswith("/* main.c"))
    line = next(block.text for block in blocks if block.first.startswith("cc -std=c99 -O2 main.c"))
    exported = of_recipe("mnist-lenet5")
    written(exported, tmp_path / "lenet.c")
    (tmp_path / "main.c").write_text(program)
    subprocess.run(line.split(), cwd=tmp_path, check=True)
    image = digits(1)
    told = subprocess.run([tmp_path / "classify"], input=image.tobytes(), capture_output=True, check=True).stdout
    expected = exported.probabilities(image)[0]
    name, probability = told.split()
    assert int(name) == expected.argmax()
    assert float(probability) == pytest.approx(expected.max(), abs=6e-4)
    assert subprocess.run([tmp_path / "classify"], input=b"too short", check=False).returncode == 2


def rows_of_the_table() -> list[list[str]]:
    text = (ROOT / DOCUMENT).read_text().partition("| recipe |")[2]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in re.findall(r"(?m)^\| [\w-]+ \|.*$", text)]


def test_every_recipe_is_in_the_table() -> None:
    assert sorted(row[0] for row in rows_of_the_table()) == sorted(p.stem for p in (ROOT / "configs").glob("*.yaml"))


@pytest.mark.parametrize("row", rows_of_the_table(), ids=lambda row: row[0])
def test_the_table_of_sizes(row: list[str]) -> None:
    name, constants, arena, code, libm = row
    config = load_config(ROOT / "configs" / f"{name}.yaml")
    shape = Shape(1, 28, 28) if "mnist" in config.data.source else Shape(3, 32, 32)
    classes = len(config.data.classes or range(10))
    found = footprint_of(name, infer_shapes(config, shape, classes), isinstance(config.data.normalize, MeanImage))
    assert (f"{found.constants:,}", f"{found.arena:,}", found.libm) == (constants, arena, bool(libm))
    measured = int(code.replace(",", ""))
    assert 0.8 * measured < found.code < 2 * measured
