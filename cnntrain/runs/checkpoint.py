"""Checkpoints: one safetensors file that carries a network and everything needed to rebuild and use it.

The format: a safetensors file (8 bytes header length, a JSON header, raw little-endian tensors).

- Tensors named like the network's parameters ("0.conv2d.weight") hold the network in canonical shapes.
- Tensors named "optimizer/..." hold the optimiser's state; `best.safetensors` has none. Among them,
  "optimizer/average/..." are the averaged weights of an optimiser with `ema`: those to use, while the network's tensors
  are those to train on. `best.safetensors` has the averages as its network. "optimizer/slow/..." are Lookahead's slow
  weights and running statistics.
- The tensor "data/mean_image", float32 (channels, rows, columns), is there if the images' mean is subtracted.
- Tensors named "best_before/..." are the network of the best epoch before the last one, if that was cut short by
  `train.steps` and is the best: a run that goes on from there must know it. `best.safetensors` has none.
- The header's `__metadata__` has one entry, "cnntrain": a JSON object with the fields of `Metadata` below, in front of
  which stand "digest", the SHA-256 of the rest of the object's text, and "digests", that of each tensor's bytes. Files
  of earlier versions have no digests. One entry rather than many because safetensors writes them in no fixed order, and
  equal runs shall give equal files.

A checkpoint may come from a stranger. Nothing in it is executed: the config is text for the config loader, and sizes
are compared with the file before memory is taken.
"""

from __future__ import annotations

import hashlib
import json
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, Field, ValidationError
from pydantic_core import PydanticCustomError
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from cnntrain.errors import CheckpointError, RunFolderError
from cnntrain.optimizers.base import AVERAGE
from cnntrain.runs.disk import write_atomically
from cnntrain.runs.progress import Inside, Progress
from cnntrain.settings import PositiveFloat, PositiveInt, Settings

KEY = "cnntrain"
OPTIMIZER = "optimizer/"
MEAN_IMAGE = "data/mean_image"
BEST_BEFORE = "best_before/"
LONGEST_HEADER = 4_000_000  # bytes; what reads JSON takes up to 30 times as much memory
_SEAL = re.compile(r'\{"digest":"([0-9a-f]{64})",')

Tensors = Mapping[str, NDArray[Any]]


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) != len(names):
        raise PydanticCustomError("class_names", "two classes have the same name")
    return names


class NormalizationValues(Settings):
    """Per channel: normalised = (image / unit - mean) / std.

    With a mean image, `mean` is its mean per channel, for information, and `mean_image` the SHA-256 of its bytes.
    """

    mean: tuple[float, ...]
    std: tuple[PositiveFloat, ...]
    unit: PositiveFloat
    mean_image: str | None = None


class Metadata(Settings):
    """What a checkpoint says besides its tensors."""

    format_version: Literal[1] = 1
    config: str
    class_names: Annotated[tuple[str, ...], Field(min_length=1), AfterValidator(_distinct)]
    input_shape: tuple[PositiveInt, PositiveInt, PositiveInt]
    image_type: Literal["uint8", "float32"]
    normalization: NormalizationValues
    images: dict[str, PositiveInt]  # per split: continuing a run needs the same data
    progress: Progress
    best_before: Progress | None = None  # of the tensors of that name
    inside: Inside | None = None

    @property
    def recorded(self) -> Progress | None:
        """The progress of the last epoch that has a row; None before the first."""
        return self.progress if self.inside is None else self.inside.recorded


class _Stored(Metadata):
    """The metadata as they stand in the file."""

    digests: dict[str, str] | None = None


