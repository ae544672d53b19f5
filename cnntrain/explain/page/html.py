"""One HTML file of traces: text, style, script and numbers in it, nothing outside it."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Sequence
from importlib.resources import files
from string import Template
from typing import Any

from cnntrain.errors import ArgumentError
from cnntrain.explain.page.describe import describe, text
from cnntrain.explain.page.pack import Packer
from cnntrain.explain.trace import Trace

# In the order in which they are read: arithmetic, where numbers come from, drawing, what people do.
SCRIPTS = (
    "format", "arrays",
    "convolution", "pooling", "elementwise", "normalization", "containers", "losses", "optimizers", "step",
    "panels", "view_convolution", "view_weights", "view_dense", "view_pooling", "view_elementwise",
    "view_normalization", "view_containers", "view_ends", "view_update",
    "colours", "draw", "strip", "stage", "sum", "terms",
    "page", "origins", "main",
)  # fmt: skip


def page_of(
    traces: Trace | Sequence[tuple[str, Trace]],
    *,
    title: str,
    about: str = "",
    class_names: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> str:
    """Return a page that shows every number of a training step with the numbers it was made of.

    Parameters
    ----------
    traces : Trace, or sequence of (str, Trace)
        One step; or that of several checkpoints of one network, each with its name, in the order of a slider.
    title, about : str
        The heading, and a line below it.
    class_names : sequence of str
        In the order of the labels; their numbers where there are none.
    notes : sequence of str
        What the reader should know.

    Raises
    ------
    ArgumentError
        There is no trace, or the traces are not of one network on equally many images.
    """
    named = [("", traces)] if isinstance(traces, Trace) else list(traces)
    _check(named)
    packer = Packer()
    described = [describe(trace, name, packer) for name, trace in named]
    data = {"traces": described, "classes": [text(name) for name in class_names], "arrays": packer.table}
    return assemble(
        "page.html", ["style"], SCRIPTS,
        title=html.escape(text(title)),
        about=html.escape(text(about)),
        notes="".join(f'<p class="note">{html.escape(text(note))}</p>' for note in notes),
        data=in_script(data),
        numbers=packer.text(),
    )  # fmt: skip


def _check(named: Sequence[tuple[str, Trace]]) -> None:
    if not named:
        raise ArgumentError("a page needs a trace; received none")
    outlines = [[(layer.path, layer.input.shape, layer.output.shape) for layer in trace.walk()] for _, trace in named]
    for (name, _), outline in zip(named, outlines, strict=True):
        if outline != outlines[0]:
            raise ArgumentError(
                f'the traces of a page must be of one network on equally many images; "{text(name)}" has other layers '
                f'or images than "{text(named[0][0])}"'
            )


def assemble(template: str, styles: Sequence[str], scripts: Sequence[str], **fields: str) -> str:
    """Fill a template with styles and scripts of the package; nothing may be loaded, and nothing else may run.

    Parameters
    ----------
    template : str
        A file beside the scripts.
    styles, scripts : sequence of str
        Names of files without their ends, in the order in which they are read.
    **fields : str
        HTML for the template's fields.
    """
    style = "\n".join(static(f"{name}.css") for name in styles)
    script = "'use strict';\n(() => {\n" + "\n".join(static(f"{name}.js") for name in scripts) + "\n})();\n"
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; base-uri 'none'; "
        "form-action 'none'"
    )
    return Template(static(template)).substitute(policy=policy, style=style, script=script, **fields)


def static(name: str) -> str:
    """Return a text file of this package's own."""
    return files("cnntrain.explain.page").joinpath("static", name).read_text("utf-8")


def in_script(value: Any) -> str:
    """Return JSON that no text in it can lead out of its script element; NaN and infinity become null."""
    made = json.dumps(value, ensure_ascii=True, separators=(",", ":"), allow_nan=False, default=str)
    return made.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _hash(source: str) -> str:
    digest = hashlib.sha256(source.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"
