"""Lessons: the worked examples of docs/mathematics.md number by number, other numbers, and kernels that are wrong."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnntrain import functional
from cnntrain.errors import ArgumentError, MismatchError
from cnntrain.explain.document import Document, Slide, sums_of
from cnntrain.explain.lessons import LESSONS, listing, teach
from cnntrain.explain.terminal import render
from cnntrain.optimizers.sgd import Sgd

DOCS = Path(__file__).parents[2] / "docs"

# What a lesson prints on its own numbers, computed by hand (see tests/test_worked_examples.py and docs/mathematics.md).
PRINTED: dict[str, list[str]] = {
    "forward": [
        "z₁₁ = w₁₁x₁₁ + w₁₂x₁₂ + w₂₁x₂₁ + w₂₂x₂₂ + b",
        "z₁₁ = 1·1 + 2·2 + 3·4 + 4·5 = 37",
        "z₂₂ = 1·5 + 2·6 + 3·8 + 4·9 = 77",
        "⎣ 7  8  9 ⎦   ⎣ 3  4 ⎦   ⎣ 67  77 ⎦",
        "⎣ 7  8  9 ⎦   ⎣ 2  1 ⎦    ⎣ 53  63 ⎦",  # in the strict sense
        "⌊(3 + 0 + 0 − 1·(2 − 1) − 1) / 1⌋ + 1 = 2 rows of z",
    ],
    "full-convolution": [
        "∂L/∂x₁₁ = 4·0 + 3·0 + 2·0 + 1·1 = 1",
        "∂L/∂x₂₂ = 4·1 + 3·(−1) + 2·2 + 1·0.5 = 5.5",
        "δ₁₁w₂₂ + δ₁₂w₂₁ + δ₂₁w₁₂ + δ₂₂w₁₁",
        "∂L/∂x₂₂ = w₂₂δ₁₁ + w₂₁δ₁₂ + w₁₂δ₂₁ + w₁₁δ₂₂",
        "⎣ ·  ·    ·  · ⎦",
    ],
    "weights": [
        "∂L/∂w₁₁ = 1·1 + (−1)·2 + 2·4 + 0.5·5 = 9.5",
        "∂L/∂w₂₂ = 1·5 + (−1)·6 + 2·8 + 0.5·9 = 19.5",
        "δ₁₁x₁₁ + δ₁₂x₁₂ + δ₂₁x₂₁ + δ₂₂x₂₂",
    ],
    "bias": ["∂L/∂b = 1 + (−1) + 2 + 0.5 = 2.5", "⎡ 37  47 ⎤", "⎡ 38  48 ⎤"],
    "channels": [
        "image 1, filter 1: z₁₁ = 0.5·1 + (−1)·2 + 2·3 + 0.5 = 5",
        "image 1, filter 2: z₁₁ = 3·1 + 0.25·2 + (−2)·3 + (−0.5) = −3",
        "image 1, channel 1: ∂L/∂x₁₁ = 0.5·10 + 3·1 = 8",
        "image 1, channel 2: ∂L/∂x₁₁ = −1·10 + 0.25·1 = −9.75",
        "image 1, channel 3: ∂L/∂x₁₁ = 2·10 + (−2)·1 = 18",
        "filter 1, channel 3: ∂L/∂w₁₁ = 10·3 + 2·(−1) = 28",
        "filter 2: ∂L/∂b = 1 + (−1) = 0",
    ],
    "stride": [
        "z₂₂ = 1·5 + 2·6 + 3·8 + 4·9 = 77",
        "∂L/∂x₁₂ = 4·0 + 3·(−1) + 2·0 + 1·0 = −3",
        "∂L/∂w₂₂ = 1·1 + (−1)·3 + 2·7 + 0.5·9 = 16.5",
        "2        1        tap 1 of output 2",
        "of the 36 products above only",
    ],
    "as-a-matrix": [
        "⎡ 1  2  ·  3  4  ·  ·  ·  · ⎤",
        "⎢[4][3][2][1]⎥",
        "⎢   2   4    6  [8]  10  12   14  16   18 ⎥",
        "∂L/∂w₁₁ = 1 + (−2) + 8 + 2.5 = 9.5",
    ],
    "true-convolution": [
        "z'₁₁ = 4·0.5 + 3·0.731059 + 2·0.880797 + 1·0.5 = 6.45477",
        "∂C/∂a₂₂ = 1·1 + 2·(−1) + 3·2 + 4·0.5 = 7",
        "δ₂₂ = 7·0.5·0.5 = 1.75",
        "δ₂₂           1.75        1.75",
    ],
    "pooling": [
        "y₁₁ = max(1, 2, 4, 10) = 10   at row 2, column 2",
        "⎡ 10  10 ⎤  ⎡ 4  4 ⎤",
        "⎣ 12  13 ⎦  ⎣ 7  8 ⎦",
        "∂L/∂x₂₂ = −0.1 + (−0.1) = −0.2   the 10 won 2 windows",
        "∂L/∂x₃₂ = −1/12 = −0.0833333   the 12 won one window",
    ],
    "network": [
        "z₁₁ = 1·2 + (−1)·0 + 0·2 + 0.5·2 + (−0.5) = 2.5",
        "y₁ = 0.5·2.5 + (−1)·1.5 + 1·1.5 + 0·2 = 1.25",
        "∂L/∂y₁ = 0.377541 + (−1) = −0.622459",  # 1 / (1 + exp(1/2)) = 0.377541
        "∂L/∂a₂₂ = 0.933689 + (−0.31123) = 0.622459",
        "∂L/∂w₂₂    0.31123     0.31123",
    ],
    "update": [
        "v₁₁ = 0.5·0 + 9.5 + 0.01·1 = 9.51",
        "w₁₁ = 1 + (−0.1)·9.51 = 0.049",
        "v₁₁ = 0.5·9.51 + 9.5 + 0.01·0.049 = 14.2555",
    ],
}

# Another image, and a line that it makes.
OTHERS: dict[str, tuple[str, str]] = {
    "forward": ("1 0 0; 0 2 0; 0 0 1/2", "z₁₁ = 1·1 + 2·0 + 3·0 + 4·2 = 9"),
    "full-convolution": ("1 2 3; 4 5 6", "∂L/∂x₂₃ = 4·(−1) + 3·0 + 2·0 + 1·0 = −4"),
    "weights": ("1 0 0; 0 2 0; 0 0 1/2", "∂L/∂w₁₁ = 1·1 + (−1)·0 + 2·0 + 0.5·2 = 2"),
    "bias": ("1 0 0; 0 2 0; 0 0 1/2", "⎣ 4  4 ⎦"),
    "channels": ("1 | 2 | 1/2", "image 1, filter 1: z₁₁ = 0.5·1 + (−1)·2 + 2·0.5 + 0.5 = 0"),
    "stride": ("1 0 0; 0 2 0; 0 0 1/2", "z₂₂ = 1·2 + 2·0 + 3·0 + 4·0.5 = 4"),
    "as-a-matrix": ("1 0 0; 0 2 0; 0 0 1/2", "∂L/∂w₁₁ = 1 + 0 + 0 + 1 = 2"),
    "true-convolution": ("0 0 0; 0 0 0; 0 0 0", "z'₁₁ = 4·0.5 + 3·0.5 + 2·0.5 + 1·0.5 = 5"),
    "pooling": ("1 2; 8 4", "y₁₁ = max(1, 2, 8, 4) = 8   at row 2, column 1"),
    "network": (
        "1 0 2 3; 2 2 1 1; 1 2 2 0; 1 1 2 1",
        "z₁₁ = 1·1 + (−1)·0 + 0·2 + 0.5·2 + (−0.5) = 1.5",
    ),
    "update": ("1 0 0; 0 2 0; 0 0 1/2", "v₁₁ = 0.5·0 + 2 + 0.01·1 = 2.01"),
}

# The results of the kernels that a lesson shows: function, and which of its results.
USED: dict[str, list[tuple[str, int]]] = {
    "forward": [("conv2d", 0)],
    "full-convolution": [("conv2d", 0), ("conv2d_backward", 0)],
    "weights": [("conv2d_backward", 1)],
    "bias": [("conv2d", 0), ("conv2d_backward", 2)],
    "channels": [("conv2d", 0), *(("conv2d_backward", i) for i in range(3))],
    "stride": [("conv2d", 0), ("conv2d_backward", 0), ("conv2d_backward", 1)],
    "as-a-matrix": [
        ("conv2d", 0), ("conv2d_backward", 0), ("conv2d_backward", 1),
        ("dense", 0), ("dense_backward", 0), ("dense_backward", 1),
    ],
    "true-convolution": [
        ("conv2d", 0), ("conv2d_backward", 0), ("conv2d_backward", 1), ("sigmoid", 0), ("sigmoid_backward", 0),
    ],
    "pooling": [("max_pool2d", 0), ("max_pool2d", 1), ("max_pool2d_backward", 0)],
    "network": [
        ("conv2d", 0), *(("conv2d_backward", i) for i in range(3)), ("relu", 0), ("relu_backward", 0),
        ("max_pool2d", 0), ("max_pool2d", 1), ("max_pool2d_backward", 0), ("dense", 0),
        *(("dense_backward", i) for i in range(3)), ("cross_entropy", 0), ("cross_entropy", 1),
    ],
    "update": [("conv2d_backward", 1)],
}  # fmt: skip


def text_of(lesson: str, **given: Any) -> str:
    return render(teach(lesson, **given))


@pytest.mark.parametrize("lesson", LESSONS)
def test_a_lesson_on_its_own_numbers(lesson: str) -> None:
    text = text_of(lesson)
    missing = [line for line in PRINTED[lesson] if line not in text]
    assert missing == [], text


@pytest.mark.parametrize("lesson", LESSONS)
def test_a_lesson_on_another_image(lesson: str) -> None:
    image, line = OTHERS[lesson]
    assert line not in text_of(lesson)
    assert line in text_of(lesson, image=(image,))


def broken(function: Callable[..., Any], which: int, last: bool) -> Callable[..., Any]:
    """Return a function one number of whose results is a little too large."""

    def call(*arguments: Any, **settings: Any) -> Any:
        result = function(*arguments, **settings)
        results = list(result) if isinstance(result, tuple) else [result]
        wrong = np.array(results[which])
        wrong[np.unravel_index(wrong.size - 1 if last else 0, wrong.shape)] += 1 if wrong.dtype.kind == "i" else 1e-6
        results[which] = wrong if wrong.ndim else wrong[()]
        return tuple(results) if isinstance(result, tuple) else results[0]

    return call


@pytest.mark.parametrize("last", [False, True], ids=["first number", "last number"])
@pytest.mark.parametrize(
    ("lesson", "name", "which"), [(lesson, name, i) for lesson, used in USED.items() for name, i in used]
)
def test_a_number_of_a_kernel_that_is_not_its_sum_is_an_error(
    lesson: str, name: str, which: int, last: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(functional, name, broken(getattr(functional, name), which, last))
    with pytest.raises(MismatchError, match=r"the (kernel|formula) gives .*") as caught:
        teach(lesson)
    assert caught.value.exit_code == 1
    assert re.match(r"[^:]*[₀-₉\dLbcyC]", str(caught.value)), "names the number"


def test_a_wrong_update_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    right = Sgd.step

    def step(self: Sgd, learning_rate: float) -> None:
        right(self, learning_rate * 1.000001)

    monkeypatch.setattr(Sgd, "step", step)
    with pytest.raises(MismatchError, match="step 1: w₁₁: the kernel gives"):
        teach("update")


def test_a_derivative_that_is_none_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Differences know no formula: the loss itself may be another one than its gradient belongs to."""
    right = functional.sigmoid
    flipped: list[int] = []

    def sigmoid(x: Any) -> Any:
        flipped.append(1)
        return right(x) * (1 if len(flipped) < 3 else 1.001)  # right when it is shown, wrong in the differences

    monkeypatch.setattr(functional, "sigmoid", sigmoid)
    with pytest.raises(MismatchError, match="δ₁₁: the formula gives .*, the central difference"):
        teach("true-convolution")


