"""Source `fashion-mnist`. MD5 of its files: its README."""

from __future__ import annotations

from cnntrain.data.idx_folder import IdxFolder
from cnntrain.data.published import PublishedData, PublishedFile


class FashionMnist(IdxFolder):
    """Articles of clothing (Xiao, Rasul, Vollgraf 2017, arXiv:1708.07747): MNIST's sizes and counts, 10 classes."""

    name = "fashion-mnist"
    published = PublishedData(
        files=(
            PublishedFile("train-images-idx3-ubyte.gz", 26_421_880, "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
            PublishedFile("train-labels-idx1-ubyte.gz", 29_515, "25c81989df183df01b3e8a0aad5dffbe"),
            PublishedFile("t10k-images-idx3-ubyte.gz", 4_422_102, "bef4ecab320f06d8554ea6380940ec79"),
            PublishedFile("t10k-labels-idx1-ubyte.gz", 5_148, "bb300cfdad3c16e7a12a480ee83cd310"),
        ),
        mirrors=(
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        ),
        image_shape=(1, 28, 28),
        class_names=(
            "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
        ),
    )  # fmt: skip