@dataclass(frozen=True)
class Checkpoint:
    """The content of a checkpoint file."""

    metadata: Metadata
    network: Tensors
    optimizer: Tensors = field(default_factory=dict)
    mean_image: NDArray[np.float32] | None = None
    best_before: Tensors = field(default_factory=dict)

    @property
    def weights_to_use(self) -> Tensors:
        """The network's tensors; averaged ones take the place of those that training goes on with."""
        return {name: self.optimizer.get(f"{AVERAGE}/{name}", value) for name, value in self.network.items()}

    def as_best(self) -> Checkpoint:
        """Return it as `best.safetensors` holds it: the weights to use alone."""
        metadata = self.metadata.model_copy(update={"best_before": None})
        return Checkpoint(metadata, self.weights_to_use, mean_image=self.mean_image)

    @property
    def before(self) -> Checkpoint | None:
        """What `best.safetensors` was before a last epoch that was cut short; None if that is not the best."""
        if self.metadata.best_before is None:
            return None
        update = {"progress": self.metadata.best_before, "best_before": None, "inside": None}
        metadata = self.metadata.model_copy(update=update)
        return Checkpoint(metadata, self.best_before, mean_image=self.mean_image)

    @property
    def not_finite(self) -> list[str]:
        """Names of the tensors that hold NaN or an infinity."""
        return not_finite(self.network) + [OPTIMIZER + name for name in not_finite(self.optimizer)]


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint, whole or not at all; raises `RunFolderError` (for example when the disk is full)."""
    write_atomically(path, checkpoint_bytes(path, checkpoint))


def checkpoint_bytes(path: Path, checkpoint: Checkpoint) -> bytes:
    """Return the content of a checkpoint's file; raises `RunFolderError` if it could not be read again."""
    tensors = dict(checkpoint.network)
    for prefix, group in ((OPTIMIZER, checkpoint.optimizer), (BEST_BEFORE, checkpoint.best_before)):
        tensors |= {prefix + name: value for name, value in group.items()}
    if checkpoint.mean_image is not None:
        tensors[MEAN_IMAGE] = checkpoint.mean_image
    contiguous = {name: np.ascontiguousarray(value) for name, value in tensors.items()}
    digests = json.dumps({name: digest(value) for name, value in sorted(contiguous.items())})
    content = save(contiguous, {KEY: _sealed(f'{{"digests":{digests},{checkpoint.metadata.model_dump_json()[1:]}')})
    length = struct.unpack("<Q", content[:8])[0]
    if length > LONGEST_HEADER:
        raise RunFolderError(
            f"{path}: its header would have {length:,} bytes, at most {LONGEST_HEADER:,} can be read again: the config "
            f"and the names of {len(checkpoint.metadata.class_names):,} classes are too long"
        )
    return content


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint and check its form; whether it fits a network is checked by `check_tensors`.

    Raises
    ------
    CheckpointError
        Not a safetensors file, truncated, corrupt, not written by cnntrain, or by a newer version of it.
    """
    try:
        check_header(path)
        with safe_open(path, framework="numpy") as file:
            metadata, digests = _metadata(path, file.metadata() or {})
            tensors = {name: tensor_of(path, file, name) for name in file.keys()}  # noqa: SIM118, not a dict
    except SafetensorError as error:
        raise CheckpointError(f"{path}: is damaged or no safetensors file: {error}") from error
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror or error}") from error
    if digests is not None:
        _check_digests(path, tensors, digests)
    mean_image = _mean_image(path, metadata, tensors.pop(MEAN_IMAGE, None))
    optimizer, best_before = _taken(tensors, OPTIMIZER), _taken(tensors, BEST_BEFORE)
    if best_before.keys() != (set() if metadata.best_before is None else tensors.keys()):
        raise CheckpointError(f"{path}: is damaged: the tensors {BEST_BEFORE}... are not those of the network")
    return Checkpoint(metadata, tensors, optimizer, mean_image, best_before)


def _taken(tensors: dict[str, NDArray[Any]], prefix: str) -> dict[str, NDArray[Any]]:
    """Take the tensors whose names begin so out of the others; names are without it."""
    return {name.removeprefix(prefix): tensors.pop(name) for name in list(tensors) if name.startswith(prefix)}


def check_tensors(path: Path, found: Tensors, expected: Tensors, what: str) -> None:
    """Compare names, shapes and types of tensors with those that a network (or optimiser) has.

    Parameters
    ----------
    path : Path
        The file, for the message.
    found, expected : dict of ndarray
        What the file has, and what it should have; only shapes and types of `expected` count.
    what : str
        Whose tensors these are, for the message.

    Raises
    ------
    CheckpointError
        Lists every difference with its numbers.
    """
    problems = [f"{name} {_form(value)} is missing" for name, value in expected.items() if name not in found]
    problems += [f"{name} {_form(value)} is unknown" for name, value in found.items() if name not in expected]
    problems += [
        f"{name} is {_form(found[name])}, expected {_form(value)}"
        for name, value in expected.items()
        if name in found and (found[name].shape, found[name].dtype) != (value.shape, value.dtype)
    ]
    if problems:
        shown = problems[:10] + ([f"and {len(problems) - 10} more"] if len(problems) > 10 else [])
        raise CheckpointError(f"{path}: does not fit {what}:\n  " + "\n  ".join(shown))


def not_finite(tensors: Tensors) -> list[str]:
    """Return the names of the tensors that hold NaN or an infinity."""
    return [name for name, value in tensors.items() if value.dtype.kind == "f" and not np.isfinite(value).all()]


def _form(value: NDArray[Any]) -> str:
    return f"{value.dtype}[{', '.join(map(str, value.shape))}]"


def check_header(path: Path) -> None:
    """Name the usual kinds of damage in numbers; the safetensors library checks everything again."""
    if path.exists() and not (path.is_file() or path.is_dir()):  # a pipe would keep us waiting
        raise CheckpointError(f"{path}: is no file")
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        if len(start) < 8:
            raise CheckpointError(f"{path}: is no checkpoint: it has {size} bytes")
        length = struct.unpack("<Q", start)[0]
        if length > LONGEST_HEADER:
            raise CheckpointError(
                f"{path}: is no safetensors file: its first 8 bytes promise a header of {length:,} bytes "
                f"(at most {LONGEST_HEADER:,} are allowed)"
            )
        if length > size - 8:
            raise CheckpointError(f"{path}: is truncated: the header has {length:,} bytes, the file {size:,}")
        try:
            header = json.loads(file.read(length))
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
            promised = 8 + length + max(ends, default=0)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as error:
            raise CheckpointError(f"{path}: is corrupt: its header cannot be read ({error})") from error
    if size != promised:
        kind = "truncated" if size < promised else "corrupt"
        raise CheckpointError(f"{path}: is {kind}: it has {size:,} bytes, its header promises {promised:,}")


def _sealed(text: str) -> str:
    """Put the digest of a JSON object's text in front of its first key."""
    return f'{{"digest":"{hashlib.sha256(text.encode()).hexdigest()}",{text[1:]}'


