"""How each layer takes part in a program for few images: a table from its class to the function that writes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cnntrain.kernels import instructions as functions
from cnntrain.layers.base import Layer, LayerRow
from cnntrain.layers.elu import SELU_ALPHA, SELU_SCALE
from cnntrain.layers.pooled_convolution import PooledConvolution
from cnntrain.layers.registry import LAYERS
from cnntrain.passes.arena import Value
from cnntrain.passes.program_writer import Writer
from cnntrain.shape import Shape

if TYPE_CHECKING:
    from cnntrain.passes.program import Program

Array = NDArray[Any]


def program_of(rows: Sequence[LayerRow], shape: Shape, dtype: np.dtype, arrays: Mapping[str, Array]) -> Program | str:
    """Return the program of a network, or say in words why it has none.

    Parameters
    ----------
    rows : sequence of LayerRow
        What runs, fusions included.
    shape : Shape
        Of an image.
    dtype : float32 or float64
    arrays : mapping
        The network's own parameters and statistics, as kernels use them, by their names: read whenever weights are
        packed.
    """
    from cnntrain.passes.program import Program

    strange = next((row for row in _walk(rows) if row.layer not in TABLE), None)
    if strange is not None:
        return f"{strange.path}: a layer of one's own has no instructions for few images"
    writer = Writer(dtype)
    source = writer.value(shape)
    return Program(writer, source, Script(writer, arrays).sequence(rows, source))


def _walk(rows: Sequence[LayerRow]) -> Iterator[LayerRow]:
    for row in rows:
        yield row
        for part in row.parts:
            yield from _walk(part.rows)


@dataclass(frozen=True)
class Script:
    """What a layer's function is given beside its row and its input.

    Attributes
    ----------
    writer : Writer
    arrays : mapping
        The network's own arrays, as kernels use them, by their names.
    """

    writer: Writer
    arrays: Mapping[str, Array]

    def sequence(self, rows: Sequence[LayerRow], x: Value) -> Value:
        """Write layers one after the other."""
        for row in rows:
            x = TABLE[row.layer](self, row, x)
        return x

    def array(self, row: LayerRow, tensor: str) -> Array | None:
        """Return a layer's own array, None where it has none of that name."""
        return self.arrays.get(f"{row.path}.{tensor}")


def _conv2d(to: Script, row: LayerRow, x: Value) -> Value:
    geometry = row.settings.geometry(row.input_shape)
    return to.writer.convolution(x, geometry, to.arrays[f"{row.path}.weight"], to.array(row, "bias"))


def _dense(to: Script, row: LayerRow, x: Value) -> Value:
    return to.writer.dense(x, row.output_shape.channels, to.arrays[f"{row.path}.weight"], to.array(row, "bias"))


def _max_pool2d(to: Script, row: LayerRow, x: Value) -> Value:
    return to.writer.max_pooling(x, *row.settings.axes(row.input_shape))


def _pooled(to: Script, row: LayerRow, x: Value) -> Value:
    convolution, pooling = row.stands_for
    return _max_pool2d(to, pooling, _conv2d(to, convolution, x))


def _avg_pool2d(to: Script, row: LayerRow, x: Value) -> Value:
    rows, columns = row.settings.axes(row.input_shape)
    return to.writer.average_pooling(x, rows, columns, row.settings.count_padding)


def _batch_norm2d(to: Script, row: LayerRow, x: Value) -> Value:
    scale, shift = to.array(row, "scale"), to.array(row, "shift")
    mean, variance = to.arrays[f"{row.path}.running_mean"], to.arrays[f"{row.path}.running_variance"]
    epsilon = variance.dtype.type(row.settings.epsilon)

    def arrays() -> list[Array]:
        deviation = np.sqrt(variance + epsilon)
        factor = (np.ones_like(deviation) if scale is None else scale) / deviation
        return [mean, factor, np.zeros_like(mean) if shift is None else shift]

    return to.writer.per_channel(x, arrays, slopes=False)


def _prelu(to: Script, row: LayerRow, x: Value) -> Value:
    slope = to.arrays[f"{row.path}.slope"]
    return to.writer.per_channel(x, lambda: [slope], slopes=True)


def _local_response_norm(to: Script, row: LayerRow, x: Value) -> Value:
    settings = row.settings
    reach, across = settings.size // 2, settings.region == "across_channels"
    share = settings.alpha / (settings.size if across else settings.size**2)
    reaches = (0, 0, reach) if across else (reach, reach, 0)
    return to.writer.local_response(x, reaches, (share, settings.beta, settings.k))


def _as_it_is(to: Script, row: LayerRow, x: Value) -> Value:
    return x


def _residual(to: Script, row: LayerRow, x: Value) -> Value:
    to.writer.keep(x)
    body = to.sequence(row.parts[0].rows, x)
    if len(row.parts) > 1:
        return to.writer.sum(body, to.sequence(row.parts[1].rows, x))
    return to.writer.sum_with_subsampled(body, x, row.settings.subsampling(row.input_shape, row.output_shape))


def _branches(to: Script, row: LayerRow, x: Value) -> Value:
    for _ in row.parts[1:]:
        to.writer.keep(x)
    values = [to.sequence(part.rows, x) for part in row.parts]
    if row.settings.merge == "concat":
        return to.writer.joined(values)
    total = values[0]
    for value in values[1:]:
        total = to.writer.sum(total, value)
    return total


def _repeat(to: Script, row: LayerRow, x: Value) -> Value:
    return to.sequence(row.parts[0].rows, x)


def _activation(function: int, numbers: Callable[[Any], Sequence[float]] = lambda settings: ()) -> Any:
    return lambda to, row, x: to.writer.activation(x, function, numbers(row.settings))


def _gelu(to: Script, row: LayerRow, x: Value) -> Value:
    return to.writer.activation(x, functions.GELU_TANH if row.settings.approximate == "tanh" else functions.GELU)


TABLE: dict[type[Layer], Callable[[Script, LayerRow, Value], Value]] = {
    LAYERS["conv2d"]: _conv2d,
    LAYERS["dense"]: _dense,
    LAYERS["max_pool2d"]: _max_pool2d,
    PooledConvolution: _pooled,
    LAYERS["avg_pool2d"]: _avg_pool2d,
    LAYERS["global_avg_pool2d"]: _avg_pool2d,
    LAYERS["batch_norm2d"]: _batch_norm2d,
    LAYERS["local_response_norm"]: _local_response_norm,
    LAYERS["dropout"]: _as_it_is,
    LAYERS["flatten"]: _as_it_is,
    LAYERS["residual"]: _residual,
    LAYERS["branches"]: _branches,
    LAYERS["repeat"]: _repeat,
    LAYERS["relu"]: _activation(functions.RELU),
    LAYERS["leaky_relu"]: _activation(functions.LEAKY_RELU, lambda s: (s.slope,)),
    LAYERS["prelu"]: _prelu,
    LAYERS["elu"]: _activation(functions.ELU, lambda s: (1.0, s.alpha)),
    LAYERS["selu"]: _activation(functions.ELU, lambda s: (SELU_SCALE, SELU_SCALE * SELU_ALPHA)),
    LAYERS["gelu"]: _gelu,
    LAYERS["silu"]: _activation(functions.SILU),
    LAYERS["softplus"]: _activation(functions.SOFTPLUS, lambda s: (s.beta,)),
    LAYERS["sigmoid"]: _activation(functions.SIGMOID),
    LAYERS["tanh"]: _activation(functions.TANH),
}
