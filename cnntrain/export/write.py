"""From a trained network to files of other programs: everything is checked and made before anything is written."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cnntrain.config import infer_shapes
from cnntrain.errors import CheckpointError, ExportError
from cnntrain.evaluation.restored import Restored, normalization_for
from cnntrain.export.model import Model, decoding_of
from cnntrain.printable import printable
from cnntrain.runs.disk import write_atomically
from cnntrain.runs.folder import RunFolder
from cnntrain.shape import Shape

SELF_TEST = 3  # images that a network is asked for while it is exported
_PICKLED = {".pt", ".pth", ".pkl", ".bin", ".ckpt"}


@dataclass(frozen=True)
class Written:
    """A file that was written, and what to know about it."""

    path: Path
    format: str
    bytes: int
    about: dict[str, Any] = field(default_factory=dict)
    text: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return everything for --json."""
        return {"path": str(self.path), "format": self.format, "bytes": self.bytes, **self.about}

    def as_text(self) -> str:
        """Return a line."""
        return f"{printable(str(self.path))}: {self.bytes:,} bytes" + (f"; {self.text}" if self.text else "")


def model_of(restored: Restored) -> Model:
    """Return a trained network as exporters take it; raises `CheckpointError` if it holds NaN or infinity."""
    if restored.not_finite:
        raise CheckpointError(f"{restored.path}: NaN or infinity in {', '.join(restored.not_finite[:10])}")
    metadata, config = restored.metadata, restored.config
    rows = infer_shapes(config, Shape(*metadata.input_shape), len(metadata.class_names))
    normalization = normalization_for(restored, np.dtype(metadata.image_type))
    return Model(
        config.name, rows, restored.network.state(), metadata.class_names, metadata.image_type, normalization,
        decoding_of(config.data),
    )  # fmt: skip


def export(
    restored: Restored,
    *,
    onnx: Path | None = None,
    torch: Path | None = None,
    c: Path | None = None,
    fold_batch_norm: bool = False,
) -> list[Written]:
    """Write a trained network in one format or several.

    Parameters
    ----------
    restored : Restored
    onnx, torch, c : Path or None
        The files; `torch` gets a Python module of its name beside it.
    fold_batch_norm : bool
        Make batch norm part of the weights before it, in ONNX and C.

    Raises
    ------
    ExportError
        A layer cannot be exported, or a file would be written over another; nothing is written then.
    RunFolderError
        A file cannot be written.
    """
    _check_paths(restored.path, {"--onnx": onnx, "--torch": torch, "--c": c})
    model = model_of(restored)
    _check_layers(model, onnx, torch, c)
    files: list[tuple[Written, bytes]] = []
    if onnx is not None:
        files.append(_onnx(model, onnx, fold_batch_norm))
    if torch is not None:
        files += _torch(model, restored, torch)
    if c is not None:
        files.append(_c(model, restored, c, fold_batch_norm))
    for written, content in files:
        write_atomically(written.path, content)
    return [written for written, _ in files]


def _check_layers(model: Model, onnx: Path | None, torch: Path | None, c: Path | None) -> None:
    if onnx is not None:
        from cnntrain.export.onnx import check

        check(model.rows)
    if torch is not None:
        from cnntrain.export.torch import check as check_torch

        check_torch(model.rows)
    if c is not None:
        from cnntrain.export.c import check as check_c

        check_c(model.rows)


def _check_paths(checkpoint: Path, targets: dict[str, Path | None]) -> None:
    """No file may be written twice, nor over the network itself."""
    run = RunFolder(checkpoint.resolve().parent)
    files = (run.best, run.last, run.config, run.metrics, run.log, run.environment)
    taken = {file: f"the run's {file.name}" for file in files} | {checkpoint.resolve(): "the checkpoint"}
    for option, path in targets.items():
        if path is None:
            continue
        if option == "--torch" and path.suffix.lower() in _PICKLED | {".py"}:
            raise ExportError(
                f"--torch {path}: is written as safetensors, with a .py of its name beside it; name it "
                f"{path.with_suffix('.safetensors').name}"
            )
        both = [path, path.with_suffix(".py")] if option == "--torch" and path.name else [path]
        for one in both:
            if one.is_dir():
                raise ExportError(f"{option} {one}: is a folder; name a file")
            other = taken.setdefault(one.resolve(), option)
            if other != option:
                raise ExportError(f"{option} {one}: would be written over {other}; name another file")


def _onnx(model: Model, path: Path, fold: bool) -> tuple[Written, bytes]:
    from cnntrain.export.onnx import IMAGES, LOGITS, PROBABILITIES, onnx_bytes, opset_of

    content = onnx_bytes(model, fold_batch_norm=fold)
    opset = opset_of(content)
    shape = ", ".join(map(str, model.input_shape))
    about = {
        "opset": opset, "input": IMAGES, "outputs": [PROBABILITIES, LOGITS], "image_type": model.image_type,
        "input_shape": list(model.input_shape),
    }  # fmt: skip
    text = f"operators of ONNX opset {opset}; {IMAGES} (N, {shape}) {model.image_type} -> {PROBABILITIES}, {LOGITS}"
    return Written(path, "onnx", len(content), about, text), content


def _torch(model: Model, restored: Restored, path: Path) -> list[tuple[Written, bytes]]:
    from cnntrain.export.torch import torch_files

    state, module = torch_files(model, restored.metadata, path.name)
    beside = path.with_suffix(".py")
    return [
        (Written(path, "torch", len(state), {"module": str(beside)}, "state dict, safetensors"), state),
        (Written(beside, "python", len(module), {}, "builds the network and loads them"), module),
    ]


def _c(model: Model, restored: Restored, path: Path, fold: bool) -> tuple[Written, bytes]:
    from cnntrain.export.c import CFile
    from cnntrain.export.c.budget import Fit, Footprint

    file = CFile.of(model, fold_batch_norm=fold)
    content = file.text(lambda images: restored.network.predict_logits(images, model.normalization)).encode("ascii")
    found = Fit(Footprint.of(file), {})
    link = "needs libm (-lm)" if file.libm else "needs no library"
    text = f"constants {file.program.constants:,} bytes, arena {file.arena.bytes:,} bytes; {link}"
    about = {key: value for key, value in found.as_dict().items() if key not in ("available", "fits")}
    return Written(path, "c", len(content), about, text), content
