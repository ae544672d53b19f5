"""`cnntrain gradcheck`: is every gradient right, by finite differences."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from cnntrain.cli import options
from cnntrain.cli.targets import is_config


@click.command("gradcheck")
@click.argument("target", metavar="[CONFIG_OR_RUN]", required=False, type=click.Path(path_type=Path))
@options.config_beside
@options.overrides
@options.allow_extensions
@click.option(
    "--images",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    metavar="N",
    help="Training images that the loss is the mean of; more than 16 make a second, incomplete block.",
)
@click.option(
    "--samples",
    type=click.IntRange(min=1),
    default=12,
    show_default=True,
    metavar="N",
    help="Entries to compare in each tensor.",
)
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0, max=1, min_open=True, max_open=True),
    default=1e-6,
    show_default=True,
    help="Largest relative error that passes.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=1,
    show_default=True,
    metavar="N",
    help="Of the choice of images and entries.",
)
@options.threads
@options.as_json
@click.pass_context
def command(
    ctx: click.Context,
    target: Path | None,
    config_file: Path | None,
    overrides: tuple[str, ...],
    images: int,
    samples: int,
    tolerance: float,
    seed: int,
    threads: int | None,
    as_json: bool,
) -> None:
    """Check every gradient of a network against finite differences.

    The network of a config (as a training would begin), or of a run folder or a checkpoint, runs on some of its
    training images in double precision, through the same kernels that train. One backward pass gives the gradients of
    the input and of all parameters; a sample of each is compared with central differences of the loss. Before, the
    network trains on random images, and gradients are filled with NaN: what a layer keeps from a batch before is WRONG.
    An entry where a ReLU or a pooling winner changes within the difference is counted as a kink, neither right nor
    wrong.

    Exits with 0 if all gradients are right, with 1 if one is wrong or none could be checked.
    """
    if (target is None) == (config_file is None):
        raise click.UsageError(
            "give one thing to check: a config (CONFIG, --config FILE or --recipe NAME), or a run folder or a "
            "checkpoint"
        )
    if target is not None and is_config(target):
        target, config_file = None, target

    from tqdm import tqdm

    from cnntrain.kernels.compiler.report import announce
    from cnntrain.kernels.compiler.threads import set_threads
    from cnntrain.runs.folder import find_checkpoint
    from cnntrain.runs.reporter import Reporter
    from cnntrain.verify import check_gradients
    from cnntrain.verify.case import case_of_checkpoint, case_of_config
    from cnntrain.verify.report import GradientReport

    reporter = Reporter()
    set_threads(threads)
    if target is not None:
        case = case_of_checkpoint(find_checkpoint(target), overrides, images, seed, reporter.warning)
    else:
        assert config_file is not None  # checked above; for mypy
        case = case_of_config(config_file, overrides, images, seed, reporter.warning)
    bar = tqdm(total=len(case.network.parameters) + 1, unit=" tensors", leave=False, disable=not sys.stderr.isatty())
    with bar, announce(lambda kernel: reporter.line(f"compiling {kernel} (once for this machine)")):
        checks = check_gradients(
            case.network,
            case.images,
            case.labels,
            samples=samples,
            tolerance=tolerance,
            seed=seed,
            on_tensor=lambda check: bar.update(),
        )
    report = GradientReport(
        case.name, len(case.images), seed, tolerance, checks, [path for path, _ in case.network.layers()]
    )
    click.echo(json.dumps(report.as_dict()) if as_json else report.as_text())
    if not report.passed:
        ctx.exit(1)
