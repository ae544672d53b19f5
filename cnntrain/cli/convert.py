"""`cnntrain convert`: from a network of another program to a checkpoint."""

from __future__ import annotations

import json
from pathlib import Path

import click

from cnntrain.cli import options


@click.command("convert")
@click.option(
    "--from-torch",
    "source",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FILE",
    help="A state dict as safetensors, with the names of the nn.Sequential that `export --torch` writes.",
)
@options.config
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, metavar="FILE", help="The checkpoint; a new file."
)
@options.overrides
@options.allow_extensions
@options.as_json
def command(source: Path, config_file: Path, out: Path, overrides: tuple[str, ...], as_json: bool) -> None:
    """Make a checkpoint of a PyTorch state dict.

    The config says the network. Tensors must have the names and shapes of the equivalent nn.Sequential: modules are
    counted, those of nn.Flatten and activations too. Class names and normalisation are in the file if cnntrain wrote
    it; otherwise they come from the config's data, on which the network is then measured.
    """
    from cnntrain.config import load_config
    from cnntrain.errors import ExportError
    from cnntrain.export.torch.convert import convert, read_state_dict
    from cnntrain.printable import message, printable
    from cnntrain.runs.checkpoint import save_checkpoint

    config = load_config(config_file, overrides)
    if out.exists():
        raise ExportError(f"--out {out}: is there already; name a new file")
    state = read_state_dict(source)
    checkpoint = convert(state, config, lambda text: click.echo(f"warning: {message(text)}", err=True))
    save_checkpoint(out, checkpoint)
    numbers = sum(tensor.size for tensor in checkpoint.network.values())
    if as_json:
        found = {"checkpoint": str(out), "tensors": len(checkpoint.network), "numbers": numbers}
        click.echo(json.dumps(found | {"classes": list(checkpoint.metadata.class_names)}))
        return
    name = printable(str(out))
    click.echo(f"{name}: {len(checkpoint.network)} tensors, {numbers:,} numbers; see `cnntrain eval {name}`")
