"""`cnntrain reproduce`: train a recipe, and say whether its promise was kept."""

from __future__ import annotations

import json
from pathlib import Path

import click

from cnntrain.cli import options


@click.command("reproduce")
@options.config
@options.overrides
@options.allow_extensions
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="Train this many times: with the config's seed, the next one, and so on.",
)
@click.option(
    "--checkpoint",
    type=click.Choice(["best", "last"]),
    help="Which epoch counts; by default the best if there is a validation split to choose it by, the last otherwise.",
)
@options.threads
@options.as_json
@click.option("--quiet", "-q", is_flag=True, help="Print warnings and the result only.")
@click.pass_context
def command(
    ctx: click.Context,
    config_file: Path,
    overrides: tuple[str, ...],
    seeds: int,
    checkpoint: str | None,
    threads: int | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Train a recipe and say whether it keeps its promise.

    Trains in runs/<name>-<n>, one run folder per seed, and measures each run on the test split. The promise is the
    config's expect: block; with several seeds it is about their mean. Without a validation split the last epoch is
    measured, as published results of a fixed number of steps are; with one, the epoch that was best there.

    Exits with 0 if the promise was kept, and with 1 if it was not.
    """
    from cnntrain.config import load_config
    from cnntrain.errors import ConfigError
    from cnntrain.processes.launch import joined
    from cnntrain.runs.reporter import Reporter
    from cnntrain.training.interruption import exit_code
    from cnntrain.training.reproduction import Reproduction, run_seed

    config = load_config(config_file, overrides)
    if config.expect is None:
        raise ConfigError(f"{config_file}: has no expect: block, so there is nothing to reproduce")
    runs = []
    for seed in range(config.seed, config.seed + seeds):
        seeded = load_config(config_file, [*overrides, f"seed={seed}"])
        run, outcome = run_seed(seeded, Reporter(quiet=quiet), checkpoint, threads, joined())  # type: ignore[arg-type]
        if outcome.stopped_by:
            ctx.exit(exit_code(outcome.stopped_by))
        if run is not None:
            runs.append(run)
    result = Reproduction(config.name, config.expect, runs)
    click.echo(json.dumps(result.as_dict()) if as_json else result.as_text())
    if not result.promise.kept:
        ctx.exit(1)
