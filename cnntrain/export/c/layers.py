"""How each layer becomes calls of C functions: a table from the layer's class to the function that adds its steps."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnntrain.export.c.program import Program, Step
from cnntrain.export.model import Model, folding, rotated
from cnntrain.kernels.geometry import Axis
from cnntrain.layers import LAYERS, Layer, LayerRow
from cnntrain.layers.elu import SELU_ALPHA, SELU_SCALE
from cnntrain.shape import Shape


@dataclass(frozen=True)
class Export:
    """What a layer's function is given beside its row and its input."""

    program: Program
    model: Model
    fold: bool  # batch norm into the weights before it

    def sequence(self, rows: Sequence[LayerRow], x: int) -> int:
        """Add layers one after the other."""
        norms = folding(rows) if self.fold else {}
        folded = {norm.path for norm in norms.values()}
        for row in rows:
            if row.path in norms:
                x = _weighted(self, row, x, norms[row.path])
            elif row.path not in folded:
                x = TABLE[row.layer](self, row, x)
        return x

    def step(self, kind: str, row: LayerRow, sources: Sequence[int], *arguments: Any, **more: Any) -> int:
        """Add a call that makes a layer's output."""
        words = [literal(a) if isinstance(a, float) else str(a) for a in arguments]
        return self.program.add(kind, sources, row.output_shape.size, comment_of(row), words, **more)


def identifier(path: str) -> str:
    """Return a layer's path as a name in C."""
    return "l" + re.sub(r"\W", "_", path)


def literal(number: Any) -> str:
    """Return the shortest decimal that is this float32."""
    return f"{np.float32(number)!s}f"


def comment_of(row: LayerRow) -> str:
    """Return what stands behind a call."""
    return f"{row.path}: {row.output_shape}"


def program_of(model: Model, fold: bool = False) -> tuple[Program, int]:
    """Return all steps of a network behind the normalisation, and the value that holds the logits."""
    program = Program([])
    image, affine = program.value(model.input_shape.size), model.normalization.affine()
    names = [program.array(name, a) for name, a in zip(("image_scale", "image_shift"), affine, strict=True)]
    kind = "normalize_by_pixel" if affine[1].ndim == 3 else "normalize"
    channels, rows, columns = model.input_shape
    program.steps.append(_normalize(kind, image, (*names, str(channels), str(rows * columns)), model.input_shape))
    return program, Export(program, model, fold).sequence(model.rows, image)


def _normalize(kind: str, image: int, arguments: tuple[str, ...], shape: Shape) -> Step:
    return Step(kind, "image", (), image, 0, arguments, f"image: {shape}", False)


def _weighted(to: Export, row: LayerRow, x: int, norm: LayerRow | None = None) -> int:
    """Convolution or dense layer."""
    name, (weight, bias) = identifier(row.path), to.model.weights(row, norm)
    given = "0" if bias is None else to.program.array(f"{name}_bias", bias)
    if row.layer is LAYERS["dense"]:
        arrays = to.program.array(f"{name}_weight", weight), given
        return to.step("dense", row, [x], row.input_shape.size, row.output_shape.size, *arrays)
    geometry = row.settings.geometry(row.input_shape)
    fields = {"channels": geometry.channels, "filters": geometry.filters, "groups": geometry.groups}
    axes = {"rows": _axis(geometry.rows.forward()), "columns": _axis(geometry.columns.forward())}
    settings = to.program.struct(name, "convolution", fields | axes)
    weights = to.program.array(f"{name}_weight", rotated(row, weight))
    return to.step("conv2d", row, [x], weights, given, settings=settings)


def _axis(axis: Axis) -> dict[str, int]:
    return {
        "input": axis.input_size, "output": axis.count, "taps": axis.taps,
        "stride": axis.stride, "before": -axis.offset, "dilation": axis.dilation,
    }  # fmt: skip


def _pool(to: Export, row: LayerRow, x: int) -> int:
    rows, columns = row.settings.axes(row.input_shape)
    fields = {"channels": row.input_shape.channels, "rows": _axis(rows), "columns": _axis(columns)}
    settings = to.program.struct(identifier(row.path), "pooling", fields)
    if row.layer is LAYERS["max_pool2d"]:
        return to.step("max_pool2d", row, [x], settings=settings)
    return to.step("avg_pool2d", row, [x], int(row.settings.count_padding), settings=settings)


