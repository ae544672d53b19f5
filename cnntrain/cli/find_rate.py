"""`cnntrain find-rate`: the loss while the learning rate grows, and a rate to try."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cnntrain.cli import options

if TYPE_CHECKING:
    from cnntrain.config import Config
    from cnntrain.training.find_rate import Finding


@click.command("find-rate")
@click.argument("config", metavar="[CONFIG]", required=False, type=click.Path(path_type=Path))
@click.option("--config", "config_file", type=click.Path(path_type=Path), metavar="FILE", help="The YAML config.")
@options.overrides
@options.allow_extensions
@click.option("--from", "first", type=float, default=1e-7, show_default=True, metavar="RATE", help="The first rate.")
@click.option("--to", "last", type=float, default=10.0, show_default=True, metavar="RATE", help="The last rate.")
@click.option(
    "--steps", type=click.IntRange(min=10), default=200, show_default=True, metavar="N", help="Updates to make."
)
@click.option("--csv", "csv_file", type=click.Path(path_type=Path), metavar="FILE", help="Write the curve here too.")
@options.threads
@options.as_json
@click.pass_context
def command(
    ctx: click.Context,
    config: Path | None,
    config_file: Path | None,
    overrides: tuple[str, ...],
    first: float,
    last: float,
    steps: int,
    csv_file: Path | None,
    threads: int | None,
    as_json: bool,
) -> None:
    """Find a learning rate: the loss while the rate grows.

    Trains CONFIG for some steps with a learning rate that grows by the same factor each time, until the loss diverges
    (Smith 2017), draws the loss, and suggests a rate: where the loss falls fastest, or a tenth of the rate where it is
    smallest, whichever is less. The config's schedule plays no part; no run folder is made. Exits with 1 if the loss
    never fell.
    """
    target = _target(config, config_file)
    if not 0 < first < last < float("inf"):
        raise click.UsageError(
            f"--from and --to must be rates above 0, the second the larger; received {first} and {last}"
        )

    from cnntrain.config import load_config
    from cnntrain.kernels.compiler.threads import set_threads
    from cnntrain.runs.reporter import Reporter
    from cnntrain.training.find_rate import find_rate
    from cnntrain.training.rate_curve import as_csv
    from cnntrain.training.session import build_anew, compile_kernels

    loaded = load_config(target, overrides)
    set_threads(threads)
    reporter = Reporter()
    training = build_anew(loaded, reporter)
    compile_kernels(training, reporter)
    finding = find_rate(training, first, last, steps)
    if csv_file is not None:
        _write(csv_file, as_csv(finding))
    click.echo(json.dumps({"name": loaded.name, **finding.as_dict()}) if as_json else _text(finding, loaded, steps))
    if finding.suggestion is None:
        ctx.exit(1)


def _target(config: Path | None, config_file: Path | None) -> Path:
    from cnntrain.cli.targets import is_config

    if config is not None and config_file is not None:
        raise click.UsageError("name the config once: as CONFIG or with --config FILE")
    target = config or config_file
    if target is None:
        raise click.UsageError("name a config: cnntrain find-rate CONFIG")
    if config is not None and not is_config(config):
        raise click.UsageError(f"{config}: is no config, whose name ends with .yaml or .yml")
    return target


def _write(path: Path, text: str) -> None:
    from cnntrain.errors import ArgumentError

    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ArgumentError(f"{path}: could not be written: {error.strerror or error}") from error


def _text(finding: Finding, config: Config, steps: int) -> str:
    from cnntrain.training.rate_curve import drawing

    made, optimizer = len(finding.points), config.optimizer.name
    lines = [drawing(finding), ""] if made else []
    how = "then the loss diverged" if finding.diverged else "without diverging"
    lines.append(f"{made} of {steps} steps, {how}")
    suggestion = finding.suggestion
    if suggestion is None:
        return "\n".join(
            [*lines, "the loss never fell: no suggestion; try more --steps, or other rates --from and --to"]
        )
    lines += [
        f"suggestion: {suggestion.learning_rate:g}",
        f"  {suggestion.reason}",
        f"try it: --set optimizer.{optimizer}.learning_rate={suggestion.learning_rate:g}",
    ]
    return "\n".join(lines)
