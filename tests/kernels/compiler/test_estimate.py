"""How many kernels are to be compiled, counted by a rehearsal, and how long that takes, by a clock of the test's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
from numba import prange
from numba.core import event

from cnntrain.kernels.compiler import checked, report
from cnntrain.kernels.compiler.cache import WAITING
from cnntrain.kernels.compiler.estimate import Estimate, cost
from cnntrain.kernels.compiler.jit import parallel_kernel
from cnntrain.kernels.compiler.rehearsal import rehearse


class Clock:
    """One that stands still but where a test moves it."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


KERNELS = ["relu", "correlate", "correlate_rows", "tanh"]


def test_counts_and_tells_the_time_from_the_third_kernel_on() -> None:
    clock = Clock()
    estimate = Estimate(KERNELS, clock=clock)
    assert estimate.next("relu") == " (1 of 4)"
    clock.now += 50  # of the first nothing follows
    assert estimate.next("correlate") == " (2 of 4)"
    clock.now += 9  # ten seconds for each second of the table
    assert cost("correlate") == 0.9
    left = 10 * (cost("correlate_rows") + cost("tanh"))
    assert estimate.next("correlate_rows") == f" (3 of 4, about {left:.0f} s left)"
    clock.now += 19
    assert estimate.next("tanh") == " (4 of 4, about 2 s left)"


def test_two_processes_take_half_the_time() -> None:
    clock = Clock()
    estimate = Estimate(["relu", "correlate", *["correlate_rows"] * 10], processes=2, clock=clock)
    estimate.next("relu")
    estimate.next("correlate")
    clock.now += 9
    share = (cost("relu") + cost("correlate") + 10 * cost("correlate_rows")) / 2
    left = share - cost("relu") - cost("correlate")
    assert estimate.next("correlate_rows") == f" (3 of 12, about {10 * left:.0f} s left)"


def test_what_another_process_compiled_counts_and_more_than_expected_is_no_nonsense() -> None:
    clock = Clock()
    estimate = Estimate(["relu", "tanh"], clock=clock)
    estimate.next("relu")
    estimate.found()
    assert estimate.next("sigmoid") == " (3 of 3)"
    clock.now += 0.25
    assert estimate.next("tanh") == " (4 of 4, about 1 s left)"


def test_nothing_is_said_where_nobody_knows() -> None:
    estimate = Estimate(None)
    assert [estimate.next(kernel) for kernel in KERNELS] == [""] * 4


def test_the_report_shows_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Function:
        def __init__(self, name: str) -> None:
            self.py_func = self
            self.__name__ = name

    lines: list[str] = []
    clock = Clock()
    with report.reported(lines.append, estimate=lambda: Estimate(KERNELS, clock=clock)) as compiled:
        assert not lines
        for name in KERNELS[:2]:
            with event.trigger_event("numba:compile", data={"dispatcher": Function(name)}):
                clock.now += 1
        with event.trigger_event(WAITING, data={"kernel": "tanh"}):
            pass
        with event.trigger_event("numba:compile", data={"dispatcher": Function("correlate_rows")}):
            pass
    assert lines[0].startswith("compiling kernels for this machine (")
    assert lines[1:4] == ["  relu (1 of 4)", "  correlate (2 of 4)", "  tanh, by another process"]
    assert lines[4:] == ["  correlate_rows (4 of 4, about 2 s left)"]
    assert compiled == ["relu", "correlate", "correlate_rows"]


def made() -> tuple[Any, Any]:
    @parallel_kernel
    def double(x: Any) -> None:
        for index in prange(x.size):
            x[np.intp(index)] *= 2

    @parallel_kernel
    def triple(x: Any) -> None:
        for index in prange(x.size):
            x[np.intp(index)] *= 3

    return double, triple


def test_a_rehearsal_names_what_is_missing_and_runs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    double, triple = made()
    x, y = np.ones(3), np.ones(3, np.float32)

    def act() -> None:
        for _ in range(2):
            for argument in (x, y):
                double(argument)
            triple(x)

    assert rehearse(act) == ["double", "double", "triple"]
    assert (x.tolist(), y.tolist()) == ([1, 1, 1], [1, 1, 1])
    double(x)  # compiles and runs, as ever
    assert x.tolist() == [2, 2, 2]
    assert rehearse(act) == ["double", "triple"]
    again, _ = made()  # what another process finds in the cache
    assert rehearse(lambda: again(y)) == ["double"]
    assert rehearse(lambda: again(np.ones(3))) == []


def test_a_kernel_that_is_made_meanwhile_is_not_compiled() -> None:
    def act() -> None:
        double, _ = made()
        double(np.ones(3))
        assert not double.overloads

    assert rehearse(act) == ["double"]


def test_what_needs_results_or_checked_kernels_cannot_be_rehearsed(monkeypatch: pytest.MonkeyPatch) -> None:
    def act() -> None:
        x = np.zeros(3)
        made()[0](x)
        raise ValueError("no result")

    assert rehearse(act) is None
    monkeypatch.setattr(checked, "CHECKED", True)
    assert rehearse(lambda: None) is None
