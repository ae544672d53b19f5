from __future__ import annotations

import time

import pytest

from cnntrain.bench.timing import Spread, Stopwatch, each_of, times_for


def test_a_spread_has_quartiles_and_extremes() -> None:
    spread = Spread.of([5.0, 1.0, 3.0, 2.0, 4.0])
    assert (spread.least, spread.low, spread.median, spread.high, spread.most) == (1, 2, 3, 4, 5)
    assert spread.count == 5
    assert spread.relative == pytest.approx(1 / 3)


def test_a_rate_turns_times_upside_down() -> None:
    rate = Spread.of([1.0, 2.0, 4.0]).rate(8)
    assert (rate.least, rate.median, rate.most) == (2, 4, 8)
    assert rate.low <= rate.median <= rate.high


class Clock:
    """Time that passes only where the test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)

    def work(self, seconds: float) -> None:
        self.now += seconds


class Layer:
    def __init__(self, clock: Clock, *inner: Layer) -> None:
        self.clock, self.inner = clock, inner

    def forward(self, seconds: float) -> str:
        self.clock.work(seconds)
        for layer in self.inner:
            layer.forward(seconds)
        return "done"


def test_what_runs_inside_a_part_does_not_count_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    inside = Layer(clock)
    outside = Layer(clock, inside, inside)
    watch: Stopwatch[str] = Stopwatch()
    with watch.patched(("outside", outside, "forward"), ("inside", inside, "forward")):
        for seconds in (1.0, 2.0, 4.0):
            assert outside.forward(seconds) == "done"
            watch.end_step()
    spreads = watch.spreads()
    assert [step["outside"] for step in watch.steps] == [1, 2, 4]
    assert spreads["outside"].median == 2
    assert spreads["inside"].median == 4  # twice in each step


def test_patching_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, own = Layer(Clock(monkeypatch)), Layer(Clock(monkeypatch))
    original = own.forward
    own.forward = original  # type: ignore[method-assign]
    watch: Stopwatch[str] = Stopwatch()
    with pytest.raises(ZeroDivisionError), watch.patched(("a", layer, "forward"), ("b", own, "forward")):
        raise ZeroDivisionError
    assert "forward" not in vars(layer)
    assert vars(own)["forward"] is original
    layer.forward(1.0)
    watch.end_step()
    assert watch.steps == [{}]


def test_a_part_that_fails_is_still_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    watch: Stopwatch[str] = Stopwatch()

    def fail() -> None:
        clock.work(3)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        watch.timed("outer", watch.timed("inner", fail))()
    watch.end_step()
    assert watch.steps == [{"inner": 3, "outer": 0}]


def test_each_call_is_timed_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    durations = iter([1.0, 5.0, 2.0])
    assert each_of(lambda: clock.work(next(durations)), 3) == [1, 5, 2]


def test_how_often_to_call(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    assert times_for(lambda: clock.work(0.01), 0.1) == 10
    assert times_for(lambda: clock.work(5.0), 0.1) == 1
