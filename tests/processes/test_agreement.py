"""What all processes must have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from cnntrain.data.images import LazyRows
from cnntrain.errors import ArgumentError
from cnntrain.processes import agreement
from cnntrain.processes.agreement import agree, digest_of
from cnntrain.processes.team import ALONE, Team, Value


class Scripted(Team):
    """A team whose other processes say what they are given."""

    def __init__(self, *others: Any) -> None:
        self.size, self._others = 1 + len(others), others

    def gather(self, value: Value) -> list[Value]:
        return [value, *self._others]

    def names(self) -> list[str]:
        return [f"process {rank} (node{rank})" for rank in range(self.size)]


def test_who_differs_in_what() -> None:
    facts = {"numba": "0.68.1", "seed": "1"}
    agree(ALONE, facts)
    agree(Scripted(dict(facts), dict(facts)), facts)
    with pytest.raises(ArgumentError) as caught:
        agree(Scripted(dict(facts), {"numba": "0.68.1", "seed": "2"}, {"seed": "1"}), facts)
    assert str(caught.value) == (
        "the processes do not have the same things to compute with:\n"
        "  process 2 (node2): seed: 2, process 0 has 1\n"
        "  process 3 (node3): numba: nothing, process 0 has 0.68.1"
    )


def test_long_and_many_differences_are_cut() -> None:
    others = [{"network": f"{rank}" * 100} for rank in range(1, 31)]
    with pytest.raises(ArgumentError) as caught:
        agree(Scripted(*others), {"network": "0" * 100})
    lines = str(caught.value).splitlines()
    assert lines[1] == f"  process 1 (node1): network: {'1' * 57}..., process 0 has {'0' * 57}..."
    assert (len(lines), lines[-1]) == (12, "  and 20 more")


IMAGES = np.arange(5 * 2 * 3 * 3, dtype=np.uint8).reshape(5, 2, 3, 3)
LABELS = np.arange(5)


def changed(array: np.ndarray, *place: int) -> np.ndarray:
    copy = array.copy()
    copy[place] ^= 1
    return copy


@pytest.mark.parametrize("make", [np.asarray, lambda images: LazyRows(images, np.arange(5))], ids=["array", "rows"])
def test_a_digest_tells_data_apart(make: Callable[[np.ndarray], Any]) -> None:
    digest = digest_of(make(IMAGES), LABELS)
    assert digest == digest_of(make(IMAGES.copy()), LABELS.copy())
    assert digest != digest_of(make(changed(IMAGES, 4, 1, 2, 2)), LABELS)
    assert digest != digest_of(make(IMAGES), changed(LABELS, 3))
    assert digest != digest_of(make(IMAGES.reshape(5, 3, 2, 3)), LABELS)
    assert digest != digest_of(make(IMAGES.view(np.int8)), LABELS)


def test_of_much_data_some_images_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agreement, "_WHOLE", 10)
    monkeypatch.setattr(agreement, "_SAMPLE", 3)
    digest = digest_of(IMAGES, LABELS)
    for place in (0, 2, 4):
        assert digest != digest_of(changed(IMAGES, place, 0, 0, 0), LABELS)
    assert digest == digest_of(changed(IMAGES, 1, 0, 0, 0), LABELS)
