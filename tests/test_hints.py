from __future__ import annotations

import pytest

from cnntrain import hints
from cnntrain.cli import COMMANDS
from cnntrain.config.registries import REGISTRIES
from cnntrain.hints import hint, nearest
from cnntrain.layers import LAYERS
from cnntrain.optimizers import OPTIMIZERS


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("Relu", "relu"), ("ReLU", "relu"), ("MaxPool2d", "max_pool2d"), ("BatchNorm2d", "batch_norm2d"),
        ("linear", "dense"), ("fully_connected", "dense"), ("FC", "dense"), ("InnerProduct", "dense"),
        ("conv", "conv2d"), ("Convolution2D", "conv2d"), ("lrn", "local_response_norm"), ("swish", "silu"),
        ("LeakyReLU", "leaky_relu"), ("tahn", "tanh"),
    ],
)  # fmt: skip
def test_layers(name: str, meant: str) -> None:
    assert nearest(name, LAYERS) == meant


def test_a_legal_name_goes_before_what_is_called_so_elsewhere() -> None:
    assert nearest("Linear", ["dense", "linear"]) == "linear"
    assert nearest("SGD", OPTIMIZERS) == "sgd"
    assert nearest("gray", ["rgb", "grey"]) == "grey"
    assert nearest("size", ["kernel_size", "stride"]) == "kernel_size"
    assert nearest("rate", ["learning_rate", "dropout_rate"]) is None  # either
    assert nearest("lr", ["learning_rate", "weight_decay"]) == "learning_rate"
    assert nearest("q" * 10**6, LAYERS) is None


def test_what_should_be_left_out() -> None:
    assert hint("softmax", LAYERS, "layer") == "; leave it out: cross_entropy contains it"
    assert hint("LogSoftmax", LAYERS, "layer") == "; leave it out: cross_entropy contains it"
    assert "leave it out" not in hint("softmax", ["cross_entropy", "mse"], "loss")


def test_a_missing_blank() -> None:
    assert hint("warmup_epochs:1", ["warmup_epochs"]) == "; is a blank missing behind the colon? warmup_epochs: 1"


def test_every_name_that_is_hinted_at_exists() -> None:
    """A hint at something that was renamed would never be given."""
    known = set(COMMANDS) | set(_keys())
    for registry in REGISTRIES:
        known |= set(registry.entries)
        for entry in registry.entries.values():
            known |= set(entry.Settings.model_fields)
    assert set(hints._ELSEWHERE) - known == {"grey", "rgb"}


def _keys() -> list[str]:
    from cnntrain.config import Config, TrainSettings

    return [*Config.model_fields, *TrainSettings.model_fields]
