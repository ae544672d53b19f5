from __future__ import annotations

import numpy as np

from cnntrain.randomness import key_of, uniforms

MASK = 2**64 - 1


def splitmix64(state: int, count: int) -> list[int]:
    """The generator of Steele, Lea and Flood 2014, figure 17, in plain integers."""
    numbers = []
    for _ in range(count):
        state = (state + 0x9E3779B97F4A7C15) & MASK
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        numbers.append(z ^ (z >> 31))
    return numbers


def test_the_numbers_are_splitmix64s() -> None:
    assert splitmix64(1234567, 2) == [6457827717110365317, 3203168211198807973]  # published test vector
    for key in (0, 1234567, MASK):
        expected = [(number >> 11) * 2.0**-53 for number in splitmix64(key, 12)]
        found = uniforms(key, np.arange(4, dtype=np.int64), 3)
        assert found.reshape(-1).tolist() == expected


def test_each_index_has_numbers_of_its_own() -> None:
    whole = uniforms(7, np.arange(1000, dtype=np.int64), 4)
    chosen = np.array([999, 3, 3, 500])
    np.testing.assert_array_equal(uniforms(7, chosen, 4), whole[chosen])
    assert len(np.unique(whole)) == whole.size
    assert whole.min() >= 0
    assert whole.max() < 1
    assert abs(whole.mean() - 0.5) < 0.02
    assert abs(np.corrcoef(whole[:-1, 0], whole[1:, 0])[0, 1]) < 0.1


def test_keys() -> None:
    keys = {key_of(seed, "augmentation", place, epoch) for seed in (1, 2) for place in range(3) for epoch in range(3)}
    assert len(keys) == 18
    assert key_of(1, "augmentation", 0, 0) == key_of(1, "augmentation", 0, 0)
    assert all(0 <= key <= MASK for key in keys)
