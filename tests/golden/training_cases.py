"""What the golden files about training hold: settings in our words and in PyTorch's. No PyTorch here.

`make_training_golden.py` adds what PyTorch computes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

# ---- optimisers: two parameters, eight steps with given gradients ----

SHAPES = {"0.weight": (3, 2), "0.bias": (5,)}
RATES = [1.0, 1.0, 0.5, 0.5, 2.0, 2.0, 0.25, 1.0]  # what a schedule multiplies the learning rate with
DTYPES = ["float64", "float32"]

# name: (our name, our settings, PyTorch's class, its settings). clip_norm, clip_value, l1_decay and ema are done around
# PyTorch's optimiser, as its users do.
OPTIMIZERS: dict[str, tuple[str, dict[str, Any], str, dict[str, Any]]] = {
    "sgd": ("sgd", {"learning_rate": 0.1, "momentum": 0.9}, "SGD", {"lr": 0.1, "momentum": 0.9}),
    "sgd, l1": (
        "sgd",
        {"learning_rate": 0.1, "nesterov": True, "momentum": 0.8, "l1_decay": 0.02, "weight_decay": 0.01},
        "SGD",
        {"lr": 0.1, "momentum": 0.8, "nesterov": True, "weight_decay": 0.01},
    ),
    "sgd, clip_norm": ("sgd", {"learning_rate": 0.1, "clip_norm": 2.5}, "SGD", {"lr": 0.1}),
    "sgd, clip_value": (
        "sgd",
        {"learning_rate": 0.1, "clip_value": 0.7, "weight_decay": 0.1},
        "SGD",
        {"lr": 0.1, "weight_decay": 0.1},
    ),
    "sgd, ema": ("sgd", {"learning_rate": 0.1, "ema": 0.8}, "SGD", {"lr": 0.1}),
    "adam": ("adam", {}, "Adam", {}),
    "adam, settings": (
        "adam",
        {"learning_rate": 0.02, "betas": [0.7, 0.95], "eps": 0.1, "weight_decay": 0.05},
        "Adam",
        {"lr": 0.02, "betas": (0.7, 0.95), "eps": 0.1, "weight_decay": 0.05},
    ),
    "adam, all around": (
        "adam",
        {"learning_rate": 0.02, "clip_norm": 2.0, "l1_decay": 0.03, "ema": 0.9},
        "Adam",
        {"lr": 0.02},
    ),
    "adamw": ("adamw", {}, "AdamW", {}),
    "adamw, settings": (
        "adamw",
        {"learning_rate": 0.05, "weight_decay": 0.3, "betas": [0.8, 0.9]},
        "AdamW",
        {"lr": 0.05, "weight_decay": 0.3, "betas": (0.8, 0.9)},
    ),
    "rmsprop": ("rmsprop", {}, "RMSprop", {}),
    "rmsprop, centered": (
        "rmsprop",
        {"centered": True, "alpha": 0.9, "eps": 0.01},
        "RMSprop",
        {"centered": True, "alpha": 0.9, "eps": 0.01},
    ),
    "rmsprop, momentum": (
        "rmsprop",
        {"momentum": 0.9, "weight_decay": 0.02, "centered": True},
        "RMSprop",
        {"momentum": 0.9, "weight_decay": 0.02, "centered": True},
    ),
    "adagrad": ("adagrad", {}, "Adagrad", {}),
    "adagrad, settings": (
        "adagrad",
        {"learning_rate": 0.1, "learning_rate_decay": 0.2, "initial_sum": 0.5, "eps": 0.01, "weight_decay": 0.1},
        "Adagrad",
        {"lr": 0.1, "lr_decay": 0.2, "initial_accumulator_value": 0.5, "eps": 0.01, "weight_decay": 0.1},
    ),
    "adadelta": ("adadelta", {}, "Adadelta", {}),
    "adadelta, settings": (
        "adadelta",
        {"learning_rate": 0.5, "rho": 0.8, "eps": 1e-3, "weight_decay": 0.1},
        "Adadelta",
        {"lr": 0.5, "rho": 0.8, "eps": 1e-3, "weight_decay": 0.1},
    ),
}

# ---- schedules: ten epochs of four steps ----

STEPS_PER_EPOCH, TOTAL = 4, 40

# name: (our settings, PyTorch's classes with their settings in steps, one after the other, and the steps between them)
SCHEDULES: dict[str, tuple[dict[str, Any], list[tuple[str, dict[str, Any]]], list[int]]] = {
    "step": ({"step": {"every_epochs": 3, "gamma": 0.5}}, [("StepLR", {"step_size": 12, "gamma": 0.5})], []),
    "multi_step": (
        {"multi_step": {"epochs": [2, 7.5]}},
        [("MultiStepLR", {"milestones": [8, 30], "gamma": 0.1})],
        [],
    ),
    "exponential": ({"exponential": {"gamma": 0.8}}, [("ExponentialLR", {"gamma": 0.8**0.25})], []),
    "polynomial": ({"polynomial": {"power": 2}}, [("PolynomialLR", {"total_iters": TOTAL, "power": 2})], []),
    "cosine": (
        {"cosine": {"final_factor": 0.1}},
        [("CosineAnnealingLR", {"T_max": TOTAL, "eta_min": 0.1})],
        [],
    ),
    "linear": (
        {"linear": {"start_factor": 0.9, "final_factor": 0.2}},
        [("LinearLR", {"start_factor": 0.9, "end_factor": 0.2, "total_iters": TOTAL})],
        [],
    ),
    "linear, epochs": (
        {"linear": {"start_factor": 0.25, "final_factor": 1.0, "epochs": 2.5}},
        [("LinearLR", {"start_factor": 0.25, "end_factor": 1.0, "total_iters": 10})],
        [],
    ),
    "triangular": (
        {"triangular": {"start_factor": 0.04, "final_factor": 4e-6}},
        [("OneCycleLR", {"max_lr": 1.0, "total_steps": TOTAL, "anneal_strategy": "linear", "cycle_momentum": False})],
        [],
    ),
    "triangular, cosine": (
        {"triangular": {"peak": 0.45, "start_factor": 0.1, "final_factor": 0.001, "shape": "cosine"}},
        [
            (
                "OneCycleLR",
                {
                    "max_lr": 1.0,
                    "total_steps": TOTAL,
                    "pct_start": 0.45,
                    "div_factor": 10.0,
                    "final_div_factor": 100.0,
                    "cycle_momentum": False,
                },
            )
        ],
        [],
    ),
    "cosine_restarts": (
        {"cosine_restarts": {"epochs": 2.5}},
        [("CosineAnnealingWarmRestarts", {"T_0": 10})],
        [],
    ),
    "cosine_restarts, growth": (
        {"cosine_restarts": {"epochs": 1, "growth": 3, "final_factor": 0.1}},
        [("CosineAnnealingWarmRestarts", {"T_0": 4, "T_mult": 3, "eta_min": 0.1})],
        [],
    ),
    "warm-up and cosine": (
        {"cosine": {"warmup_epochs": 2}},
        [("LinearLR", {"start_factor": 1 / 8, "total_iters": 7}), ("CosineAnnealingLR", {"T_max": 32})],
        [8],
    ),
    "warm-up and restarts": (
        {"cosine_restarts": {"warmup_epochs": 1, "epochs": 3}},
        [("LinearLR", {"start_factor": 1 / 4, "total_iters": 3}), ("CosineAnnealingWarmRestarts", {"T_0": 12})],
        [4],
    ),
}

# name: (our settings, PyTorch's), on the losses or accuracies of `observed`
PLATEAUS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "defaults": ({}, {}),
    "impatient": ({"patience": 1, "gamma": 0.5, "threshold": 0.02}, {"patience": 1, "factor": 0.5, "threshold": 0.02}),
    "cooldown": (
        {"patience": 0, "gamma": 0.7, "cooldown": 3, "min_factor": 0.2},
        {"patience": 0, "factor": 0.7, "cooldown": 3, "min_lr": 0.2},
    ),
    "accuracy": (
        {"metric": "accuracy", "patience": 2, "threshold": 0.01, "threshold_mode": "absolute"},
        {"mode": "max", "patience": 2, "threshold": 0.01, "threshold_mode": "abs"},
    ),
    "accuracy, relative": (
        {"metric": "accuracy", "patience": 2, "gamma": 0.3, "threshold": 0.05},
        {"mode": "max", "patience": 2, "factor": 0.3, "threshold": 0.05},
    ),
}
EPOCHS = 60


def observed(metric: str) -> Array:
    """Losses (or accuracies) of 60 epochs that fall (rise), ever more slowly, with some noise."""
    epochs = np.arange(EPOCHS)
    noise = ((epochs * 37 + 11) % 23) / 23 - 0.5
    losses = np.exp(-epochs / 5) + 0.3 + 0.05 * noise
    return losses if metric == "loss" else 1 / (1 + losses)


# ---- losses: 19 rows of 7 outputs ----

WEIGHTS = [0.5, 2.0, 1.0, 0.0, 3.0, 1.5, 0.25]
CROSS_ENTROPIES: dict[str, dict[str, Any]] = {
    "smoothing": {"label_smoothing": 0.1},
    "all smoothing": {"label_smoothing": 1.0},
    "weights": {"class_weights": WEIGHTS},
    "smoothing and weights": {"label_smoothing": 0.3, "class_weights": WEIGHTS},
}
MULTI_MARGINS: dict[str, dict[str, Any]] = {"plain": {}, "squares": {"norm": 2}, "margin": {"margin": 0.3}}
