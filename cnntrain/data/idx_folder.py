"""What MNIST and its successors share: four IDX files in a folder, plain or gzip, under either of their usual names."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from cnntrain.data.idx import IdxFiles
from cnntrain.data.published import PublishedData
from cnntrain.data.settings import DataSettings
from cnntrain.data.source import ImageShape, Loaded, Source, Split
from cnntrain.errors import DataError

_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


class IdxFolderSettings(DataSettings):
    """`path` is the folder with the four files."""


class IdxFolder(Source[IdxFolderSettings]):
    """A published data set whose files are named and laid out as MNIST's; its own are a name and `published`."""

    Settings = IdxFolderSettings
    published: ClassVar[PublishedData]

    def describe(self) -> tuple[ImageShape, int]:
        return self._files().image_shape(), len(self.published.class_names)

    def begin_to_load(self) -> None:
        with suppress(DataError):
            self._files().begin_to_load()

    def load(self) -> Loaded:
        return self._files().load(list(self.published.class_names))

    def load_split(self, name: str, class_names: list[str], shape: ImageShape) -> Split | None:
        needed = {"train": _FILES[:2], "test": _FILES[2:]}.get(name)
        if needed is None or class_names != list(self.published.class_names):
            return None
        return self._files(needed).load_one(name, class_names)

    def _files(self, needed: Sequence[str] = _FILES) -> IdxFiles:
        """Find the four files; raises one `DataError` that names all that are missing of those that are needed."""
        folder = Path(self.settings.path).expanduser()
        expected = f"expected in it: {', '.join(name + '.gz' for name in _FILES)} (with or without .gz)"
        fetch = f"fetch the data with: cnntrain data download {self.name}"
        try:
            exists, is_folder = folder.exists(), folder.is_dir()
            found = [_find(folder, name) for name in _FILES]
        except OSError as error:
            raise DataError(f"{folder}: cannot be read: {error.strerror or error}") from None
        if not is_folder:
            problem = "is not a folder" if exists else "no such folder"
            raise DataError(
                f"{folder}: {problem} (looked for {folder.resolve()}); {expected}. Set data.path to the folder, or "
                f"{fetch}"
            )
        missing = [name for name, file in zip(_FILES, found, strict=True) if file is None and name in needed]
        if missing:
            names = ", ".join(f"{name}.gz" for name in missing)
            raise DataError(
                f"{folder}: missing {names} (looked in {folder.resolve()}; "
                f"without .gz, and with a dot before idx, will do too); {fetch}"
            )
        train_images, train_labels, test_images, test_labels = (file or folder for file in found)  # folder: not needed
        return IdxFiles((train_images, train_labels), (test_images, test_labels))


def _find(folder: Path, name: str) -> Path | None:
    dotted = name.replace("-idx", ".idx")  # as some mirrors and unpackers name them
    candidates = (folder / candidate for candidate in (f"{name}.gz", name, f"{dotted}.gz", dotted))
    return next((path for path in candidates if path.exists()), None)
