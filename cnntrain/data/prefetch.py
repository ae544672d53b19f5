"""Doing the next things in the background while the present one is used."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from cnntrain.data.images import LazyRows

Item = TypeVar("Item")
Result = TypeVar("Result")

_AHEAD = 2  # batches brought before they are needed


def in_order(
    pool: Executor, function: Callable[[Item], Result], items: Iterable[Item], ahead: int
) -> Iterator[tuple[Item, Result]]:
    """Yield (item, function(item)) in order, as `pool.map` would, but begin only so many before they are taken.

    Results may be large, and `items` endless. What `function` raises is raised here, in its turn.
    """
    waiting: deque[tuple[Item, Future[Result]]] = deque()
    try:
        for item in items:
            waiting.append((item, pool.submit(function, item)))
            if len(waiting) > ahead:
                first, future = waiting.popleft()
                yield first, future.result()
        while waiting:
            first, future = waiting.popleft()
            yield first, future.result()
    finally:
        for _, future in waiting:
            future.cancel()


def bring(
    images: Any, batches: Iterable[NDArray[np.int64]]
) -> Iterator[tuple[NDArray[np.int64], NDArray[Any], NDArray[np.int64]]]:
    """Yield (indices, array, rows) for each batch of indices, so that array[rows] is images[indices].

    An array is given out as it is, and so is one in memory of which some rows were selected. Other `LazyImages` are
    brought in a background thread, two batches ahead, so that decoding and reading from disk happen while the batch
    before trains.
    """
    rows = None
    if isinstance(images, LazyRows) and images.in_memory:
        images, rows = images.images, images.rows
    if isinstance(images, np.ndarray):
        for indices in batches:
            yield indices, images, indices if rows is None else rows[indices]
        return
    with ThreadPoolExecutor(1, thread_name_prefix="prefetch") as pool:
        for indices, array in in_order(pool, images.__getitem__, batches, _AHEAD):
            yield indices, array, np.arange(len(array), dtype=np.int64)
