"""`cnntrain eval`: how good a trained network is."""

from __future__ import annotations

import json
from pathlib import Path

import click

from cnntrain.cli import options


@click.command("eval")
@click.argument("target", metavar="[RUN_OR_CHECKPOINT]", required=False, type=click.Path(path_type=Path))
@options.config_beside
@click.option("--checkpoint", type=click.Path(path_type=Path), metavar="FILE", help="A checkpoint; with --config.")
@click.option(
    "--split",
    type=click.Choice(["test", "validation", "train"]),
    default="test",
    show_default=True,
    help="Which images.",
)
@click.option(
    "--top",
    type=click.IntRange(min=2),
    default=5,
    show_default=True,
    metavar="K",
    help="Also count the images whose class is among the K most probable.",
)
@options.overrides
@options.allow_extensions
@options.threads
@options.as_json
@click.option(
    "--require-expected",
    is_flag=True,
    help="Exit with 1 unless the accuracy that the config's expect: names is reached.",
)
@click.pass_context
def command(
    ctx: click.Context,
    target: Path | None,
    config_file: Path | None,
    checkpoint: Path | None,
    split: str,
    top: int,
    overrides: tuple[str, ...],
    threads: int | None,
    as_json: bool,
    require_expected: bool,
) -> None:
    """Measure a trained network on a data set.

    RUN_OR_CHECKPOINT is a run folder (its best.safetensors is taken) or a checkpoint. It brings its config along;
    --config and --checkpoint name them separately. Prints loss, top-1 and top-5 accuracy; precision, recall (the
    class's accuracy) and F1 of each class and on average; and the confusion matrix.
    """
    if target is not None and (config_file is not None or checkpoint is not None):
        raise click.UsageError("give either RUN_OR_CHECKPOINT or --config with --checkpoint, not both")
    if target is None and (config_file is None or checkpoint is None):
        raise click.UsageError(
            "give a run folder or a checkpoint, or --config FILE (or --recipe NAME) with --checkpoint FILE"
        )
    if require_expected and split != "test":
        raise click.UsageError("--require-expected is about the test split")

    from cnntrain.config import load_config
    from cnntrain.evaluation.assessment import assess
    from cnntrain.kernels.compiler.threads import set_threads
    from cnntrain.printable import message
    from cnntrain.processes.launch import joined
    from cnntrain.runs.folder import find_checkpoint

    team = joined()
    set_threads(threads or team.threads())
    path = find_checkpoint(target or checkpoint or Path())
    config = load_config(config_file, overrides) if config_file is not None else None
    report = assess(
        path,
        split,
        config=config,
        overrides=overrides,
        require_promise=require_expected,
        top=top,
        warn=lambda text: click.echo(f"warning: {message(text)}", err=True),
        team=team,
    )
    click.echo(json.dumps(report.as_dict()) if as_json else report.as_text())
    if require_expected and report.promise is not None and not report.promise.kept:
        ctx.exit(1)
