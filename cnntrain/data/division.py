"""Which pictures of a folder become test and validation images: by their content, so that equal pictures stay together.

The content's hash is a number u from 0 to 1. With test: 0.2 and validation: 0.1 a picture with u < 0.2 is a test image,
one with u < 0.3 a validation image. That depends on the picture alone: when others are added, it stays where it is. By
chance a class may get more or fewer than its share; where it is off by more than half of it (and more than one
picture), those with the next larger or smaller u make up for it, and then a few pictures may move.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from cnntrain.data.decoding import cores
from cnntrain.data.image_files import ImageFiles, UnreadableFileError
from cnntrain.data.prefetch import in_order
from cnntrain.data.progress import Progress, silent

_OFF = 0.5  # of its share: how far a class's number of images may be from it
TRAIN, VALIDATION, TEST = "train", "validation", "test"


def content_hash(content: bytes) -> float:
    """Return a number from 0 up to, not including, 1 that follows from the content."""
    digest = hashlib.blake2b(content, digest_size=6, person=b"cnntrain split").digest()
    return int.from_bytes(digest, "big") / 2**48


def content_hashes(files: ImageFiles, names: Sequence[str], progress: Progress = silent) -> list[float]:
    """Return the hash of each file's content; of the name where a file cannot be read, which decoding then reports."""

    def hashed(name: str) -> float:
        try:
            return content_hash(files.read(name))
        except UnreadableFileError:
            return content_hash(name.encode("utf-8", "surrogateescape"))

    found = []
    with ThreadPoolExecutor(cores(), thread_name_prefix="hash") as pool:
        for _, value in in_order(pool, hashed, names, 8 * cores()):
            found.append(value)
            progress("reading", len(found), len(names))
    return found


def divide(classes: Sequence[str], hashes: Sequence[float], test: float, validation: float) -> list[str]:
    """Say for each picture whether it is for training, validation or test.

    Parameters
    ----------
    classes : sequence of str
        The class of each picture.
    hashes : sequence of float
        Its `content_hash`. Pictures with the same are one: they go together, with the class of the first.
    test, validation : float
        Shares of all pictures.

    Returns
    -------
    list of str
        "train", "validation" or "test" for each. A class of few different pictures has at least one for training,
        then one for each split that has a share.
    """
    class_of = dict(reversed(list(zip(hashes, classes, strict=True))))
    members: dict[str, list[float]] = {}
    for value, class_name in class_of.items():
        members.setdefault(class_name, []).append(value)
    split: dict[float, str] = {}
    for values in members.values():
        split |= _divided(sorted(values), test, validation)
    return [split[value] for value in hashes]


def _divided(values: list[float], test: float, validation: float) -> Mapping[float, str]:
    """Divide the different pictures of a class; `values` are sorted."""
    count = len(values)
    left = max(0, count - 1)  # one stays for training, and one for validation if there can be
    tests = min(_near(sum(value < test for value in values), test * count), max(min(1, left), left - (validation > 0)))
    left -= tests
    below = sum(value < test + validation for value in values)
    validations = min(_near(below - tests, validation * count), left)
    names: Iterable[str] = [TEST] * tests + [VALIDATION] * validations + [TRAIN] * (count - tests - validations)
    return dict(zip(values, names, strict=True))


def _near(found: int, wanted: float) -> int:
    """Return the number next to `found` that is near enough to what is wanted, and at least one of anything wanted."""
    if wanted == 0:
        return 0
    off = max(1.0, _OFF * wanted)
    return max(1, min(max(found, math.ceil(wanted - off)), math.floor(wanted + off)))
