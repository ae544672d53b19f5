"""Source `folder`: image files, one folder per class, in a directory or straight from a zip archive."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field, WithJsonSchema

from cnntrain.data.decoded_cache import CacheIndex, DecodedCache, SplitIndex
from cnntrain.data.decoding import Decoder, Failure, Form, WrongSizeError, image_size
from cnntrain.data.folder_tree import Member, Tree
from cnntrain.data.image_files import ImageFiles, UnreadableFileError, open_image_files
from cnntrain.data.images import LazyImages
from cnntrain.data.progress import Progress, silent
from cnntrain.data.settings import DataSettings
from cnntrain.data.source import ImageShape, Loaded, Source, Split
from cnntrain.errors import ConfigError, DataError
from cnntrain.printable import printable
from cnntrain.settings import PositivePair

_COLOURS = {"white": 255, "black": 0}
Byte = Annotated[int, Field(ge=0, le=255)]


def _colour(value: object) -> object:
    """Make (red, green, blue) of a name, one number for grey, or a list."""
    if isinstance(value, str) and value in _COLOURS:
        value = _COLOURS[value]
    if isinstance(value, int) and not isinstance(value, bool):
        return (value,) * 3
    if isinstance(value, list | tuple) and len(value) == 3:
        return tuple(value)
    raise ValueError("must be white, black, a number from 0 to 255, or [red, green, blue]")


_BYTE = {"type": "integer", "minimum": 0, "maximum": 255}
_COLOUR = {
    "anyOf": [{"enum": list(_COLOURS)}, _BYTE, {"type": "array", "items": _BYTE, "minItems": 3, "maxItems": 3}],
    "default": "white",
}
Colour = Annotated[tuple[Byte, Byte, Byte], BeforeValidator(_colour), WithJsonSchema(_COLOUR)]


class FolderSettings(DataSettings):
    """Keys of `data: {source: folder, ...}`; `path` is a directory or a zip archive.

    It holds `train/<class>/` and `test/<class>/` with image files (JPEG, PNG, BMP, GIF, PPM, TIFF, WebP), and perhaps
    `validation/<class>/`; `Training`, `Testing`, `val`, `valid` and capitals will do too, and all of it may lie in
    outer folders. Classes are numbered in the order of their names. Images are turned as their EXIF orientation says.
    Colours of 16 bits are cut to their upper 8; grey images of more than 8 bits need `white`.
    """

    color: Literal["rgb", "grey"] = Field("rgb", description="What images become: three channels, or one.")
    resize: PositivePair | None = Field(
        None, description="Scale every image to [rows, columns]; without it images of differing sizes are refused."
    )
    background: Colour = Field(
        (255, 255, 255),
        description="What lies under transparent pixels: white, black, a number from 0 to 255 for a grey, or [red, "
        "green, blue].",
    )
    white: Annotated[int, Field(ge=1, le=65535)] | None = Field(
        None,
        description="The value that is white in grey images of more than 8 bits: 65535 where they use 16, 4095 for 12. "
        "They are scaled to 8 bits by it; without it they are refused.",
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


class Folder(Source[FolderSettings]):
    """Image files in folders named after their classes."""

    name = "folder"
    Settings = FolderSettings

    def __init__(self, settings: FolderSettings, progress: Progress = silent) -> None:
        super().__init__(settings, progress)
        self.path = Path(settings.path).expanduser()

    def describe(self) -> tuple[ImageShape, int]:
        tree = Tree(open_image_files(self.path))
        return self._form(tree).shape, len(tree.class_names)

    def load(self) -> Loaded:
        tree = Tree(open_image_files(self.path))
        form = self._form(tree)
        splits = self._streamed(tree, form) if self.settings.storage == "stream" else self._decoded(tree, form)
        return Loaded(splits["train"], splits["test"], tree.class_names, splits.get("validation"))

    def likely_mistake(self) -> str:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return Tree(open_image_files(self.path)).likely_mistake()

    def _form(self, tree: Tree) -> Form:
        """Size from the settings, or from the first training image that can be read."""
        settings, first = self.settings, None
        for name, _ in tree.splits["train"]:
            size = _size_of(tree.files, name, settings.white)
            if isinstance(size, tuple):
                rows, columns = settings.resize or size
                resize = settings.resize is not None
                return Form(settings.color, rows, columns, resize, settings.background, settings.white)
            where = tree.files.where(name)
            if not settings.skip_bad:
                raise DataError(f"{where}: {size}; {size.advice}")
            first = first or f"{where}: {size}"
        raise DataError(
            f"{self.path}: none of the {len(tree.splits['train'])} training images can be read; the first is {first}"
        )

    # --- decoded once ---

    def _decoded(self, tree: Tree, form: Form) -> dict[str, Split]:
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
            name: Split(images[name][: len(split.labels)], np.array(split.labels, np.int64), _names(tree, name, split))
            for name, split in index.splits.items()
        }

    def _cache(self, files: ImageFiles) -> DecodedCache:
        import PIL

        settings = self.settings
        depends_on = [
            *(files.fingerprint(), settings.color, settings.resize, settings.background, settings.white),
            *(settings.skip_bad, PIL.__version__),
        ]
        return DecodedCache(self.path, {"decoded": depends_on})

    def _decode(
        self, tree: Tree, form: Form, begin: Callable[[str], None], write: Callable[[NDArray[np.uint8]], None]
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
        return CacheIndex(source=self.path.resolve().as_uri(), shape=form.shape, splits=splits)

    def _check(self, tree: Tree, form: Form, name: str, failure: Failure) -> None:
        """Raise `DataError` unless this failure may be skipped."""
        where = tree.files.where(name)
        if isinstance(failure.error, WrongSizeError):
            raise DataError(
                f"{where}: {failure.reason}, but the first training image has {form.rows}x{form.columns}: set "
                "data.resize: [rows, columns] to scale all images to one size"
            )
        if not self.settings.skip_bad:
            raise DataError(f"{where}: {failure.reason}; {failure.error.advice}")

    def _tell_of_skipped(self, index: CacheIndex) -> None:
        for split, content in index.splits.items():
            if content.skipped:
                name, reason = content.skipped[0]
                warnings.warn(
                    f"{self.path}: skipped {len(content.skipped):,} of {len(content.skipped) + len(content.labels):,} "
                    f"files of the {split} split; the first is {name}: {reason}",
                    stacklevel=2,
                )

    # --- decoded whenever they are needed ---

    def _streamed(self, tree: Tree, form: Form) -> dict[str, Split]:
        if self.settings.skip_bad:
            raise ConfigError(
                "data.skip_bad: true needs to know the bad files before training starts: with data.storage: stream "
                "they are only found when they are needed; use storage: cache or memory"
            )
        return {
            split: Split(
                StreamedImages(tree.files, form, members),
                np.array([label for _, label in members], np.int64),
                [name for name, _ in members],
            )
            for split, members in tree.splits.items()
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

    def __init__(self, tree: Tree, form: Form) -> None:
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


def _size_of(files: ImageFiles, name: str, white: int | None) -> tuple[int, int] | UnreadableFileError:
    try:
        return image_size(files.read(name), white)
    except UnreadableFileError as error:
        return error


def _names(tree: Tree, split: str, index: SplitIndex) -> list[str] | None:
    """Return the files that were not skipped; None if the index does not tell which those are."""
    skipped = {name for name, _ in index.skipped}
    names = [name for name, _ in tree.splits[split] if printable(name) not in skipped]
    return names if len(names) == len(index.labels) else None


def _split_index(split: str, members: list[Member], failures: list[Failure], path: Path) -> SplitIndex:
    failed = {failure.index: failure.reason for failure in failures}
    if len(failed) == len(members):
        raise DataError(f"{path}: none of the {len(members)} files of the {split} split can be read")
    return SplitIndex(
        labels=tuple(label for index, (_, label) in enumerate(members) if index not in failed),
        skipped=tuple((printable(members[index][0]), printable(reason)) for index, reason in failed.items()),
    )
