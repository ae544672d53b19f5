"""The gradient check: every tensor's analytic gradient against central differences of the loss.

Derived in docs/gradcheck.md: the step, what rounding does to a difference, and why an entry whose layers decide
differently around it is a kink, neither right nor wrong.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cnntrain.errors import ArgumentError
from cnntrain.network import Network
from cnntrain.randomness import generator
from cnntrain.verify.probe import Array, Probe, Tensor

# Times max(1, |value|), but no more than the tensor's deviation where that is larger than 1: what lies far from zero
# varies no more for it. A smaller step is taken where the larger ones met kinks, and once where they do not agree: that
# may be curvature. The last is too rough for that, but better than nothing between close kinks.
STEPS = 1e-5, 1e-6, 1e-7
SAMPLES, TOLERANCE = 12, 1e-6
TRIES = 4  # entries tried for each that is wanted, where there are kinks

Verdict = Literal["ok", "WRONG", "zero", "not decided"]


@dataclass(frozen=True)
class EntryCheck:
    """One entry of a tensor.

    Attributes
    ----------
    index : tuple of int
        Where it is in the tensor.
    analytic, numeric : float
        dL/d(entry): from the backward pass; from the central difference.
    error : float
        |analytic - numeric| / max(|analytic|, |numeric|, floor); infinite if either is NaN. The floor is what rounding
        can do to the difference, divided by the tolerance: rounding alone never exceeds the tolerance.
    noise : float
        What rounding can do to the difference.
    """

    index: tuple[int, ...]
    analytic: float
    numeric: float
    error: float
    noise: float

    @property
    def resolved(self) -> bool:
        """Whether either gradient can be told from zero."""
        return not max(abs(self.analytic), abs(self.numeric)) <= self.noise


@dataclass(frozen=True)
class TensorCheck:
    """One tensor.

    Attributes
    ----------
    name : str
        "input", or a parameter's name.
    shape : tuple of int
    checked, wrong, kinks : int
        Entries compared; of these, entries that differ; entries where no comparison was possible.
    worst : EntryCheck or None
        The entry with the largest error; None if none was compared.
    verdict : str
        "ok"; "WRONG" if any entry differs; "zero" if analytic and numeric gradients agree but none could be told from
        zero; "not decided" if every entry tried was a kink.
    moved : bool
        Checked with all parameters moved a little, since the verdict at the network's own parameters was "zero" or
        "not decided".
    """

    name: str
    shape: tuple[int, ...]
    checked: int
    wrong: int
    kinks: int
    worst: EntryCheck | None
    verdict: Verdict
    moved: bool = False


def check_gradients(
    network: Network,
    images: ArrayLike,
    labels: ArrayLike,
    *,
    samples: int = SAMPLES,
    tolerance: float = TOLERANCE,
    seed: int = 1,
    on_tensor: Callable[[TensorCheck], object] = lambda check: None,
) -> list[TensorCheck]:
    """Check the gradients of a network's loss with respect to its input and to each of its parameters.

    The network first trains on another batch, without an update, and gradients are filled with NaN before the backward
    pass that is checked: what is left over from a batch before does not pass for right.

    Parameters
    ----------
    network : Network
        In float64, with a loss, built with `needs_grad_input=True`. Its parameters are moved, and back again;
        statistics stay as they are.
    images : ndarray, float64, (N, channels, rows, columns)
        Normalised; at most the network's batch size.
    labels : ndarray of int, (N,)
        0 ... classes - 1.
    samples : int
        Entries to compare in each tensor: the first, the last, the one with the largest gradient, others at random.
        More are tried (up to `TRIES` times as many) where there are kinks; where all are zero, those with the largest
        gradients.
    tolerance : float
        Largest relative error that passes.
    seed : int
        Of the choice of entries.
    on_tensor : callable
        Told about each tensor once it has been checked.

    Returns
    -------
    list of TensorCheck
        The input, then the parameters in the order of the layers.

    Raises
    ------
    ArgumentError
        The arguments do not fit together.
    TrainingError
        The loss is NaN or infinite.
    """
    images, labels = _arguments(network, images, labels, samples, tolerance)
    probe = Probe(network, images, labels)
    probe.disturb(generator(seed, "gradient check", 3))

    def check(index: int, tensor: Tensor) -> TensorCheck:
        order = _places(tensor.gradient, samples * TRIES, generator(seed, "gradient check", 1, index))
        return _check_tensor(probe, tensor, order, samples, tolerance)

    checks = []
    with probe.pace:
        for index, tensor in enumerate(probe.differentiate()):
            checks.append(check(index, tensor))
            on_tensor(checks[-1])
        open_questions = [index for index, found in enumerate(checks) if found.verdict in ("zero", "not decided")]
        if open_questions:
            with probe.moved(generator(seed, "gradient check", 2)):
                tensors = probe.differentiate()
                for index in open_questions:
                    checks[index] = _better(checks[index], check(index, tensors[index]))
    return checks


def _arguments(
    network: Network, images: ArrayLike, labels: ArrayLike, samples: int, tolerance: float
) -> tuple[Array, NDArray[np.int64]]:
    images, labels = np.asarray(images), np.asarray(labels)
    if network.dtype != np.float64:
        raise ArgumentError(f"gradients are checked in float64; the network computes in {network.dtype}")
    if images.dtype != np.float64 or images.ndim != 4:
        raise ArgumentError(f"images must be float64 (N, C, H, W); received {images.dtype} {images.shape}")
    if labels.dtype.kind not in "iu" or labels.shape != images.shape[:1]:
        raise ArgumentError(f"labels must be {len(images)} whole numbers; received {labels.dtype} {labels.shape}")
    classes = network.output_shape.size
    if labels.size and (labels.min() < 0 or labels.max() >= classes):
        raise ArgumentError(f"labels must be 0 to {classes - 1}; received {labels.min()} to {labels.max()}")
    if samples < 1 or not 0 < tolerance < 1:
        raise ArgumentError(f"samples must be at least 1, tolerance in (0, 1); received {samples} and {tolerance}")
    return images, labels.astype(np.int64)


def _places(gradient: Array, count: int, random: np.random.Generator) -> Iterator[int]:
    """Yield up to `count` different flat indices: first, last, largest gradient (a NaN counts as such), then random."""
    size = gradient.size
    fixed = dict.fromkeys((0, size - 1, int(np.abs(gradient).argmax())))
    drawn = random.choice(size, min(size, count), replace=False).tolist()
    yield from list(dict.fromkeys((*fixed, *drawn)))[:count]


def _check_tensor(probe: Probe, tensor: Tensor, places: Iterator[int], samples: int, tolerance: float) -> TensorCheck:
    entries: list[EntryCheck] = []
    kinks = 0
    for place in places:
        if len(entries) == samples:
            break
        entry = _check_entry(probe, tensor, place, tolerance)
        if entry is None:
            kinks += 1
        else:
            entries.append(entry)
    if entries and not any(entry.resolved for entry in entries):
        # mostly zero, as pixels are in front of a pooling where few of them win: one of those with a gradient instead
        for place in np.argsort(-np.abs(tensor.gradient).ravel(), kind="stable")[:samples].tolist():
            entry = _check_entry(probe, tensor, place, tolerance)
            if entry is not None and entry.resolved:
                entries[-1] = entry
                break
    wrong = sum(entry.error > tolerance for entry in entries)
    verdict: Verdict = "ok"
    if wrong:
        verdict = "WRONG"
    elif not entries:
        verdict = "not decided"
    elif not any(entry.resolved for entry in entries):
        verdict = "zero"
    worst = max(entries, key=lambda entry: entry.error, default=None)
    return TensorCheck(tensor.name, tensor.value.shape, len(entries), wrong, kinks, worst, verdict)


def _check_entry(probe: Probe, tensor: Tensor, place: int, tolerance: float) -> EntryCheck | None:
    """Compare one entry with the first step that finds agreement; None if every step met a kink."""
    index = tuple(map(int, np.unravel_index(place, tensor.value.shape)))
    analytic, value = float(tensor.gradient[index]), float(tensor.value[index])
    unit = max(1.0, min(abs(value), float(tensor.value.std())))
    best: EntryCheck | None = None
    for number, factor in enumerate(STEPS):
        if best is not None and (best.error <= tolerance or number > 1):
            break
        step = factor * unit
        numeric = probe.difference(tensor, place, step)
        if numeric is None:
            continue
        noise = probe.noise(step)
        error = abs(analytic - numeric) / max(abs(analytic), abs(numeric), noise / tolerance)
        found = EntryCheck(
            tensor.canonical_index(index), analytic, numeric, math.inf if math.isnan(error) else error, noise
        )
        if best is None or found.error < best.error:
            best = found
    return best


def _better(here: TensorCheck, moved: TensorCheck) -> TensorCheck:
    """Take what the moved parameters say if it says more."""
    if moved.verdict == "not decided" or here.verdict == moved.verdict:
        return here
    return TensorCheck(**{**vars(moved), "kinks": here.kinks + moved.kinks, "moved": True})
