"""One HTML file of runs: no request leaves it, whoever's names are in it."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from datetime import datetime, timezone
from importlib.resources import files

from cnntrain import __version__
from cnntrain.report import confusion
from cnntrain.report.curves import COLOURS, charts_of, numbers_of
from cnntrain.report.insight import Insight
from cnntrain.report.markup import Cell, esc, part, table
from cnntrain.report.records import RunRecord
from cnntrain.report.sections import facts, run_section
from cnntrain.report.summary import HEAD, NOTHING, Summary, cells_of

NAMED = 3  # runs whose names make the title


def page_of(runs: Sequence[RunRecord], insights: Sequence[Insight], left_out: Sequence[tuple[str, str]] = ()) -> str:
    """Return the page.

    Parameters
    ----------
    runs : sequence of RunRecord
        At least one.
    insights : sequence of Insight
        One for each run.
    left_out : sequence of (str, str)
        Runs that could not be read, and why.
    """
    found = Summary(runs).differences if len(runs) > 1 else {}
    alone = len(runs) == 1
    sections = [
        run_section(run, insight, index, found, is_open=index == 0, alone=alone)
        for index, (run, insight) in enumerate(zip(runs, insights, strict=True))
    ]
    body = [
        _header(runs),
        *(f'<p class="problem" role="note">{esc(name)} was left out: {esc(reason)}</p>' for name, reason in left_out),
        facts(runs[0]) if alone else part("Runs", _run_table(runs)) + _different(runs, found),
        _curves(runs),
        *sections,
    ]
    return _document(", ".join(run.label for run in runs), "".join(body), _data(runs, insights))


def _header(runs: Sequence[RunRecord]) -> str:
    time = datetime.now(timezone.utc).isoformat(sep=" ", timespec="minutes").removesuffix("+00:00")
    going = [run.label for run in runs if not run.is_finished]
    note = f"; not finished: {', '.join(going)}" if going else ""
    title = " · ".join(run.label for run in runs) if len(runs) <= NAMED else f"{len(runs)} runs"
    return (
        f'<header><h1>{esc(title)}</h1><p class="note">{esc(f"cnntrain {__version__}, {time} UTC{note}")}</p></header>'
    )


def _run_table(runs: Sequence[RunRecord]) -> str:
    rows = [cells_of(run) for run in runs]
    kept = [column for column in range(len(HEAD)) if any(row[column] != NOTHING for row in rows)]
    ends = {"validation accuracy": max, "training accuracy": max, "validation loss": min, "training loss": min}
    cells = []
    for run, row in zip(runs, rows, strict=True):
        line = []
        for column in kept:
            values = [value for each in rows if (value := _value(each[column])) is not None]
            value = run.seconds if HEAD[column] == "time" else _value(row[column])
            choose = ends.get(HEAD[column])
            is_best = choose is not None and value is not None and value == choose(values)
            line.append(Cell(row[column], value, "best" if is_best else ""))
        line[0] = Cell(row[0])
        cells.append(line)
    return table([HEAD[column] for column in kept], cells, "Runs, each at its best epoch", sortable=True, name="runs")


def _value(text: str) -> float | None:
    """Return the number that a cell of the table begins with."""
    try:
        return float(text.split()[0].rstrip("%").replace(",", ""))
    except (ValueError, IndexError):
        return None


def _different(runs: Sequence[RunRecord], found: dict[str, list[str]]) -> str:
    if not found:
        return part("What differs", '<p class="note">The configs are equal.</p>')
    rows = [[key, *values] for key, values in found.items()]
    return part("What differs", table(["key", *(run.label for run in runs)], rows, "Keys whose values differ"))


def _curves(runs: Sequence[RunRecord]) -> str:
    if not any(run.rows for run in runs):
        return part("Curves", '<p class="note">No epoch was finished yet.</p>')
    legend = "".join(
        f'<button type="button" aria-pressed="true" data-toggle="{index}"><i class="c{index % COLOURS} swatch"></i>'
        f"{esc(run.label)}</button>"
        for index, run in enumerate(runs)
    )
    styles = "".join(
        f'<span class="key"><i class="line {style}"></i>{word}</span>'
        for style, word in (("", "validation"), ("dashed", "training"))
    )
    drawings = "".join(chart.svg(index) for index, chart in enumerate(charts_of(runs)))
    return part(
        "Curves",
        f'<div class="legend">{legend if len(runs) > 1 else ""}{styles}</div><div class="charts">{drawings}</div>'
        f"{numbers_of(runs)}",
    )


def _data(runs: Sequence[RunRecord], insights: Sequence[Insight]) -> str:
    """Return what page.js reads, as JSON that cannot end the element it stands in."""
    matrices = {
        index: confusion.matrix_data(insight.answers)
        for index, insight in enumerate(insights)
        if insight.answers is not None and len(insight.answers.class_names) <= confusion.WIDEST
    }
    content = {"charts": [chart.data for chart in charts_of(runs)], "matrices": matrices}
    return json.dumps(content, ensure_ascii=True).replace("<", "\\u003c")


def _document(title: str, body: str, data: str) -> str:
    here = files("cnntrain.report")
    style, script = ((here / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="color-scheme" content="light dark">'
        f'<link rel="icon" href="data:,"><title>{esc(title)} · cnntrain report</title><style>{style}</style></head>'
        f'<body><main>{body}</main><script type="application/json" id="data">{data}</script>'
        f"<script>{script}</script></body></html>\n"
    )
