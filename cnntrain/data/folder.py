"""Source `folder`: image files, one folder per class, in a directory or straight from a zip archive."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cnntrain.data.decoded_cache import CacheIndex, DecodedCache, SplitIndex
from cnntrain.data.decoding import Decoder, Failure, image_size
from cnntrain.data.folder_settings import FolderSettings
from cnntrain.data.folder_tree import Arrangement, Member, Tree
from cnntrain.data.image_files import ImageFiles, UnreadableFileError, open_image_files
from cnntrain.data.image_form import Form, WrongSizeError
from cnntrain.data.images import LazyImages
from cnntrain.data.progress import Progress, silent
from cnntrain.data.source import ImageShape, Loaded, Source, Split
from cnntrain.errors import ConfigError, DataError
from cnntrain.printable import printable


class Folder(Source[FolderSettings]):
    """Image files in folders named after their classes."""

    name = "folder"
    Settings = FolderSettings

    def __init__(self, settings: FolderSettings, progress: Progress = silent) -> None:
        super().__init__(settings, progress)
        self.path = Path(settings.path).expanduser()

    def describe(self) -> tuple[ImageShape, int]:
        tree = self._tree()
        return self._form(tree).shape, len(tree.class_names)

    def load(self) -> Loaded:
        tree = self._tree()
        splits = self._splits(tree, None)
        held_out = bool(self.settings.test)
        return Loaded(splits["train"], splits["test"], tree.class_names, splits.get("validation"), held_out)

    def load_split(self, name: str, class_names: list[str], shape: ImageShape) -> Split | None:
        if self.settings.test:
            return None
        tree = self._tree(name, class_names)
        return self._splits(tree, name, shape)[name]

    def likely_mistake(self) -> str:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return self._tree().likely_mistake()

    def _tree(self, only: str | None = None, class_names: list[str] | None = None) -> Tree:
        settings = self.settings
        by_content = settings.validation if settings.test else 0
        arrangement = Arrangement(settings.test, by_content, settings.labels)
        return Tree(open_image_files(self.path), arrangement, only, class_names, self.progress)

    def _form(self, tree: Tree, shape: ImageShape | None = None) -> Form:
        """Size from the settings, else the one that is known, or that of the first training image that can be read."""
        settings, first = self.settings, None
        if settings.resize is not None or shape is not None:
            return self._form_of(settings.resize or (shape or (0, 0, 0))[1:])
        for name in tree.first_images():
            size = _size_of(tree.files, name, settings.white)
            if isinstance(size, tuple):
                return self._form_of(size)
            where = tree.files.where(name)
            if not settings.skip_bad:
                raise DataError(f"{where}: {size}; {size.advice}")
            first = first or f"{where}: {size}"
        raise DataError(
            f"{self.path}: none of the {len(list(tree.first_images()))} training images can be read; "
            f"the first is {first}"
        )

    def _form_of(self, size: tuple[int, int]) -> Form:
        settings = self.settings
        resize = settings.resize is not None
        return Form(settings.color, *size, resize, settings.background, settings.white, settings.fit)

    def _splits(self, tree: Tree, only: str | None, shape: ImageShape | None = None) -> dict[str, Split]:
        """Return the images of all splits, or of one."""
        if self.settings.storage == "stream":
            return self._streamed(tree, self._form(tree, shape))
        return self._decoded(tree, only, shape)

    # --- decoded once ---

    def _decoded(self, tree: Tree, only: str | None, shape: ImageShape | None) -> dict[str, Split]:
        """Return them from the cache: of all splits, whatever was asked for, or of the one; or decode them."""
        in_cache = self.settings.storage == "cache"
        found = self._cache(tree.files).read() if in_cache and tree.are_its_own else None
        cache = self._cache(tree.files, only, tree.class_names, shape) if in_cache else None
        if found is None and cache is not None and only is not None:
            found = cache.read()
        form = self._form(tree, shape) if found is None else None
        if form is not None and cache is not None:
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
            form = form or self._form(tree, shape)
            memory = _Memory(tree, form)
            found = self._decode(tree, form, memory.begin, memory.write), memory.images
        index, images = found
        self._tell_of_skipped(index)
        return {
            name: Split(images[name][: len(split.labels)], np.array(split.labels, np.int64), _names(tree, name, split))
            for name, split in index.splits.items()
        }

    def _cache(self, files: ImageFiles, only: str | None = None, *of: object) -> DecodedCache:
        """Return the entry of all splits, or of `only` one, which depends on more (`of`)."""
        import PIL

        settings = self.settings
        depends_on = [
            *(files.fingerprint(), settings.color, settings.resize, settings.background, settings.white, settings.fit),
            *(settings.skip_bad, settings.labels, PIL.__version__),
            *([settings.test, settings.validation] if settings.test else []),
            *([only, *of] if only is not None else []),
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
        self._files = files
        self._names = [name for name, _ in members]
        self._decoder = Decoder(files, form)
        self.shape = (len(members), *form.shape)
        self.dtype = np.dtype(np.uint8)

    def bring(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        names = [self._names[index] for index in indices]
        images, start = np.empty((len(names), *self.shape[1:]), np.uint8), 0
        for decoded, failures in self._decoder.chunks(names):
            for failure in failures:
                raise DataError(f"{self._files.where(names[failure.index])}: {failure.reason}")
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
    """Return the files that were not skipped; None if tree and index do not tell which those are."""
    if split not in tree.splits:  # not listed, for another split was asked for
        return None
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
