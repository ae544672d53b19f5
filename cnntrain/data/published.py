"""Where the well-known data sets are published, with the checksums that their publishers (or many users) state.

MD5 and SHA-256 of MNIST: as used by torchvision and TensorFlow for the files first published at yann.lecun.com. MD5 of
Fashion-MNIST: its README. MD5 of CIFAR-10: https://www.cs.toronto.edu/~kriz/cifar.html; SHA-256: TensorFlow Datasets.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PublishedFile:
    """One file.

    Attributes
    ----------
    name : str
        As published, and as the sources look for it.
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
    """One data set: its files, and folders on the web that have them, the most reliable first."""

    files: tuple[PublishedFile, ...]
    mirrors: tuple[str, ...]


_FOUR = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)

PUBLISHED = {
    "mnist": PublishedData(
        files=(
            PublishedFile(
                _FOUR[0],
                9_912_422,
                "f68b3c2dcbeaaa9fbdd348bbdeb94873",
                "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
                "6bbc9ace898e44ae57da46a324031adb",
            ),
            PublishedFile(
                _FOUR[1],
                28_881,
                "d53e105ee54ea40749a09fcbcd1e9432",
                "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
                "a25bea736e30d166cdddb491f175f624",
            ),
            PublishedFile(
                _FOUR[2],
                1_648_877,
                "9fb629c4189551a2d022fa330f9573f3",
                "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
                "2646ac647ad5339dbf082846283269ea",
            ),
            PublishedFile(
                _FOUR[3],
                4_542,
                "ec29112dd5afa0611ce80d1b7f02629c",
                "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
                "27ae3e4e09519cfbb04c329615203637",
            ),
        ),
        mirrors=(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
    ),
    "fashion-mnist": PublishedData(
        files=(
            PublishedFile(_FOUR[0], 26_421_880, "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
            PublishedFile(_FOUR[1], 29_515, "25c81989df183df01b3e8a0aad5dffbe"),
            PublishedFile(_FOUR[2], 4_422_102, "bef4ecab320f06d8554ea6380940ec79"),
            PublishedFile(_FOUR[3], 5_148, "bb300cfdad3c16e7a12a480ee83cd310"),
        ),
        mirrors=(
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        ),
    ),
    "cifar10": PublishedData(
        files=(
            PublishedFile(
                "cifar-10-binary.tar.gz",
                170_052_171,
                "c32a1d4ab5d03f1284b67883e8d87530",
                "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
            ),
        ),
        mirrors=("https://www.cs.toronto.edu/~kriz/",),
    ),
}
