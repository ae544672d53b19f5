"""The options of `cnntrain explain RUN | CONFIG`, and what it does with them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from cnntrain.cli import options
from cnntrain.cli.targets import is_config

_OPTIONS: list[Callable[[Any], Any]] = [
    click.option("--index", type=click.IntRange(min=0), metavar="N", help="Number of the image in its split, from 0."),
    click.option("--split", type=click.Choice(["test", "validation", "train"]), help="Which images.  [default: test]"),
    click.option(
        "--images",
        type=click.IntRange(min=1),
        metavar="N",
        help="So many images at a time, one after the other: batch norm, for one, needs several.  [default: 1]",
    ),
    click.option("--label", metavar="NAME", help="The class that the image shows, in the place of what the data say."),
    click.option("--layer", metavar="PATH", help="The layer whose number is explained: 3.conv2d, or 3 alone."),
    click.option("--at", metavar="K,I,J", help="An element of the layer's output: channel, row, column, from 0."),
    click.option(
        "--grad-input", metavar="K,I,J", help="An element of the delta that the layer passes back: dL/d(its input)."
    ),
    click.option("--weight", metavar="K,C,R,S", help="An element of the layer's weight: its gradient and its update."),
    click.option("--parameter", metavar="NAME=I", help="The same of any learned array: bias=2, scale=0, slope=1."),
    click.option("--logit", metavar="K", help="An output of the network: what the loss passes back to it."),
    click.option(
        "--xlsx",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Write the step of a small network as a workbook whose formulas recompute it.",
    ),
]


def network_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that are about a run or a config; `show_network` takes them."""
    for option in reversed([*_OPTIONS, options.overrides, options.allow_extensions, options.threads]):
        function = option(function)
    return function


NAMES = (  # of the values that these options give
    "index", "split", "images", "label", "layer", "at", "grad_input", "weight", "parameter", "logit", "xlsx",
    "overrides", "threads",
)  # fmt: skip


def refuse(given: Mapping[str, Any], whose: str) -> None:
    """Raise `UsageError` if one of these options was given: they are about something else."""
    for name, value in given.items():
        if value is not None and value != () and value is not False:
            option = "set" if name == "overrides" else name.replace("_", "-")
            raise click.UsageError(f"--{option} is about {whose}")


def show_network(
    target: Path, image: Sequence[str], as_json: bool, given: Mapping[str, Any], html: Path | None = None
) -> None:
    """Explain a step of a run's or a config's network.

    Parameters
    ----------
    target : Path
        What was named.
    image : sequence of str
        `--image`: no file, or one.
    as_json : bool
        Print one JSON object.
    given : mapping
        The values of `network_options`.
    html : Path or None
        Where to write the step as a page.
    """
    if image and (given["index"] is not None or given["split"] is not None):
        raise click.UsageError("give either --image FILE, or --index with --split")
    if len(image) > 1 or (image and (given["images"] or 1) > 1):
        raise click.UsageError("--image FILE is one image: give it once, without --images")

    from cnntrain.explain.asked import Asked
    from cnntrain.explain.command import explain_network
    from cnntrain.explain.pictures import Wanted
    from cnntrain.kernels.compiler.report import announce
    from cnntrain.kernels.compiler.threads import set_threads
    from cnntrain.runs.reporter import Reporter

    reporter = Reporter()
    set_threads(given["threads"])
    wanted = Wanted(
        split=given["split"] or "test",
        index=given["index"] or 0,
        images=given["images"] or 1,
        file=Path(image[0]) if image else None,
        label=given["label"],
    )
    asked = Asked(**{name: given[name] for name in ("layer", "at", "grad_input", "weight", "parameter", "logit")})
    with announce(lambda kernel: reporter.line(f"compiling {kernel} (once for this machine)")):
        explanation = explain_network(
            target,
            from_config=is_config(target),
            wanted=wanted,
            asked=asked,
            overrides=given["overrides"],
            warn=reporter.warning,
        )
    if given["xlsx"] is not None:
        from cnntrain.explain.workbook import save_workbook

        cells = save_workbook(given["xlsx"], explanation.example, explanation.trace)
        reporter.line(f"{given['xlsx']}: {cells:,} cells with formulas")
    if html is not None:
        from cnntrain.explain.page import examples_of_run, page_of_examples
        from cnntrain.explain.page.save import save_page

        if target.is_dir():  # its checkpoints have told their warnings once
            page = page_of_examples(examples_of_run(target, wanted=wanted, overrides=given["overrides"]))
        else:
            page = page_of_examples([explanation.example], [explanation.trace])
        size = save_page(html, page)
        reporter.line(f"{html}: {size:,} bytes")
    click.echo(json.dumps(explanation.as_dict()) if as_json else explanation.as_text())
