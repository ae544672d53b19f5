"""`cnntrain check`: is the config right? Shapes, parameters and cost; no training."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cnntrain.cli import options
from cnntrain.printable import message
from cnntrain.tables import aligned

if TYPE_CHECKING:
    from cnntrain.config import Config
    from cnntrain.export.c.budget import Fit
    from cnntrain.layers.base import LayerRow
    from cnntrain.layers.explanation import Explanation
    from cnntrain.shape import Shape


def _target(ctx: click.Context, parameter: click.Parameter, value: str | None) -> dict[str, int] | None:
    if value is None:
        return None
    from cnntrain.errors import ArgumentError
    from cnntrain.export.c.budget import parse_target

    try:
        return parse_target(value)
    except ArgumentError as error:
        raise click.BadParameter(str(error)) from error


@click.command("check")
@options.config_if_given
@options.overrides
@options.allow_extensions
@options.image
@options.classes
@click.option(
    "--explain",
    is_flag=True,
    help="Say what computes each pass of each layer, why no other algorithm, and what is fused.",
)
@click.option(
    "--target",
    callback=_target,
    metavar="flash=SIZE,ram=SIZE",
    help="Say whether the network's C file fits, 256K and 2M being sizes; exit with 1 if not.",
)
@options.as_json
@click.option(
    "--schema",
    is_flag=True,
    help="Print the JSON schema of configs, for editors, and nothing else; with a config it knows the layers of its "
    "extensions.",
)
@click.pass_context
def command(
    ctx: click.Context,
    config_file: Path | None,
    overrides: tuple[str, ...],
    image: Shape | None,
    classes: int | None,
    explain: bool,
    target: dict[str, int] | None,
    as_json: bool,
    schema: bool,
) -> None:
    """Check a config and show its layers, without training.

    The data are looked at for the size of the images and the number of classes only; those of published data sets are
    known without. MACs are the multiply-adds of one image's forward pass; a layer that contains layers has their sums.
    """
    if schema:
        from cnntrain.config.schema import json_schema, schema_for

        click.echo(json.dumps(json_schema() if config_file is None else schema_for(config_file, overrides), indent=2))
        return
    if config_file is None:
        raise click.UsageError("name a config: CONFIG, --config FILE or --recipe NAME (or ask for the --schema)")

    from cnntrain.config import infer_shapes, load_config
    from cnntrain.data.dataset import describe_or_recall
    from cnntrain.runs.logs import check_logs
    from cnntrain.shape import Shape

    config = load_config(config_file, overrides)
    check_logs(config)
    if image is None or classes is None:
        found, number, note = describe_or_recall(config.data)
        if note:
            click.echo(f"note: {message(note)}", err=True)
        image, classes = image or Shape(*found), classes or number
    rows = infer_shapes(config, image, classes)
    explanation = _explanation(rows, config.train.images_at_once, config.train.direct) if explain else None
    fit = _fit(config, rows, target) if target is not None else None
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
    if fit is not None:
        summary["target"] = fit.as_dict()
    if as_json:
        click.echo(json.dumps(summary))
    else:
        _print(summary, rows, image, explanation, fit)
    if fit is not None and not fit.fits:
        ctx.exit(1)


def _print(
    summary: dict[str, Any], rows: Sequence[LayerRow], image: Shape, explanation: Explanation | None, fit: Fit | None
) -> None:
    click.echo(f"{summary['name']}: {summary['classes']} classes")
    lines = [("", "layer", "output", "parameters", "MACs"), ("", "data", str(image), "", "")]
    for index, row in enumerate(rows):
        lines += lines_of(row, str(index))
    lines.append(("", "total", "", f"{summary['parameters']:,}", f"{summary['macs']:,}"))
    click.echo("\n".join(aligned(lines, left=(1,))))
    if explanation is not None:
        click.echo(f"\n{explanation.as_text()}")
    if fit is not None:
        click.echo(f"\nas a C file:\n{fit.as_text()}")


def _fit(config: Config, rows: Sequence[LayerRow], target: dict[str, int]) -> Fit:
    from cnntrain.data.settings import MeanImage
    from cnntrain.export.c.budget import Fit, footprint_of

    return Fit(footprint_of(config.name, rows, isinstance(config.data.normalize, MeanImage)), target)


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
