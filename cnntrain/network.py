"""The network: builds the layers, runs forward and backward, owns parameters and buffers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Protocol

import numba
import numpy as np
from numpy.typing import NDArray

from cnntrain.errors import ArgumentError, CheckpointError
from cnntrain.kernels.compiler.pace import Pace
from cnntrain.kernels.compiler.threads import possible_threads
from cnntrain.kernels.layout import from_lanes, to_lanes
from cnntrain.layers import Batch, Layer, LayerContext, LayerRow
from cnntrain.layers.batch import Watch
from cnntrain.layers.draws import InitialDraws
from cnntrain.layers.fusion import fuse
from cnntrain.layers.gradients import GradientBuffers
from cnntrain.layers.sequence import LayerSequence
from cnntrain.losses import Loss
from cnntrain.losses.mixture import Mixture
from cnntrain.machine import FEW, this_machine
from cnntrain.memory import line_aligned
from cnntrain.parameters import Changes, Parameter, Statistic
from cnntrain.settings import Choice
from cnntrain.shape import LANES, Shape

if TYPE_CHECKING:
    from cnntrain.passes.program import Program


class Affine(Protocol):
    """A normalisation: normalised = image * scale + shift.

    scale has one value per channel; shift too, or it is an image (channels, rows, columns).
    """

    def affine(self) -> tuple[NDArray[Any], NDArray[Any]]: ...


class AsTheyAre:
    """The normalisation of images that are normalised already."""

    def __init__(self, channels: int) -> None:
        self._identity = np.ones(channels), np.zeros(channels)

    def affine(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return 1 and 0 for each channel."""
        return self._identity


