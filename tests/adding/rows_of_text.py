"""A format of data: `rows_of_text`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydantic import Field

from cnntrain.data.settings import ClassNames, DataSettings
from cnntrain.data.source import ImageShape, Loaded, Source, Split, checked_labels
from cnntrain.errors import DataError


class RowsOfTextSettings(DataSettings):
    """Keys of `data: {source: rows_of_text, ...}`; `path` is a folder with train.txt and test.txt."""

    class_names: ClassNames = Field(["light", "dark"], description="Names in the order of the labels.")


class RowsOfText(Source[RowsOfTextSettings]):
    """An image per line: its label, then its pixels, `#` for black, row by row, with a blank between rows."""

    name = "rows_of_text"
    Settings = RowsOfTextSettings

    def describe(self) -> tuple[ImageShape, int]:
        first = self._lines("train.txt")[0]
        return (1, len(first) - 1, len(first[1])), len(self.settings.class_names or [])

    def load(self) -> Loaded:
        return Loaded(self._split("train.txt"), self._split("test.txt"), list(self.settings.class_names or []))

    def _split(self, name: str) -> Split:
        (_, rows, columns), classes = self.describe()
        lines = self._lines(name)
        pixels = [[[0 if pixel == "#" else 255 for pixel in row] for row in line[1:]] for line in lines]
        images = np.array(pixels, np.uint8).reshape(-1, 1, rows, columns)
        return Split(images, checked_labels(np.array([int(line[0]) for line in lines]), classes, name))

    def _lines(self, name: str) -> list[list[str]]:
        path = Path(self.settings.path) / name
        if not path.is_file():
            raise DataError(f"{path}: no such file")
        return [line.split() for line in path.read_text().splitlines()]
