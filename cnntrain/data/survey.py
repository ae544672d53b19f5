"""A look at every image file of a folder or archive: what is damaged, how large, of which class, there twice."""

from __future__ import annotations

import hashlib
import time
import warnings
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cnntrain.data.decoding import SUFFIXES, cores, opened
from cnntrain.data.folder_names import is_clutter
from cnntrain.data.folder_tree import Arrangement, Tree
from cnntrain.data.image_files import ImageFiles, UnreadableFileError, open_image_files
from cnntrain.data.image_form import is_deep, orientation, refuse_depth, upright
from cnntrain.data.prefetch import in_order
from cnntrain.data.progress import Progress, silent
from cnntrain.errors import CnntrainError, DataError
from cnntrain.printable import message

LABELS = "labels.csv"  # a table of this name is taken for one
SHARES = Arrangement(test=0.2, validation=0.1)  # of a folder that has no folders for splits


@dataclass(frozen=True)
class Picture:
    """What is known of an image file that can be read.

    Attributes
    ----------
    name, format, mode : str
        Relative to the folder; Pillow's names.
    rows, columns : int
        Upright.
    turned, transparent : bool
        EXIF says that it does not stand upright; something in it may be transparent.
    largest : int or None
        Largest value of a grey image of more than 8 bits.
    pixels : bytes
        A digest of what it shows: equal for a file and its copy in another format.
    """

    name: str
    format: str
    mode: str
    rows: int
    columns: int
    turned: bool
    transparent: bool
    largest: int | None
    pixels: bytes


@dataclass(frozen=True)
class Survey:
    """All image files of a folder or archive.

    Attributes
    ----------
    path : Path
    pictures : list of Picture
    bad : dict of str
        The reason for each file that cannot be read.
    others : list of str
        Files that are no image files by their names.
    left_out : list of str
        Links and folders that were not looked into, each with the reason.
    splits : dict of dict
        For each split, the class of each file. Empty if `problem` says why files have no classes.
    arrangement : Arrangement
        How they were found: by folders, a table, or content.
    notes : list of str
        What finding them warned of.
    seconds : float
        That reading everything took, by `threads`.
    """

    path: Path
    pictures: list[Picture]
    bad: dict[str, str]
    others: list[str]
    left_out: list[str]
    splits: dict[str, dict[str, str]]
    arrangement: Arrangement
    problem: str
    seconds: float
    threads: int
    notes: list[str] = field(default_factory=list)

    def duplicates(self) -> list[list[str]]:
        """Return groups of files that show the same, in the order of their names."""
        groups: dict[bytes, list[str]] = {}
        for picture in self.pictures:
            groups.setdefault(picture.pixels, []).append(picture.name)
        return [names for names in groups.values() if len(names) > 1]

    def places(self) -> dict[str, tuple[str, str]]:
        """Return the split and class of each file."""
        return {name: (split, of) for split, members in self.splits.items() for name, of in members.items()}

    def leaks(self) -> list[list[str]]:
        """Return the duplicates that are in more than one split."""
        places = self.places()
        return [names for names in self.duplicates() if len({places[name][0] for name in names if name in places}) > 1]

    def contradictions(self) -> list[list[str]]:
        """Return the duplicates that are in more than one class."""
        places = self.places()
        return [names for names in self.duplicates() if len({places[name][1] for name in names if name in places}) > 1]

    def balance(self) -> dict[str, Counter[str]]:
        """Return how many readable files each class has in each split."""
        return {
            split: Counter(of for name, of in members.items() if name not in self.bad)
            for split, members in self.splits.items()
        }


def survey(path: Path, progress: Progress = silent) -> Survey:
    """Read every image file below a folder or in a zip archive.

    Parameters
    ----------
    path : Path
    progress : callable
        Told how far it has come.

    Raises
    ------
    DataError
        There is no such folder or archive, it is damaged as a whole, or has no image files.
    """
    files = open_image_files(path)
    seen = [name for name in files.names if not is_clutter(name.split("/"))]
    images = [name for name in seen if name.lower().endswith(SUFFIXES)]
    if not images:
        raise DataError(
            f"{path}: no image files ({', '.join(SUFFIXES)}) among {len(seen):,} files; for other data name a config: "
            "cnntrain data inspect CONFIG"
        )
    pictures: list[Picture] = []
    bad: dict[str, str] = {}
    begin = time.perf_counter()
    with ThreadPoolExecutor(cores(), thread_name_prefix="survey") as pool, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's remarks on metadata
        for name, found in in_order(pool, lambda name: _look(files, name), images, 4 * cores()):
            if isinstance(found, Picture):
                pictures.append(found)
            else:
                bad[name] = str(found)
            progress("reading", len(pictures) + len(bad), len(images))
    seconds = time.perf_counter() - begin
    splits, arrangement, problem, notes = _arranged(files, progress)
    others = sorted(set(seen) - set(images) - {arrangement.labels or ""})
    return Survey(path, pictures, bad, others, files.left_out, splits, arrangement, problem, seconds, cores(), notes)


def _look(files: ImageFiles, name: str) -> Picture | UnreadableFileError:
    try:
        with opened(files.read(name)) as image:
            image.load()
            refuse_depth(image, white=65535)  # those with floating-point pixels, of which nothing can be made
            turned = orientation(image) > 1
            transparent, deep = bool(image.has_transparency_data), is_deep(image)
            mode, kind = image.mode, str(image.format)
            image = upright(image)
            values: Any = np.asarray(image) if deep else image.convert("RGBA" if transparent else "RGB")
            digest = hashlib.blake2b(repr((image.size, deep)).encode(), digest_size=16)
            digest.update(values.tobytes())
            largest = int(values.max()) if deep else None
            return Picture(name, kind, mode, image.height, image.width, turned, transparent, largest, digest.digest())
    except UnreadableFileError as error:
        return error


def _arranged(files: ImageFiles, progress: Progress) -> tuple[dict[str, dict[str, str]], Arrangement, str, list[str]]:
    """Find the splits and classes: as folders say, by a table, or by content; or say why there are none."""
    ways = [Arrangement(), Arrangement(test=0.2), SHARES]
    if any(name.rpartition("/")[2] == LABELS for name in files.names):
        ways = [Arrangement(labels=LABELS), Arrangement(0.2, 0.1, LABELS), *ways]
    problems = []
    for arrangement in ways:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                tree = Tree(files, arrangement, progress=progress)
                splits = {
                    split: {name: tree.class_names[label] for name, label in members}
                    for split, members in tree.splits.items()
                }
            except CnntrainError as error:
                problems.append(str(error))
                continue
        if arrangement == Arrangement(test=0.2) and "validation" not in splits:
            continue  # the next way takes validation images too
        problem = "" if len(tree.class_names) > 1 else f"there is only one class{tree.likely_mistake()}"
        return splits, arrangement, problem, [message(warning.message) for warning in caught]
    return {}, Arrangement(), problems[-1].removeprefix(f"{files.path}: "), []
