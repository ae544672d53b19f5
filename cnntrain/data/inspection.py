"""What is in a split: counts, shapes, values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnntrain.data.dataset import SPLITS, DataSet
from cnntrain.data.normalization import byte_counts, channel_statistics
from cnntrain.data.source import Split
from cnntrain.printable import printable


@dataclass(frozen=True)
class Inspection:
    """Facts about one split.

    Attributes
    ----------
    smallest, largest : list of float
        Per channel, as stored.
    mean, std : list of float
        Per channel, as stored.
    """

    images: dict[str, int]
    split: str
    shape: tuple[int, ...]
    image_type: str
    class_counts: dict[str, int]
    smallest: list[float]
    largest: list[float]
    mean: list[float]
    std: list[float]

    @classmethod
    def of(cls, data: DataSet, name: str) -> Inspection:
        """Look at a split; raises `ConfigError` if there is none of that name."""
        split = data.split(name)
        mean, std = channel_statistics(split.images)
        smallest, largest = _range(split)
        counts = np.bincount(split.labels, minlength=len(data.class_names))
        sizes = {kind: getattr(data, kind) for kind in SPLITS}
        return cls(
            images={kind: len(found) for kind, found in sizes.items() if found is not None},
            split=name,
            shape=tuple(split.images.shape[1:]),
            image_type=str(split.images.dtype),
            class_counts=dict(zip(data.class_names, counts.tolist(), strict=True)),
            smallest=smallest,
            largest=largest,
            mean=mean.tolist(),
            std=std.tolist(),
        )

    def as_dict(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {
            "images": self.images,
            "split": self.split,
            "shape": list(self.shape),
            "image_type": self.image_type,
            "classes": self.class_counts,
            "smallest": self.smallest,
            "largest": self.largest,
            "mean": self.mean,
            "std": self.std,
        }

    def as_text(self) -> str:
        """Return everything as lines for people."""
        sizes = ", ".join(f"{kind} {count:,}" for kind, count in self.images.items())
        total = sum(self.class_counts.values())
        names = [printable(name) for name in self.class_counts]
        width = max(map(len, names))
        most = max(self.class_counts.values())
        lines = [
            f"images    {sizes}",
            f"split     {self.split}: {total:,} images, {'x'.join(map(str, self.shape))} {self.image_type}, "
            f"{len(self.class_counts)} classes",
        ]
        lines += [
            f"channel {channel} {self.smallest[channel]:g} to {self.largest[channel]:g}, mean "
            f"{self.mean[channel]:.4f}, standard deviation {self.std[channel]:.4f}{self._on_unit(channel)}"
            for channel in range(len(self.mean))
        ]
        for name, count in zip(names, self.class_counts.values(), strict=True):
            bar = "#" * round(30 * count / most)
            lines.append(f"  {name.ljust(width)} {count:>8,} {count / total:>6.1%}  {bar}".rstrip())
        return "\n".join(lines)

    def _on_unit(self, channel: int) -> str:
        if self.image_type != "uint8":
            return ""
        return f" (on the scale 0..1: {self.mean[channel] / 255:.4f}, {self.std[channel] / 255:.4f})"


def examples(split: Split, count: int) -> tuple[Any, Sequence[int]]:
    """Return up to `count` images and their labels: the first of each class in turn, then the second, ..."""
    order: list[int] = []
    by_class = [np.flatnonzero(split.labels == label)[:count] for label in np.unique(split.labels)[:count]]
    for turn in range(count):
        order += [int(members[turn]) for members in by_class if turn < len(members)]
    chosen = np.array(order[:count], dtype=np.int64)
    return split.images[chosen], split.labels[chosen].tolist()


def _range(split: Split) -> tuple[list[float], list[float]]:
    """Smallest and largest value of each channel."""
    if split.images.dtype == np.uint8:
        found = [np.flatnonzero(counts) for counts in byte_counts(split.images)]
        return [float(values[0]) for values in found], [float(values[-1]) for values in found]
    smallest = np.full(split.images.shape[1], np.inf)
    largest = -smallest
    for start in range(0, len(split), 256):
        chunk = split.images[start : start + 256]
        smallest = np.minimum(smallest, chunk.min(axis=(0, 2, 3)))
        largest = np.maximum(largest, chunk.max(axis=(0, 2, 3)))
    return smallest.tolist(), largest.tolist()
