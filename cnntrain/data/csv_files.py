"""Source `csv`: one image per line, its label and its pixels separated by commas."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from cnntrain.data.csv_table import Layout, Table
from cnntrain.data.progress import Progress, silent
from cnntrain.data.settings import ClassNames, DataSettings, FirstLabel
from cnntrain.data.source import ImageShape, Loaded, Source, Split, checked_labels, classes_of, names_of
from cnntrain.settings import PositiveInt

FileName = Annotated[str, Field(min_length=1, pattern=r"^[^\x00]*$")]
ImageSize = Annotated[tuple[PositiveInt, ...], Field(min_length=2, max_length=3)]


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


class CsvSettings(DataSettings):
    """Keys of `data: {source: csv, ...}`; `path` is the folder with the files, plain or gzip.

    Each line is one image: its label and its pixels, row after row (of several channels the first comes first, whole).
    Labels are whole numbers, or names that `class_names` lists.
    """

    train: FileName = Field("train.csv", description="Name of the file with the training images.")
    test: FileName = Field("test.csv", description="Name of the file with the test images.")
    validation_file: FileName | None = Field(None, description="Name of a file with a validation split of its own.")
    label: int | str = Field(
        0, description="Where the label is: a column's number, from 0 (-1 is the last), or its name in the header."
    )
    header: Literal["auto"] | bool = Field(
        "auto",
        description="Whether the first line names the columns; auto: if something in it is no number, or if it counts "
        "0, 1, 2, ...",
    )
    shape: Annotated[ImageSize | None, BeforeValidator(_tuple)] = Field(
        None, description="Size of an image: [rows, columns] or [channels, rows, columns]; without it, square and grey."
    )
    values: Literal["byte", "float"] = Field(
        "byte", description="What pixels are: whole numbers from 0 to 255, or any finite numbers."
    )
    first_label: FirstLabel
    class_names: ClassNames = Field(
        None, description="Names in the order of the labels; without them the labels themselves are the names."
    )


class Csv(Source[CsvSettings]):
    """Comma-separated labels and pixels."""

    name = "csv"
    Settings = CsvSettings

    def __init__(self, settings: CsvSettings, progress: Progress = silent) -> None:
        super().__init__(settings, progress)
        self.folder = Path(settings.path).expanduser()
        self._layout = Layout(
            settings.label, settings.header, settings.shape, settings.values == "float", settings.class_names or (),
            settings.first_label,
        )  # fmt: skip

    def describe(self) -> tuple[ImageShape, int]:
        table = self._train()
        if self.settings.class_names:
            return table.shape, len(self.settings.class_names)
        return table.shape, self._classes(table, table.read(pixels=False)[1])

    def load(self) -> Loaded:
        files = {"test": self.settings.test}
        if self.settings.validation_file is not None:
            files["validation"] = self.settings.validation_file
        train = self._train()
        tables = {"train": train}
        tables |= {name: Table(self.folder / file, self._layout, like=train) for name, file in files.items()}
        read = {name: table.read() for name, table in tables.items()}
        classes, first = self._classes(train, read["train"][1]), self.settings.first_label
        splits = {
            name: Split(images, checked_labels(labels, classes, str(tables[name].path), first))
            for name, (images, labels) in read.items()
        }
        class_names = names_of(classes, self.settings.class_names, first)
        return Loaded(splits["train"], splits["test"], class_names, splits.get("validation"))

    def likely_mistake(self) -> str:
        return self._train().likely_mistake()

    def _train(self) -> Table:
        return Table(self.folder / self.settings.train, self._layout)

    def _classes(self, table: Table, labels: Any) -> int:
        return classes_of(labels, self.settings.class_names, str(table.path), self.settings.first_label)
