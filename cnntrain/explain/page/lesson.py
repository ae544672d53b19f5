"""A lesson as one HTML file, and all lessons as a folder of them."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator
from typing import Any

from cnntrain.explain import document as d
from cnntrain.explain.lessons import listing, teach
from cnntrain.explain.numbers import readable
from cnntrain.explain.page.html import assemble, in_script
from cnntrain.explain.terminal import written_terms
from cnntrain.printable import printable

_STYLES, _SCRIPTS = ("style", "lesson"), ("format", "lesson")
INDEX = "index.html"
_FIGURE = ' class="figure"'


def lesson_page(document: d.Document, ways: Iterable[tuple[str, str]] = ()) -> str:
    """Return a lesson as a page that needs nothing else.

    Parameters
    ----------
    document : Document
    ways : iterable of (str, str)
        Words and addresses of other pages, for example of the lessons before and after it.
    """
    return _page(document.title, "\n".join(map(_block, document.blocks)), ways)


def lesson_pages() -> Iterator[tuple[str, str]]:
    """Yield (name of a file, page) of an index and of every lesson on its own numbers; they lead to each other."""
    names = list(listing())
    cards = "".join(
        f'<li><a href="{name}.html"><strong>{_text(name)}</strong><span>{_text(about)}</span></a></li>'
        for name, about in listing().items()
    )
    intro = "<p>Backpropagation through a convolutional network, from the chain rule to the numbers.</p>"
    yield INDEX, _page("Lessons", f'{intro}<ul class="contents">{cards}</ul>', ())
    for before, name, after in zip([None, *names], names, [*names[1:], None], strict=False):
        ways = [("All lessons", INDEX)]
        ways += [(f"Before: {before}", f"{before}.html")] if before else []
        ways += [(f"Next: {after}", f"{after}.html")] if after else []
        yield f"{name}.html", lesson_page(teach(name), ways)


def _page(title: str, body: str, ways: Iterable[tuple[str, str]]) -> str:
    links = "".join(f'<a href="{html.escape(target)}">{_text(words)}</a>' for words, target in ways)
    shown = f'<nav class="ways-on" aria-label="lessons">{links}</nav>' if links else ""
    return assemble("lesson.html", _STYLES, _SCRIPTS, title=_text(title), body=body, links=shown, ways=shown)


def _text(words: str) -> str:
    return html.escape(printable(words))


def _marked_up(words: str) -> str:
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", _text(words))


def _block(block: d.Block) -> str:
    if isinstance(block, d.Heading):
        return f"<h{block.level}>{_text(block.text)}</h{block.level}>"
    if isinstance(block, d.Text):
        return f"<p>{_marked_up(block.text)}</p>"
    if isinstance(block, d.Formula):
        note = f'<p class="quiet">{_text(block.note)}</p>' if block.note else ""
        return f'<div class="formula">{"".join(f"<p>{_text(line)}</p>" for line in block.lines)}{note}</div>'
    if isinstance(block, d.Matrix):
        return f'<div class="beside">{_matrix(block)}</div>'
    if isinstance(block, d.Beside):
        return f'<div class="beside">{"".join(map(_item, block.items))}</div>'
    if isinstance(block, d.Sum):
        return f'<p class="sum-line">{_text(_written(block))}</p>'
    if isinstance(block, d.Slide):
        return _slide(block)
    if isinstance(block, d.Table):
        return _table(block)
    return f'<p class="quiet">{_text(block.text)}: <code>{_text(block.target)}</code></p>'


def _item(item: d.Matrix | str) -> str:
    return f'<span class="sign">{_text(item)}</span>' if isinstance(item, str) else _matrix(item)


def _matrix(matrix: d.Matrix, part: str = "", focus: bool = False) -> str:
    rows = []
    for i, texts in enumerate(matrix.texts()):
        cells = []
        for j, cell in enumerate(texts):
            marks = {"lit": (i, j) in matrix.highlight, "faint": (i, j) in matrix.faint}
            names = " ".join(name for name, is_so in marks.items() if is_so)
            more = ' tabindex="-1"' if focus else ""
            cells.append(f'<td class="{names}" data-value="{_text(cell)}"{more}>{_text(cell)}</td>')
        rows.append(f"<tr>{''.join(cells)}</tr>")
    caption = f"<caption>{_text(matrix.name)}</caption>" if matrix.name else ""
    names = f"matrix {part or matrix.role} {matrix.role}".strip()
    place = f' data-part="{part}"' if part else ""
    return f'<div class="wide"><table class="{names}"{place}>{caption}<tbody>{"".join(rows)}</tbody></table></div>'


def _written(block: d.Sum) -> str:
    value = block.value if isinstance(block.value, str) else readable(block.value)
    note = f" ({block.note})" if block.note else ""
    return f"{block.name} = {' + '.join(written_terms(block))} = {value}{note}"


def _slide(slide: d.Slide) -> str:
    """Return the figure; its steps travel as JSON."""
    steps: list[dict[str, Any]] = [
        {
            "window": [list(place) for place in sorted(step.window)],
            "taps": [list(place) for place in sorted(step.taps)],
            "output": list(step.output),
            "text": printable(_written(step.sum)),
        }
        for step in slide.steps
    ]
    parts = _matrix(slide.image, "image"), _matrix(slide.filter, "filter"), _matrix(slide.output, "output", focus=True)
    image, filter_, output = parts
    name = f"<p><strong>{_text(slide.name)}</strong></p>" if slide.name else ""
    return (
        f'<figure class="slide">{name}<div class="beside">{image}<span class="sign">∗</span>{filter_}'
        f'<span class="sign">=</span>{output}</div>'
        f'<p class="sum-line said" role="status" aria-live="polite"></p>'
        f'<div class="slide-tools"><button type="button" class="tool play" aria-pressed="false">▶ Play</button>'
        f'<input type="range" min="0" max="{max(len(steps) - 1, 0)}" value="0" aria-label="position of the window">'
        "</div>"
        f'<script type="application/json">{in_script(steps)}</script></figure>'
    )


def _table(table: d.Table) -> str:
    head = "".join(f"<th>{_text(cell)}</th>" for cell in table.head)
    rows = "".join(
        "<tr>"
        + "".join(
            f"<td{'' if isinstance(cell, str) else _FIGURE}>{_text(words)}</td>"
            for cell, words in zip(row, texts, strict=True)
        )
        + "</tr>"
        for row, texts in zip(table.rows, table.texts(), strict=True)
    )
    return f'<div class="wide"><table class="facts"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
