"""`cnntrain warmup`: compile ahead, for an image of a container or a job that must start at once."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cnntrain.cli import options

if TYPE_CHECKING:
    from cnntrain.bench.subject import Subject
    from cnntrain.shape import Shape


@click.command("warmup")
@options.config
@options.overrides
@options.allow_extensions
@options.image
@options.classes
@options.as_json
def command(
    config_file: Path,
    overrides: tuple[str, ...],
    image: Shape | None,
    classes: int | None,
    as_json: bool,
) -> None:
    """Compile a config's kernels ahead of time.

    Training and evaluation with this config then start at once. The machine code is kept for this kind of processor, in
    the folder that NUMBA_CACHE_DIR names, else beside the package, else in the user's cache folder. The data are looked
    at for the size of the images only.
    """
    import numpy as np

    from cnntrain.bench.subject import subject_of_config
    from cnntrain.data import SOURCES
    from cnntrain.kernels.compiler.estimate import Estimate
    from cnntrain.kernels.compiler.report import cache_folder, loaded_kernels, reported
    from cnntrain.runs.reporter import Reporter
    from cnntrain.warm_up import needed, warm_up_few_images

    reporter = Reporter()
    begin = time.perf_counter()
    subject = subject_of_config(config_file, overrides, image, classes)
    published = SOURCES[subject.config.data.source].published
    image_types = (np.uint8, np.float32) if published is None else (np.dtype(published.image_type),)

    def estimate() -> Estimate:
        another = subject_of_config(config_file, overrides, image, classes)
        return Estimate(needed(lambda: warm_up(another)))

    def warm_up(subject: Subject) -> None:
        subject.warm_up(image_types)
        for image_type in image_types:  # `cnntrain predict` with few pictures, and `cnntrain.load(run).predict`
            warm_up_few_images(subject.network, image_type)

    with reported(reporter.line, reporter.warning, estimate) as compiled:
        warm_up(subject)
    seconds, loaded, folder = time.perf_counter() - begin, loaded_kernels(), cache_folder()
    if folder is None:
        reporter.warning("nothing could be kept: no folder can be used; set NUMBA_CACHE_DIR to one of your own")
    if as_json:
        click.echo(json.dumps({"compiled": compiled, "loaded": loaded, "folder": folder, "seconds": seconds}))
        return
    click.echo(
        f"compiled {len(compiled)} kernels, found {len(loaded)} compiled, in {seconds:.1f} s: {folder or 'lost'}"
    )
