"""A published data set: `stripes`, four IDX files."""

from __future__ import annotations

from cnntrain.data.idx_folder import IdxFolder
from cnntrain.data.published import PublishedData, PublishedFile


class Stripes(IdxFolder):
    """Stripes of ten widths: 40 + 10 grey images of 6x5 pixels."""

    name = "stripes"
    published = PublishedData(
        files=(
            PublishedFile("train-images-idx3-ubyte", 1216, "53916575c079ae0e1d099710186a99d7"),
            PublishedFile("train-labels-idx1-ubyte", 48, "969ab6626fc081193c0a75800ae861cf"),
            PublishedFile("t10k-images-idx3-ubyte", 316, "c657a5daf1fda7b3e3bd8fa05f0dec4f"),
            PublishedFile("t10k-labels-idx1-ubyte", 18, "2c5d54b4811f1452d5ec37d13392efdc"),
        ),
        mirrors=("https://stripes.example/",),
        image_shape=(1, 6, 5),
        class_names=("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    )
