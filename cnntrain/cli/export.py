"""`cnntrain export`: a trained network for other programs."""

from __future__ import annotations

import json
from pathlib import Path

import click

from cnntrain.cli import options

_FILE = click.Path(path_type=Path)


@click.command("export")
@click.argument("target", metavar="RUN_OR_CHECKPOINT", type=click.Path(path_type=Path))
@click.option("--onnx", type=_FILE, metavar="FILE", help="An ONNX file (needs the extra onnx).")
@click.option(
    "--torch",
    type=_FILE,
    metavar="FILE",
    help="A state dict as safetensors, and beside it a .py of its name that builds the network in PyTorch.",
)
@click.option("--c", type=_FILE, metavar="FILE", help="One C99 file that needs nothing else.")
@click.option(
    "--fold-batch-norm",
    is_flag=True,
    help="Make batch norm part of the weights directly before it (ONNX and C).",
)
@options.allow_extensions
@options.as_json
def command(
    target: Path, onnx: Path | None, torch: Path | None, c: Path | None, fold_batch_norm: bool, as_json: bool
) -> None:
    """Write a trained network for other programs: ONNX, PyTorch, C.

    RUN_OR_CHECKPOINT is a run folder (its best.safetensors is taken) or a checkpoint. Several formats can be written
    at once. ONNX and C files take images as they are stored and give probabilities: normalisation and softmax are
    inside. A layer that cannot be exported is named before anything is written.
    """
    if onnx is None and torch is None and c is None:
        raise click.UsageError("name at least one file: --onnx FILE, --torch FILE or --c FILE")
    if fold_batch_norm and onnx is None and c is None:
        raise click.UsageError("--fold-batch-norm is for --onnx and --c: a state dict keeps its batch norm")

    from cnntrain.evaluation.restored import restore
    from cnntrain.export.write import SELF_TEST, export
    from cnntrain.runs.folder import find_checkpoint

    restored = restore(find_checkpoint(target), batch_size=SELF_TEST)
    files = export(restored, onnx=onnx, torch=torch, c=c, fold_batch_norm=fold_batch_norm)
    if restored.config.test_time is not None:
        click.echo("test_time is not in the files: they hold the network, which sees each image once", err=True)
    if as_json:
        click.echo(json.dumps({"checkpoint": str(restored.path), "files": [file.as_dict() for file in files]}))
        return
    for file in files:
        click.echo(file.as_text())
