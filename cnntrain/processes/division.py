"""How things are divided among equals, and the tree in which their sums are added.

Floating-point sums depend on the order of their additions. Here the order follows from the number of shards alone: a
binary tree over them, whoever computes them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple


def part(total: int, parts: int, number: int) -> range:
    """Return which of `total` things part `number` of `parts` gets: as equal as can be, the larger parts first."""
    size, larger = divmod(total, parts)
    start = number * size + min(number, larger)
    return range(start, start + size + (number < larger))


class Leaf(NamedTuple):
    """Compute a shard and put what it gives into a slot."""

    shard: int
    slot: int


class Add(NamedTuple):
    """Add the value of slot `source` to that of slot `target`."""

    target: int
    source: int


class Send(NamedTuple):
    """Send a slot's value to another process, which needs it for a node of the tree."""

    slot: int
    to: int
    node: int


class Receive(NamedTuple):
    """Receive a value from another process and add it to a slot's."""

    slot: int
    source: int
    node: int


Work = Leaf | Add | Send | Receive


def work_of(process: int, processes: int, shards: int, filled: int) -> list[Work]:
    """Return what one process does in the tree, in order; the sum of all ends in slot 0 of process 0.

    Parameters
    ----------
    process, processes : int
        Which of how many; each has a run of neighbouring shards (`part`).
    shards : int
        Leaves of the tree: at least as many as processes.
    filled : int
        Only the first so many shards hold images; the others are left out of the sums.
    """
    owners = [owner for owner in range(processes) for _ in part(shards, processes, owner)]
    done: list[Work] = []
    free = list(range(shards, -1, -1))

    def visit(first: int, stop: int, node: int) -> int | None:
        """Do the work of the subtree over shards first ... stop - 1; return the slot of its sum, if it is ours."""
        if first >= filled or process not in owners[first:stop]:
            return None
        if stop - first == 1:
            slot = free.pop()
            done.append(Leaf(first, slot))
            return slot
        middle = first + (stop - first + 1) // 2
        left, right = visit(first, middle, 2 * node), visit(middle, stop, 2 * node + 1)
        if middle >= filled:
            return left
        if left is not None and right is not None:
            done.append(Add(left, right))
            free.append(right)
            free.sort(reverse=True)
        elif left is not None and owners[first] == process:
            done.append(Receive(left, owners[middle], node))
        elif right is not None and owners[middle] == process:
            done.append(Send(right, owners[first], node))  # from a slot that is not used again: it may take long
        return left

    visit(0, shards, 1)
    return done


def slots_of(work: list[Work]) -> int:
    """Return how many slots `work` uses."""
    return 1 + max((item.slot for item in work if isinstance(item, Leaf)), default=0)


def leaves_of(work: list[Work]) -> Iterator[int]:
    """Yield the shards that `work` computes, in order."""
    return (item.shard for item in work if isinstance(item, Leaf))
