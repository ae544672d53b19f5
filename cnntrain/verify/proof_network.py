"""The proof of a whole network: each layer that runs, in both types, the loss and the optimiser."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cnntrain.errors import ArgumentError
from cnntrain.hints import hint
from cnntrain.layers import LayerRow
from cnntrain.layers.avg_pool2d import AvgPool2d
from cnntrain.layers.branches import Branches
from cnntrain.layers.conv2d import Conv2d
from cnntrain.layers.dense import Dense
from cnntrain.layers.dropout import Dropout
from cnntrain.layers.flatten import Flatten
from cnntrain.layers.fusion import fuse
from cnntrain.layers.max_pool2d import MaxPool2d
from cnntrain.layers.pooled_convolution import PooledConvolution
from cnntrain.layers.repeat import Repeat
from cnntrain.layers.residual import Residual
from cnntrain.printable import printable
from cnntrain.settings import Choice
from cnntrain.verify.proof import PassProof
from cnntrain.verify.proof_curved import prove_curved
from cnntrain.verify.proof_linear import prove_linear
from cnntrain.verify.proof_loss import prove_loss
from cnntrain.verify.proof_merging import prove_dropout, prove_merging
from cnntrain.verify.proof_optimizer import prove_optimizer
from cnntrain.verify.proof_pooling import prove_average_pooling, prove_max_pooling

TRIALS = 5
TYPES = np.dtype(np.float64), np.dtype(np.float32)
SHORTER = 5  # images by which every other batch is smaller, so that its last block is not full
INITIAL = ("weight_init", "bias_init", "scale_init", "shift_init", "slope_init")


@dataclass(frozen=True)
class Running:
    """A row that runs in a network.

    Attributes
    ----------
    row : LayerRow
    overwrites : bool
        It may write its output over its input.
    alike : tuple of str
        Paths of further layers that are the same but for what they have learned.
    """

    row: LayerRow
    overwrites: bool
    alike: tuple[str, ...] = ()

    @property
    def paths(self) -> list[str]:
        """All paths that the proof is about."""
        return [*(row.path for row in self.row.stands_for), self.row.path, *self.alike]


def running(rows: Sequence[LayerRow]) -> list[Running]:
    """Return the layers of planned rows as they run, fused; those that are the same once.

    Layers inside others come before these.
    """
    found: list[Running] = []
    for row, overwrites in _walk(fuse(rows)):
        for index, known in enumerate(found):
            if known.overwrites == overwrites and _same(known.row, row):
                found[index] = replace(known, alike=(*known.alike, row.path))
                break
        else:
            found.append(Running(row, overwrites))
    return found


def _walk(rows: Sequence[LayerRow], free: bool = False) -> Iterator[tuple[LayerRow, bool]]:
    for row in rows:
        for part in row.parts:
            yield from _walk(part.rows, row.layer is Repeat and free)
        yield row, free
        last = row.parts[0].rows[-1] if row.layer is Repeat else row
        free = bool(last.layer.output_is_free) or bool(getattr(last.layer, "keeps_input", False))


def _same(a: LayerRow, b: LayerRow) -> bool:
    shapes = a.layer is b.layer and a.input_shape == b.input_shape and a.output_shape == b.output_shape
    if not shapes or len(a.parts) != len(b.parts) or len(a.stands_for) != len(b.stands_for):
        return False
    inside = [(x.output_shape, bool(x.rows)) for x in a.parts] == [(x.output_shape, bool(x.rows)) for x in b.parts]
    if a.parts:  # what is inside is proven by itself
        keys = [getattr(row.settings, key, None) for row in (a, b) for key in ("merge",)]
        return inside and keys[0] == keys[1]
    below = all(_same(x, y) for x, y in zip(a.stands_for, b.stands_for, strict=True))
    return below and _without_initial(a.settings) == _without_initial(b.settings)


def _without_initial(settings: Any) -> Any:
    if settings is None:
        return None
    return {key: getattr(settings, key) for key in type(settings).model_fields if key not in INITIAL}


def check_layer(rows: Sequence[LayerRow], layer: str | None) -> None:
    """Raise `ArgumentError` if no layer has that path, or begins with it."""
    paths = list(dict.fromkeys(path for found in running(rows) for path in found.paths))
    if layer is not None and not any(_within(path, layer) for path in paths):
        raise ArgumentError(f'--layer: the network has no layer "{printable(layer)}"{hint(layer, paths)}')


def _within(path: str, layer: str) -> bool:
    return path == layer or path.startswith(f"{layer}.")


def batches_of(batch_size: int, trials: int) -> list[tuple[int, int]]:
    """Return for each trial how many images it has, and how many the batch before: full and not, in turn."""
    fewer = max(batch_size - SHORTER, 1)
    return [((batch_size, fewer), (fewer, batch_size))[trial % 2] for trial in range(trials)]


def prove_network(
    rows: Sequence[LayerRow],
    batch_size: int,
    *,
    loss: Choice | None = None,
    optimizer: Choice | None = None,
    direct: bool = False,
    trials: int = TRIALS,
    seed: int = 1,
    layer: str | None = None,
    types: Sequence[np.dtype] = TYPES,
    on_layer: Callable[[str], object] = lambda path: None,
) -> list[PassProof]:
    """Prove every pass of every layer, the loss and the optimiser.

    Parameters
    ----------
    rows : sequence of LayerRow
        Planned; what runs in their place is proven.
    batch_size : int
    loss, optimizer : Choice or None
    direct : bool
        As `Network` takes it.
    trials : int
        With numbers drawn anew; every other one with a smaller batch.
    seed : int
        Of all numbers.
    layer : str or None
        Prove this one alone, and those inside it: a path, or a beginning of one.
    types : sequence of dtype
        For what is linear.
    on_layer : callable
        Told about each layer before its proof.

    Returns
    -------
    list of PassProof
        In the order in which layers run. Layers that do nothing (`flatten`, `repeat`) have none.
    """
    batches = batches_of(batch_size, trials)
    proofs: list[PassProof] = []
    for found in running(rows):
        if layer is not None and not any(_within(path, layer) for path in found.paths):
            continue
        on_layer(found.row.path)
        for proof in prove_layer(
            found.row, batches, direct=direct, overwrites=found.overwrites, seed=seed, types=types
        ):
            more = f"; {len(found.alike)} more of the same" if found.alike else ""
            proofs.append(replace(proof, note=f"{proof.note}{more}".removeprefix("; ")))
    if layer is None and loss is not None:
        proofs += prove_loss(loss, rows[-1].output_shape, batches, seed)
    if layer is None and optimizer is not None:
        on_layer("optimizer")
        proofs += prove_optimizer(optimizer, seed)
    return proofs


def prove_layer(
    row: LayerRow,
    batches: list[tuple[int, int]],
    *,
    direct: bool = False,
    overwrites: bool = False,
    seed: int = 1,
    types: Sequence[np.dtype] = TYPES,
) -> list[PassProof]:
    """Prove all passes of one layer that runs; parameters as for `prove_network`."""
    kind = row.layer
    if kind in (Flatten, Repeat):
        return []
    proofs: list[PassProof] = []
    for dtype in types:
        if kind in (Conv2d, Dense, PooledConvolution):
            proofs += prove_linear(row, batches, dtype, direct, seed)
        elif kind is MaxPool2d:
            proofs += prove_max_pooling(row, batches, dtype, seed)
        elif issubclass(kind, AvgPool2d):
            proofs += prove_average_pooling(row, batches, dtype, seed)
        elif kind in (Residual, Branches):
            proofs += prove_merging(row, batches, dtype, seed)
        elif kind is Dropout:
            proofs += prove_dropout(row, batches, dtype, seed)
        else:
            return prove_curved(row, batches, overwrites, seed)
    return proofs
