"""The formulas that numbers are written out by, layer by layer; a new layer is a line here and its formulas in a file.

They are written a second time, in plain Python, term by term: what they give is compared with the kernels' numbers.
"""

from __future__ import annotations

from cnntrain.explain.account import Formulas
from cnntrain.explain.terms.activations import FUNCTIONS, ActivationFormulas, PreluFormulas
from cnntrain.explain.terms.convolution import ConvolutionFormulas
from cnntrain.explain.terms.dense import DenseFormulas
from cnntrain.explain.terms.merging import (
    BranchesFormulas,
    DropoutFormulas,
    PassedOnFormulas,
    RepeatFormulas,
    ResidualFormulas,
)
from cnntrain.explain.terms.normalization import BatchNormFormulas, LocalResponseFormulas
from cnntrain.explain.terms.pooling import AveragePoolingFormulas, MaxPoolingFormulas
from cnntrain.explain.trace import LayerTrace
from cnntrain.layers import LAYERS

FORMULAS: dict[str, type[Formulas]] = {
    "conv2d": ConvolutionFormulas,
    "dense": DenseFormulas,
    "max_pool2d": MaxPoolingFormulas,
    "avg_pool2d": AveragePoolingFormulas,
    "global_avg_pool2d": AveragePoolingFormulas,
    "batch_norm2d": BatchNormFormulas,
    "local_response_norm": LocalResponseFormulas,
    "dropout": DropoutFormulas,
    "flatten": PassedOnFormulas,
    "residual": ResidualFormulas,
    "branches": BranchesFormulas,
    "repeat": RepeatFormulas,
    "prelu": PreluFormulas,
    **dict.fromkeys(FUNCTIONS, ActivationFormulas),
}


def formulas_of(traced: LayerTrace, step: int) -> Formulas | None:
    """Return the formulas of a layer in a step; None for a layer of the user's own."""
    row = traced.row
    if LAYERS.get(row.name) is not row.layer:
        return None
    return FORMULAS[row.name](traced, step)
