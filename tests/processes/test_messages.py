"""What travels between processes: how often, when, and that the sums do not depend on it."""

from __future__ import annotations

import numpy as np
import pytest

from cnntrain.processes.division import Send, part, work_of
from cnntrain.training.buckets import bucket_ends
from tests.processes.in_threads import Ran, gradient_of

LARGE = 40_000  # numbers of a layer that is worth a message of its own: 160,000 bytes
SIZES = (600, LARGE, 3 * LARGE, 0, LARGE, 10, 10, 10)  # of layers
STATISTICS = 24


def naive_tree(shards: int, count: int) -> np.ndarray:
    """Add the shards' gradients in a binary tree over all, each half as it is written in DESIGN: (left) + (right)."""

    def visit(first: int, stop: int) -> np.ndarray:
        if stop - first == 1:
            return gradient_of(first, 0, count)
        middle = first + (stop - first + 1) // 2
        return visit(first, middle) + visit(middle, stop)

    return visit(0, shards)


@pytest.mark.parametrize(("processes", "shards"), [(1, 3), (2, 2), (2, 8), (3, 8), (4, 4), (5, 8), (7, 7)])
def test_the_sums_are_those_of_the_tree_for_any_number_of_processes(processes: int, shards: int) -> None:
    images = 3 * shards + 1
    ran = Ran(processes, shards, SIZES, STATISTICS, images)
    expected = naive_tree(shards, sum(SIZES)) * np.float32(1 / images)
    for network, sums in zip(ran.networks, ran.sums, strict=True):
        np.testing.assert_array_equal(network.gradients, expected)
        np.testing.assert_array_equal(network.measured, ran.networks[0].measured)
        assert sums == ran.sums[0]
    assert ran.left == 0, "a message that nobody has read"
    weights = [len(part(images, shards, shard)) / images for shard in range(shards)]
    mean = sum(0.1 * (shard + 1) * weight for shard, weight in enumerate(weights))
    np.testing.assert_allclose(ran.networks[0].measured, mean, rtol=1e-5)


@pytest.mark.parametrize(("processes", "shards"), [(2, 2), (3, 8), (5, 8), (8, 8)])
def test_one_message_for_each_edge_of_the_tree_and_bucket(processes: int, shards: int) -> None:
    ran = Ran(processes, shards, SIZES, STATISTICS, shards)
    edges = [
        sum(isinstance(item, Send) for item in work_of(rank, processes, shards, shards)) for rank in range(processes)
    ]
    buckets = len(bucket_ends(ran.networks[0].starts, sum(SIZES) + STATISTICS, 4)) - 1
    assert 1 < buckets < len(SIZES)
    assert sum(edges) >= processes - 1
    sent = [[size for what, size in team.events if what == "send"] for team in ran.teams]
    assert [len(sizes) for sizes in sent] == [buckets * count for count in edges]
    floats, beside = 4 * (sum(SIZES) + STATISTICS), 8 * 6  # the float64 sums; and what aligns them
    assert all(
        0 <= sum(sizes) - count * (floats + beside) <= 8 * count for sizes, count in zip(sent, edges, strict=True)
    )


def test_sums_leave_while_earlier_layers_are_computed() -> None:
    ran = Ran(2, 2, SIZES, STATISTICS, 32)
    events = ran.teams[1].events
    kinds = [what if what == "send" else layer for what, layer in events]
    # the last layer and what is left of the one before fill no bucket; then each layer's sums leave when it is done
    assert kinds == [7, 6, 5, 4, "send", 3, 2, "send", "send", "send", 1, "send", 0, "send"]
    # what is gradients and nothing else is sent from where it was computed
    gradients = ran.networks[1].gradients
    assert [np.shares_memory(array, gradients) for array in ran.teams[1].sent] == [False, True, True, True, True, True]


@pytest.mark.parametrize(
    ("starts", "floats", "expected"),
    [
        ([0, 10], 10, [10, 0]),
        ([0, 0, 0], 0, [0, 0]),
        ([0, LARGE, LARGE + 5], LARGE + 5, [LARGE + 5, 0]),  # the last layer alone is too little
        ([0, 5, LARGE + 5], LARGE + 5, [LARGE + 5, 5, 0]),  # what the first layers leave may be little
        ([0, LARGE, 2 * LARGE], 2 * LARGE + 6, [2 * LARGE + 6, LARGE, 0]),  # statistics go with the last layer
        ([0, 2**17], 2**17, [2**17, 98304, 65536, 32768, 0]),  # a large layer is divided
    ],
)
def test_buckets_end_where_layers_begin(starts: list[int], floats: int, expected: list[int]) -> None:
    assert bucket_ends(starts, floats, 4) == expected


def test_a_huge_network_has_few_buckets() -> None:
    sizes = np.full(50, 1_000_000)
    ends = bucket_ends([0, *np.cumsum(sizes).tolist()], int(sizes.sum()) + 9, 4)
    assert ends[0] == sizes.sum() + 9
    assert ends[-1] == 0
    assert 4 <= len(ends) - 1 <= 9
