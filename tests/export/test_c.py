"""C files: they compile without a warning, and compute what the network computes."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from cnntrain.export.c import CFile, check
from cnntrain.export.c.layers import TABLE
from cnntrain.layers import LAYERS
from tests.export.models import EVERY, Array, Exported, of_layers

COMPILERS = [compiler for compiler in ("gcc", "clang") if shutil.which(compiler)]
FLAGS = ["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", "-O2"]
needs_compiler = pytest.mark.skipif(not COMPILERS, reason="neither gcc nor clang is there")


def written(exported: Exported, path: Path, fold: bool = False) -> CFile:
    check(exported.model.rows)
    file = CFile.of(exported.model, fold_batch_norm=fold)
    path.write_text(file.text(exported.logits), "ascii")
    return file


def compiled(source: Path, file: CFile, compiler: str = "", *more: str) -> Path:
    target = source.with_suffix(".so" if "-shared" in more else ".out")
    link = ["-lm"] if file.libm else []
    command = [compiler or COMPILERS[0], *FLAGS, *more, str(source), "-o", str(target), *link]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, ""), result.stderr[:3000]
    return target


def answers(library: Path, images: Array, classes: int) -> tuple[Array, Array]:
    """Classes and probabilities."""
    predict = ctypes.CDLL(str(library)).predict
    predict.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
    probabilities = np.full((len(images), classes), np.nan, np.float32)
    found = [
        predict(np.ascontiguousarray(image).ctypes.data, row.ctypes.data)
        for image, row in zip(images, probabilities, strict=True)
    ]
    return np.array(found), probabilities


def compare(exported: Exported, images: Array, folder: Path, fold: bool = False) -> CFile:
    file = written(exported, folder / "net.c", fold)
    library = compiled(folder / "net.c", file, "", "-shared", "-fPIC")
    found, probabilities = answers(library, images, len(exported.model.class_names))
    expected = exported.probabilities(images)
    assert np.ptp(expected) > 1e-3, "the images make no difference"
    np.testing.assert_allclose(probabilities, expected, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(found, expected.argmax(axis=1))
    return file


def test_every_layer_is_in_the_table() -> None:
    assert set(TABLE) == set(LAYERS.values())


@needs_compiler
@pytest.mark.parametrize(("name", "number", "layer", "shape"), EVERY, ids=lambda value: str(value)[:40])
def test_layer(name: str, number: int, layer: str, shape: tuple[int, int, int], tmp_path: Path) -> None:
    exported = of_layers(layer if layer == name else f"{{{layer}}}", shape)
    compare(exported, exported.images(5), tmp_path)
