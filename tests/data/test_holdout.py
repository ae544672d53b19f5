from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnntrain.data.holdout import held_out_count, stratified_holdout
from cnntrain.errors import ConfigError


def test_exact_proportions() -> None:
    labels = np.repeat([0, 1, 2], [60, 30, 10])
    kept, held = stratified_holdout(labels, 3, 20, np.random.default_rng(1))
    assert np.bincount(labels[held]).tolist() == [12, 6, 2]
    assert np.bincount(labels[kept]).tolist() == [48, 24, 8]


def test_the_largest_remainders_are_rounded_up() -> None:
    labels = np.repeat([0, 1, 2], [5, 3, 2])  # shares of 4: 2.0, 1.2, 0.8
    _, held = stratified_holdout(labels, 3, 4, np.random.default_rng(1))
    assert np.bincount(labels[held], minlength=3).tolist() == [2, 1, 1]


@given(
    labels=st.lists(st.integers(0, 6), min_size=1, max_size=80),
    share=st.floats(0, 1),
    seed=st.integers(0, 2**32),
)
def test_properties(labels: list[int], share: float, seed: int) -> None:
    array = np.array(labels)
    count = int(share * len(labels))
    kept, held = stratified_holdout(array, 7, count, np.random.default_rng(seed))
    assert len(held) == count
    assert sorted([*kept, *held]) == list(range(len(labels)))
    assert list(kept) == sorted(kept)
    assert list(held) == sorted(held)
    exact = np.bincount(array, minlength=7) * count / len(labels)
    given_to = np.bincount(array[held], minlength=7)
    assert np.all(np.abs(given_to - exact) < 1)
    again = stratified_holdout(array, 7, count, np.random.default_rng(seed))
    np.testing.assert_array_equal(again[1], held)


def test_the_generator_decides_which_images() -> None:
    labels = np.zeros(1000, np.int64)
    one, two = (set(stratified_holdout(labels, 1, 100, np.random.default_rng(seed))[1]) for seed in (1, 2))
    assert len(one & two) < 50


@pytest.mark.parametrize(
    ("validation", "count"), [(0, 0), (0.0, 0), (5, 5), (9, 9), (0.1, 1), (0.25, 3), (0.24, 2), (0.94, 9)]
)
def test_counts_and_fractions(validation: float, count: int) -> None:
    assert held_out_count(validation, 10) == count


@pytest.mark.parametrize("validation", [10, 11, 0.96])
def test_nothing_left_to_train_on(validation: float) -> None:
    message = f"data.validation: {validation} leaves nothing to train on: the training split has 10 images"
    with pytest.raises(ConfigError, match=message):
        held_out_count(validation, 10)


def test_fraction_of_less_than_one_image() -> None:
    with pytest.raises(ConfigError, match="data.validation: 0.01 of 10 images is less than one image"):
        held_out_count(0.01, 10)
