"""A trace as plain data for a page: shapes and settings as JSON, numbers through a `Packer`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnntrain.explain.page.pack import Packer
from cnntrain.explain.trace import LayerTrace, ParameterTrace, Trace
from cnntrain.layers import LAYERS
from cnntrain.layers.elu import SELU_ALPHA, SELU_SCALE
from cnntrain.losses import LOSSES
from cnntrain.optimizers import OPTIMIZERS
from cnntrain.optimizers.base import STEPS
from cnntrain.printable import as_text, printable

_PLAIN = (bool, int, float, str)


def text(name: str) -> str:
    """Return a stranger's name as a page may have it."""
    return printable(as_text(name))


def describe(trace: Trace, name: str, packer: Packer) -> dict[str, Any]:
    """Return what a page knows of a trace.

    Parameters
    ----------
    trace : Trace
    name : str
        What it is called beside others, for example "epoch 3".
    packer : Packer
        Takes the numbers; in their place stand their numbers in its table.
    """
    writer = _Writer(trace, packer)
    loss = trace.loss_layer
    return {
        "name": text(name),
        "step": trace.step,
        "images": len(trace.images),
        "shape": list(trace.images.shape[1:]),
        "x": packer.add(trace.images),
        "labels": trace.labels.tolist(),
        "classes": trace.logits.shape[1],
        "logits": packer.add(trace.logits),
        "gradLogits": packer.add(trace.grad_logits),
        "loss": {
            "value": _number(trace.loss),
            "name": loss.name,
            "settings": settings_of(loss.settings),
            "known": LOSSES.get(loss.name) is type(loss),
        },
        "optimizer": writer.optimizer(),
        "layers": [writer.layer(layer) for layer in trace.layers],
    }


