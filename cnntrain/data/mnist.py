"""Source `mnist`.

MD5 and SHA-256 of the files as torchvision and TensorFlow state them, for those first published at yann.lecun.com.
"""

from __future__ import annotations

from cnntrain.data.idx_folder import IdxFolder
from cnntrain.data.published import PublishedData, PublishedFile


class Mnist(IdxFolder):
    """Handwritten digits (LeCun, Cortes, Burges): 60,000 + 10,000 grey images of 28x28 pixels, 10 classes."""

    name = "mnist"
    published = PublishedData(
        files=(
            PublishedFile(
                "train-images-idx3-ubyte.gz",
                9_912_422,
                "f68b3c2dcbeaaa9fbdd348bbdeb94873",
                "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
                "6bbc9ace898e44ae57da46a324031adb",
            ),
            PublishedFile(
                "train-labels-idx1-ubyte.gz",
                28_881,
                "d53e105ee54ea40749a09fcbcd1e9432",
                "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
                "a25bea736e30d166cdddb491f175f624",
            ),
            PublishedFile(
                "t10k-images-idx3-ubyte.gz",
                1_648_877,
                "9fb629c4189551a2d022fa330f9573f3",
                "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
                "2646ac647ad5339dbf082846283269ea",
            ),
            PublishedFile(
                "t10k-labels-idx1-ubyte.gz",
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
        image_shape=(1, 28, 28),
        class_names=("0", "1", "2", "3", "4", "5", "6", "7", "8", "9"),
    )