class Network:
    """A sequence of layers with a loss.

    Parameters
    ----------
    rows : sequence of LayerRow
        The layers, from `config.infer_shapes`.
    batch_size : int
        The largest number of images in one batch.
    loss : Choice or None
        None for a network that only predicts.
    dtype : float32 or float64
        float64 runs the same kernels in double precision, as the gradient check does.
    seed : int
        Of the initial values.
    needs_grad_input : bool
        Compute dL/d(image) too (`grad_input`).
    fusions : bool
        Run some layers as one or in another order, where a rule of `layers.fusion` says that it gives the same in less
        time; without, every layer runs by itself in the order of the rows.
    direct : bool
        Compute convolutions directly even where another algorithm takes less time (`train.convolution: direct`).
    few : bool
        For a training whose batches have no more than `FEW` images: leave out empty lanes where that keeps the bits.

    Attributes
    ----------
    body : LayerSequence
        The layers.
    blocks : int
        Blocks of 16 images that every buffer holds.
    parameters : list of Parameter
        What an optimiser updates.
    statistics : list of Statistic
        The rest of the state: running means and the like.
    gradients, measured : ndarray
        Flat: the gradients of all parameters, and the values of all statistics, in these orders.
    starts : list of int
        Where in `gradients` those of each layer of the body begin; at the end, their number.
    changes : Changes
        How often the state has changed.
    """

    def __init__(
        self,
        rows: Sequence[LayerRow],
        *,
        batch_size: int,
        loss: Choice | None = None,
        dtype: Any = np.float32,
        seed: int = 1,
        needs_grad_input: bool = False,
        fusions: bool = True,
        direct: bool = False,
        few: bool = False,
    ) -> None:
        self.batch_size, self.dtype = batch_size, np.dtype(dtype)
        self.input_shape, self.output_shape = Shape(*rows[0].input_shape), Shape(*rows[-1].output_shape)
        self.blocks = this_machine().capacity(batch_size, self.dtype)
        context = LayerContext(
            blocks=self.blocks,
            dtype=self.dtype,
            generator=InitialDraws(seed),
            needs_grad_input=needs_grad_input,
            seed=seed,
            gradients=GradientBuffers(self.dtype),
            direct=direct,
            few=few,
        )
        self.body = LayerSequence.build(fuse(rows) if fusions else rows, context)
        layers = [layer for _, layer in self.body.walk()]
        self.parameters = [parameter for layer in layers for parameter in layer.parameters]
        self.statistics = [statistic for layer in layers for statistic in layer.statistics]
        self.gradients = _share_flat_arrays(self.parameters, self.dtype)
        self.measured = _share_flat_array(self.statistics, self.dtype)
        self.starts = list(accumulate((_size_of(layer) for layer in self.body.layers), initial=0))
        self.changes = Changes()
        for parameter in self.parameters:
            parameter.changes = self.changes
        self._program: Program | str | None = None  # for few images: made when it is first needed
        self._packed = -1  # changes that it knows of
        self._pace: tuple[Pace, list[int]] | None = None  # of predictions; the number of threads, and those possible
        self._input = line_aligned(self.blocks * self.input_shape.size * LANES, self.dtype)
        self._output = line_aligned(self.blocks * self.output_shape.size * LANES, self.dtype)
        self._batch = Batch(1)  # a blank image, until others are loaded
        self._grad_input: NDArray[Any] | None = None
        self._loss: Loss | None = None
        if loss is not None:
            self._loss = loss.registered(loss.settings, self.output_shape.size, self.blocks, self.dtype)

    # --- one batch ---

    def load(self, images: Any, indices: NDArray[np.int64], normalization: Affine) -> None:
        """Put the normalised images[indices] into the input buffer.

        Parameters
        ----------
        images : ndarray, uint8, float32 or float64, (N, channels, rows, columns), C-contiguous
            Or `data.images.LazyImages`: anything else with that shape whose `images[indices]` is such an array.
        indices : ndarray of int64
            1 to `batch_size` of them.
        normalization : Affine
        """
        if not 0 < indices.size <= self.batch_size:
            raise ArgumentError(f"a batch must have 1 to {self.batch_size} images; received {indices.size}")
        self._check_shape(images.shape[1:])
        if not isinstance(images, np.ndarray):
            images, indices = images[indices], np.arange(indices.size)
        scale, shift = normalization.affine()
        self._batch = Batch(indices.size)
        to_lanes(
            images.reshape(-1),
            indices,
            scale.astype(self.dtype, copy=False),
            shift.astype(self.dtype, copy=False).reshape(-1),
            self._input,
            *self.input_shape,
        )

    def _check_shape(self, shape: tuple[int, ...]) -> None:
        if shape != self.input_shape:
            raise ArgumentError(f"images must be {self.input_shape}; received {'x'.join(map(str, shape))}")

    def forward(self, training: bool = False, step: int = 0) -> None:
        """Run all layers on the loaded images.

        Parameters
        ----------
        training : bool
            With dropout and the batch's own statistics; the running statistics follow.
        step : int
            Number of the training step, from which dropout draws its mask: the same step, the same mask.
        """
        self._batch = Batch(self._batch.images, training, step)
        if training:
            self.changes.count += 1
        self._output = self.body.forward(self._input, self._batch)

    def forward_views(self, views: Iterable[tuple[float, NDArray[Any]]], normalization: Affine) -> None:
        """Run all layers, as in evaluation, on several views of the same images.

        The outputs, which `logits` and `loss` then take, are the sum of those of each (weight, images), weighted.
        """
        total = line_aligned(self._output.size, self.dtype)
        for weight, images in views:
            self.load(images, np.arange(len(images), dtype=np.int64), normalization)
            self.forward()
            with np.errstate(invalid="ignore", over="ignore"):  # in lanes without an image may be anything
                total += self.dtype.type(weight) * self._output
        self._output = total

    def logits(self) -> NDArray[Any]:
        """Return the outputs of the loaded images, (images, classes)."""
        result = np.empty((self._batch.images, self.output_shape.size), self.dtype)
        from_lanes(self._output, result.reshape(-1), self._batch.images, self.output_shape.size, 1, 1)
        return result

    def loss(self, labels: NDArray[np.int64], mixture: Mixture | None = None) -> float:
        """Return the mean loss of the loaded images, and prepare `backward`.

        Labels must lie in 0 ... classes - 1: whoever loads the data checks it. With a `mixture` the images have second
        labels too.
        """
        if labels.shape != (self._batch.images,):
            raise ArgumentError(f"labels must have shape ({self._batch.images},); received {labels.shape}")
        if mixture is not None:
            return self.loss_layer.mixed(self._output, labels, mixture)
        return self.loss_layer(self._output, labels)

    @property
    def correct(self) -> int:
        """How many images of the last `loss` were classified rightly."""
        return self.loss_layer.correct

    @property
    def loss_sums(self) -> tuple[float, float]:
        """Total and weight of the last `loss` (see `Loss`), for a mean over several batches."""
        return self.loss_layer.total, self.loss_layer.weight

    def backward(self, ready: Callable[[int], None] | None = None) -> None:
        """Compute the gradient of every parameter from the last `loss`.

        `ready` is called on the way with places in `gradients`, each before the last: from there on all are final.
        """
        done = None if ready is None else lambda number: ready(self.starts[number])
        self._grad_input = self.body.backward(self.loss_layer.gradient, self._batch, done)

    @property
    def grad_input(self) -> NDArray[Any]:
        """dL/d(normalised image), (images, channels, rows, columns); needs `needs_grad_input`."""
        if self._grad_input is None:
            raise ArgumentError("the network was built without needs_grad_input")
        result = np.empty((self._batch.images, *self.input_shape), self.dtype)
        from_lanes(self._grad_input, result.reshape(-1), self._batch.images, *self.input_shape)
        return result

    @property
    def has_loss(self) -> bool:
        """`loss` and `backward` may be called."""
        return self._loss is not None

    @property
    def loss_layer(self) -> Loss:
        """The loss; raises `ArgumentError` where there is none."""
        if self._loss is None:
            raise ArgumentError("the network was built without a loss")
        return self._loss

    # --- the whole ---

    def predict_logits(
        self, images: Any, normalization: Affine, views: Callable[[NDArray[Any]], Any] | None = None
    ) -> NDArray[Any]:
        """Return the outputs of any number of images, (N, classes), in the network's type.

        `FEW` images or less are computed one by one with lanes along channels (`few_images`), more in batches with
        sixteen images side by side. The two add the same products in the same order but where a convolution's algorithm
        is not the direct one.

        Parameters
        ----------
        images : ndarray or LazyImages (N, channels, rows, columns)
            As `load` takes them.
        normalization : Affine
        views : callable or None
            Gives (weight, images) for each view of some images, over which outputs are averaged.

        Raises
        ------
        ArgumentError
            The images have another shape than the network takes.
        """
        if views is None and 0 < len(images) <= FEW:
            program = self.few_images()
            if not isinstance(program, str):
                scale, shift = normalization.affine()
                self._check_shape(images.shape[1:])
                taken = images if isinstance(images, np.ndarray) else images[np.arange(len(images))]
                return program(taken, scale.astype(self.dtype, copy=False), shift.astype(self.dtype, copy=False))
        results = [np.empty((0, self.output_shape.size), self.dtype)]
        with self._kept_pace() as pace:
            for start in range(0, len(images), self.batch_size):
                stop = min(start + self.batch_size, len(images))
                if views is None:
                    self.load(images, np.arange(start, stop, dtype=np.int64), normalization)
                    self.forward()
                else:
                    self.forward_views(views(images[start:stop]), normalization)
                results.append(self.logits())
                pace.lap(stop - start)
        return np.concatenate(results)

    def _kept_pace(self) -> Pace:
        """Return what earlier predictions have found out about threads, unless somebody has set their number since."""
        threads = [numba.get_num_threads(), *possible_threads()]
        if self._pace is None or self._pace[1] != threads:
            self._pace = Pace(), threads
        return self._pace[0]

    def few_images(self) -> Program | str:
        """Return what computes few images, with the state packed, or say in words why nothing does."""
        program = self._program
        if program is None:
            from cnntrain.layers.program import program_of

            every: list[Parameter | Statistic] = [*self.parameters, *self.statistics]
            arrays = {piece.name: piece.value for piece in every}
            program = self._program = program_of(self.body.rows, self.input_shape, self.dtype, arrays)
        if self._packed != self.changes.count and not isinstance(program, str):
            program.pack()
            self._packed = self.changes.count
        return program

    def layers(self) -> Iterator[tuple[str, Layer]]:
        """Yield (path, layer) in the order in which they run; a layer that contains layers after those."""
        return self.body.walk()

    def watch(self, seen: Callable[[str, NDArray[Any]], None]) -> None:
        """Repeat the last forward pass and show `seen` the path and flat output of each layer as it is computed.

        Layers inside a layer come before it. The arrays hold the loaded images' blocks, until `seen` returns.
        """
        self._repeat_forward(lambda path, name, array: seen(path, array) if name == "output" else None)

    def watch_step(self, seen: Watch) -> None:
        """Repeat the last forward and backward pass; show `seen` what each layer takes and gives.

        `seen` gets a layer's path, a name and a flat array: "input" and "output" on the way forward, "grad_output" (the
        delta of the layer's output) and "grad_input" on the way back, where it is computed. Without fusions these are
        all layers of the rows. The arrays hold the loaded images' blocks, until `seen` returns.
        """
        self._repeat_forward(seen)
        watched = self._batch._replace(watch=self._within_blocks(seen))
        self._grad_input = self.body.backward(self.loss_layer.gradient, watched)

    def _repeat_forward(self, seen: Watch) -> None:
        statistics = [statistic.value.copy() for statistic in self.statistics]
        self._output = self.body.forward(self._input, self._batch._replace(watch=self._within_blocks(seen)))
        for statistic, value in zip(self.statistics, statistics, strict=True):
            statistic.value[...] = value

    def _within_blocks(self, seen: Watch) -> Watch:
        def show(path: str, name: str, array: NDArray[Any]) -> None:
            seen(path, name, array[: array.size // self.blocks * self._batch.blocks])

        return show

    def decisions(self) -> Iterator[tuple[str, NDArray[Any]]]:
        """Yield (path, copy of `Layer.decisions`) of every layer that has them, as the last forward made them.

        At the end ("loss", `Loss.decisions`) as the last `loss` made them, if the loss has them.

        The arrays are (block, value, lane); lanes without an image are zero, so that they do not count.
        """
        empty = self._batch.blocks * LANES - self._batch.images
        for path, layer in self.body.walk():
            decisions = layer.decisions(self._batch.blocks)
            if decisions is not None:
                by_lane = decisions.reshape(self._batch.blocks, -1, LANES).copy()
                by_lane[-1, :, LANES - empty :] = 0
                yield path, by_lane
        made = None if self._loss is None else self._loss.decisions()
        if made is not None:
            yield "loss", made

    def state(self) -> dict[str, NDArray[Any]]:
        """Return copies of all learned arrays, in canonical shapes, and of all statistics, by name."""
        learned = {parameter.name: parameter.canonical(parameter.value) for parameter in self.parameters}
        return learned | {statistic.name: statistic.value.copy() for statistic in self.statistics}

    def load_state(self, tensors: Mapping[str, NDArray[Any]]) -> None:
        """Take over what `state` returned; raises `CheckpointError` if names or shapes differ."""
        every: list[Parameter | Statistic] = [*self.parameters, *self.statistics]
        pieces = {piece.name: piece for piece in every}
        if tensors.keys() != pieces.keys():
            different = sorted(tensors.keys() ^ pieces.keys())
            raise CheckpointError(f"tensors do not fit the network: {', '.join(different[:5])}")
        for name, piece in pieces.items():
            tensor = tensors[name]
            if tensor.shape != piece.value.shape:
                raise CheckpointError(f"{name} must have shape {piece.value.shape}; received {tensor.shape}")
            if isinstance(piece, Parameter):
                piece.assign(piece.value, tensor)
            else:
                piece.value[...] = tensor
        self.changes.count += 1


def _share_flat_arrays(parameters: Sequence[Parameter], dtype: np.dtype) -> NDArray[Any]:
    """Move all parameters into one flat array, and all gradients into another, so that one kernel can update all."""
    size = sum(parameter.value.size for parameter in parameters)
    values, gradients = line_aligned(size, dtype), line_aligned(size, dtype)
    start = 0
    for parameter in parameters:
        stop, shape = start + parameter.value.size, parameter.value.shape
        values[start:stop] = parameter.value.ravel()
        parameter.value, parameter.gradient = values[start:stop].reshape(shape), gradients[start:stop].reshape(shape)
        start = stop
    return gradients


def _share_flat_array(statistics: Sequence[Statistic], dtype: np.dtype) -> NDArray[Any]:
    """Move all statistics into one flat array, so that processes can exchange all at once."""
    values = line_aligned(sum(statistic.value.size for statistic in statistics), dtype)
    start = 0
    for statistic in statistics:
        stop, shape = start + statistic.value.size, statistic.value.shape
        values[start:stop] = statistic.value.ravel()
        statistic.value = values[start:stop].reshape(shape)
        start = stop
    return values


def _size_of(layer: Layer) -> int:
    """Return how many learned numbers a layer and those inside it have."""
    return sum(parameter.value.size for _, inside in layer.walk("") for parameter in inside.parameters)
