"""A config to begin with for a folder of photos that was surveyed."""

from __future__ import annotations

import json
import statistics
from pathlib import Path

from cnntrain.data.survey import Survey

_GREY = {"1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N"}
_ALIKE = 4 / 3  # proportions within it are cropped; others are padded, so that nothing is cut away
_SMALL = 64  # images of one size up to it stay as they are; larger ones are scaled
_FEW = 2000  # training images below which chance is added to them
_LARGEST_WHITE = (255, 1023, 4095, 16383, 65535)


def suggested_config(survey: Survey) -> str:
    """Return YAML for `cnntrain train`: the data as they were found, and a small network for their size."""
    rows, columns = size_of(survey)
    filters = [16, 32, 64, 64, 64]
    stages = max(1, min(len(filters), (min(rows, columns) // 5).bit_length() - 1))
    layers = []
    for stage in range(stages):
        layers += [f"conv2d: {{filters: {filters[stage]}, kernel_size: 3, padding: same}}", "relu", "max_pool2d: 2"]
    layers += ["dense: 64", "relu", "dropout: 0.5", "dense: classes"]
    trained = len(survey.splits.get("train", {}))
    augment = ["  augment: [horizontal_flip, {random_crop: {padding: 4}}]  # leave out what changes a class"]
    lines = [
        *["data:", *_data_lines(survey)],
        *(augment if trained < _FEW and min(rows, columns) >= 16 else []),
        *["network:", *(f"  - {layer}" for layer in layers)],
        *["optimizer:", "  adam: {learning_rate: 0.001}", "schedule: cosine"],
        *["train:", "  epochs: 20", f"  batch_size: {32 if trained < _FEW else 64}"],
    ]
    return "\n".join(lines) + "\n"


def size_of(survey: Survey) -> tuple[int, int]:
    """Return the rows and columns that images should have in training."""
    sizes = {(picture.rows, picture.columns) for picture in survey.pictures}
    if len(sizes) == 1 and max(only := next(iter(sizes))) <= _SMALL:
        return only
    side = statistics.median(min(picture.rows, picture.columns) for picture in survey.pictures)
    side = 64 if side >= 48 else 32 if side >= 24 else max(8, int(side))
    return side, side


def _data_lines(survey: Survey) -> list[str]:
    sizes = {(picture.rows, picture.columns) for picture in survey.pictures}
    modes = {picture.mode for picture in survey.pictures}
    lines = ["  source: folder", f"  path: {_text(survey.path)}"]
    if survey.arrangement.test:
        lines.append(f"  test: {survey.arrangement.test}  # of each class, chosen by content")
    if survey.arrangement.labels is not None:
        lines.append(f"  labels: {_text(survey.arrangement.labels)}")
    if "validation" not in survey.splits or survey.arrangement.validation:
        lines.append("  validation: 0.1")
    lines.append(f"  color: {'grey' if modes <= _GREY else 'rgb'}")
    rows, columns = size_of(survey)
    if sizes != {(rows, columns)}:
        lines.append(f"  resize: [{rows}, {columns}]")
        shapes = [picture.columns / picture.rows for picture in survey.pictures]
        near = sum(1 / _ALIKE <= shape <= _ALIKE for shape in shapes) >= 0.9 * len(shapes)
        lines.append(f"  fit: {'crop' if near else 'pad'}  # crop, pad or stretch")
    deepest = max((picture.largest or 0 for picture in survey.pictures), default=0)
    if deepest:
        white = next((white for white in _LARGEST_WHITE if white >= deepest), _LARGEST_WHITE[-1])
        lines.append(f"  white: {white}  # the largest value found is {deepest}")
    if any(picture.transparent for picture in survey.pictures):
        lines.append("  background: white")
    if survey.bad:
        lines.append(f"  skip_bad: true  # {len(survey.bad):,} files cannot be read")
    return lines


def _text(text: str | Path) -> str:
    """Quote a name for YAML."""
    return json.dumps(str(text).encode("utf-8", "surrogateescape").decode("utf-8", "replace"))
