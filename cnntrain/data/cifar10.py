"""Source `cifar10`: the binary or the Python version, unpacked or in its archive.

MD5 of the archive: https://www.cs.toronto.edu/~kriz/cifar.html; SHA-256: TensorFlow Datasets.
"""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnntrain.data.published import PublishedData, PublishedFile
from cnntrain.data.safe_pickle import UnsafePickleError, read_pickle
from cnntrain.data.settings import DataSettings
from cnntrain.data.source import ImageShape, Loaded, Source, Split, check_pair, checked_labels
from cnntrain.errors import DataError

_TRAIN = tuple(f"data_batch_{n}" for n in range(1, 6))
_TEST = ("test_batch",)
_PIXELS = 3 * 32 * 32
_RECORD = 1 + _PIXELS
_LARGEST = 1 << 26  # bytes of one file; the real ones have 31 million
_ARCHIVES = ("cifar-10-binary.tar.gz", "cifar-10-python.tar.gz")
_FOLDERS = ("cifar-10-batches-bin", "cifar-10-batches-py")

Reader = Callable[[str], bytes]


class Cifar10Settings(DataSettings):
    """Keys of `data: {source: cifar10, ...}`.

    `path` is the folder with the files of the binary version (data_batch_1.bin ... test_batch.bin) or the Python
    version (data_batch_1 ... test_batch), the folder with its archive (cifar-10-binary.tar.gz, cifar-10-python.tar.gz),
    or the archive itself, which is read without being unpacked.
    """


class Cifar10(Source[Cifar10Settings]):
    """Objects in colour (Krizhevsky 2009): 50,000 + 10,000 images of 32x32 pixels, 10 classes."""

    name = "cifar10"
    Settings = Cifar10Settings
    published = PublishedData(
        files=(
            PublishedFile(
                "cifar-10-binary.tar.gz",
                170_052_171,
                "c32a1d4ab5d03f1284b67883e8d87530",
                "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
            ),
        ),
        mirrors=("https://www.cs.toronto.edu/~kriz/",),
        image_shape=(3, 32, 32),
        class_names=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    )

    def describe(self) -> tuple[ImageShape, int]:
        self._find()
        return self.published.image_shape, len(self.published.class_names)

    def load(self) -> Loaded:
        path, suffix = self._find()
        if path.is_dir():
            files = {name: _read_file(path / f"{name}{suffix}") for name in (*_TRAIN, *_TEST)}
            where = f"{path}/"
        else:
            files, suffix = self._from_archive(path)
            where = f"{path}: "
        parse = _parse_binary if suffix else _parse_pickle
        batches = []
        for done, (name, content) in enumerate(files.items(), 1):
            batches.append(parse(content, f"{where}{name}{suffix}", len(self.published.class_names)))
            self.progress(f"reading {path.name}", done, len(files))
        return Loaded(_joined(batches[:-1]), batches[-1], list(self.published.class_names))

    def _find(self) -> tuple[Path, str]:
        """Return a folder and the suffix of its files (".bin" or none), or an archive."""
        path = Path(self.settings.path).expanduser()
        try:
            if path.is_file():
                return path, ""
            if not path.exists():
                raise DataError(f"{path}: no such file or folder (looked for {path.resolve()}); {_EXPECTED}")
            complaints = []
            for folder in (path, *(path / name for name in _FOLDERS)):
                for suffix in (".bin", ""):
                    missing = [
                        name + suffix for name in (*_TRAIN, *_TEST) if not (folder / f"{name}{suffix}").is_file()
                    ]
                    if not missing:
                        return folder, suffix
                    if len(missing) < len(_TRAIN) + len(_TEST):
                        complaints.append(f"{folder}: missing {', '.join(missing)} (looked in {folder.resolve()})")
            for name in _ARCHIVES:
                if (path / name).is_file():
                    return path / name, ""
        except OSError as error:
            raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None
        raise DataError(
            complaints[0] if complaints else f"{path}: holds no CIFAR-10 (looked in {path.resolve()}); {_EXPECTED}"
        )

    def _from_archive(self, path: Path) -> tuple[dict[str, bytes], str]:
        """Read the six files of a .tar.gz, binary or Python, one after the other; nothing is written to disk."""
        wanted = {f"{name}{suffix}" for name in (*_TRAIN, *_TEST) for suffix in (".bin", "")}
        found: dict[str, bytes] = {}
        try:
            with tarfile.open(path, "r|*") as archive:
                for member in archive:
                    name = member.name.rsplit("/", 1)[-1]
                    if not member.isreg() or name not in wanted or name in found:
                        continue
                    if member.size > _LARGEST:
                        raise DataError(f"{path}: {name} has {member.size:,} bytes: too large for a file of CIFAR-10")
                    stream = archive.extractfile(member)
                    assert stream is not None  # a regular file; for mypy
                    found[name] = stream.read(member.size)
        except (tarfile.TarError, zlib.error, EOFError, OSError, ValueError) as error:
            raise DataError(f"{path}: not a .tar.gz archive, truncated or corrupt ({error}): fetch it again") from None
        for suffix in (".bin", ""):
            if all(f"{name}{suffix}" in found for name in (*_TRAIN, *_TEST)):
                return {name: found[f"{name}{suffix}"] for name in (*_TRAIN, *_TEST)}, suffix
        missing = [f"{name}.bin" for name in (*_TRAIN, *_TEST) if f"{name}.bin" not in found and name not in found]
        raise DataError(f"{path}: holds no CIFAR-10: missing {', '.join(missing)}")


