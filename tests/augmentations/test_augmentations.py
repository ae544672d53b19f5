"""Each augmentation on real digits and on colour images, against the naive references."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from cnntrain.augmentations import AUGMENTATIONS
from cnntrain.augmentations.base import Draws
from cnntrain.augmentations.mixup import Mixup
from cnntrain.augmentations.pipeline import Augmenter
from cnntrain.data.idx_format import read_idx
from cnntrain.errors import ConfigError
from cnntrain.settings import Choice, ChoiceFrom
from tests import naive_augmentation as naive
from tests.data.files import MNIST

CHOICE = ChoiceFrom("augmentation", lambda: AUGMENTATIONS)


@cache
def digits() -> NDArray[np.uint8]:
    """40 real digits, 28x28, cut to 26x28 so that rows are not columns."""
    return np.ascontiguousarray(read_idx(MNIST / "t10k-images-idx3-ubyte.gz", 3)[:40, None, 1:27])


@cache
def colours() -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, (40, 3, 7, 10), dtype=np.uint8)


def choices(*given: Any) -> list[Choice]:
    return [CHOICE.validate(one) for one in given]


def augmented(images: NDArray[Any], *given: Any, epoch: int = 0, seed: int = 1, at: Any = None) -> NDArray[np.float32]:
    indices = np.arange(len(images), dtype=np.int64) if at is None else np.asarray(at, dtype=np.int64)
    augmenter = Augmenter(choices(*given), images, seed, len(indices))
    needed = augmenter.needed(indices, epoch)
    return augmenter.augment(images, needed, needed, epoch)[0].copy()


def uniform(count: int, *, epoch: int = 0, every_epoch: bool = False, images: int = 40) -> NDArray[np.float64]:
    return Draws(1, 0, epoch, np.arange(images, dtype=np.int64)).uniform(count, every_epoch=every_epoch)


def one_of(found: NDArray[Any], candidates: list[NDArray[Any]]) -> int:
    """Which candidate equals the image."""
    equal = [n for n, candidate in enumerate(candidates) if np.array_equal(found, candidate)]
    assert len(equal) == 1
    return equal[0]


def was_flipped(found: NDArray[Any], image: NDArray[Any]) -> int:
    return one_of(found, [image, image[..., ::-1]])


def test_without_augmentation_pixels_stay() -> None:
    np.testing.assert_array_equal(augmented(colours()), colours())
    floats = colours().astype(np.float32) / 7
    np.testing.assert_array_equal(augmented(floats), floats)


def test_random_flip() -> None:
    for images in (digits(), colours()):
        found = [augmented(images, "horizontal_flip", epoch=epoch) for epoch in range(8)]
        flipped = np.array([list(map(was_flipped, epoch, images)) for epoch in found])
        assert 0.4 < flipped.mean() < 0.6
        assert len({tuple(epoch) for epoch in flipped}) == 8
    always = augmented(images, {"horizontal_flip": {"probability": 1}})
    np.testing.assert_array_equal(always, images[..., ::-1])


def test_alternating_flip_shows_every_image_both_ways() -> None:
    found = [augmented(digits(), {"horizontal_flip": "alternating"}, epoch=epoch) for epoch in range(4)]
    for one, other in ((0, 1), (1, 2), (2, 3)):
        np.testing.assert_array_equal(found[one], found[other][..., ::-1])
    share = np.mean([np.array_equal(one, image) for one, image in zip(found[0], digits(), strict=True)])
    assert 0.25 < share < 0.75


@pytest.mark.parametrize("mode", ["zero", "reflect"])
def test_random_crop(mode: str) -> None:
    for images in (digits(), colours()):
        moves = set()
        for epoch in range(4):
            found = augmented(images, {"random_crop": {"padding": [2, 3], "mode": mode}}, epoch=epoch)
            for n, image in enumerate(images):
                drawn = uniform(2, epoch=epoch)[n]
                down, right = int(drawn[0] * 5) - 2, int(drawn[1] * 7) - 3
                np.testing.assert_array_equal(found[n], naive.moved(image, down, right, mode))
                moves.add((down, right))
        assert {down for down, _ in moves} == {-2, -1, 0, 1, 2}
        assert {right for _, right in moves} == {-3, -2, -1, 0, 1, 2, 3}


@pytest.mark.parametrize("fill", ["zero", "edge", "reflect"])
def test_shift(fill: str) -> None:
    for distance, most in ((3, (3, 3)), ([0.5, 2], (3, 2))):
        found = augmented(colours(), {"shift": {"distance": distance, "fill": fill}})
        for n, image in enumerate(colours()):
            down, right = (int(one * (2 * far + 1)) - far for one, far in zip(uniform(2)[n], most, strict=True))
            np.testing.assert_array_equal(found[n], naive.moved(image, down, right, fill))


def test_shift_along_one_axis_makes_each_move_equally_often() -> None:
    images = digits()
    moves = [(0, 0), (1, 0), (-1, 0), (2, 0), (-2, 0), (0, 1), (0, -1)]
    counts = np.zeros(7)
    for epoch in range(30):
        found = augmented(images, {"shift": {"distance": [2, 1], "along": "one"}}, epoch=epoch)
        for n, image in enumerate(images):
            counts[one_of(found[n], [naive.moved(image, *move, "zero") for move in moves])] += 1
    np.testing.assert_allclose(counts / counts.sum(), 1 / 7, atol=0.04)


def test_rotation() -> None:
    for images, tolerance in ((digits(), 0.02), (colours(), 0.02)):
        found = augmented(images, {"rotation": {"degrees": 30, "fill": 0.5}})
        for n in range(6):
            expected = naive.rotated(images[n].astype(float), (2 * uniform(1)[n, 0] - 1) * 30, 127.5)
            np.testing.assert_allclose(found[n], expected, atol=tolerance)


def test_a_quarter_turn_is_counter_clockwise() -> None:
    square = colours()[:1, :, :7, :7]
    np.testing.assert_allclose(naive.rotated(square[0].astype(float), 90), np.rot90(square[0], axes=(1, 2)), atol=1e-9)


def test_scale() -> None:
    for factors in ([0.5, 0.7], [1.5, 2]):
        found = augmented(colours(), {"scale": {"factors": factors, "fill": 1}})
        for n in range(6):
            factor = factors[0] + (factors[1] - factors[0]) * uniform(1)[n, 0]
            np.testing.assert_allclose(found[n], naive.scaled(colours()[n].astype(float), factor, 255), atol=0.02)
    doubled = augmented(digits(), {"scale": [2, 2]})
    assert (doubled > 0).sum() > 2 * (digits() > 0).sum()


def test_brightness_and_contrast() -> None:
    for images in (digits(), colours()):
        factors = 1 + 0.4 * (2 * uniform(1)[:, 0] - 1)
        bright, contrast = augmented(images, {"brightness": 0.4}), augmented(images, {"contrast": 0.4})
        for n, image in enumerate(images.astype(float)):
            np.testing.assert_allclose(bright[n], naive.brightened(image, factors[n]), rtol=1e-5, atol=1e-4)
            np.testing.assert_allclose(contrast[n], naive.contrasted(image, factors[n]), rtol=1e-5, atol=1e-3)
        assert bright.max() == 255


def test_float_images_are_not_clipped_and_nan_stays() -> None:
    floats = (colours() / 100 - 1).astype(np.float32)
    factors = 1 + 0.4 * (2 * uniform(1)[:, 0] - 1)
    floats[3, 0, 0, 0] = np.nan
    expected = floats * factors.astype(np.float32)[:, None, None, None]
    np.testing.assert_allclose(augmented(floats, {"brightness": 0.4}), expected, rtol=1e-6)


@pytest.mark.parametrize("size", [1, 4, 5])
def test_cutout(size: int) -> None:
    for images in (digits(), colours()):
        _, _, rows, columns = images.shape
        found = augmented(images, {"cutout": {"size": size, "fill": 0.2}})
        for n, image in enumerate(images):
            row, column = (int(one * length) for one, length in zip(uniform(2)[n], (rows, columns), strict=True))
            np.testing.assert_array_equal(found[n], naive.cut_out(image.astype(np.float32), row, column, size, 51))


def test_mixup_pixels_labels_and_weights() -> None:
    for images in (digits(), colours()):
        indices = np.arange(40, dtype=np.int64)
        augmenter = Augmenter(choices({"mixup": 1}), images, 1, 40)
        needed = augmenter.needed(indices, 0)
        np.testing.assert_array_equal(needed[:40], indices)
        pixels, partners = augmenter.augment(images, needed, needed, 0)
        assert partners is not None
        np.testing.assert_array_equal(partners.indices, needed[40:])
        assert len(np.unique(partners.indices)) > 15
        weights = partners.weights[:, None, None, None].astype(float)
        np.testing.assert_allclose(
            pixels, weights * images + (1 - weights) * images[partners.indices], rtol=1e-4, atol=1e-3
        )


@pytest.mark.parametrize("alpha", [0.05, 0.2, 1, 2])
def test_mixup_weights_follow_the_beta_distribution(alpha: float) -> None:
    mixup = Mixup(Mixup.Settings(alpha=alpha), None)  # type: ignore[arg-type]
    weights = mixup.weights(Draws(1, 0, 0, np.arange(20_000, dtype=np.int64))).astype(float)
    assert weights.min() >= 0
    assert weights.max() <= 1
    assert weights.mean() == pytest.approx(0.5, abs=0.02)
    assert weights.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.03)
    other, at = np.random.default_rng(1).beta(alpha, alpha, 200_000), [0.1, 0.3, 0.7, 0.9]
    np.testing.assert_allclose(np.quantile(weights, at), np.quantile(other, at), atol=0.02)


EVERYTHING: list[Any] = [
    {"random_crop": 2}, "horizontal_flip", {"shift": 1}, {"rotation": 10}, {"scale": [0.9, 1.1]}, {"brightness": 0.1},
    {"contrast": 0.1}, {"cutout": 3}, {"mixup": 0.5},
]  # fmt: skip


def test_an_image_becomes_the_same_in_any_batch() -> None:
    whole = augmented(colours(), *EVERYTHING, epoch=3)
    order = np.random.default_rng(5).permutation(40)
    for size in (1, 7, 40):
        for start in range(0, 40, size):
            chosen = order[start : start + size]
            np.testing.assert_array_equal(augmented(colours(), *EVERYTHING, epoch=3, at=chosen), whole[chosen])


def test_seed_epoch_and_place_change_what_is_drawn() -> None:
    one = augmented(colours(), {"random_crop": 3})
    assert not np.array_equal(one, augmented(colours(), {"random_crop": 3}, epoch=1))
    assert not np.array_equal(one, augmented(colours(), {"random_crop": 3}, seed=2))
    other = Augmenter(choices({"cutout": 1}, {"random_crop": 3}), colours(), 1, 40)
    indices = np.arange(40, dtype=np.int64)
    assert not np.array_equal(one, other.augment(colours(), indices, indices, 0)[0])


def test_what_does_not_fit_the_images() -> None:
    for given, message in (
        (
            {"random_crop": {"padding": 7, "mode": "reflect"}},
            "random_crop: a padding of 7x7 cannot reflect images of 7x10",
        ),
        ({"shift": [0, 10]}, "shift: a distance of 0x10 pixels moves images of 7x10 out of sight"),
    ):
        with pytest.raises(ConfigError, match=message):
            augmented(colours(), given)
    for first in ({"mixup": 1}, {"cutout": 1}):
        with pytest.raises(ConfigError, match="mixup must be the last augmentation, and only once"):
            augmented(colours(), {"mixup": 1}, first, {"mixup": 1} if "mixup" in first else "horizontal_flip")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("horizontal_flip", "sometimes"), ("horizontal_flip", {"probability": 1.5}), ("random_crop", None),
        ("random_crop", -1),
        ("shift", 1.5), ("shift", -1), ("shift", True), ("shift", [1, 2, 3]),
        ("shift", {"distance": 1, "along": "two"}),
        ("rotation", 0), ("rotation", 181), ("scale", [1.1, 0.9]), ("scale", [0, 1]), ("scale", 1),
        ("brightness", 0),
        ("brightness", 1.1), ("contrast", -0.1), ("cutout", 0), ("cutout", {"size": 2, "fill": 2}),
        ("mixup", 0), ("mixup", 3),
    ],
)  # fmt: skip
def test_settings_that_are_refused(name: str, value: Any) -> None:
    with pytest.raises(ValidationError):
        CHOICE.validate(name if value is None else {name: value})


def test_every_setting_is_described() -> None:
    for augmentation in AUGMENTATIONS.values():
        assert augmentation.__doc__
        assert augmentation.Settings.__doc__
        for name, field in augmentation.Settings.model_fields.items():
            assert field.description, f"{augmentation.name}.{name}"