def _batch_norm(to: Export, row: LayerRow, x: int) -> int:
    name, (channels, rows, columns) = identifier(row.path), row.input_shape
    factor, summand = to.model.affine(row)
    arrays = to.program.array(f"{name}_factor", factor), to.program.array(f"{name}_summand", summand)
    return to.step("batch_norm2d", row, [x], channels, rows * columns, *arrays, in_place=True)


def _local_response_norm(to: Export, row: LayerRow, x: int) -> int:
    settings, (channels, rows, columns) = row.settings, row.input_shape
    across, reach = settings.region == "across_channels", settings.size // 2
    fields = {
        "channels": channels, "rows": rows, "columns": columns,
        "channel_reach": reach if across else 0, "pixel_reach": 0 if across else reach,
    }  # fmt: skip
    share = settings.alpha / (settings.size if across else settings.size**2)
    struct = to.program.struct(identifier(row.path), "neighbourhood", fields)
    return to.step("local_response_norm", row, [x], share, float(settings.beta), float(settings.k), settings=struct)


def _same(to: Export, row: LayerRow, x: int) -> int:
    """In use, dropout passes everything on; and dense layers flatten by themselves: C·H·W is how images lie here."""
    return x


def _function(kind: str, numbers: Callable[[Any], tuple[float, ...]] = lambda _: ()) -> Writer:
    """An element-wise layer; `numbers` of its settings."""

    def write(to: Export, row: LayerRow, x: int) -> int:
        given = map(float, numbers(row.settings))
        return to.step(kind, row, [x], row.output_shape.size, *given, in_place=True)

    return write


def _gelu(to: Export, row: LayerRow, x: int) -> int:
    kind = "gelu_tanh" if row.settings.approximate == "tanh" else "gelu"
    return to.step(kind, row, [x], row.output_shape.size, in_place=True)


def _prelu(to: Export, row: LayerRow, x: int) -> int:
    channels, rows, columns = row.input_shape
    slopes = np.broadcast_to(to.model.needed(row, "slope"), channels)
    name = to.program.array(f"{identifier(row.path)}_slope", slopes)
    return to.step("prelu", row, [x], channels, rows * columns, name, in_place=True)


def _repeat(to: Export, row: LayerRow, x: int) -> int:
    return to.sequence(row.parts[0].rows, x)


def _residual(to: Export, row: LayerRow, x: int) -> int:
    body = to.sequence(row.parts[0].rows, x)
    if len(row.parts) > 1:
        return _sum(to, row, body, to.sequence(row.parts[1].rows, x))
    plan = row.settings.subsampling(row.input_shape, row.output_shape)._asdict()
    settings = to.program.struct(identifier(row.path), "subsampling", plan)
    # over the body where nobody else reads it; it comes first, for the image is read at other places than are written
    return to.step("add_subsampled", row, [body, x], settings=settings, in_place=True)


def _sum(to: Export, row: LayerRow, one: int, other: int) -> int:
    return to.step("add", row, [one, other], row.output_shape.size, in_place=True)


def _branches(to: Export, row: LayerRow, x: int) -> int:
    if row.settings.merge == "add":
        total = to.sequence(row.parts[0].rows, x)
        for part in row.parts[1:]:
            total = _sum(to, row, total, to.sequence(part.rows, x))
        return total
    joined, offset = to.program.value(row.output_shape.size), 0
    for part in row.parts:
        output = to.sequence(part.rows, x)
        to.program.copy(output, joined, offset, f"{row.path}.{part.label}: {part.output_shape}")
        offset += part.output_shape.size
    return joined


Writer = Callable[[Export, LayerRow, int], int]
TABLE: dict[type[Layer], Writer] = {
    LAYERS[name]: write
    for name, write in {
        "conv2d": _weighted,
        "dense": _weighted,
        "max_pool2d": _pool,
        "avg_pool2d": _pool,
        "global_avg_pool2d": _pool,
        "batch_norm2d": _batch_norm,
        "local_response_norm": _local_response_norm,
        "dropout": _same,
        "flatten": _same,
        "residual": _residual,
        "branches": _branches,
        "repeat": _repeat,
        "relu": _function("relu"),
        "leaky_relu": _function("leaky_relu", lambda settings: (settings.slope,)),
        "prelu": _prelu,
        "elu": _function("elu", lambda settings: (1.0, settings.alpha)),
        "selu": _function("elu", lambda _: (SELU_SCALE, SELU_SCALE * SELU_ALPHA)),
        "gelu": _gelu,
        "silu": _function("silu"),
        "softplus": _function("softplus", lambda settings: (settings.beta,)),
        "sigmoid": _function("sigmoid"),
        "tanh": _function("hyperbolic_tangent"),
    }.items()
}
