"""Numbers on the command line: what is read exactly, and what is refused, with words for it."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnntrain.errors import ArgumentError
from cnntrain.explain import given as read
from cnntrain.explain.lessons import teach
from cnntrain.explain.numbers import readable


def test_numbers_are_read_exactly() -> None:
    assert read.planes("--image", " 1 -2.5;+3e-2\t1/3 ") == [[[1, Fraction(-5, 2)], [Fraction(3, 100), Fraction(1, 3)]]]
    assert read.planes("--image", "1, 2; 3, 4;") == [[[1, 2], [3, 4]]]
    assert read.planes("--image", "1 2 | 3 −4 | .5 6.") == [[[1, 2]], [[3, -4]], [[Fraction(1, 2), 6]]]
    assert read.pair("--stride", "2", 1) == (2, 2)
    assert read.pair("--stride", "2, 1", 1) == (2, 1)
    assert read.padding("full") == "full"
    assert read.mode("cross-correlation") == "cross_correlation"


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("forward", {"image": ("1 2; 3",)}, "--image: rows must have one length; received 2 numbers in row 1, 1 in row 2"),
    ("forward", {"image": ("",)}, "--image: no numbers in row 1"),
    ("forward", {"image": ("1 2;; 3 4",)}, "--image: no numbers in row 2"),
    ("forward", {"image": ("1 2; 3 x",)}, '--image: "x" in row 2 is no number; write 3, -0.5 or 1/2'),
    ("forward", {"image": ("1,5 2",)}, '--image: "1,5" in row 1 is no number; write decimals with a point'),
    ("forward", {"image": ("1/0",)}, '--image: "1/0" in row 1 divides by zero'),
    ("forward", {"image": ("nan 1; 1 1",)}, '"nan" in row 1 is no number'),
    ("forward", {"image": ("inf",)}, '"inf" in row 1 is no number'),
    ("forward", {"image": ("1e99",)}, "numbers of a lesson lie between -1000000 and 1000000; received 1e99 in row 1"),
    ("forward", {"image": ("1e999999999",)}, '"1e999999999" in row 1 is no number'),
    ("forward", {"image": ("9" * 400,)}, r'"99999999999999999999\.\.\." in row 1 is no number'),
    ("forward", {"image": ("\x1b[31m 1",)}, r'"\\x1b\[31m" in row 1 is no number'),
    ("forward", {"image": ("1 2 3 4 5 6 7 8 9",)}, "at most 8 rows and columns; received 1x9"),
    ("forward", {"image": ("1 2 | 3 4",)}, "--image: this lesson takes one channel; received 2. The lesson channels"),
    ("forward", {"image": ("1", "2")}, "--image: this lesson takes one; received 2. The lesson channels takes several"),
    ("forward", {"filter": ("1 2 3 4",)}, "the filter does not fit: 1x4 reaches over 1x4, the padded image has 3x3"),
    ("forward", {"dilation": "3"}, "2x2 with dilation 3,3 reaches over 4x4, the padded image has 3x3"),
    ("forward", {"stride": "0"}, "--stride must be 1 to 10; received 0"),
    ("forward", {"stride": "1.5"}, "--stride must be a whole number or two"),
    ("forward", {"stride": "1,2,3"}, 'or two .rows,columns.: 2 or 2,1; received "1,2,3"'),
    ("forward", {"padding": "round"}, '--padding must be a number, "same", "valid" or "full"; received "round"'),
    ("forward", {"padding": "-1"}, '--padding must be a whole number or two .*; received "-1"'),
    ("forward", {"padding": "same", "stride": "2"}, "--padding same needs --stride 1; received 2,2"),
    ("forward", {"padding": "9"}, "at most 12 rows and columns of the padded image; received 21x21"),
    ("forward", {"mode": "convolve"}, '--mode: no mode "convolve"; did you mean convolution'),
    ("forward", {"bias": "1 2"}, "--bias: one number for the one filter; received 2"),
    ("forward", {"bias": " "}, '--bias: no number; write 3, -0.5 or 1/2; received " "'),
    ("weights", {"delta": ("1 2 3",)}, "--delta: one number for each of the output's 2x2; received 1x3"),
    (
        "channels",
        {"image": ("1 2 | 3",)},
        "channels must have one size; received 1x2 in channel 1, 1x1 in channel 2",
    ),
    ("channels", {"image": ("1 | 2 | 3 | 4 | 5",)}, "at most 4 channels; received 5"),
    ("channels", {"image": ("1 | 2 | 3",) * 5}, "--image: a lesson shows at most 4; received 5"),
    (
        "channels",
        {"image": ("1 | 2 | 3", "1 | 2")},
        "all must have one size; received 3 x 1x1 first and 2 x 1x1 ",
    ),
    ("channels", {"filter": ("1 | 2",)}, "a filter has a channel for each of the image's 3; received 2"),
    ("channels", {"bias": "1"}, "--bias: one number for each of the 2 filters; received 1"),
    ("channels", {"delta": ("1 | 2",)}, "--delta: one for each of the 2 images; received 1"),
    ("channels", {"delta": ("1", "2")}, "--delta: one channel .* for each of the 2 filters; received 1"),
    ("pooling", {"window": "9"}, "the window does not fit: 9x9 reaches over 9x9, .*; give a smaller --window$"),
    ("pooling", {"delta": ("1",)}, "--delta: one number for each of the output's 2x2; received 1x1"),
    ("network", {"image": ("1 2; 3 4",)}, "need an image of at least 3x3; received 2x2"),
    ("network", {"filter": ("1001",)}, "--filter: this lesson takes numbers from -1000 to 1000"),
    ("network", {"learning_rate": "1 2"}, "--learning-rate: one number; received 2"),
    ("update", {"momentum": "1"}, "--momentum must be at least 0 and below 1; received 1"),
    ("update", {"learning_rate": "-1"}, "--learning-rate must be 0 to 100; received −1"),
    ("update", {"weight_decay": "1 2"}, "--weight-decay: one number; received 2"),
    ("as-a-matrix", {"image": ("1 2 3 4 5 6;" * 5,)}, "at most 25 pixels and 25 outputs; received 30 and 20"),
]


@pytest.mark.parametrize(("lesson", "numbers", "message"), WRONG, ids=[f"{w[0]} {w[1]}"[:60] for w in WRONG])
def test_what_cannot_be_shown_is_refused_in_words(lesson: str, numbers: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message) as caught:
        teach(lesson, **numbers)
    assert len(str(caught.value)) < 300


@given(st.text(alphabet="0123456789 ;|,./-+eE−x\x1b\u202e", max_size=40))
def test_any_text_is_numbers_or_an_argument_error(text: str) -> None:
    found, message = [], ""
    try:
        found = read.planes("--image", text)
    except ArgumentError as error:
        message = str(error)
    assert bool(found) == (not message)
    assert message.isprintable()
    assert message[:9] in ("", "--image: ")
    assert len({(len(plane), len(row)) for plane in found for row in plane}) <= 1
    assert all(abs(value) <= read.LARGEST for plane in found for row in plane for value in row)


@given(st.fractions(-1000, 1000, max_denominator=50))
def test_what_is_shown_can_be_given_again(value: Fraction) -> None:
    """To the six digits that are shown."""
    again = read.number("--bias", readable(value))
    assert float(again) == pytest.approx(float(value), rel=1e-5, abs=1e-12)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (37.0, "37"), (-0.5, "−0.5"), (0.0, "0"), (-0.0, "0"), (1 / 3, "0.333333"), (Fraction(-1, 3), "−1/3"),
        (Fraction(1, 4), "0.25"), (Fraction(1, 101), "0.00990099"), (1e-7, "1e−7"), (123456789.0, "123456789"),
        (2.5e20, "2.5e20"), (float("nan"), "NaN"), (float("-inf"), "−∞"), (12345.678, "12345.7"),
    ],
)  # fmt: skip
def test_numbers_as_people_read_them(value: Any, text: str) -> None:
    assert readable(value) == text
