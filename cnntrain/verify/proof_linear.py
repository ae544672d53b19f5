"""Proof of what is linear in image, weights and bias: convolutions, alone or with their max-pooling, and dense layers.

The forward pass F is compared with integers by Freivalds' trick: random combinations of the images and of the filters,
u and v, turn the whole batch and all filters into one image and one filter, whose convolution is quickly done by hand:
sum_n,k u_n v_k y_n,k = F(sum_n u_n x_n, sum_k v_k w_k). Every output takes part. The passes back are proven by
<F(x, w), delta> = <grad_input, x> = <grad_weight, w>: docs/prove.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnntrain.layers import LayerRow
from cnntrain.layers.conv2d import Conv2d
from cnntrain.layers.dense import Dense
from cnntrain.layers.pooled_convolution import PooledConvolution, slices
from cnntrain.shape import LANES
from cnntrain.verify.integer_convolution import geometry_of
from cnntrain.verify.linear_trials import PASSES, LinearProof
from cnntrain.verify.proof import PassProof
from cnntrain.verify.workbench import Workbench, enter, leave

# In float32, sums over a batch leave room for small numbers alone: what has no such sums is tried with larger ones.
APART = ("forward", "to input", "mask"), ("to weights", "bias")


def prove_linear(
    row: LayerRow, batches: list[tuple[int, int]], dtype: np.dtype, direct: bool, seed: int
) -> list[PassProof]:
    """Prove a convolution, a convolution with its max-pooling, or a dense layer.

    Parameters
    ----------
    row : LayerRow
        As it runs.
    batches : list of (int, int)
        For each trial how many images, and how many in the batch before.
    dtype : float32 or float64
    direct : bool
        As `Network` takes it.
    seed : int
        Of all numbers.
    """
    bench = Workbench(row, max(map(max, batches)), dtype, direct)
    found: dict[str, PassProof] = {}
    for names in (PASSES,) if dtype == np.float64 else APART:
        proof = _proof_of(bench, np.random.default_rng([seed, len(names), *row.path.encode()]))
        refusal = proof.begin(names)
        if refusal:
            found[names[0]] = PassProof(row.path, ", ".join(names), "", str(dtype), 0, "not tried", None, refusal)
            continue
        if not proof.ledgers:
            continue
        for number, (images, before) in enumerate(batches):
            proof.trial(images, before)
            if "mask" in proof.ledgers and number < 2:
                proof.ties(images)
        for name, ledger in proof.ledgers.items():
            found[name] = ledger.close(row.stands_for[name == "mask"].path if row.stands_for else row.path)
    return [found[name] for name in PASSES if name in found]


def _proof_of(bench: Workbench, generator: np.random.Generator) -> LinearProof:
    row, layer = bench.row, bench.layer
    if isinstance(layer, PooledConvolution):
        convolution, pooling = row.stands_for
        passes = layer.convolution.passes
        names = _algorithms(passes)
        together = f" with {pooling.path}"
        shown = dict(names)
        if layer.together.goes_forward:
            shown["forward"] = names["forward"] + together
        if layer.together.goes_backward:
            shown["to weights"] = shown["bias"] = names["to weights"] + together
        shown["mask"] = shown["forward"]
        return LinearProof(
            bench, geometry_of(convolution), convolution.output_shape, _without_pooling(bench, layer, convolution),
            shown, _exactness(names), generator, pooling,
        )  # fmt: skip
    if isinstance(layer, Conv2d):
        names = _algorithms(layer.passes)
    else:
        names = {found.name: str(found.algorithm) for found in Dense.explain(row, None)}  # type: ignore[arg-type]
    return LinearProof(bench, geometry_of(row), row.output_shape, bench.forward, names, _exactness(names), generator)


def _algorithms(passes: Any) -> dict[str, str]:
    names = {str(direction): chosen.algorithm.name for direction, chosen in passes.choices.by_direction()}
    names["bias"] = names["to weights"] if passes.adds_biases else "sums"
    return names


def _exactness(names: dict[str, str]) -> dict[str, bool]:
    exact = {name: not algorithm.startswith("winograd") for name, algorithm in names.items()}
    return exact | {"bias": True}


def _without_pooling(
    bench: Workbench, layer: PooledConvolution, row: LayerRow
) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """Return the convolution's own forward pass, slice by slice, on the parameters of the moment."""
    block, middle = row.input_shape.size * LANES, row.output_shape.size * LANES
    convolution = layer.convolution
    lanes = np.empty(bench._x.size, bench.dtype)

    def run(x: NDArray[Any]) -> NDArray[Any]:
        enter(x, lanes, fill=0.0)
        blocks = -(-len(x) // LANES)
        z = np.empty(blocks * middle, bench.dtype)
        weight, bias = convolution.weight.value.reshape(-1), convolution.bias_values
        for first, count in slices(blocks, layer.slice_blocks):
            convolution.passes.forward(lanes[first * block :], weight, bias, convolution.output, count)
            z[first * middle :][: count * middle] = convolution.output[: count * middle]
        return leave(z, len(x), row.output_shape)

    return run
