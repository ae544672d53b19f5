"""The parts of a page that are about one run: answers, filters, layers, where it was trained, config."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from cnntrain.layers.base import LayerRow
from cnntrain.report import confusion
from cnntrain.report.answers import Answers
from cnntrain.report.curves import COLOURS
from cnntrain.report.differences import flattened
from cnntrain.report.galleries import gallery, tiles
from cnntrain.report.insight import Insight
from cnntrain.report.markup import Cell, esc, folded, part, table
from cnntrain.report.records import RunRecord
from cnntrain.report.summary import cells_of, duration, number, share

LONGEST_VALUE = 300  # characters of something in environment.json


def run_section(
    run: RunRecord, insight: Insight, index: int, different: Collection[str], *, is_open: bool, alone: bool
) -> str:
    """Return all that is said of one run.

    Parameters
    ----------
    run : RunRecord
    insight : Insight
    index : int
        Its number on the page.
    different : collection of str
        Keys of its config whose values are not those of the other runs.
    is_open : bool
        Show it at once.
    alone : bool
        It is the only run: it needs no heading.
    """
    problem = f'<p class="problem" role="note">{esc(insight.problem)}</p>' if insight.problem else ""
    parts = [problem]
    if insight.answers is not None:
        parts += answered(insight.answers, insight.epoch, index)
    if insight.filters is not None:
        shown = tiles(insight.filters) + "".join(map(tiles, insight.maps))
        parts.append(part("What the first layers see", f'<div class="seen">{shown}</div>', LEGEND))
    beside = part("Layers", layer_table(run.layers)) if run.layers else ""
    if run.environment is not None:
        beside += part("Where it was trained", environment_table(run.environment))
    parts.append(f'<div class="beside">{beside}</div>')
    parts.append(part("Config", config_lines(run, different)))
    if alone:
        return f'<div class="run" id="run-{index}">{"".join(parts)}</div>'
    opened = " open" if is_open else ""
    return (
        f'<details class="run" id="run-{index}"{opened}><summary><h2><i class="c{index % COLOURS} swatch"></i>'
        f"{esc(run.label)}</h2></summary>{''.join(parts)}</details>"
    )


LEGEND = (
    "Blue is below zero, white zero, red above; each map has its own scale. Layers are in the order in which they run."
)


def facts(run: RunRecord) -> str:
    """Return the few numbers that one looks for first."""
    best = run.best
    shown = [("epochs", cells_of(run)[1])]
    if best is not None:
        if best["validation_accuracy"] is not None:
            shown.append(("best validation accuracy", share(best["validation_accuracy"])))
        else:
            shown.append(("least training loss", number(best["train_loss"])))
        shown += [("best epoch", str(best.epoch)), ("time", duration(run.seconds))]
    if run.parameters is not None:
        shown.append(("parameters", f"{run.parameters:,}"))
    items = "".join(f"<div><dt>{esc(name)}</dt><dd>{esc(value)}</dd></div>" for name, value in shown)
    return f'<dl class="facts">{items}</dl>'


def answered(answers: Answers, epoch: int | None, index: int) -> Iterator[str]:
    """Yield the parts about the network's answers to a split."""
    evaluation, names = answers.evaluation, answers.class_names
    of = f"{answers.split} split, {evaluation.images:,} images, the network of epoch {epoch}"
    said = f"{of}: accuracy {share(evaluation.accuracy)}, loss {number(evaluation.loss)}"
    drawing = (
        confusion.matrix_svg(answers, index)
        if len(names) <= confusion.WIDEST
        else (f'<p class="note">{len(names):,} classes are too many to draw a matrix.</p>')
    )
    pair = f'<div class="pair"><div>{drawing}</div><div>{confusion.class_table(answers)}</div></div>'
    yield part("What was taken for what", pair + confusion.confusions(answers), said)
    wrong = int((evaluation.predicted != evaluation.labels).sum())
    if answers.mistakes:
        note = f"{len(answers.mistakes)} of {wrong:,}: those whose own class got the least probability"
        yield part("Worst mistakes", gallery(answers.mistakes, answers.split, names), note)
    if answers.unsure:
        note = "those that were right with the least probability"
        yield part("Right, but least sure", gallery(answers.unsure, answers.split, names), note)


def layer_table(rows: Sequence[LayerRow]) -> str:
    """Return the planned layers with their shapes, parameters and multiply-adds."""
    total = ["total", "", f"{sum(row.parameters for row in rows):,}", f"{sum(row.macs for row in rows):,}"]
    head = ["layer", "output", "parameters", "MACs"]
    return table(head, [*_layer_lines(rows), total], "Layers of the network", name="layers")


def _layer_lines(rows: Sequence[LayerRow], indent: str = "") -> Iterator[list[Cell | str]]:
    for row in rows:
        name = f"{indent}{row.path.split('.')[-2] if '.' in row.path else ''} {row.name}".replace("  ", " ")
        yield [f"{indent}{name.strip()}", str(row.output_shape), f"{row.parameters:,}", f"{row.macs:,}"]
        for inner in row.parts:
            yield from _layer_lines(inner.rows, indent + "\u2003")


def environment_table(environment: Mapping[str, object]) -> str:
    """Return where and with what the last process trained."""
    flat = {key: value for key, value in flattened(dict(environment)).items() if value is not None}
    rows = [[key.removeprefix("packages."), str(value)[:LONGEST_VALUE]] for key, value in flat.items()]
    return table(["what", "value"], rows[:100], "Where it was trained", name="facts-table")


def config_lines(run: RunRecord, different: Collection[str]) -> str:
    """Return the resolved config; where other runs have others, also key by key, with a mark at what differs."""
    listed = flattened(run.config_values)
    text = f'<pre tabindex="0">{esc(run.config_text)}</pre>'
    if not different:
        return folded("config.yaml, resolved", text)
    rows: list[list[Cell | str]] = [
        [Cell(key, style="different" if key in different else ""), _value(value)] for key, value in listed.items()
    ]
    keys = table(["key", "value"], rows, "Keys of the config; those that differ are marked", name="keys")
    return folded(f"Key by key ({len(different)} differ)", keys) + folded("config.yaml, resolved", text)


def _value(value: object) -> str:
    return str(value)[:LONGEST_VALUE]
