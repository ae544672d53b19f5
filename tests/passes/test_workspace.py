"""Arrays that passes share, and who may go on with what is in them."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from cnntrain.passes.workspace import Workspace

FLOAT32, FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)


def test_arrays_of_a_name_and_type_are_one_memory_that_grows() -> None:
    workspace = Workspace()
    few, many = workspace("sums", 10, FLOAT32), workspace("sums", 30, FLOAT32)
    assert (few.size, many.size) == (10, 30)
    assert workspace("sums", 20, FLOAT32).ctypes.data == many.ctypes.data
    for other in (workspace("sums", 30, FLOAT64), workspace("scratch", 30, FLOAT32)):
        assert not np.shares_memory(many, other)
    assert workspace("sums", 20, FLOAT32).size == 20  # no more than was asked for: what is checked ends there


def test_who_began_last_goes_on() -> None:
    workspace, first, second = Workspace(), object(), object()
    sums = workspace.lend("sums", 8, FLOAT32, first)
    sums[...] = np.arange(8)
    np.testing.assert_array_equal(workspace.lent("sums", 8, FLOAT32, first), np.arange(8))
    workspace.lend("sums", 8, FLOAT64, second)  # another array
    workspace.lent("sums", 8, FLOAT32, first)
    workspace.lend("sums", 8, FLOAT32, second)
    with pytest.raises(RuntimeError, match="goes on with sums that another pass has begun to fill"):
        workspace.lent("sums", 8, FLOAT32, first)
    workspace.lent("sums", 8, FLOAT32, second)


def test_nobody_goes_on_with_what_nobody_began() -> None:
    with pytest.raises(RuntimeError, match="goes on with sums"):
        Workspace().lent("sums", 8, FLOAT32, object())


def test_threads_have_arrays_of_their_own() -> None:
    workspace, owner = Workspace(), object()
    mine = workspace.lend("sums", 8, FLOAT32, owner)
    seen: list[object] = []

    def run() -> None:
        seen.append(np.shares_memory(mine, workspace("sums", 8, FLOAT32)))
        try:
            workspace.lent("sums", 8, FLOAT32, owner)
        except RuntimeError as fault:
            seen.append(str(fault))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen[0] is False
    assert "another pass has begun" in str(seen[1])
