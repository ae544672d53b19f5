"""`cnntrain export --torch`: a state dict as safetensors, and beside it a Python module that builds the network.

PyTorch is not needed, neither here nor for `convert`. The file's metadata say `format: pt`, and under `cnntrain` what
a state dict cannot: the checkpoint's metadata and the mean image, so that `convert` needs no data.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cnntrain.export.model import Array, Model, check_layers
from cnntrain.export.torch.modules import TABLE, Entry, Module, entries_of, modules_of
from cnntrain.export.torch.text import python_module
from cnntrain.layers import LayerRow
from cnntrain.runs.checkpoint import Metadata

KEY = "cnntrain"
_TYPES = {"float32": "F32", "int64": "I64"}


def check(rows: Sequence[LayerRow]) -> None:
    """Raise `ExportError` where a layer has no module."""
    check_layers(rows, TABLE, "a PyTorch module")


def sequential(rows: Sequence[LayerRow]) -> list[Module]:
    """Return the modules of the whole network, from (N, C, H, W) to (N, classes)."""
    modules, flat = modules_of(rows)
    return modules if flat else [*modules, Module("nn.Flatten()", str(rows[-1].output_shape.size))]


def torch_files(model: Model, metadata: Metadata, name: str) -> tuple[bytes, bytes]:
    """Return the state dict and the Python module.

    Parameters
    ----------
    model : Model
        Its layers must have passed `check`.
    metadata : Metadata
        Of the checkpoint.
    name : str
        Of the state dict's file.
    """
    modules = sequential(model.rows)
    tensors = {entry.name: _theirs(entry, model.tensors) for entry in entries_of(modules)}
    mean = model.normalization.mean
    image = base64.b64encode(mean.astype("<f4").tobytes()).decode() if mean.ndim == 3 else None
    about = json.dumps({"checkpoint": metadata.model_dump(mode="json"), "mean_image": image})
    return safetensors_bytes(tensors, {"format": "pt", KEY: about}), python_module(model, modules, name).encode("ascii")


def _theirs(entry: Entry, tensors: Mapping[str, Array]) -> Array:
    if entry.form == "same":
        return tensors[entry.ours]
    if entry.form == "rotated":
        return np.ascontiguousarray(tensors[entry.ours][..., ::-1, ::-1])
    return np.zeros((), np.int64) if entry.form == "count" else constant(entry)


def constant(entry: Entry) -> Array:
    """Return what a tensor that we do not keep must be."""
    return np.full(entry.shape, 1 if entry.form == "ones" else 0, np.float32)


def safetensors_bytes(tensors: Mapping[str, Array], metadata: Mapping[str, str]) -> bytes:
    """Return a safetensors file, the same bytes for the same content: the library writes metadata in any order."""
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    start = 0
    for name, array in tensors.items():
        stop = start + array.nbytes
        header[name] = {
            "dtype": _TYPES[str(array.dtype)], "shape": list(array.shape), "data_offsets": [start, stop],
        }  # fmt: skip
        start = stop
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    data = (np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<")).tobytes() for array in tensors.values())
    return struct.pack("<Q", len(text)) + text + b"".join(data)
