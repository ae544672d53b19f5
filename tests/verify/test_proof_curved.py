"""Taylor's test, on functions whose remainder is known; layers, losses and their formulas."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from cnntrain.losses import LOSSES
from cnntrain.settings import Choice
from cnntrain.shape import Shape
from cnntrain.verify import proof_curved, proof_loss
from cnntrain.verify.forward_forms import LAYER_FORMS, LOSS_FORMS
from cnntrain.verify.proof_network import batches_of, prove_layer, running
from cnntrain.verify.taylor import slope_of
from tests.layers.examples import EXAMPLES
from tests.verify.test_proof_linear import FLOAT64, rows_of

NOISE = 1e-15


def slope(function: Any, at: float, derivative: float) -> float | None:
    return slope_of(lambda h: (function(at + h) - function(at), NOISE), derivative).slope


def test_slopes_by_hand() -> None:
    square, cube = lambda x: x * x, lambda x: x**3
    assert slope(square, 0.75, 1.5) == pytest.approx(2)
    assert slope(square, 0.75, 1.4) == pytest.approx(1, abs=1e-3)
    assert slope(cube, 0.0, 0.0) == pytest.approx(3)
    assert slope(math.sin, 1.0, math.cos(1)) == pytest.approx(2, abs=1e-2)
    assert slope(lambda x: 3 * x, 0.5, 3) is None  # no remainder
    assert slope(lambda x: 3 * x, 0.5, 3 + 1e-6) == pytest.approx(1, abs=1e-2)


def test_next_to_a_corner_nothing_is_decided() -> None:
    found = slope_of(lambda h: None, 1.0)
    assert not found.decided
    assert not found.right


def test_nan_is_wrong() -> None:
    found = slope_of(lambda h: (h, NOISE), math.nan)
    assert found.decided
    assert not found.right


STRAIGHT = {
    "conv2d", "dense", "max_pool2d", "avg_pool2d", "global_avg_pool2d", "dropout", "flatten", "residual",
    "branches", "repeat",
}  # fmt: skip
CURVED = [example for name, examples in EXAMPLES.items() if name not in STRAIGHT for example in examples]


@pytest.mark.parametrize("example", CURVED, ids=str)
def test_right_layers(example: Any) -> None:
    row = running(rows_of(f"[{example.yaml}]", example.shape))[0].row
    found = {proof.name: proof for proof in prove_layer(row, batches_of(20, 2), types=[FLOAT64])}
    assert {proof.verdict for proof in found.values()} <= {"smooth", "straight", "close"}
    assert found["forward"].verdict == "close"
    assert found["to input"].note in ("no remainder", "slope 2.00", "slope 1.99", "slope 1.98")


def test_a_layer_without_a_known_formula_is_tested_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proof_curved, "LAYER_FORMS", {})
    row = rows_of("[tanh]", (2, 3, 4))[0]
    [found] = prove_layer(row, batches_of(20, 2), types=[FLOAT64])
    assert (found.name, found.verdict) == ("to input", "smooth")


def test_another_formula_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LAYER_FORMS, "tanh", lambda x, settings, known: np.tanh(x) * (1 + 1e-9))
    row = rows_of("[tanh]", (2, 3, 4))[0]
    found = {proof.name: proof for proof in prove_layer(row, batches_of(20, 2), types=[FLOAT64])}
    assert found["forward"].verdict == "WRONG"
    assert found["forward"].note.endswith("from the same formula in NumPy")
    assert found["to input"].verdict == "smooth"


@pytest.mark.parametrize(
    ("name", "settings", "verdict"),
    [
        ("cross_entropy", {"label_smoothing": 0.1, "class_weights": [1.0, 2.0, 0.5, 0.0]}, "smooth"),
        ("mse", {}, "smooth"),
        ("hinge", {}, "straight"),
        ("hinge", {"norm": 2}, "smooth"),
        ("multi_margin", {"margin": 0.5}, "straight"),
    ],
)
def test_losses(name: str, settings: dict[str, Any], verdict: str) -> None:
    choice = Choice(name, LOSSES[name].Settings.model_validate(settings), LOSSES[name])
    forward, gradient = proof_loss.prove_loss(choice, Shape(4, 1, 1), batches_of(20, 2), 1)
    assert (forward.verdict, gradient.verdict) == ("close", verdict)


def test_every_loss_has_a_formula() -> None:
    assert set(LOSS_FORMS) == set(LOSSES)
