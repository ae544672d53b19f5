"""The curve of a search for a learning rate, in plain text and as CSV."""

from __future__ import annotations

import csv
import io
import math

import numpy as np

from cnntrain.training.find_rate import Finding

ROWS, COLUMNS = 14, 66  # of the drawing; with its axis 76 characters


def drawing(finding: Finding) -> str:
    """Draw the smoothed loss over the learning rate, its axis logarithmic, in plain characters.

    A column shows the mean of its points. A loss that grows beyond that of the beginning by half the curve's height is
    cut off, so that what falls is seen. `|` marks the suggestion.
    """
    points = finding.points
    smoothed = np.array([point.smoothed for point in points])
    logs = np.log10([point.learning_rate for point in points])
    low, first = float(smoothed.min()), float(smoothed[0])
    high = min(float(smoothed.max()), max(first, low) + 0.5 * (max(first, low) - low or abs(low) or 1.0))
    height, width = high - low or 1.0, logs[-1] - logs[0] or 1.0
    columns = np.round((logs - logs[0]) / width * (COLUMNS - 1)).astype(int)
    canvas = [[" "] * COLUMNS for _ in range(ROWS)]
    if finding.suggestion is not None:
        place = round((math.log10(finding.suggestion.learning_rate) - logs[0]) / width * (COLUMNS - 1))
        for line in canvas:
            line[min(max(place, 0), COLUMNS - 1)] = "|"
    for column in np.unique(columns):
        value = float(smoothed[columns == column].mean())
        if value <= high:
            canvas[round((high - value) / height * (ROWS - 1))][column] = "*"
    labels = {0: f"{high:.3g}", ROWS - 1: f"{low:.3g}"}
    lines = [f"{labels.get(row, ''):>8} {''.join(line).rstrip()}".rstrip() for row, line in enumerate(canvas)]
    return "\n".join(["    loss", *lines, _axis(float(logs[0]), float(logs[-1]))])


def _axis(first: float, last: float) -> str:
    """Name the powers of ten below the drawing."""
    line = [" "] * (9 + COLUMNS + 6)
    for power in range(math.ceil(first - 1e-9), math.floor(last + 1e-9) + 1):
        text = f"1e{power}"
        place = 9 + round((power - first) / (last - first or 1.0) * (COLUMNS - 1))
        if "".join(line[max(place - 1, 0) : place + len(text) + 1]).strip() == "":
            line[place : place + len(text)] = text
    return "".join(line).rstrip() + "\n" + " " * 9 + "learning rate"


def as_csv(finding: Finding) -> str:
    """Return one row per step, with exact numbers."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("step", "learning_rate", "loss", "smoothed_loss"))
    for step, point in enumerate(finding.points, 1):
        writer.writerow((step, point.learning_rate, point.loss, point.smoothed))
    return text.getvalue()
