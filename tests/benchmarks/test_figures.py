from __future__ import annotations

import pytest

from benchmarks.comparison.figures import best_peer, compared, ratios, spread, summary, turns


def test_a_spread_has_quartiles_and_extremes() -> None:
    assert spread([5.0, 1.0, 3.0, 2.0, 4.0]) == {"median": 3, "low": 2, "high": 4, "lowest": 1, "highest": 5}
    assert spread([1.0, 2.0]) == {"median": 1.5, "low": 1.25, "high": 1.75, "lowest": 1, "highest": 2}


def test_a_single_round_has_no_spread() -> None:
    assert set(spread([2.0]).values()) == {2.0}


def test_ratios_are_those_within_a_round() -> None:
    """The second round was slow for both: the ratio of the medians would be 10 / 4."""
    found = ratios([20.0, 2.0, 10.0], [10.0, 1.0, 4.0])
    assert (found["median"], found["lowest"], found["highest"]) == (2.0, 2.0, 2.5)


def test_rounds_must_be_as_many() -> None:
    with pytest.raises(ValueError, match="argument 2"):
        ratios([1.0, 2.0], [1.0])


def test_the_best_peer_is_that_with_the_highest_median() -> None:
    speeds = {"cnntrain": [100.0] * 3, "torch": [9.0, 1.0, 1.0], "jax": [2.0, 2.0, 2.0]}
    assert best_peer(speeds) == "jax"
    assert best_peer({"cnntrain": [1.0]}) is None
    assert set(compared(speeds)) == {"torch", "jax"}
    assert compared(speeds)["jax"]["median"] == 50


def test_each_round_begins_with_another() -> None:
    assert [turns(["a", "b", "c"], number)[0] for number in range(4)] == ["a", "b", "c", "a"]
    assert sorted(turns(["a", "b", "c"], 5)) == ["a", "b", "c"]


def test_a_summary_keeps_every_measurement() -> None:
    found = summary({"cnntrain": [4.0], "torch": [2.0]})
    assert found["images_per_second"] == {"cnntrain": [4.0], "torch": [2.0]}
    assert found["best_peer"] == "torch"