def slides(document: Document) -> list[Slide]:
    return [block for block in document.blocks if isinstance(block, Slide)]


def test_a_figure_that_writes_other_terms_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """The terms that are printed are compared once more, as they are printed."""
    from cnntrain.explain import figures

    right = figures.canvas
    monkeypatch.setattr(
        figures, "canvas", lambda law, cell: right(law, lambda output: cell(output[::-1]))
    )  # transposed
    with pytest.raises(MismatchError, match="∂L/∂x₁₂: the kernel gives 1.0, the sum that would be shown .* 4.0"):
        teach("full-convolution")


SETTINGS: list[dict[str, str]] = [
    {},
    {"padding": "1"},
    {"padding": "full", "mode": "convolution"},
    {"stride": "2", "padding": "1", "delta": "1 -1; 2 1/2"},
    {"stride": "2,1", "dilation": "1,2", "padding": "1"},
    {"padding": "same", "dilation": "2", "mode": "convolution"},
    {"padding": "2", "stride": "3"},  # a padding larger than the filter's reach - 1, outputs that see no pixel
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("lesson", ["forward", "full-convolution", "weights"])
def test_the_window_that_is_marked_gives_the_number_that_is_marked(lesson: str, settings: dict[str, str]) -> None:
    """The figure alone, multiplied out: window times filter is the output, in every step; no kernel, no index law."""
    given = dict(settings) if lesson != "forward" else {k: v for k, v in settings.items() if k != "delta"}
    found = slides(teach(lesson, **given))
    assert len(found) == 1
    slide = found[0]
    assert len(slide.steps) == sum(len(row) for row in slide.output.values)
    for step in slide.steps:
        window, taps = sorted(step.window), sorted(step.taps)
        assert len(window) == len(taps)
        total = sum(
            float(slide.image.values[i][j]) * float(slide.filter.values[r][s])
            for (i, j), (r, s) in zip(window, taps, strict=True)
        )
        value = slide.output.values[step.output[0]][step.output[1]]
        assert total == value == step.sum.value
        assert len({b[1] - a[1] for a, b in pairwise(window) if a[0] == b[0]} - {0}) <= 1
    assert {step.output for step in slide.steps} == {
        (i, j) for i, row in enumerate(slide.output.values) for j in range(len(row))
    }


@pytest.mark.parametrize("lesson", LESSONS)
def test_every_sum_that_is_written_is_its_value(lesson: str) -> None:
    document = teach(lesson)
    sums = list(sums_of(document.blocks))
    assert sums
    for each in sums:
        total = sum(np.prod([float(factor) for factor in term]) for term in each.terms)
        assert total == pytest.approx(float(each.value), rel=1e-12, abs=1e-12), each


def test_numbers_that_are_exact_are_compared_exactly() -> None:
    """The least difference that float64 knows is one too many between whole numbers."""
    right = functional.conv2d

    def off(*arguments: Any, **settings: Any) -> Any:
        return np.nextafter(right(*arguments, **settings), np.inf)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(functional, "conv2d", off)
        with pytest.raises(MismatchError, match=r"z₁₁: the kernel gives 37\.00000000000001, the sum .* 37\.0"):
            teach("forward")
        assert teach("forward", filter=("1/3 2; 3 4",)), "thirds are rounded"


def test_network_at_a_corner_says_that_there_is_no_derivative() -> None:
    text = text_of("network", image=("0 0 0; 0 0 0; 0 0 0",), bias="0")
    assert "the loss has a corner" in text
    assert "difference\n" not in text
    nearly = text_of("network", filter=("1/3 1/2 -0.25; 1/2 -1 1/3",))  # 11/6 twice, but for rounding
    assert "the loss has a corner" in nearly


def test_pixels_of_0_to_255_need_smaller_steps() -> None:
    text = text_of(
        "network", image=("0 255 12 77; 128 64 3 200; 31 90 254 8; 5 6 7 199",), filter=("1/100 0; 0 -1/50",)
    )
    assert "difference\n" in text
    assert "the loss has a corner" not in text


def test_ties_go_to_the_first() -> None:
    text = text_of("pooling", image=("5 5; 5 5",), delta=("2",))
    assert "= 5   at row 1, column 1" in text
    assert "∂L/∂x₁₁ = 2   the 5 won one window" in text


def test_a_pooling_loss_needs_positive_numbers() -> None:
    assert "L = Σ −log y" in text_of("pooling")
    assert "L = Σ −log y" not in text_of("pooling", image=("-1 -2; -3 0",))


@pytest.mark.parametrize("lesson", LESSONS)
def test_every_lesson_fits_into_80_columns_and_uses_no_escapes(lesson: str) -> None:
    large = "1000000 -2/3 3 4; 1 2 3.25 4; 1/7 0 -0.001 2; 5 4 3 2"
    large = {"channels": "1/3 | 2 | 3", "network": large.replace("000000", "000")}.get(lesson, large)
    for given in ({}, {"image": (large,)}):
        text = text_of(lesson, **given)
        assert "\x1b" not in text
        assert [line for line in text.splitlines() if len(line) > 80] == []


@pytest.mark.parametrize("lesson", LESSONS)
def test_colours_change_nothing_but_colours(lesson: str) -> None:
    document = teach(lesson)
    colored = render(document, color=True)
    assert "\x1b[" in colored
    plain = re.sub(r"\x1b\[[\d;]*m", "", colored)
    assert [line.rstrip() for line in plain.splitlines()] == render(document).splitlines()


def anchors(document: str) -> set[str]:
    """Return the anchors of a document's headings, as GitHub makes them."""
    titles = re.findall(r"(?m)^#+ (.*)$", (DOCS / document).read_text())
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("lesson", LESSONS)
def test_lessons_and_mathematics_link_each_other(lesson: str) -> None:
    section = LESSONS[lesson].section
    assert f"docs/mathematics.md#{section}" in text_of(lesson)
    assert section in anchors("mathematics.md")
    assert f"--lesson {lesson}`" in (DOCS / "mathematics.md").read_text()
    assert f"`{lesson}`" in (DOCS / "explain.md").read_text()


def test_the_list_of_lessons() -> None:
    assert list(listing()) == list(LESSONS) == list(PRINTED)
    for name, about in listing().items():
        assert len(f"{name:18} {about}") <= 80
    modules = {path.stem for path in (Path(__file__).parents[2] / "cnntrain/explain/lessons").glob("*.py")}
    assert modules - {"__init__"} == {name.replace("-", "_") for name in LESSONS}


def test_no_lesson_of_that_name() -> None:
    with pytest.raises(ArgumentError, match=r'no lesson "poling"; did you mean pooling\?') as caught:
        teach("poling")
    for name, about in listing().items():
        assert re.search(rf"{name} +{re.escape(about)}", str(caught.value))


def test_what_a_lesson_does_not_take_is_not_passed_over() -> None:
    with pytest.raises(ArgumentError, match="lesson pooling takes no --bias; it takes --image, --window, --stride"):
        teach("pooling", bias="1", image=())
