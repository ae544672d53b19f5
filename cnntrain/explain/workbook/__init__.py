"""One step of a small network as a workbook: change a pixel or a weight, and everything that follows is recomputed."""

from __future__ import annotations

from pathlib import Path

from cnntrain.errors import ArgumentError
from cnntrain.explain.example import Example
from cnntrain.explain.trace import Trace


def save_workbook(path: Path, example: Example, trace: Trace) -> int:
    """Write the workbook.

    Parameters
    ----------
    path : Path
        Ends in .xlsx; a file of that name is replaced.
    example : Example
        Of one image.
    trace : Trace
        Of its step.

    Returns
    -------
    int
        How many cells have a formula.

    Raises
    ------
    ArgumentError
        The package openpyxl is missing; the network is too large, or has something that has no formula; the file cannot
        be written.
    """
    try:
        import openpyxl  # type: ignore[import-untyped]  # noqa: F401
    except ImportError:
        raise ArgumentError("--xlsx needs the package openpyxl: pip install 'cnntrain[xlsx]'") from None
    from cnntrain.explain.workbook.build import build

    if path.suffix.lower() != ".xlsx":
        raise ArgumentError(f"--xlsx {path}: the file's name must end in .xlsx")
    book = build(example, trace)
    try:
        book.workbook.save(path)
    except OSError as error:
        raise ArgumentError(f"--xlsx {path}: cannot be written: {error.strerror or error}") from error
    return book.formulas
