"""A survey of image files, for people and for programs."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from cnntrain.data.survey import Survey
from cnntrain.data.survey_config import suggested_config
from cnntrain.printable import as_text, printable

_SHOWN = 10  # groups of duplicates and other long lists in the text; JSON has all


def as_dict(survey: Survey) -> dict[str, Any]:
    """Return everything as JSON values."""
    rows, columns = ([getattr(picture, side) for picture in survey.pictures] for side in ("rows", "columns"))
    places = survey.places()
    return {
        "path": as_text(str(survey.path)),
        "files": len(survey.pictures) + len(survey.bad),
        "bad": [{"file": as_text(name), "reason": reason} for name, reason in survey.bad.items()],
        "other_files": list(map(as_text, survey.others)),
        "left_out": list(map(as_text, survey.left_out)),
        "problem": survey.problem,
        "notes": survey.notes,
        "arrangement": {
            "test": survey.arrangement.test,
            "validation": survey.arrangement.validation,
            "labels": survey.arrangement.labels,
        },
        "classes": {split: dict(sorted(counts.items())) for split, counts in survey.balance().items()},
        "sizes": {f"{size[0]}x{size[1]}": count for size, count in _sizes(survey).most_common()},
        "rows": _range(rows),
        "columns": _range(columns),
        "modes": dict(Counter(picture.mode for picture in survey.pictures)),
        "formats": dict(Counter(picture.format for picture in survey.pictures)),
        "turned": sum(picture.turned for picture in survey.pictures),
        "transparent": sum(picture.transparent for picture in survey.pictures),
        "duplicates": [
            [{"file": as_text(name), "split": places.get(name, (None,))[0]} for name in names]
            for names in survey.duplicates()
        ],
        "leaks": len(survey.leaks()),
        "contradictions": len(survey.contradictions()),
        "images_per_second": round(len(survey.pictures) / max(survey.seconds, 1e-9), 1),
        "threads": survey.threads,
        "config": suggested_config(survey) if survey.pictures else None,
    }


def as_lines(survey: Survey) -> list[str]:
    """Return everything as lines for people, the suggested config last."""
    pictures = survey.pictures
    threads = f"{survey.threads} thread{'s' if survey.threads > 1 else ''}"
    lines = [
        f"{printable(str(survey.path))}: {len(pictures):,} images, {len(survey.bad):,} bad files; decoded whole at "
        f"{len(pictures) / max(survey.seconds, 1e-9):,.0f} images/s by {threads}"
    ]
    if survey.bad:
        lines += ["", "bad files", *(f"  {printable(name)}: {printable(why)}" for name, why in survey.bad.items())]
    if survey.others or survey.left_out:
        other = [*survey.others, *survey.left_out]
        lines += ["", f"not looked at: {len(other):,} ({_some(other)})"]
    lines += [f"note: {printable(note)}" for note in survey.notes]
    if pictures:
        lines += ["", *_picture_lines(survey)]
    lines += ["", *_class_lines(survey), "", *_duplicate_lines(survey)]
    if pictures and not survey.problem:
        lines += ["", "a config to begin with", *(f"  {line}" for line in suggested_config(survey).splitlines())]
    return lines


def _picture_lines(survey: Survey) -> list[str]:
    pictures, sizes = survey.pictures, _sizes(survey)
    rows, columns = ([getattr(picture, side) for picture in pictures] for side in ("rows", "columns"))
    if len(sizes) == 1:
        text = f"all {rows[0]}x{columns[0]}"
    else:
        low, middle, high = zip(_range(rows).values(), _range(columns).values(), strict=True)
        text = f"{len(sizes):,} different: {low[0]}x{low[1]} to {high[0]}x{high[1]}, median {middle[0]:g}x{middle[1]:g}"
    counts = [
        f"{sum(p.turned for p in pictures):,} turned by EXIF",
        f"{sum(p.transparent for p in pictures):,} with transparency",
    ]
    return [
        f"sizes     {text} (rows x columns)",
        f"modes     {_counted(picture.mode for picture in pictures)}; {', '.join(counts)}",
        f"formats   {_counted(picture.format for picture in pictures)}",
    ]


def _class_lines(survey: Survey) -> list[str]:
    if not survey.splits:
        return [f"classes   none found: {survey.problem}"]
    balance = survey.balance()
    splits = list(balance)
    names = sorted(set().union(*balance.values()))
    how = "by content (data.test)" if survey.arrangement.test else "by folders"
    totals = ", ".join(f"{split} {sum(balance[split].values()):,}" for split in splits)
    width, most = (
        max([5, *(len(printable(name)) for name in names)]),
        max(max(c.values(), default=0) for c in balance.values()),
    )
    lines = [f"splits    {totals}; {how}", f"  {'class'.ljust(width)}" + "".join(f"{split:>12}" for split in splits)]
    for name in names:
        counts = "".join(f"{balance[split][name]:>12,}" for split in splits)
        bar = "#" * round(20 * balance[splits[0]][name] / max(most, 1))
        lines.append(f"  {printable(name).ljust(width)}{counts}  {bar}".rstrip())
    return [*lines, *([f"  {survey.problem}"] if survey.problem else [])]


def _duplicate_lines(survey: Survey) -> list[str]:
    groups, leaks, contradictions = survey.duplicates(), survey.leaks(), survey.contradictions()
    if not groups:
        return ["duplicates  none"]
    lines = [f"duplicates  {sum(map(len, groups)):,} files show {len(groups):,} pictures"]
    places = survey.places()
    if leaks:
        lines.append(f"  LEAK: {len(leaks):,} pictures are in more than one split: what is tested was learnt")
    if contradictions:
        lines.append(f"  CONTRADICTION: {len(contradictions):,} pictures are in more than one class")
    first = [*leaks, *(names for names in contradictions if names not in leaks)]
    for names in [*first, *(names for names in groups if names not in first)][:_SHOWN]:
        shown = (f"{printable(name)}{f' ({places[name][0]})' if name in places else ''}" for name in names)
        lines.append(f"  {' = '.join(list(shown)[:4])}{f' and {len(names) - 4:,} more' if len(names) > 4 else ''}")
    return [*lines, *([f"  and {len(groups) - _SHOWN:,} more (--json lists all)"] if len(groups) > _SHOWN else [])]


def _sizes(survey: Survey) -> Counter[tuple[int, int]]:
    return Counter((picture.rows, picture.columns) for picture in survey.pictures)


def _range(values: Sequence[int]) -> dict[str, float]:
    if not values:
        return {}
    return {"smallest": min(values), "median": statistics.median(values), "largest": max(values)}


def _counted(values: Iterable[str]) -> str:
    return ", ".join(f"{value} {count:,}" for value, count in Counter(values).most_common())


def _some(names: Sequence[str]) -> str:
    return ", ".join(map(printable, names[:3])) + (", ..." if len(names) > 3 else "")
