"""The second forms of optimisers against PyTorch's values, and what is said of optimisers that differ from them."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from cnntrain.optimizers import OPTIMIZERS
from cnntrain.settings import Choice
from cnntrain.verify.optimizer_forms import FORMS, Element, Rule, sgd
from cnntrain.verify.proof_optimizer import prove_optimizer
from tests.golden import training_cases as training
from tests.golden.checks import load


def choice(name: str, **settings: Any) -> Choice:
    given = ({"learning_rate": 0.1} if name == "sgd" else {}) | settings
    return Choice(name, OPTIMIZERS[name].Settings.model_validate(given), OPTIMIZERS[name])


UNCLIPPED = [case for case, (_, settings, *_) in training.OPTIMIZERS.items() if "clip_norm" not in settings]


@pytest.mark.parametrize("case", UNCLIPPED)
def test_the_second_forms_give_pytorchs_values(case: str) -> None:
    expected = load("optimizers")[f"{case}/float64"]
    name, given, *_ = training.OPTIMIZERS[case]
    settings = choice(name, **({"learning_rate": 0.01} if name == "sgd" else {}) | given).settings
    elements = [Element(float(value)) for value in expected["start"]]
    limit = settings.clip_value or math.inf
    for step, factor in enumerate(training.RATES):
        rate = settings.learning_rate * factor
        rule = Rule(settings, float, math.sqrt, rate, settings.weight_decay, settings.l1_decay, step + 1)
        for element, g in zip(elements, expected["gradients"][step], strict=True):
            FORMS[name](element, min(max(float(g), -limit), limit), rule)
        np.testing.assert_allclose([e.w for e in elements], expected["values"][step], rtol=1e-10, atol=1e-13)


def test_every_optimizer_has_a_second_form() -> None:
    assert set(FORMS) == set(OPTIMIZERS)


def test_a_step_in_fractions_by_hand() -> None:
    """w = 3, g = 5, decay 1/4: v = 5 + 3/4; with Nesterov's momentum of 1/2 the step is 1/2 (23/4 + 23/8)."""
    settings = choice("sgd", momentum=0.5, nesterov=True).settings
    element = Element(Fraction(3))
    sgd(element, Fraction(5), Rule(settings, Fraction, abs, Fraction(1, 2), Fraction(1, 4), Fraction(0), 1))
    assert element.kept["velocity"] == Fraction(23, 4)
    assert element.w == 3 - Fraction(1, 2) * Fraction(69, 8)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("sgd", {"momentum": 0.9, "nesterov": True, "weight_decay": 1e-3}),
        ("sgd", {"momentum": 0.9, "form": "caffe", "clip_value": 0.5, "ema": 0.9}),
        ("adam", {"weight_decay": 0.1, "form": "keras"}),
        ("adamw", {"clip_norm": 1.0}),
        ("rmsprop", {"centered": True, "momentum": 0.9}),
        ("adagrad", {"learning_rate_decay": 0.1}),
        ("adadelta", {"l1_decay": 0.01}),
    ],
)
def test_right_optimizers(name: str, settings: dict[str, Any]) -> None:
    found = prove_optimizer(choice(name, **settings))
    assert [proof.verdict for proof in found] == [*(["exact"] * 2 if name == "sgd" else []), "close"]


def test_of_clipping_by_norm_exact_arithmetic_knows_nothing() -> None:
    found = prove_optimizer(choice("sgd", clip_norm=1.0))
    assert [proof.note for proof in found[:2]] == [
        "112 of 4,133 weights followed, without clip_norm, which takes a root"
    ] * 2


def test_an_optimizer_without_a_second_form_is_not_tried() -> None:
    known = choice("sgd")
    [found] = prove_optimizer(Choice("mine", known.settings, known.registered))
    assert found.verdict == "not tried"


MUON = [
    {},
    {"steps": 3, "momentum": 0.6, "normalize": True, "others": {"learning_rate": 0.5, "weight_decay": 0.01}},
    {"nesterov": False, "weight_decay": 0.1, "l1_decay": 0.05, "clip_value": 0.5, "others": {"momentum": 0.5}},
]


@pytest.mark.parametrize("settings", MUON, ids=str)
def test_muon_is_close_to_forty_digits(settings: dict[str, Any]) -> None:
    others, filters = prove_optimizer(choice("muon", **settings))
    assert others.verdict == filters.verdict == "close", (others.note, filters.note)
    assert "40 weights of 5 filters" in filters.note


@pytest.mark.parametrize("change", [{"steps": 4}, {"momentum": 0.9}, {"nesterov": False}, {"normalize": True}], ids=str)
def test_other_filters_are_wrong(change: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """The optimiser steps with other settings than the proof's second form."""
    from cnntrain.optimizers.muon import Muon

    original = Muon.__init__

    def changed(self: Any, settings: Any, parameters: Any) -> None:
        original(self, settings.model_copy(update=change), parameters)

    monkeypatch.setattr(Muon, "__init__", changed)
    assert prove_optimizer(choice("muon"))[1].verdict == "WRONG"


def test_lookahead_is_said_to_be_left_out() -> None:
    (proof,) = prove_optimizer(choice("adam", lookahead={}))
    assert (proof.name, proof.verdict) == ("adam (pytorch) without lookahead", "close")
