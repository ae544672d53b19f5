"""`cnntrain convert --from-torch`: from a state dict of the equivalent nn.Sequential to a checkpoint."""

from __future__ import annotations

import base64
import binascii
import json
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open

from cnntrain.config import Config, infer_shapes, resolved_yaml
from cnntrain.data import Split
from cnntrain.errors import CheckpointError, ConfigError
from cnntrain.evaluation.evaluate import evaluate
from cnntrain.export.model import Array
from cnntrain.export.torch import KEY, check, constant, sequential
from cnntrain.export.torch.modules import Entry, entries_of
from cnntrain.layers import LayerRow
from cnntrain.printable import printable
from cnntrain.runs.checkpoint import (
    Checkpoint,
    Metadata,
    Tensors,
    check_header,
    check_tensors,
    digest,
    not_finite,
)
from cnntrain.runs.progress import Metrics, Progress
from cnntrain.shape import Shape
from cnntrain.training.setup import build_training

MEASURED = 2000  # training images that a foreign network's accuracy is measured on
_PICKLES = (b"PK\x03\x04", b"\x80")  # how files of torch.save begin, new and old


@dataclass(frozen=True)
class StateDict:
    """What a file holds: tensors by PyTorch's names, and the text of ours in the metadata, if it is there."""

    path: Path
    tensors: dict[str, Array]
    about: str | None


def read_state_dict(path: Path) -> StateDict:
    """Read a safetensors file; raises `CheckpointError` for anything else, and for types that are not ours."""
    try:
        with path.open("rb") as file:
            start = file.read(9)
            if start.startswith(_PICKLES) and start[8:] != b"{":  # a length may begin so, too
                raise CheckpointError(_about_pickle(path))
        check_header(path)
        with safe_open(path, framework="numpy") as file:
            tensors = {name: _tensor(path, file, name) for name in file.keys()}  # noqa: SIM118, not a dict
            about = (file.metadata() or {}).get(KEY)
    except SafetensorError as error:
        raise CheckpointError(f"{path}: is damaged or no safetensors file: {error}") from error
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror or error}") from error
    return StateDict(path, tensors, about)


def _about_pickle(path: Path) -> str:
    target = path.with_suffix(".safetensors")
    code = (
        f"import torch; from safetensors.torch import save_file; "
        f"state = torch.load({str(path)!r}, weights_only=True); "
        f"save_file({{name: t.contiguous() for name, t in state.items()}}, {str(target)!r})"
    )
    return (
        f"{path}: is a pickle, which can run anything when it is read; it is not opened. If you trust it, make "
        f"safetensors of it where PyTorch is:\n  python -c {shlex.quote(code)}"
    )


def _tensor(path: Path, file: Any, name: str) -> Array:
    kind = file.get_slice(name).get_dtype()
    if kind not in ("F32", "I64"):
        raise CheckpointError(
            f"{path}: tensor {name} has type {kind}; convert takes F32: save the state dict of network.float()"
        )
    array: Array = file.get_tensor(name)
    return array


def our_tensors(state: StateDict, rows: list[LayerRow]) -> dict[str, Array]:
    """Return the network's tensors by its own names.

    Raises
    ------
    CheckpointError
        Names, shapes or types differ from those of the nn.Sequential that the rows are; NaN or infinity; or PyTorch's
        module has a scale or shift that the config's batch norm does not have.
    """
    entries = list(entries_of(sequential(rows)))
    counted = {entry.name for entry in entries if entry.form == "count"}  # files of old versions do not have them
    blank = np.float32(0)  # takes no memory in any shape: a hostile file could ask for more than there is
    expected = {entry.name: np.broadcast_to(blank, entry.shape) for entry in entries if entry.form != "count"}
    found = {name: tensor for name, tensor in state.tensors.items() if name not in counted}
    check_tensors(
        state.path, found, expected, "the nn.Sequential of the given config (`cnntrain export --torch` shows it)"
    )
    if bad := not_finite(found):
        raise CheckpointError(f"{state.path}: NaN or infinity in {', '.join(bad[:10])}")
    return {entry.ours: array for entry in entries if (array := _ours(state, entry)) is not None}


def _ours(state: StateDict, entry: Entry) -> Array | None:
    if entry.form == "count":
        return None
    array = state.tensors[entry.name]
    if entry.form == "rotated":
        return np.ascontiguousarray(array[..., ::-1, ::-1])
    if entry.form != "same":
        if not np.array_equal(array, constant(entry)):
            key = "scale" if entry.form == "ones" else "shift"
            raise CheckpointError(
                f"{state.path}: {entry.name} must be all {entry.form}: {entry.ours} of the given config has "
                f"`{key}: false`"
            )
        return None
    return array


def convert(state: StateDict, config: Config, warn: Callable[[str], None]) -> Checkpoint:
    """Make a checkpoint of a state dict.

    Class names, image shape and normalisation are those in the file, if cnntrain wrote it; otherwise those of the
    config's data, on which the network's accuracy is measured too, for a checkpoint has one.

    Raises
    ------
    CheckpointError
        The state dict does not fit the network.
    DataError, ConfigError
        The data are needed and cannot be had.
    """
    if state.about is not None:
        return _from_ours(state, config, state.about)
    training = build_training(config, warn)
    rows = infer_shapes(config, training.network.input_shape, len(training.data.class_names))
    check(rows)
    tensors = our_tensors(state, rows)
    training.network.load_state(tensors)

    def measured(split: Split) -> tuple[float, float]:
        first = Split(split.images[:MEASURED], split.labels[:MEASURED])
        found = evaluate(training.network, first, training.data.normalization, training.network.batch_size)
        return found.loss, found.accuracy

    loss, accuracy = measured(training.data.train)
    validation = training.data.validation
    held_out = (None, None) if validation is None else measured(validation)
    metrics = Metrics(
        train_loss=loss, train_accuracy=accuracy, validation_loss=held_out[0], validation_accuracy=held_out[1]
    )
    progress = Progress(epoch=1, step=1, metrics=metrics, best_epoch=1, best_metrics=metrics)
    return training.checkpoint(progress).as_best()


def _from_ours(state: StateDict, config: Config, text: str) -> Checkpoint:
    try:
        about = json.loads(text)
        metadata = Metadata.model_validate_json(json.dumps(about["checkpoint"]))
        image = about["mean_image"]
        mean = None if image is None else np.frombuffer(base64.b64decode(image, validate=True), "<f4")
        if mean is not None:
            mean = mean.reshape(metadata.input_shape)
    except (ValueError, TypeError, KeyError, RecursionError, binascii.Error, ValidationError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{state.path}: its metadata `{KEY}` is wrong: {printable(first)}") from error
    channels, values = metadata.input_shape[0], metadata.normalization
    if not len(values.mean) == len(values.std) == channels:
        raise CheckpointError(
            f"{state.path}: its metadata `{KEY}` is wrong: the normalisation is not of {channels} channels"
        )
    if (None if mean is None else digest(mean)) != values.mean_image:
        raise CheckpointError(
            f"{state.path}: its metadata `{KEY}` is wrong: the mean image is not the one that was written"
        )
    try:
        rows = infer_shapes(config, Shape(*metadata.input_shape), len(metadata.class_names))
    except ConfigError as error:
        raise CheckpointError(
            f"{state.path}: the given config does not fit its images and classes:\n{error}"
        ) from error
    check(rows)
    tensors: Tensors = our_tensors(state, rows)
    metadata = metadata.model_copy(update={"config": resolved_yaml(config), "best_before": None})
    return Checkpoint(metadata, tensors, mean_image=mean)