_EXPECTED = (
    "expected data_batch_1.bin to data_batch_5.bin and test_batch.bin, the same without .bin, or "
    f"{' or '.join(_ARCHIVES)}. Set data.path, or fetch the data with: cnntrain data download cifar10"
)


def _read_file(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > _LARGEST:
            raise DataError(f"{path}: has {size:,} bytes: too large for a file of CIFAR-10 (30,730,000)")
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None


def _parse_binary(content: bytes, where: str, classes: int) -> Split:
    """Records of one label and 3 x 32 x 32 pixels (channel, row, column)."""
    if not content or len(content) % _RECORD:
        raise DataError(
            f"{where}: truncated or not CIFAR-10: {len(content):,} bytes are no whole number of records "
            f"of {_RECORD} bytes"
        )
    records = np.frombuffer(content, np.uint8).reshape(-1, _RECORD)
    images = np.ascontiguousarray(records[:, 1:]).reshape(-1, 3, 32, 32)
    return Split(images, checked_labels(records[:, 0], classes, where))


def _parse_pickle(content: bytes, where: str, classes: int) -> Split:
    """A pickled dictionary with `data`, uint8 (N, 3072), and `labels`, a list of whole numbers."""
    try:
        batch = read_pickle(content)
    except UnsafePickleError as error:
        raise DataError(f"{where}: not a pickle as CIFAR-10 has them: {error}") from None
    if not isinstance(batch, dict):
        raise DataError(f"{where}: holds a {type(batch).__name__} instead of a dictionary with data and labels")
    data, labels = (_entry(batch, key, where) for key in ("data", "labels"))
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.ndim != 2 or data.shape[1] != _PIXELS:
        raise DataError(f"{where}: data must be uint8 of shape (N, {_PIXELS}); found {_kind(data)}")
    if len(data) == 0:
        raise DataError(f"{where}: holds no images")
    if not isinstance(labels, list) or not all(type(label) is int and abs(label) < 1 << 62 for label in labels):
        raise DataError(f"{where}: labels must be a list of whole numbers; found {_kind(labels)}")
    check_pair(len(data), len(labels), f"{where}: data", "labels")
    return Split(np.array(data, order="C").reshape(-1, 3, 32, 32), checked_labels(np.array(labels), classes, where))


def _entry(batch: dict[Any, Any], key: str, where: str) -> Any:
    for name in (key.encode(), key):
        if name in batch:
            return batch[name]
    found = ", ".join(repr(name[:30]) for name in list(batch)[:8] if isinstance(name, bytes | str)) or "nothing"
    raise DataError(f"{where}: has no {key!r}; found {found}")


def _kind(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype} of shape {value.shape}"
    return type(value).__name__


def _joined(batches: list[Split]) -> Split:
    images: NDArray[np.uint8] = np.concatenate([batch.images for batch in batches])
    return Split(images, np.concatenate([batch.labels for batch in batches]))