def _metadata(path: Path, entries: dict[str, str]) -> tuple[Metadata, dict[str, str] | None]:
    """Return the metadata, and the tensors' digests; None if the file is older than they are."""
    if KEY not in entries:
        raise CheckpointError(f"{path}: is a safetensors file, but no cnntrain checkpoint (no {KEY!r} in its metadata)")
    text = entries[KEY]
    sealed = _SEAL.match(text)
    if sealed is not None:
        text = "{" + text[sealed.end() :]
        if hashlib.sha256(text.encode()).hexdigest() != sealed[1]:
            raise CheckpointError(f"{path}: is damaged: its metadata are not those that were written")
    try:
        stored = _Stored.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        if first["loc"] == ("format_version",):
            raise CheckpointError(
                f"{path}: has format version {first['input']!r}; this cnntrain reads version 1. Use a newer cnntrain"
            ) from error
        if first["loc"] == ("digest",):  # which is there, but not as it is written
            raise CheckpointError(f"{path}: is damaged: its metadata are not those that were written") from error
        where = ".".join(map(str, first["loc"]))
        raise CheckpointError(f"{path}: its metadata is wrong: {where}: {first['msg']}") from error
    channels = stored.input_shape[0]
    for name in ("mean", "std"):
        count = len(getattr(stored.normalization, name))
        if count != channels:
            raise CheckpointError(f"{path}: its metadata is wrong: {count} values of {name} for {channels} channels")
    if (stored.digests is None) != (sealed is None):
        raise CheckpointError(f"{path}: is damaged: its digests are not complete")
    return Metadata.model_construct(**{name: getattr(stored, name) for name in Metadata.model_fields}), stored.digests


def _check_digests(path: Path, tensors: Tensors, digests: Mapping[str, str]) -> None:
    """Raise `CheckpointError` unless every tensor is the one that was written."""
    for name in sorted(tensors.keys() | digests.keys()):
        if name not in tensors or name not in digests:
            what = "does not belong there" if name in tensors else "is missing"
            raise CheckpointError(f"{path}: is damaged: tensor {name} {what}")
        if digest(tensors[name]) != digests[name]:
            raise CheckpointError(
                f"{path}: is damaged: tensor {name} is not the one that was written (its SHA-256 differs). Use "
                "another copy"
            )


def _mean_image(path: Path, metadata: Metadata, tensor: NDArray[Any] | None) -> NDArray[np.float32] | None:
    """Check that the mean image is there if and only if it should be, and is the one that was written."""
    expected = metadata.normalization.mean_image
    if (tensor is None) != (expected is None):
        raise CheckpointError(
            f"{path}: is damaged: tensor {MEAN_IMAGE} {'is missing' if tensor is None else 'does not belong there'}"
        )
    if tensor is None:
        return None
    if tensor.dtype != np.float32 or tensor.shape != metadata.input_shape or digest(tensor) != expected:
        raise CheckpointError(
            f"{path}: is damaged: tensor {MEAN_IMAGE} {_form(tensor)} is not the one that was written"
        )
    return tensor


def digest(array: NDArray[Any]) -> str:
    """SHA-256 over the bytes of an array."""
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def tensor_of(path: Path, file: safe_open, name: str) -> NDArray[Any]:
    """Read one tensor; raises `CheckpointError`."""
    try:
        tensor: NDArray[Any] = file.get_tensor(name)
    except (TypeError, AttributeError):  # a type that NumPy does not have
        tensor = np.empty(0, np.void)
    if tensor.dtype.kind not in "fiub":  # nor does it where another package has brought it one
        kind = file.get_slice(name).get_dtype()
        raise CheckpointError(f"{path}: tensor {name} has type {kind}, which cnntrain never writes")
    return tensor
