"""Augmentations of training images; a new one is a file here and a line in `AUGMENTATIONS`."""

from __future__ import annotations

from cnntrain.augmentations.base import Augmentation
from cnntrain.augmentations.brightness import Brightness
from cnntrain.augmentations.contrast import Contrast
from cnntrain.augmentations.cutout import Cutout
from cnntrain.augmentations.horizontal_flip import HorizontalFlip
from cnntrain.augmentations.mixup import Mixup
from cnntrain.augmentations.random_crop import RandomCrop
from cnntrain.augmentations.rotation import Rotation
from cnntrain.augmentations.scale import Scale
from cnntrain.augmentations.shift import Shift

AUGMENTATIONS: dict[str, type[Augmentation]] = {
    augmentation.name: augmentation
    for augmentation in (
        HorizontalFlip,
        RandomCrop,
        Shift,
        Rotation,
        Scale,
        Brightness,
        Contrast,
        Cutout,
        Mixup,
    )
}

__all__ = ["AUGMENTATIONS", "Augmentation"]
