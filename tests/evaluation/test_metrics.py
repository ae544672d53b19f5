from __future__ import annotations

from dataclasses import astuple
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnntrain.errors import ArgumentError
from cnntrain.evaluation.metrics import (
    Confusion,
    Quality,
    class_qualities,
    count_confusion,
    macro_average,
    top_k_correct,
    weighted_average,
)

LOGITS = np.array([[0.1, 0.7, 0.2], [3.0, 2.0, 1.0], [1.0, 2.0, 3.0], [5.0, 1.0, 4.0]])
LABELS = np.array([1, 1, 0, 2])


@pytest.mark.parametrize(("k", "expected"), [(1, 1), (2, 3), (3, 4), (50, 4)])
def test_top_k_of_a_worked_example(k: int, expected: int) -> None:
    assert top_k_correct(LOGITS, LABELS, k) == expected


def test_equal_logits_rank_in_class_order() -> None:
    logits = np.zeros((3, 3))
    assert [top_k_correct(logits, np.array([0, 1, 2]), k) for k in (1, 2, 3)] == [1, 2, 3]


@given(st.integers(0, 2**32 - 1), st.integers(1, 7))
def test_top_1_is_argmax_even_with_ties(seed: int, classes: int) -> None:
    generator = np.random.default_rng(seed)
    logits = generator.integers(-2, 3, (20, classes)).astype(np.float32)
    labels = generator.integers(0, classes, 20)
    assert top_k_correct(logits, labels, 1) == (logits.argmax(axis=1) == labels).sum()


def test_no_images_count_as_none_correct() -> None:
    assert top_k_correct(np.empty((0, 3)), np.empty(0, int), 1) == 0


@pytest.mark.parametrize(
    ("logits", "labels", "k", "message"),
    [
        (LOGITS, LABELS[:2], 1, r"got \(4, 3\) and \(2,\)"),
        (LOGITS[0], LABELS, 1, r"got \(3,\) and \(4,\)"),
        (LOGITS, np.array([0, 1, 2, 3]), 1, r"0\.\.2, got 0\.\.3"),
        (LOGITS, np.array([0, 1, 2, -1]), 1, r"0\.\.2, got -1\.\.2"),
        (LOGITS, LABELS, 0, "k must be at least 1, got 0"),
        (np.array([[np.nan, 1.0], [1.0, 2.0]]), np.array([0, 1]), 1, "1 of 2 images have NaN or inf"),
    ],
)
def test_top_k_refuses_bad_input(logits: np.ndarray, labels: np.ndarray, k: int, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        top_k_correct(logits, labels, k)


def test_confusion_has_labels_as_rows() -> None:
    confusion = count_confusion(np.array([0, 1, 1, 1]), np.array([0, 0, 1, 2]), 3)
    np.testing.assert_array_equal(confusion.matrix(), [[1, 1, 0], [0, 1, 0], [0, 1, 0]])
    assert confusion.matrix().dtype == np.int64
    assert (confusion.images.tolist(), confusion.answers.tolist(), confusion.right.tolist()) == (
        [2, 1, 1], [1, 3, 0], [1, 1, 0],
    )  # fmt: skip


def test_the_most_frequent_mistakes_stand_first() -> None:
    assert of([[5, 1, 0], [0, 0, 3], [1, 0, 2]]).mistakes() == [(1, 2, 3), (0, 1, 1), (2, 0, 1)]
    assert of([[2, 0], [0, 1]]).mistakes() == []


def test_many_classes_take_the_memory_of_the_images_alone() -> None:
    """A matrix of a million classes would take 8 TB."""
    confusion = count_confusion(np.array([7, 999_999]), np.array([7, 0]), 1_000_000)
    assert (confusion.right.sum(), confusion.mistakes()) == (1, [(0, 999_999, 1)])


def test_confusion_refuses_bad_input() -> None:
    with pytest.raises(ArgumentError, match=r"predicted must lie in 0\.\.1, got 0\.\.2"):
        count_confusion(np.array([0, 2]), np.array([0, 1]), 2)
    with pytest.raises(ArgumentError, match=r"labels must lie in 0\.\.1, got -1\.\.1"):
        count_confusion(np.array([0, 1]), np.array([-1, 1]), 2)
    with pytest.raises(ArgumentError, match="not the same"):
        count_confusion(np.array([0, 1]), np.array([0]), 2)


def of(matrix: Any) -> Confusion:
    """Count from a matrix: class as row, answer as column."""
    matrix = np.asarray(matrix)
    labels, answers = np.indices(matrix.shape).reshape(2, -1)
    return count_confusion(answers.repeat(matrix.ravel()), labels.repeat(matrix.ravel()), len(matrix))


# Of 4 cats 3 are found; of 2 dogs none, since both were taken for cats; a horse was taken for a dog.
ANIMALS = [[3, 1, 0], [2, 0, 0], [0, 1, 0]]


def test_qualities_of_a_worked_example() -> None:
    assert class_qualities(of(ANIMALS)) == [
        Quality(precision=3 / 5, recall=3 / 4, f1=6 / 9),
        Quality(precision=0.0, recall=0.0, f1=0.0),
        Quality(precision=None, recall=0.0, f1=0.0),
    ]
    assert astuple(macro_average(of(ANIMALS))) == pytest.approx((0.2, 0.25, 2 / 9))
    assert astuple(weighted_average(of(ANIMALS))) == pytest.approx((4 * 0.6 / 7, 3 / 7, 4 * 6 / 9 / 7))


def test_a_class_without_images() -> None:
    """Answers for it are wrong, and pull the macro average down; without answers it does not take part."""
    answered, absent = of([[3, 1], [0, 0]]), of([[4, 0], [0, 0]])
    assert class_qualities(answered)[1] == Quality(precision=0.0, recall=None, f1=0.0)
    assert class_qualities(absent)[1] == Quality(precision=None, recall=None, f1=None)
    assert astuple(macro_average(answered)) == pytest.approx((0.5, 0.375, 6 / 7 / 2))
    assert astuple(weighted_average(answered)) == pytest.approx((1.0, 0.75, 6 / 7))
    assert macro_average(absent) == weighted_average(absent) == Quality(1.0, 1.0, 1.0)


def test_no_images_at_all() -> None:
    nothing = of(np.zeros((2, 2), np.int64))
    assert macro_average(nothing) == weighted_average(nothing) == Quality(None, None, None)


@given(st.integers(0, 2**32 - 1), st.integers(1, 6))
def test_qualities_by_counting(seed: int, classes: int) -> None:
    """From labels and answers, as the words define them."""
    generator = np.random.default_rng(seed)
    labels, answers = generator.integers(0, classes, (2, 25))
    confusion = count_confusion(answers, labels, classes)
    for k, quality in enumerate(class_qualities(confusion)):
        right, taken, there = ((labels == k) & (answers == k)).sum(), (answers == k).sum(), (labels == k).sum()
        assert quality.precision == (right / taken if taken else None)
        assert quality.recall == (right / there if there else None)
        if right:
            harmonic = 2 / (1 / quality.precision + 1 / quality.recall)  # type: ignore[operator]
            assert quality.f1 == pytest.approx(harmonic)
        else:
            assert not quality.f1
    assert weighted_average(confusion).recall == pytest.approx((labels == answers).mean())
