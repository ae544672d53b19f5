"""`cnntrain check`: is the config right? Shapes, parameters and cost; no training."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cnntrain.cli import options

if TYPE_CHECKING:
    from cnntrain.layers.base import LayerRow
    from cnntrain.layers.explanation import Explanation
    from cnntrain.shape import Shape


@click.command("check")
@click.option("--config", "config_file", type=click.Path(path_type=Path), metavar="FILE", help="The YAML config.")
@options.overrides
@options.allow_extensions
@options.image
@options.classes
@click.option(
    "--explain",
    is_flag=True,
    help="Say what computes each pass of each layer, why no other algorithm, and what is fused.",
)
@options.as_json
@click.option("--schema", is_flag=True, help="Print the JSON schema of configs, for editors, and nothing else.")
def command(
    config_file: Path | None,
    overrides: tuple[str, ...],
    image: Shape | None,
    classes: int | None,
    explain: bool,
    as_json: bool,
    schema: bool,
) -> None:
    """Check a config and show its layers, without training.

    The data are looked at for the size of the images and the number of classes only. MACs are the multiply-adds of one
    image's forward pass; a layer that contains layers has their sums.
    """
    if schema:
        from cnntrain.config.schema import json_schema

        click.echo(json.dumps(json_schema(), indent=2))
        return
    if config_file is None:
        raise click.UsageError("Missing option '--config' (or --schema).")

    from cnntrain.config import infer_shapes, load_config
    from cnntrain.data import describe
    from cnntrain.runs.logs import check_logs
    from cnntrain.shape import Shape

    config = load_config(config_file, overrides)
    check_logs(config)
    if image is None or classes is None:
        found, number = describe(config.data)
        image, classes = image or Shape(*found), classes or number
    rows = infer_shapes(config, image, classes)
    explanation = _explanation(rows, config.train.batch_size, config.train.direct) if explain else None
    summary = {
        "name": config.name,
        "input_shape": list(image),
        "classes": classes,
        "layers": [as_dict(row) for row in rows],
        "parameters": sum(row.parameters for row in rows),
        "macs": sum(row.macs for row in rows),
    }
    if explanation is not None:
        summary["explanation"] = explanation.as_dict()
    if as_json:
        click.echo(json.dumps(summary))
        return
    click.echo(f"{config.name}: {classes} classes")
    lines = [("", "layer", "output", "parameters", "MACs"), ("", "data", str(image), "", "")]
    for index, row in enumerate(rows):
        lines += lines_of(row, str(index))
    lines.append(("", "total", "", f"{summary['parameters']:,}", f"{summary['macs']:,}"))
    click.echo(table(lines))
    if explanation is not None:
        click.echo(f"\n{explanation.as_text()}")


def _explanation(rows: Sequence[LayerRow], batch_size: int, direct: bool) -> Explanation:
    from cnntrain.layers.explanation import Explanation

    return Explanation.of(rows, batch_size, direct=direct)


def as_dict(row: LayerRow) -> dict[str, Any]:
    """A layer for --json; one that contains layers lists them, in the order in which they run, under "layers"."""
    summary = {
        "path": row.path,
        "name": row.name,
        "output_shape": list(row.output_shape),
        "parameters": row.parameters,
        "macs": row.macs,
    }
    inner = [as_dict(below) for part in row.parts for below in part.rows]
    return summary | ({"layers": inner} if row.parts else {})


def lines_of(row: LayerRow, index: str, indent: str = "", label: str = "") -> list[tuple[str, str, str, str, str]]:
    """A layer's line of the table; those of the layers inside it below, indented, each with its path in that layer."""
    name = f"{indent}{label}{row.name}"
    lines = [(index, name, str(row.output_shape), f"{row.parameters:,}", f"{row.macs:,}")]
    for part in row.parts:
        for below in part.rows:
            path = below.path.removeprefix(f"{row.path}.").removesuffix(f".{below.name}")
            lines += lines_of(below, "", f"{indent}  ", f"{path} ")
    return lines


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
