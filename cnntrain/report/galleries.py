"""Pictures with what is to be said of them: answers to images, filters, maps."""

from __future__ import annotations

from collections.abc import Sequence

from cnntrain.report.answers import Answer
from cnntrain.report.filters import Tiles
from cnntrain.report.markup import esc
from cnntrain.report.pictures import picture_of

LONGEST_NAME = 60  # characters of a file's name under its picture; its end tells most


def gallery(answers: Sequence[Answer], split: str, class_names: Sequence[str]) -> str:
    """Return cards, one for each image: the picture, its class, the answers with their probabilities, its file."""
    return f'<ol class="gallery">{"".join(_card(one, split, class_names) for one in answers)}</ol>'


def _card(one: Answer, split: str, names: Sequence[str]) -> str:
    file = f"{split} image {one.index}" if one.name is None else one.name
    is_right = one.answers[0][0] == one.label
    shown = list(one.answers)
    if all(label != one.label for label, _ in shown):
        shown[-1] = (one.label, one.label_probability)
    verdict = "right" if is_right else f"taken for {names[one.answers[0][0]]}"
    bars = "".join(
        f'<li class="{"own" if label == one.label else "other"}" style="--share:{probability:.4f}">'
        f"<span>{esc(names[label])}</span><b>{esc(percent(probability))}</b></li>"
        for label, probability in shown
    )
    return (
        f'<li class="card"><img src="{picture_of(one.picture)}" alt="{esc(f"{file}: {names[one.label]}, {verdict}")}">'
        f'<div><p class="verdict"><b>{esc(names[one.label])}</b> '
        f"{'' if is_right else f'<span>taken for</span> <b class=wrong>{esc(names[one.answers[0][0]])}</b>'}</p>"
        f'<ul class="bars">{bars}</ul><p class="file" title="{esc(file)}">{esc(_end(file))}</p></div></li>'
    )


def tiles(found: Tiles) -> str:
    """Return small pictures side by side, below their title."""
    more = f"<p class=note>and {found.left_out:,} more</p>" if found.left_out else ""
    pictures = "".join(
        f'<img src="{picture}" alt="{esc(name)}" title="{esc(name)}">'
        for picture, name in zip(found.pictures, found.names, strict=True)
    )
    return f'<figure class="tiles"><figcaption>{esc(found.title)}</figcaption><div>{pictures}</div>{more}</figure>'


def percent(probability: float) -> str:
    """Return a probability in percent, and never 0 % or 100 % for what is neither."""
    if probability < 0.0005:
        return "<0.1 %" if probability > 0 else "0 %"
    if 0.9995 <= probability < 1:
        return ">99.9 %"
    return f"{probability * 100:.1f} %"


def _end(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else "…" + name[-LONGEST_NAME + 1 :]
