"""`cnntrain check`: is the config right? Shapes, parameters and cost; no training."""

from __future__ import annotations

import json
from pathlib import Path

import click

from cnntrain.cli import options


@click.command("check")
@options.config
@options.overrides
@options.allow_extensions
@options.as_json
def command(config_file: Path, overrides: tuple[str, ...], as_json: bool) -> None:
    """Check a config and show its layers, without training.

    The data are looked at for the size of the images and the number of classes only. MACs are the multiply-adds of one
    image's forward pass.
    """
    from cnntrain.config import infer_shapes, load_config
    from cnntrain.data import describe
    from cnntrain.layers.base import Shape

    config = load_config(config_file, overrides)
    input_shape, classes = describe(config.data)
    rows = infer_shapes(config, Shape(*input_shape), classes)
    summary = {
        "name": config.name,
        "input_shape": list(input_shape),
        "classes": classes,
        "layers": [
            {"name": row.name, "output_shape": list(row.output_shape), "parameters": row.parameters, "macs": row.macs}
            for row in rows
        ],
        "parameters": sum(row.parameters for row in rows),
        "macs": sum(row.macs for row in rows),
    }
    if as_json:
        click.echo(json.dumps(summary))
        return
    click.echo(f"{config.name}: {classes} classes")
    lines = [("", "layer", "output", "parameters", "MACs"), ("", "data", str(Shape(*input_shape)), "", "")]
    lines += [
        (str(index), row.name, str(row.output_shape), f"{row.parameters:,}", f"{row.macs:,}")
        for index, row in enumerate(rows)
    ]
    lines.append(("", "total", "", f"{summary['parameters']:,}", f"{summary['macs']:,}"))
    click.echo(table(lines))


def table(lines: list[tuple[str, str, str, str, str]]) -> str:
    """Align columns: the layer's name to the left, the rest to the right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 1 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )
