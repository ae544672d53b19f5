"""A small calculator of spreadsheets: the formulas that our workbooks use, read as Python."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
from openpyxl import Workbook  # type: ignore[import-untyped]
from openpyxl.utils import range_boundaries  # type: ignore[import-untyped]

REF = re.compile(r"(?:'([^']+)'!)?(?<![A-Z0-9])([A-Z]{1,3}[0-9]+)(?::([A-Z]{1,3}[0-9]+))?(?![\w(])")
FUNCTIONS: dict[str, Any] = {
    "SUMPRODUCT": lambda a, b=1.0: float(np.sum(np.asarray(a) * np.asarray(b))),
    "SUM": lambda a: float(np.sum(a)),
    "SUMSQ": lambda a: float(np.sum(np.square(a))),
    "SUMXMY2": lambda a, b: float(np.sum(np.square(np.asarray(a) - np.asarray(b)))),
    "MAX": lambda *a: float(max(np.max(each) for each in a)),
    "MIN": lambda *a: float(min(np.min(each) for each in a)),
    "IF": lambda test, yes, no: yes if test else no,
    "INDEX": lambda values, place: values[int(place) - 1],
    "EXP": math.exp,
    "LN": math.log,
    "ABS": abs,
    "SQRT": math.sqrt,
    "TANH": math.tanh,
    "SIGN": lambda x: float(np.sign(x)),
    "NORMSDIST": lambda z: math.erfc(-z / math.sqrt(2)) / 2,
}


class Calculator:
    """Values of a workbook's cells, by sheet, row and column."""

    def __init__(self, workbook: Workbook) -> None:
        self._workbook = workbook
        self._known: dict[tuple[str, int, int], Any] = {}

    def value(self, sheet: str, row: int, column: int) -> Any:
        key = sheet, row, column
        if key not in self._known:
            found = self._workbook[sheet].cell(row, column)
            is_formula = found.data_type == "f"
            self._known[key] = self._computed(sheet, found.value[1:]) if is_formula else found.value or 0
        return self._known[key]

    def _computed(self, sheet: str, formula: str) -> Any:
        ranges: list[Any] = []

        def replaced(match: re.Match[str]) -> str:
            name, first, last = match[1] or sheet, match[2], match[3]
            left, top, right, bottom = range_boundaries(f"{first}:{last or first}")
            cells = [[self.value(name, i, j) for j in range(left, right + 1)] for i in range(top, bottom + 1)]
            ranges.append(np.array(cells, np.float64) if last else cells[0][0])
            return f"_[{len(ranges) - 1}]"

        text = REF.sub(replaced, formula).replace("{", "[").replace("}", "]")
        text = re.sub(r"(?<![<>=])=", "==", text)
        return eval(text, {"__builtins__": {}}, {**FUNCTIONS, "_": ranges})  # noqa: S307
