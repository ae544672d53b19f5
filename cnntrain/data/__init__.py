"""Data sets: sources (one file per format), the validation split, normalisation, batches."""

from __future__ import annotations

from cnntrain.augmentations import AUGMENTATIONS
from cnntrain.data.cifar10 import Cifar10
from cnntrain.data.csv_files import Csv
from cnntrain.data.dataset import SPLITS, DataSet, batches, describe, load_data
from cnntrain.data.fashion_mnist import FashionMnist
from cnntrain.data.folder import Folder
from cnntrain.data.idx import Idx
from cnntrain.data.mnist import Mnist
from cnntrain.data.normalization import Normalization
from cnntrain.data.npy import Npy
from cnntrain.data.npz import Npz
from cnntrain.data.settings import DataSettings
from cnntrain.data.source import Source, Split

__all__ = [
    "AUGMENTATIONS",
    "SOURCES",
    "SPLITS",
    "DataSet",
    "DataSettings",
    "Normalization",
    "Split",
    "batches",
    "describe",
    "load_data",
]

SOURCES: dict[str, type[Source]] = {
    source.name: source for source in (Mnist, FashionMnist, Cifar10, Idx, Npz, Npy, Csv, Folder)
}
