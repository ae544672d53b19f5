"""Proofs of convolutions and dense layers: the integers they are compared with, and what they say of broken passes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import yaml

from cnntrain.config.shapes import walk_shapes
from cnntrain.layers import LayerRow
from cnntrain.passes.convolution import Convolution
from cnntrain.passes.direct import Direct
from cnntrain.shape import Shape
from cnntrain.verify.integer_convolution import Drawn, by_hand, geometry_of, mixed_fault, sum_of_products
from cnntrain.verify.proof import PassProof
from cnntrain.verify.proof_linear import prove_linear
from cnntrain.verify.proof_network import batches_of, prove_layer, running
from cnntrain.verify.whole_numbers import draw
from tests import naive
from tests.verify.networks import CLASSES, LAYERS

FLOAT64, FLOAT32 = np.dtype(np.float64), np.dtype(np.float32)
CASES: list[tuple[dict[str, Any], tuple[int, int, int]]] = [
    ({"filters": 4, "kernel_size": [3, 2], "stride": [2, 1], "padding": [1, 0], "groups": 2}, (2, 7, 5)),
    ({"filters": 3, "kernel_size": 3, "dilation": 2, "padding": "same", "mode": "convolution"}, (2, 5, 6)),
    ({"filters": 3, "kernel_size": 2, "padding": "same"}, (1, 4, 5)),
]


def rows_of(layers: str, shape: tuple[int, int, int]) -> list[LayerRow]:
    return walk_shapes(LAYERS.validate_python(yaml.safe_load(layers)), Shape(*shape), CLASSES)


def proofs_of(layers: str, shape: tuple[int, int, int], images: int = 20, **how: Any) -> dict[str, PassProof]:
    """Prove the first layer that runs, in float64."""
    row = running(rows_of(layers, shape))[0].row
    found = prove_layer(row, batches_of(images, 2), types=[FLOAT64], **how)
    return {proof.name: proof for proof in found}


@pytest.mark.parametrize(("settings", "shape"), CASES, ids=str)
def test_integers_are_those_of_the_naive_loops(settings: dict[str, Any], shape: tuple[int, int, int]) -> None:
    generator = np.random.default_rng(1)
    geometry = geometry_of(rows_of(str([{"conv2d": settings}]), shape)[0])
    x, weight = draw(generator, 9, 3, *shape), draw(generator, 9, *geometry.weight_shape)
    bias = draw(generator, 9, geometry.filters)
    options = {key: value for key, value in settings.items() if key not in ("filters", "kernel_size")}
    right = naive.conv2d(x, weight, bias, **options)
    drawn = Drawn(x, weight, bias)
    for place in np.ndindex(*right.shape):
        assert sum_of_products(drawn, geometry, *place) == right[place]
    assert mixed_fault(right.astype(np.int64), drawn, geometry, 100, generator) == ""
    if geometry.groups == 1:
        first = np.array([by_hand(x[0], own, geometry) for own in weight]) + bias[:, None, None]
        np.testing.assert_array_equal(first, right[0])


def test_any_single_output_that_is_wrong_is_found_and_named() -> None:
    settings, shape = CASES[0]
    generator = np.random.default_rng(2)
    geometry = geometry_of(rows_of(str([{"conv2d": settings}]), shape)[0])
    drawn = Drawn(draw(generator, 9, 3, *shape), draw(generator, 9, *geometry.weight_shape), draw(generator, 9, 4))
    options = {key: value for key, value in settings.items() if key not in ("filters", "kernel_size")}
    right = naive.conv2d(drawn.x, drawn.weight, drawn.bias, **options).astype(np.int64)
    for place in list(np.ndindex(*right.shape))[::7]:
        wrong = right.copy()
        wrong[place] += 1
        fault = mixed_fault(wrong, drawn, geometry, 2**15, generator)
        assert (
            fault == f"output [{','.join(map(str, place))}] is {wrong[place]}, the sum of the integers {right[place]}"
        )


def test_a_dense_layer_is_a_convolution_that_covers_its_input() -> None:
    generator = np.random.default_rng(3)
    row = rows_of("[dense: 5]", (2, 3, 4))[0]
    x, weight, bias = draw(generator, 9, 2, 2, 3, 4), draw(generator, 9, 5, 2, 3, 4), draw(generator, 9, 5)
    right = naive.dense(x.reshape(2, -1), weight.reshape(5, -1), bias)
    drawn, geometry = Drawn(x, weight, bias), geometry_of(row)
    assert all(sum_of_products(drawn, geometry, n, k, 0, 0) == right[n, k] for n, k in np.ndindex(2, 5))


@pytest.mark.parametrize("images", [1, 16, 20])
def test_a_right_convolution(images: int) -> None:
    found = proofs_of("[conv2d: {filters: 4, kernel_size: 3, padding: 1}]", (2, 6, 7), images, direct=True)
    assert [proof.verdict for proof in found.values()] == ["exact"] * 4
    assert list(found) == ["forward", "to input", "to weights", "bias"]
    assert {proof.trials for proof in found.values()} == {2}
    assert all(proof.chance is not None and proof.chance < 1e-5 for proof in found.values())
    assert found["forward"].algorithm == "direct"
    assert found["to input"].numbers == "float64 ±1000"


def test_float32_with_smaller_numbers() -> None:
    row = running(rows_of("[dense: 6]", (2, 3, 2)))[0].row
    found = prove_layer(row, batches_of(20, 2), types=[FLOAT32])
    assert {proof.verdict for proof in found} == {"exact"}
    numbers = {proof.name: proof.numbers for proof in found}
    assert numbers["to input"] == numbers["forward"] == "float32 ±1000"
    assert numbers["to weights"] == numbers["bias"] == "float32 ±915, weights ±1000"


def test_winograd_is_rounded_and_says_by_how_much() -> None:
    found = proofs_of("[conv2d: {filters: 16, kernel_size: 3, padding: 1}]", (16, 12, 12))
    for name in ("forward", "to input", "to weights"):
        assert found[name].algorithm.startswith("winograd")
        assert found[name].verdict == "rounded"
        assert found[name].note.endswith("from whole numbers")
    assert found["bias"].verdict == "exact"


def test_a_pooling_behind_a_convolution_is_proven_with_it() -> None:
    layers = "[conv2d: {filters: 4, kernel_size: 3}, max_pool2d: 2]"
    row = running(rows_of(layers, (2, 8, 8)))[0].row
    found = prove_layer(row, batches_of(20, 2), types=[FLOAT64])
    assert {proof.verdict for proof in found} == {"exact"}
    assert {(proof.path, proof.name) for proof in found} == {
        ("0.conv2d", "forward"), ("0.conv2d", "to input"), ("0.conv2d", "to weights"), ("0.conv2d", "bias"),
        ("1.max_pool2d", "mask"),
    }  # fmt: skip
    assert next(proof.chance for proof in found if proof.name == "mask") is None


def test_without_a_bias_and_frozen_there_is_less_to_prove() -> None:
    assert list(proofs_of("[dense: {units: 6, bias: false}]", (2, 3, 2))) == ["forward", "to input", "to weights"]
    assert list(proofs_of("[dense: {units: 6, frozen: true}]", (2, 3, 2))) == ["forward", "to input"]


def test_too_many_pixels_for_float32_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cnntrain.verify.whole_numbers.BITS", {"float64": 53, "float32": 9})
    monkeypatch.setattr("cnntrain.verify.whole_numbers.LARGEST", 9)
    row = rows_of("[conv2d: {filters: 4, kernel_size: 3, padding: 1}]", (2, 6, 7))[0]
    *right, found = prove_linear(row, batches_of(20, 1), FLOAT32, True, 1)
    assert {proof.verdict for proof in right} == {"exact"}
    assert (found.name, found.verdict, found.trials) == ("to weights, bias", "not tried", 0)
    assert found.note == "840 products and more in a sum: no whole numbers are small enough for float32"


def wrong(found: dict[str, PassProof]) -> set[str]:
    return {name for name, proof in found.items() if proof.verdict == "WRONG"}


LAYER = "[conv2d: {filters: 4, kernel_size: 3, padding: 1}]"


def test_a_wrong_forward_pass_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    call = Direct.__call__

    def spoilt(self: Direct, image: Any, weight: Any, bias: Any, output: Any, blocks: int) -> None:
        call(self, image, weight, bias, output, blocks)
        if bias.size == 4:  # forward: four filters
            output[5] += 1

    monkeypatch.setattr(Direct, "__call__", spoilt)
    found = proofs_of(LAYER, (2, 6, 7), direct=True)
    assert "forward" in wrong(found)
    assert found["forward"].note.startswith("output [5,0,0,0] is ")
    assert found["forward"].chance is None


def test_one_wrong_gradient_among_many(monkeypatch: pytest.MonkeyPatch) -> None:
    backward = Convolution.backward_input

    def spoilt(self: Convolution, delta: Any, weight: Any, grad: Any, blocks: int) -> None:
        backward(self, delta, weight, grad, blocks)
        grad[100] += 1

    monkeypatch.setattr(Convolution, "backward_input", spoilt)
    assert wrong(proofs_of(LAYER, (2, 6, 7), direct=True)) == {"to input"}


def test_what_is_not_a_whole_number_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    backward = Convolution.backward_weight

    def spoilt(self: Convolution, image: Any, delta: Any, weight: Any, bias: Any, blocks: int) -> None:
        backward(self, image, delta, weight, bias, blocks)
        bias[2] += 1e-3

    monkeypatch.setattr(Convolution, "backward_weight", spoilt)
    found = proofs_of(LAYER, (2, 6, 7), direct=True)
    assert wrong(found) == {"bias"}
    assert found["bias"].note.endswith("at [2] is no whole number")
