"""Whose scratch memory it is."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from cnntrain.passes.workspace import Workspace

FLOAT, DOUBLE = np.dtype(np.float32), np.dtype(np.float64)


class Pass:
    """Somebody who sums."""

    def __repr__(self) -> str:
        return "this pass"


def test_arrays_are_shared_by_name_and_type() -> None:
    workspace = Workspace()
    small, large = workspace("sums", 10, FLOAT), workspace("sums", 100, FLOAT)
    assert (small.size, large.size, large.dtype) == (10, 100, FLOAT)
    again = workspace("sums", 10, FLOAT)
    assert (again.size, np.shares_memory(again, large)) == (10, True)
    for other in (workspace("others", 10, FLOAT), workspace("sums", 10, DOUBLE)):
        assert not np.shares_memory(other, again)


def test_whoever_begins_finds_it_again() -> None:
    workspace, owner = Workspace(), Pass()
    workspace.lend("sums", 10, FLOAT, owner)[:] = np.arange(10)
    assert workspace.lent("sums", 10, FLOAT, owner).tolist() == list(range(10))
    assert workspace.lent("sums", 4, FLOAT, owner).tolist() == [0, 1, 2, 3]


def test_until_somebody_else_begins() -> None:
    workspace, owner, other = Workspace(), Pass(), Pass()
    workspace.lend("sums", 10, FLOAT, owner)
    workspace.lend("sums", 10, DOUBLE, other)
    workspace.lend("others", 10, FLOAT, other)
    workspace.lent("sums", 10, FLOAT, owner)  # other types and names are other arrays
    workspace.lend("sums", 10, FLOAT, other)
    with pytest.raises(RuntimeError, match="^this pass goes on with sums that another pass has begun to fill$"):
        workspace.lent("sums", 10, FLOAT, owner)
    workspace.lent("sums", 10, FLOAT, other)


def test_whoever_has_not_begun_has_nothing() -> None:
    with pytest.raises(RuntimeError, match="goes on with sums"):
        Workspace().lent("sums", 10, FLOAT, Pass())


def test_threads_have_arrays_of_their_own() -> None:
    workspace, owner = Workspace(), Pass()
    ours, theirs = workspace.lend("sums", 10, FLOAT, owner), []

    def work() -> None:
        theirs.append(workspace.lend("sums", 10, FLOAT, Pass()))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert not np.shares_memory(ours, theirs[0])
    workspace.lent("sums", 10, FLOAT, owner)
