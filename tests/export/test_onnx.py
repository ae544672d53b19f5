"""ONNX files against ONNX Runtime: every layer, every recipe."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cnntrain.errors import ExportError
from cnntrain.export.onnx import check, onnx_bytes, opset_of
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
    scale = float(np.abs(expected).max())
    assert np.ptp(expected, axis=0).max() > 1e-3 * scale or len(images) == 1, "the images make no difference"
    np.testing.assert_allclose(probabilities, exported.probabilities(images), rtol=0, atol=CLOSE)
    np.testing.assert_allclose(logits, expected, rtol=0, atol=CLOSE * scale)
    np.testing.assert_array_equal(logits.argmax(axis=1), expected.argmax(axis=1))
    return onnx.load_from_string(content)


def test_every_layer_is_in_the_table() -> None:
    assert set(TABLE) == set(LAYERS.values())
    assert {name for name, *_ in EVERY} == set(LAYERS)


@pytest.mark.parametrize(("name", "number", "layer", "shape"), EVERY, ids=lambda value: str(value)[:40])
def test_layer(name: str, number: int, layer: str, shape: tuple[int, int, int]) -> None:
    exported = of_layers(layer if layer == name else f"{{{layer}}}", shape)
    compare(exported, exported.images(5))


SMALL = "conv2d: {filters: 3, kernel_size: 3}, relu"


@pytest.mark.parametrize("image_type", ["uint8", "float32"])
@pytest.mark.parametrize("by_pixel", [False, True])
def test_normalization(image_type: str, by_pixel: bool) -> None:
    exported = of_layers(SMALL, (2, 6, 5), image_type, by_pixel)
    compare(exported, exported.images(5))
    if by_pixel:
        assert exported.model.normalization.affine()[1].shape == (2, 6, 5)


@pytest.mark.parametrize("images", [1, 2, 17])
def test_any_number_of_images(images: int) -> None:
    exported = of_layers(SMALL, (2, 6, 5))
    proto = compare(exported, exported.images(max(images, 2))[-images:])
    (dimension, *rest) = proto.graph.input[0].type.tensor_type.shape.dim
    assert (dimension.dim_param, [d.dim_value for d in rest]) == ("N", [2, 6, 5])


def test_folding_takes_the_batch_norm_out() -> None:
    layers = (
        "conv2d: {filters: 3, kernel_size: 3, bias: false}, batch_norm2d, relu, batch_norm2d, dense: 4, batch_norm2d"
    )
    exported = of_layers(layers, (2, 6, 5))
    for fold, left in ((False, 3), (True, 1)):
        operators = [node.op_type for node in compare(exported, exported.images(5), fold).graph.node]
        assert operators.count("BatchNormalization") == left


@pytest.mark.parametrize(
    ("layers", "opset"),
    [("gelu", 9), ("gelu: tanh", 7), ("max_pool2d: {kernel_size: 3, stride: 2, ceil_mode: true}", 7)],
)
def test_the_lowest_set_of_operators(layers: str, opset: int) -> None:
    exported = of_layers(layers, (2, 6, 6))
    assert opset_of(onnx_bytes(exported.model)) == opset


def test_metadata() -> None:
    exported = of_layers(SMALL, (3, 6, 5))
    model = replace(exported.model, class_names=("a b", "Ü", '"'), decoding={"resize": [6, 5], "background": [0, 0, 9]})
    proto = onnx.load_from_string(onnx_bytes(model))
    about = {entry.key: entry.value for entry in proto.metadata_props}
    assert json.loads(about["class_names"]) == ["a b", "Ü", '"']
    assert json.loads(about["image"]) == {
        "channels": 3, "rows": 6, "columns": 5, "type": "uint8", "resize": [6, 5], "background": [0, 0, 9],
    }  # fmt: skip
    assert [output.name for output in proto.graph.output] == ["probabilities", "logits"]
    assert onnx_bytes(model) == onnx_bytes(model)


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ExportError, match=r"--onnx needs the package onnx: pip install 'cnntrain\[onnx\]'"):
        check(of_layers(SMALL, (2, 6, 5)).model.rows)


RECIPES = sorted(path.stem for path in (ROOT / "configs").glob("*.yaml"))


@pytest.mark.parametrize("name", RECIPES)
def test_recipe(name: str) -> None:
    exported = of_recipe(name)
    images = digits(20) if exported.model.input_shape.channels == 1 else exported.images(6)
    compare(exported, images)
    if "batch_norm2d" in (ROOT / "configs" / f"{name}.yaml").read_text():
        compare(exported, images, fold=True)
