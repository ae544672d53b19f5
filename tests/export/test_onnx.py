"""ONNX files against ONNX Runtime: every layer, every recipe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnntrain.errors import ExportError
from cnntrain.export.onnx import check, onnx_bytes
from cnntrain.export.onnx.layers import TABLE
from cnntrain.layers import LAYERS
from tests.export.models import EVERY, ROOT, Array, Exported, digits, of_layers, of_recipe

onnx = pytest.importorskip("onnx", reason="the package onnx is not installed: pip install 'cnntrain[onnx]'")
onnxruntime = pytest.importorskip(
    "onnxruntime", reason="ONNX Runtime (onnxruntime) is not installed: pip install 'cnntrain[test]'"
)

CLOSE = 1e-5


def session(content: bytes) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def compare(exported: Exported, images: Array, fold: bool = False) -> Any:
    """Check the file, run it, compare; return the file's model."""
    check(exported.model.rows)
    content = onnx_bytes(exported.model, fold_batch_norm=fold)
    onnx.checker.check_model(content, full_check=True)
    probabilities, logits = session(content).run(["probabilities", "logits"], {"images": images})
    assert probabilities.dtype == logits.dtype == np.float32
    expected = exported.logits(images)
    assert np.ptp(expected) > 1e-3, "the images make no difference"
    np.testing.assert_allclose(probabilities, exported.probabilities(images), rtol=0, atol=CLOSE)
    np.testing.assert_allclose(logits, expected, rtol=CLOSE, atol=CLOSE * max(1.0, float(np.abs(expected).max())))
    np.testing.assert_array_equal(logits.argmax(axis=1), expected.argmax(axis=1))
    return onnx.load_from_string(content)


def test_every_layer_is_in_the_table() -> None:
    assert set(TABLE) == set(LAYERS.values())
    assert {name for name, *_ in EVERY} == set(LAYERS)


@pytest.mark.parametrize(("name", "number", "layer", "shape"), EVERY, ids=lambda value: str(value)[:40])
def test_layer(name: str, number: int, layer: str, shape: tuple[int, int, int]) -> None:
    exported = of_layers(layer if layer == name else f"{{{layer}}}", shape)
    compare(exported, exported.images(5))


RECIPES = sorted(path.stem for path in (ROOT / "configs").glob("*.yaml"))


@pytest.mark.parametrize("name", RECIPES)
def test_recipe(name: str) -> None:
    exported = of_recipe(name)
    images = digits(20) if exported.model.input_shape.channels == 1 else exported.images(6)
    compare(exported, images)
    if "batch_norm2d" in (Path(ROOT) / "configs" / f"{name}.yaml").read_text():
        compare(exported, images, fold=True)
