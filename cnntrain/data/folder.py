"""Source `folder`: image files, one folder per class, in a directory or straight from a zip archive."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from cnntrain.data.decoded_cache import CacheIndex, DecodedCache, SplitIndex
from cnntrain.data.decoding import SUFFIXES, Decoder, Failure, Form, image_size
from cnntrain.data.image_files import ImageFiles, UnreadableFileError, open_image_files, printable
from cnntrain.data.images import LazyImages
from cnntrain.data.progress import Progress, silent
from cnntrain.data.settings import DataSettings
from cnntrain.data.source import ImageShape, Loaded, Source, Split
from cnntrain.errors import ConfigError, DataError
from cnntrain.settings import PositivePair

_SPLITS = {"train": ("train",), "validation": ("validation", "valid", "val"), "test": ("test",)}
_LAYOUT = "expected train/<class>/<image files> and test/<class>/<image files>, and perhaps validation/<class>/..."
_CLUTTER = ("__MACOSX", "Thumbs.db", "desktop.ini")  # what systems leave in folders; names with a dot in front too
_MOST_CLASSES = 100_000


class FolderSettings(DataSettings):
    """Keys of `data: {source: folder, ...}`; `path` is a directory or a zip archive.

    It holds `train/<class>/` and `test/<class>/` with image files (JPEG, PNG, BMP, GIF, PPM, TIFF, WebP), and perhaps
    `validation/<class>/`; all of it may lie in one outer folder. Classes are numbered in the order of their names.
    """

    color: Literal["rgb", "grey"] = Field("rgb", description="What images become: three channels, or one.")
    resize: PositivePair | None = Field(
        None, description="Scale every image to [rows, columns]; without it images of differing sizes are refused."
    )
    skip_bad: bool = Field(
        False, description="Leave out files that cannot be read and say how many, in place of stopping at the first."
    )
    storage: Literal["cache", "memory", "stream"] = Field(
        "cache",
        description="Where decoded images stay. cache: in a file in the user's cache folder (CNNTRAIN_CACHE_DIR, "
        "XDG_CACHE_HOME or ~/.cache), so that the next start is quick and they need not fit into memory. memory: "
        "decoded at every start. stream: decoded in the background whenever a batch needs them, and kept nowhere.",
    )


Member = tuple[str, int]  # name of a file, label


class Folder(Source[FolderSettings]):
    """Image files in folders named after their classes."""

    name = "folder"
    Settings = FolderSettings

    def __init__(self, settings: FolderSettings, progress: Progress = silent) -> None:
        super().__init__(settings, progress)
        self.path = Path(settings.path).expanduser()

    def describe(self) -> tuple[ImageShape, int]:
        tree = _Tree(open_image_files(self.path))
        return self._form(tree).shape, len(tree.class_names)

    def load(self) -> Loaded:
        tree = _Tree(open_image_files(self.path))
        form = self._form(tree)
        splits = self._streamed(tree, form) if self.settings.storage == "stream" else self._decoded(tree, form)
        return Loaded(splits["train"], splits["test"], tree.class_names, splits.get("validation"))

    def _form(self, tree: _Tree) -> Form:
        """Size from the settings, or from the first training image that can be read."""
        resize = self.settings.resize
        if resize is not None:
            return Form(self.settings.color, *resize, resize=True)
        for name, _ in tree.splits["train"]:
            size = _size_of(tree.files, name)
            if isinstance(size, tuple):
                return Form(self.settings.color, *size, resize=False)
            if not self.settings.skip_bad:
                raise DataError(_bad(tree.files.where(name), str(size)))
        raise DataError(f"{self.path}: none of the {len(tree.splits['train'])} training images can be read")

    # --- decoded once ---

    def _decoded(self, tree: _Tree, form: Form) -> dict[str, Split]:
        cache = self._cache(tree.files) if self.settings.storage == "cache" else None
        found = cache.read() if cache else None
        if found is None and cache is not None:
            try:
                size = sum(map(len, tree.splits.values())) * int(np.prod(form.shape))
                with cache.writer(size) as writer:
                    index = self._decode(tree, form, writer.begin, writer.write)
                    writer.finish(index)
                found = cache.read()
            except OSError as error:
                warnings.warn(
                    f"{cache.folder.parent}: decoded images cannot be kept there ({error.strerror or error}); they are "
                    "kept in memory, and decoded again at the next start",
                    stacklevel=2,
                )
        if found is None:
            memory = _Memory(tree, form)
            found = self._decode(tree, form, memory.begin, memory.write), memory.images
        index, images = found
        self._tell_of_skipped(index)
        return {
            name: Split(images[name][: len(split.labels)], np.array(split.labels, np.int64))
            for name, split in index.splits.items()
        }

    def _cache(self, files: ImageFiles) -> DecodedCache:
        import PIL

        settings = self.settings
        depends_on = [files.fingerprint(), settings.color, settings.resize, settings.skip_bad, PIL.__version__]
        return DecodedCache(self.path, {"decoded": depends_on})

    def _decode(
        self, tree: _Tree, form: Form, begin: Callable[[str], None], write: Callable[[NDArray[np.uint8]], None]
    ) -> CacheIndex:
        """Decode everything once, handing the images on in order."""
        decoder = Decoder(tree.files, form)
        total, done = sum(map(len, tree.splits.values())), 0
        splits = {}
        try:
            for split, members in tree.splits.items():
                begin(split)
                failures: list[Failure] = []
                for images, failed in decoder.chunks([name for name, _ in members]):
                    for failure in failed:
                        self._check(tree, form, members[failure.index][0], failure)
                    failures += failed
                    write(images)
                    done += len(images) + len(failed)
                    self.progress(f"decoding {self.path.name}", done, total)
                splits[split] = _split_index(split, members, failures, self.path)
        finally:
            decoder.close()
        return CacheIndex(source=str(self.path.resolve()), shape=form.shape, splits=splits)

    def _check(self, tree: _Tree, form: Form, name: str, failure: Failure) -> None:
        """Raise `DataError` unless this failure may be skipped."""
        where = tree.files.where(name)
        if failure.wrong_size:
            raise DataError(
                f"{where}: {failure.reason}, but the first training image has {form.rows}x{form.columns}: set "
                "data.resize: [rows, columns] to scale all images to one size"
            )
        if not self.settings.skip_bad:
            raise DataError(_bad(where, failure.reason))

    def _tell_of_skipped(self, index: CacheIndex) -> None:
        for split, content in index.splits.items():
            if content.skipped:
                name, reason = content.skipped[0]
                warnings.warn(
                    f"{self.path}: skipped {len(content.skipped):,} of {len(content.skipped) + len(content.labels):,} "
                    f"files of the {split} split; the first is {printable(name)}: {reason}",
                    stacklevel=2,
                )

    # --- decoded whenever they are needed ---

    def _streamed(self, tree: _Tree, form: Form) -> dict[str, Split]:
        if self.settings.skip_bad:
            raise ConfigError(
                "data.skip_bad: true needs to know the bad files before training starts: with data.storage: stream "
                "they are only found when they are needed; use storage: cache or memory"
            )
        return {
            name: Split(StreamedImages(tree.files, form, members), np.array([label for _, label in members], np.int64))
            for name, members in tree.splits.items()
        }


class StreamedImages(LazyImages):
    """Image files that are decoded each time they are asked for."""

    def __init__(self, files: ImageFiles, form: Form, members: list[Member]) -> None:
        self._names = [name for name, _ in members]
        self._decoder = Decoder(files, form)
        self.shape = (len(members), *form.shape)
        self.dtype = np.dtype(np.uint8)

    def bring(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        names = [self._names[index] for index in indices]
        images, start = np.empty((len(names), *self.shape[1:]), np.uint8), 0
        for decoded, failures in self._decoder.chunks(names):
            for failure in failures:
                raise DataError(f"{self._decoder.files.where(names[failure.index])}: {failure.reason}")
            images[start : start + len(decoded)] = decoded
            start += len(decoded)
        return images


class _Memory:
    """Takes decoded images into arrays."""

    def __init__(self, tree: _Tree, form: Form) -> None:
        self.images: dict[str, NDArray[np.uint8]] = {}
        self._tree, self._form = tree, form
        self._split, self._filled = "", 0

    def begin(self, split: str) -> None:
        shape = (len(self._tree.splits[split]), *self._form.shape)
        try:
            self.images[split] = np.empty(shape, np.uint8)
        except (MemoryError, ValueError):
            raise DataError(
                f"{self._tree.files.path}: {shape[0]:,} images of {'x'.join(map(str, shape[1:]))} do not fit into the "
                "memory of this machine: use data.storage: cache or stream"
            ) from None
        self._split, self._filled = split, 0

    def write(self, images: NDArray[np.uint8]) -> None:
        self.images[self._split][self._filled : self._filled + len(images)] = images
        self._filled += len(images)


class _Tree:
    """The image files of each split with their labels, and the classes that the folders of the training split name."""

    def __init__(self, files: ImageFiles) -> None:
        self.files = files
        prefix = _outer_folder(files)
        found: dict[str, list[tuple[str, str]]] = {}  # split -> (class, name)
        ignored = []
        for name in files.names:
            parts = name.removeprefix(prefix).split("/")
            split = next((split for split, folders in _SPLITS.items() if parts[0] in folders), None)
            if split is None or any(part.startswith(".") or part in _CLUTTER for part in parts):
                continue
            if len(parts) < 3 or not name.lower().endswith(SUFFIXES):
                ignored.append(name)
                continue
            found.setdefault(split, []).append((parts[1], name))
        for split in ("train", "test"):
            if split not in found:
                raise DataError(f"{files.path}: no image files in {prefix}{split}/<class>/; {_LAYOUT}")
        if ignored:
            warnings.warn(
                f"{files.path}: ignored {len(ignored):,} files that are no image files in a class's folder; the first "
                f"is {printable(ignored[0])}",
                stacklevel=4,
            )
        names = sorted({class_name for class_name, _ in found["train"]})
        if len(names) > _MOST_CLASSES:
            raise DataError(f"{files.path}: {len(names):,} classes in train/, at most {_MOST_CLASSES:,} are allowed")
        self.class_names = [printable(name) for name in names]
        labels = {name: label for label, name in enumerate(names)}
        self.splits: dict[str, list[Member]] = {}
        for split in _SPLITS:
            if split in found:
                self.splits[split] = [(name, self._label(labels, split, of, name)) for of, name in found[split]]

    def _label(self, labels: dict[str, int], split: str, class_name: str, name: str) -> int:
        if class_name not in labels:
            raise DataError(
                f"{self.files.where(name)}: the {split} split has a class that the training split has not: "
                f"{printable(class_name)}; classes are {', '.join(self.class_names[:20])}"
            )
        return labels[class_name]


def _outer_folder(files: ImageFiles) -> str:
    """Return "" when train/ lies at the top, "outer/" when everything lies in one folder, as many archives have it."""
    tops = {name.split("/")[0] for name in files.names if "/" in name} - set(_CLUTTER)
    tops = {top for top in tops if not top.startswith(".")}
    if "train" not in tops and len(tops) == 1:
        return f"{tops.pop()}/"
    return ""


def _size_of(files: ImageFiles, name: str) -> tuple[int, int] | UnreadableFileError:
    try:
        return image_size(files.read(name))
    except UnreadableFileError as error:
        return error


def _bad(where: str, reason: str) -> str:
    return f"{where}: {reason}; remove it, or set data.skip_bad: true to go on without such files"


def _split_index(split: str, members: list[Member], failures: list[Failure], path: Path) -> SplitIndex:
    failed = {failure.index: failure.reason for failure in failures}
    if len(failed) == len(members):
        raise DataError(f"{path}: none of the {len(members)} files of the {split} split can be read")
    return SplitIndex(
        labels=tuple(label for index, (_, label) in enumerate(members) if index not in failed),
        skipped=tuple((members[index][0], reason) for index, reason in failed.items()),
    )
