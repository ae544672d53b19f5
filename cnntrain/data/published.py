"""What a published data set is: files with checksums, where they are, and what its images are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class PublishedFile:
    """One file.

    Attributes
    ----------
    name : str
        As published, and as the source looks for it.
    size : int
        Bytes.
    md5 : str
        Hexadecimal.
    sha256 : str or None
        None where no statement of it is known.
    content_md5 : str or None
        Of what is inside the gzip file: a copy that was compressed anew is as good.
    """

    name: str
    size: int
    md5: str
    sha256: str | None = None
    content_md5: str | None = None


@dataclass(frozen=True)
class PublishedData:
    """One data set; its source has it as `published`, which is all that the rest of the package needs to know of it.

    Attributes
    ----------
    files : tuple of PublishedFile
        With the checksums that the publishers (or many users) state.
    mirrors : tuple of str
        Addresses of folders that have the files, ending with a slash, the most reliable first.
    image_shape : tuple of int
        (channels, rows, columns).
    class_names : tuple of str
        In the order of the labels.
    image_type : "uint8" or "float32"
        As images reach the network.
    """

    files: tuple[PublishedFile, ...]
    mirrors: tuple[str, ...]
    image_shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    image_type: Literal["uint8", "float32"] = "uint8"
