"""From what was written on the command line to an exercise: the lesson's own numbers wherever none were given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import cycle, islice
from typing import Any

from cnntrain.errors import ArgumentError
from cnntrain.explain import given as read
from cnntrain.explain.exercise import Exercise
from cnntrain.explain.given import Plane
from cnntrain.explain.numbers import Number
from cnntrain.explain.sliding import Sliding, sliding

Given = Mapping[str, Any]  # option -> text, texts (image, filter, delta may be given several times), or None
WIDEST = 12  # rows or columns of a padded image
_SAMPLE = [Fraction(1), Fraction(-1), Fraction(2), Fraction(1, 2), Fraction(0), Fraction(-2), Fraction(3)]

IMAGE = "1 2 3; 4 5 6; 7 8 9"
FILTER = "1 2; 3 4"


@dataclass(frozen=True)
class Defaults:
    """The lesson's own numbers, written as on the command line; images, filters and deltas may be several."""

    image: tuple[str, ...] = (IMAGE,)
    filter: tuple[str, ...] = (FILTER,)
    bias: str = "0"
    delta: tuple[str, ...] = ()
    stride: str = "1"
    padding: str = "0"
    dilation: str = "1"
    mode: str = "cross_correlation"


def texts(given: Given, name: str, default: Sequence[str]) -> list[str]:
    """Return what was given for an option, or the default."""
    value = given.get(name)
    return list(default) if not value else [value] if isinstance(value, str) else list(value)


def text(given: Given, name: str, default: str) -> str:
    """Return what was given for an option that is given once, or the default."""
    value = given.get(name)
    return default if value is None else str(value)


def plane(given: Given, name: str, default: str) -> Plane:
    """Return the one plane of an option; raises `ArgumentError` for several, or several channels."""
    found = texts(given, name, [default])
    if len(found) > 1:
        raise ArgumentError(
            f"--{name}: this lesson takes one; received {len(found)}. The lesson channels takes several"
        )
    channels = read.planes(f"--{name}", found[0])
    if len(channels) > 1:
        raise ArgumentError(
            f"--{name}: this lesson takes one channel; received {len(channels)}. The lesson channels takes several"
        )
    return channels[0]


def one_channel(given: Given, defaults: Defaults) -> Exercise:
    """Return the exercise of one image, one channel, one filter; raises `ArgumentError` for what does not fit."""
    image = plane(given, "image", defaults.image[0])
    filter_ = plane(given, "filter", defaults.filter[0])
    biases = read.numbers("--bias", text(given, "bias", defaults.bias))
    if len(biases) != 1:
        raise ArgumentError(f"--bias: one number for the one filter; received {len(biases)}")
    law, settings = _law(given, defaults, image, filter_)
    delta = delta_of(given, defaults, law)
    return Exercise([[image]], [[filter_]], [[delta]], biases, law, settings)


def delta_of(given: Given, defaults: Defaults, law: Sliding) -> Plane:
    """Return the delta that was given, or one as large as the output."""
    rows, columns = law.output_size
    if given.get("delta") or (defaults.delta and _fits(read.planes("--delta", defaults.delta[0]), law)):
        delta = plane(given, "delta", defaults.delta[0] if defaults.delta else "")
    else:
        delta = sample(rows, columns)
    check_delta(delta, law)
    return delta


def _fits(planes: list[Plane], law: Sliding) -> bool:
    return (len(planes[0]), len(planes[0][0])) == law.output_size


def check_delta(delta: Sequence[Sequence[Number]], law: Sliding) -> None:
    """Raise `ArgumentError` unless a delta has the output's size."""
    rows, columns = law.output_size
    if (len(delta), len(delta[0])) != (rows, columns):
        raise ArgumentError(
            f"--delta: one number for each of the output's {rows}x{columns}; received {read.size(delta)}"
        )


def sample(rows: int, columns: int, start: int = 0) -> Plane:
    """Return a plane of a few small numbers: 1, -1, 2, 1/2, ..."""
    numbers = islice(cycle(_SAMPLE), start, None)
    return [[next(numbers) for _ in range(columns)] for _ in range(rows)]


def many(given: Given, defaults: Defaults) -> Exercise:
    """Return the exercise of some images, channels and filters; raises `ArgumentError` for what does not fit."""
    images = [read.planes("--image", each) for each in texts(given, "image", defaults.image)]
    filters = [read.planes("--filter", each) for each in texts(given, "filter", defaults.filter)]
    for name, group in (("image", images), ("filter", filters)):
        if len(group) > read.MOST_CHANNELS:
            raise ArgumentError(f"--{name}: a lesson shows at most {read.MOST_CHANNELS}; received {len(group)}")
        for n, each in enumerate(group):
            if (len(each), read.size(each[0])) != (len(group[0]), read.size(group[0][0])):
                raise ArgumentError(
                    f"--{name}: all must have one size; received {_shape(group[0])} first and {_shape(each)} as number "
                    f"{n + 1}"
                )
    if len(filters[0]) != len(images[0]):
        raise ArgumentError(
            f"--filter: a filter has a channel for each of the image's {len(images[0])}; received {len(filters[0])}"
        )
    law, settings = _law(given, defaults, images[0][0], filters[0][0])
    deltas = _deltas(given, defaults, law, len(images), len(filters))
    return Exercise(images, filters, deltas, _biases(given, defaults, len(filters)), law, settings)


def _biases(given: Given, defaults: Defaults, filters: int) -> list[Fraction]:
    biases = read.numbers("--bias", text(given, "bias", defaults.bias))
    if given.get("bias") is None and len(biases) != filters:
        biases = [Fraction(0)] * filters
    if len(biases) != filters:
        raise ArgumentError(f"--bias: one number for each of the {filters} filters; received {len(biases)}")
    return biases


def _deltas(given: Given, defaults: Defaults, law: Sliding, images: int, filters: int) -> list[list[Plane]]:
    """Return the deltas that were given, one text for each image, or some as large as the outputs."""
    rows, columns = law.output_size
    deltas = [read.planes("--delta", each) for each in texts(given, "delta", defaults.delta)]
    if not given.get("delta") and (
        [len(each) for each in deltas] != [filters] * images or not all(_fits(each, law) for each in deltas)
    ):
        return [[sample(rows, columns, images * n + k) for k in range(filters)] for n in range(images)]
    if len(deltas) != images:
        raise ArgumentError(f"--delta: one for each of the {images} images; received {len(deltas)}")
    for each in deltas:
        if len(each) != filters:
            raise ArgumentError(f"--delta: one channel (|) for each of the {filters} filters; received {len(each)}")
        check_delta(each[0], law)
    return deltas


def _law(given: Given, defaults: Defaults, image: Plane, filter_: Plane) -> tuple[Sliding, dict[str, Any]]:
    settings: dict[str, Any] = {
        "stride": read.pair("--stride", text(given, "stride", defaults.stride), 1),
        "padding": read.padding(text(given, "padding", defaults.padding)),
        "dilation": read.pair("--dilation", text(given, "dilation", defaults.dilation), 1),
        "mode": read.mode(text(given, "mode", defaults.mode)),
    }
    law = sliding((len(image), len(image[0])), (len(filter_), len(filter_[0])), **settings)
    if max(law.rows.padded, law.columns.padded, *law.output_size) > WIDEST:
        raise ArgumentError(
            f"a lesson shows at most {WIDEST} rows and columns of the padded image; received "
            f"{law.rows.padded}x{law.columns.padded}"
        )
    return law, settings


def _shape(planes: list[Plane]) -> str:
    return f"{len(planes)} x {read.size(planes[0])}"
