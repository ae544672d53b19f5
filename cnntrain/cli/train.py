"""`cnntrain train`: one config, one run folder."""

from __future__ import annotations

import os
from pathlib import Path

import click

from cnntrain.cli import options


@click.command("train")
@options.config_if_given
@options.overrides
@options.allow_extensions
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The run folder, new or empty; runs/<name>-<n> otherwise.",
)
@click.option(
    "--resume",
    type=click.Path(path_type=Path),
    metavar="RUN|auto",
    help="Continue this run folder from its newest checkpoint, or begin again if it has none; --set train.epochs=N "
    "may extend it. auto: start, or go on with the newest run of the config's name in runs/ (or in --out DIR).",
)
@options.threads
@options.patience
@click.option("--report", is_flag=True, help="Keep report.html in the run folder up to date, epoch by epoch.")
@click.option("--quiet", "-q", is_flag=True, help="Print warnings and the run folder only.")
@click.pass_context
def command(
    ctx: click.Context,
    config_file: Path | None,
    overrides: tuple[str, ...],
    out: Path | None,
    resume: Path | None,
    threads: int | None,
    report: bool,
    quiet: bool,
) -> None:
    """Train a network.

    The run folder holds the resolved config, metrics.csv (one row per epoch), log.txt, and the checkpoints
    best.safetensors and last.safetensors. Its path is the last line on stdout; everything else goes to stderr.

    Ctrl-C, SIGTERM or SIGHUP stops after the step at hand, writes a checkpoint of it, stopped.safetensors, and exits
    with 130, 143 or 129; a second one leaves at once. Training goes on when stdout or stderr breaks.

    Several processes share a training whose config has train.shards, with the same result as one:
    mpiexec -n 4 cnntrain train CONFIG --set train.shards=8. They need cnntrain[mpi].
    """
    if resume is None and config_file is None:
        raise click.UsageError(
            "name a config (CONFIG, --config FILE or --recipe NAME), or a run to continue with --resume RUN"
        )
    automatic = resume is not None and str(resume) == "auto"
    if automatic and config_file is None:
        raise click.UsageError("--resume auto starts a run where there is none: name its config")
    if resume is not None and out is not None and not automatic:
        raise click.UsageError("--resume continues in its own folder: leave out --out")

    from cnntrain.config import load_config
    from cnntrain.data.dataset import begin_to_load

    config = None
    if resume is None:
        assert config_file is not None  # checked above; for mypy
        config = load_config(config_file, overrides)
        begin_to_load(config.data)  # while the rest is imported

    from cnntrain.processes.launch import joined
    from cnntrain.runs.reporter import Reporter
    from cnntrain.training.automatic import start_or_resume
    from cnntrain.training.interruption import exit_code
    from cnntrain.training.session import resume_run, start_run

    reporter, team = Reporter(quiet=quiet), joined()
    if report and team.writes:
        from cnntrain.report.live import LiveReport

        reporter.after_epoch = LiveReport(reporter.warning)
    if automatic:
        assert config_file is not None  # checked above; for mypy
        folder, outcome = start_or_resume(
            config_file, reporter, overrides=overrides, out=out, threads=threads, team=team
        )
    elif resume is not None:
        folder, outcome = resume_run(
            resume, reporter, config_file=config_file, overrides=overrides, threads=threads, team=team
        )
    else:
        assert config is not None  # as there is no run to go on with
        folder, outcome = start_run(config, reporter, out=out, threads=threads, team=team)
    try:
        click.echo(os.fsencode(folder.path))  # bytes: what names a folder need not be text
    except OSError as error:  # the training is done, whatever becomes of this line
        reporter.warning(f"the run folder's name could not be written to stdout: {error.strerror or error}")
    if outcome.stopped_by:
        ctx.exit(exit_code(outcome.stopped_by))
