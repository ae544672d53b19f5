"""What was found, as text, as Markdown, and in its place in a document."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.comparison.contestants import OURS, PEERS
from benchmarks.peers.protocol import MODES

Found = Mapping[str, Any]


class MarkersMissingError(Exception):
    """A document has no place for a table; the message says what it must contain."""


def titles(results: Sequence[Found]) -> list[str]:
    """Return the peers that were measured at least once, in their usual order."""
    measured = {name for found in results for mode in MODES for name in found[mode]["ratio"]}
    return [name for name in PEERS if name in measured]


def ratio_cell(ratio: Mapping[str, float] | None) -> str:
    """Return a ratio with its quartiles, with about three digits; a dash where it was not measured."""
    if ratio is None:
        return "-"
    digits = 1 if ratio["median"] >= 10 else 2 if ratio["median"] >= 0.1 else 3
    return f"{ratio['median']:.{digits}f} ({ratio['low']:.{digits}f}-{ratio['high']:.{digits}f})"


def megabytes(memory: Mapping[str, int], names: Sequence[str]) -> str:
    """Return peak memories side by side; a dash where nothing was measured."""
    return " / ".join(f"{memory[name] / 1e6:,.0f}" if name in memory else "-" for name in names)


def grid(results: Sequence[Found], mode: str, strong: str = "") -> list[list[str]]:
    """Return the table of a mode, its head first; the ratio to the best peer stands between marks."""
    peers = [name for name in titles(results) if any(name in found[mode]["ratio"] for found in results)]
    trained = [OURS, *(name for name in peers if mode == "training")]
    head = ["network", "batch", "threads", "cnntrain, images/s", *(f"÷ {PEERS[name].title}" for name in peers)]
    if mode == "training":
        head.append("memory, MB: " + " / ".join(["cnntrain", *(PEERS[name].title for name in trained[1:])]))
    rows = [head]
    for found in results:
        ours = median(found[mode]["images_per_second"][OURS])
        cells = [found["title"], str(found["batch_size"]), str(found["threads"]), f"{ours:,.0f}"]
        for name in peers:
            mark = strong if name == found[mode]["best_peer"] else ""
            cells.append(f"{mark}{ratio_cell(found[mode]['ratio'].get(name))}{mark}")
        if mode == "training":
            cells.append(megabytes(found["peak_memory"], trained))
        rows.append(cells)
    return rows


def choice(contestant: Found | None, mode: str) -> str | None:
    """Return which variant was chosen where there were several."""
    if contestant is None or len(contestant["speeds"][mode]) + len(contestant["modes"][mode]["left_out"]) < 2:
        return None
    chosen: str | None = contestant["chosen"][mode]
    return chosen


def best_variants(results: Sequence[Found]) -> list[str]:
    """Say for each peer and mode which variants were the fastest, and how often."""
    lines = []
    for name in titles(results):
        for mode in MODES:
            chosen = Counter(filter(None, (choice(found["contestants"].get(name), mode) for found in results)))
            if chosen:
                shown = "; ".join(f"{variant} ({count})" for variant, count in chosen.most_common())
                lines.append(f"{PEERS[name].title}, {mode}, fastest variants (in how many cases): {shown}.")
    return lines


def absences(results: Sequence[Found]) -> list[str]:
    """Say which variants and peers were left out, why, and where."""
    places: dict[str, list[str]] = {}
    for found in results:
        where = f"{found['title']} b{found['batch_size']} t{found['threads']}"
        for name, description in found["contestants"].items():
            for mode in MODES:
                for variant, reason in description["modes"][mode]["left_out"].items():
                    said = f"{PEERS[name].title}, {mode}, {variant}: left out: {reason}"
                    places.setdefault(said, []).append(where)
        for name, reason in found["left_out"].items():
            places.setdefault(f"{PEERS[name].title}: left out: {reason}", []).append(where)
    return [f"{said} [{', '.join(where)}]" for said, where in places.items()]


def as_text(results: Sequence[Found]) -> str:
    """Return everything for people at a terminal."""
    lines = []
    for mode in MODES:
        rows = grid(results, mode)
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        lines.append(f"{mode}:")
        for row in rows:
            cells = [row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))]
            lines.append("  ".join(cells).rstrip())
        lines.append("")
    lines.append(
        "÷: cnntrain / peer within each round: median (quartiles). Memory: peak of the process while training."
    )
    return "\n".join([*lines, *best_variants(results), *absences(results)])


def as_markdown(results: Sequence[Found], heading: str) -> str:
    """Return the tables of a document, under a line that says where and when."""
    parts = [heading]
    for mode in MODES:
        head, *rows = grid(results, mode, "**")
        lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
        previous = None
        for row in rows:
            first = row[:2] if row[:2] != previous else ["", ""]
            previous = row[:2]
            lines.append("|" + "".join(f" {cell} |" if cell else " |" for cell in [*first, *row[2:]]))
        parts.append(f"{mode.capitalize()}:\n\n" + "\n".join(lines))
    parts.append(" ".join(best_variants(results)))
    return "\n\n".join(filter(None, parts))


def markers(name: str) -> tuple[str, str]:
    """Return the two lines between which a table stands."""
    return f"<!-- compare.py {name}: begin -->", f"<!-- compare.py {name}: end -->"


def replaced(document: str, name: str, text: str) -> str:
    """Return a document with `text` between its markers; raises `MarkersMissingError`."""
    begin, end = markers(name)
    before, found, rest = document.partition(begin)
    _, found_end, after = rest.partition(end)
    if not (found and found_end) or begin in after or end in before + after:
        raise MarkersMissingError(f"must contain once, in this order, the lines {begin} and {end}")
    return f"{before}{begin}\n\n{text}\n\n{end}{after}"


def write(path: Path, name: str, text: str) -> None:
    """Put a table into a document; raises `MarkersMissingError` or `OSError`."""
    path.write_text(replaced(path.read_text(encoding="utf-8"), name, text), encoding="utf-8")
