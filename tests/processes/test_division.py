"""The tree of sums: one expression, whoever computes it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnntrain.processes.division import Add, Leaf, Receive, Send, leaves_of, part, slots_of, work_of


def tree(first: int, stop: int, filled: int) -> str:
    """Write the sum of shards first ... stop - 1 with its brackets, halves first, without those that are not filled."""
    if stop - first == 1:
        return str(first)
    middle = first + (stop - first + 1) // 2
    left = tree(first, middle, filled)
    return left if middle >= filled else f"({left}+{tree(middle, stop, filled)})"


def added(processes: int, shards: int, filled: int) -> str:
    """Let processes do their work, one item of each in turn, and return what process 0 has at the end."""
    works = [work_of(process, processes, shards, filled) for process in range(processes)]
    slots: list[dict[int, str]] = [{} for _ in range(processes)]
    on_the_way: dict[tuple[int, int, int], str] = {}
    places = [0] * processes
    while any(place < len(work) for place, work in zip(places, works, strict=True)):
        before = list(places)
        for process, work in enumerate(works):
            if places[process] == len(work):
                continue
            item, mine = work[places[process]], slots[process]
            if isinstance(item, Leaf):
                mine[item.slot] = str(item.shard)
            elif isinstance(item, Add):
                mine[item.target] = f"({mine[item.target]}+{mine.pop(item.source)})"
            elif isinstance(item, Send):
                assert (process, item.to, item.node) not in on_the_way
                on_the_way[process, item.to, item.node] = mine.pop(item.slot)
            else:
                assert isinstance(item, Receive)
                if (item.source, process, item.node) not in on_the_way:
                    continue
                arrived = on_the_way.pop((item.source, process, item.node))
                mine[item.slot] = f"({mine[item.slot]}+{arrived})"
            places[process] += 1
        assert places != before, "all wait for each other"
    assert not on_the_way
    assert list(slots[0]) == [0], "what is left is the sum of all, in slot 0"
    assert not any(slots[1:])
    return slots[0][0]


def test_by_hand() -> None:
    assert added(1, 5, 5) == "(((0+1)+2)+(3+4))"
    assert added(3, 5, 4) == "(((0+1)+2)+3)"


@given(st.integers(1, 17).flatmap(lambda shards: st.tuples(
    st.just(shards), st.integers(1, shards), st.integers(1, shards)
)))  # fmt: skip
def test_the_sum_does_not_depend_on_who_computes_it(sizes: tuple[int, int, int]) -> None:
    shards, processes, filled = sizes
    assert added(processes, shards, filled) == tree(0, shards, filled)


@pytest.mark.parametrize(("shards", "processes", "filled"), [(8, 3, 8), (8, 5, 3), (64, 64, 64), (1024, 7, 1000)])
def test_every_shard_is_computed_once_by_its_process(shards: int, processes: int, filled: int) -> None:
    for process in range(processes):
        expected = [shard for shard in part(shards, processes, process) if shard < filled]
        assert list(leaves_of(work_of(process, processes, shards, filled))) == expected


def test_one_process_keeps_few_values_at_a_time() -> None:
    assert slots_of(work_of(0, 1, 1024, 1024)) == 11  # one per level of the tree, and the leaf
    assert slots_of(work_of(0, 1, 1, 1)) == 1


@given(st.integers(0, 1000), st.integers(1, 40))
def test_parts_are_as_equal_as_can_be(total: int, parts: int) -> None:
    shares = [part(total, parts, number) for number in range(parts)]
    assert [thing for share in shares for thing in share] == list(range(total))
    sizes = [len(share) for share in shares]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] - sizes[-1] <= 1
