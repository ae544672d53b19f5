"""What `bench` says below its table."""

from __future__ import annotations

import pytest

from cnntrain.bench.network import Run
from cnntrain.bench.report import NetworkReport
from cnntrain.bench.timing import Spread


def run(threads: int, rate: float) -> Run:
    return Run(threads, peak=Spread.of([50.0]), training=Spread.of([rate]), evaluation=Spread.of([2 * rate]), passes=[])


@pytest.mark.parametrize(("with_two", "said"), [
    (190.0, "best: 2 threads"),
    (40.0, "best: 1 thread, which training and evaluation find out while they run, and take"),
])  # fmt: skip
def test_fewer_threads_that_are_faster_are_taken_by_themselves(with_two: float, said: str) -> None:
    report = NetworkReport("digits", 64, 1000, [run(1, 100.0), run(2, with_two)], None, False, "omp")
    assert said in report.as_text().splitlines()