def _number(value: float) -> float | str:
    """Return a number as JSON can have it; JavaScript's `Number` reads the words."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def settings_of(settings: Any) -> dict[str, Any]:
    """Return the settings that are numbers, words, or lists of these."""
    found: dict[str, Any] = {}
    for key in type(settings).model_fields:
        value = getattr(settings, key)
        if isinstance(value, list | tuple) and all(isinstance(item, _PLAIN) for item in value):
            found[key] = list(value)
        elif value is None or isinstance(value, _PLAIN):
            found[key] = value
    return found


class _Writer:
    def __init__(self, trace: Trace, packer: Packer) -> None:
        self._trace, self._packer = trace, packer

    def optimizer(self) -> dict[str, Any] | None:
        optimizer = self._trace.optimizer
        if optimizer is None:
            return None
        before, after = (int(value[0]) for value in self._trace.kept[STEPS])
        return {
            "name": optimizer.name,
            "known": OPTIMIZERS.get(optimizer.name) is type(optimizer) and self._trace.plain_step,
            "settings": settings_of(optimizer.settings),
            "rate": _number(self._trace.learning_rate),
            "stepsBefore": before,
            "stepsAfter": after,
        }

    def layer(self, layer: LayerTrace) -> dict[str, Any]:
        add, row = self._packer.add, layer.row
        return {
            "path": text(layer.path),
            "name": text(row.name),
            "known": LAYERS.get(row.name) is row.layer,
            "settings": settings_of(row.settings) | _geometry(row),
            "in": list(row.input_shape),
            "out": list(row.output_shape),
            "x": add(layer.input),
            "y": add(layer.output),
            "dy": None if layer.grad_output is None else add(layer.grad_output),
            "dx": None if layer.grad_input is None else add(layer.grad_input),
            "decisions": None if layer.decisions is None else add(layer.decisions),
            "parameters": {text(name): self._parameter(layer, made) for name, made in layer.parameters.items()},
            "statistics": {text(name): [add(a), add(b)] for name, (a, b) in layer.statistics.items()},
            "parts": [
                {"label": text(label), "layers": [self.layer(inner) for inner in inside]}
                for label, inside in layer.inside
            ],
        }

    def _parameter(self, layer: LayerTrace, made: ParameterTrace) -> dict[str, Any]:
        packer, parameter = self._packer, made.parameter
        delta = layer.grad_output
        if made.name == "weight" and layer.row.name == "dense" and delta is not None and len(delta) == 1:
            gradient = packer.outer(made.gradient, delta, layer.input)
        else:
            gradient = packer.add(made.gradient)
        kept = {
            slot: pair
            for slot, _, name in (key.partition("/") for key in self._trace.kept)
            if name == parameter.name
            for pair in [self._trace.kept[f"{slot}/{name}"]]
        }
        return {
            "shape": list(made.value.shape),
            "rate": parameter.learning_rate,
            "decay": parameter.weight_decay,
            "frozen": parameter.frozen,
            "value": packer.add(made.value),
            "gradient": gradient,
            **self._update(made, gradient, kept),
        }

    def _update(
        self, made: ParameterTrace, gradient: int, kept: Mapping[str, tuple[NDArray[Any], NDArray[Any]]]
    ) -> dict[str, Any]:
        """Return the arrays after the step; of plain gradient descent only what a page cannot guess."""
        packer, optimizer = self._packer, self._trace.optimizer
        settings: Any = None if optimizer is None else optimizer.settings
        plain = settings is not None and optimizer is not None and optimizer.name == "sgd" and "velocity" in kept
        plain = plain and math.isfinite(self._trace.learning_rate) and self._trace.plain_step
        if not plain or settings.form != "pytorch":
            slots = {slot: [packer.add(before), packer.add(after)] for slot, (before, after) in kept.items()}
            return {"updated": packer.add(made.updated), "kept": slots}
        factors = {
            "rate": self._trace.learning_rate * made.parameter.learning_rate,
            "momentum": settings.momentum,
            "decay": settings.weight_decay * made.parameter.weight_decay,
            "nesterov": settings.nesterov,
        }
        before, after = (np.asarray(array, np.float64) for array in kept["velocity"])
        pulled = made.gradient + factors["decay"] * made.value
        value = packer.add(made.value)
        new = packer.near(
            after, factors["momentum"] * before + pulled, ["velocity", factors, [value, packer.add(before), gradient]]
        )
        moved = pulled + factors["momentum"] * after if settings.nesterov else after
        updated = packer.near(
            made.updated, made.value - factors["rate"] * moved, ["sgd", factors, [value, new, gradient]]
        )
        slots = {slot: [packer.add(b), packer.add(a)] for slot, (b, a) in kept.items() if slot != "velocity"}
        return {"updated": updated, "kept": {"velocity": [packer.add(before), new]} | slots}


def _geometry(row: Any) -> dict[str, Any]:
    """Return what the settings of a layer mean on its input, in numbers."""
    settings = row.settings
    if row.name == "conv2d":
        geometry = settings.geometry(row.input_shape)
        windows = geometry.rows, geometry.columns
        return {
            "taps": [window.taps for window in windows],
            "stride": [window.stride for window in windows],
            "before": [window.before for window in windows],
            "after": [window.after for window in windows],
            "dilation": [window.dilation for window in windows],
            "rotated": geometry.rotated,
        }
    if row.name in ("max_pool2d", "avg_pool2d", "global_avg_pool2d"):
        axes = settings.axes(row.input_shape)
        return {
            "taps": [axis.taps for axis in axes],
            "stride": [axis.stride for axis in axes],
            "before": [-axis.offset for axis in axes],
            "count_padding": getattr(settings, "count_padding", True),
        }
    if row.name == "residual" and settings.shortcut == "zero_padded":
        cut = settings.subsampling(row.input_shape, row.output_shape)
        return {"steps": [cut.row_stride, cut.column_stride]}
    if row.name == "selu":
        return {"positive": SELU_SCALE, "alpha": SELU_SCALE * SELU_ALPHA}
    return {}
