"""Source `fashion-mnist`: files named and laid out as MNIST's, other pictures and class names."""

from __future__ import annotations

from typing import ClassVar

from cnntrain.data.mnist import Mnist


class FashionMnist(Mnist):
    """Articles of clothing (Xiao, Rasul, Vollgraf 2017, arXiv:1708.07747): MNIST's sizes and counts, 10 classes."""

    name = "fashion-mnist"
    class_names: ClassVar[list[str]] = [
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ]
