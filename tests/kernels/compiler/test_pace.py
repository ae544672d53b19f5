"""The number of threads follows what else runs: on a simulated machine, whose clock and speeds are made up."""

from __future__ import annotations

from collections.abc import Callable

import numba
import pytest

from cnntrain.kernels.compiler import pace, threads
from cnntrain.kernels.compiler.pace import LATEST, SHARE, Pace

IMAGES = 64
Speed = Callable[[int, float], float]  # seconds of a step, by threads and time


class Machine:
    """Runs steps; remembers what was told, and with how many threads each step ran."""

    def __init__(self, speed: Speed, possible: list[int], monkeypatch: pytest.MonkeyPatch, keeps: bool = False) -> None:
        self.speed, self.threads, self.now = speed, possible[0], 100.0
        self.told: list[str] = []
        self.steps: list[tuple[float, int]] = []
        monkeypatch.setattr(pace, "possible_threads", lambda: possible)
        monkeypatch.setattr(numba, "get_num_threads", lambda: self.threads)
        self.pace = Pace(self.told.append, clock=lambda: self.now, use=self.use, keeps=keeps)

    def use(self, number: int) -> None:
        self.threads = number

    def run(self, seconds: float, images: int = IMAGES) -> None:
        end = self.now + seconds
        self.pace.begin()
        while self.now < end:
            self.steps.append((self.now, self.threads))
            self.now += self.speed(self.threads, self.now) * images / IMAGES
            self.pace.lap(images)

    def share(self, number: int, since: float = 0.0) -> float:
        """The share of the time, from then on, with so many threads."""
        stops = [*(at for at, _ in self.steps[1:]), self.now]
        spans = [(at, stop - at, n) for (at, n), stop in zip(self.steps, stops, strict=True)]
        whole = sum(span for at, span, _ in spans if at >= since)
        return sum(span for at, span, n in spans if n == number and at >= since) / whole


def quiet(number: int, _: float) -> float:
    return 0.004 / number**0.8


def busy(number: int, _: float) -> float:
    """One core is somebody else's."""
    return 0.004 if number == 1 else 0.012


@pytest.mark.parametrize("scale", [0.2, 1, 10, 200])
def test_free_cores_stay_in_use_and_trials_cost_little(scale: float, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(lambda number, now: scale * quiet(number, now), [2, 1], monkeypatch)
    machine.run(600)
    assert machine.told == []
    assert machine.threads == 2
    assert 0 < machine.share(1) < 2 * SHARE


def test_a_busy_core_is_noticed_from_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(busy, [2, 1], monkeypatch)
    machine.run(30)
    assert machine.told == ["1 thread instead of 2: something else keeps the cores busy; the results are the same"]
    assert machine.share(1, since=101) > 0.95
    assert machine.steps[0] == (100.0, 2)


def test_a_core_that_becomes_busy_and_free_again(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(
        lambda number, now: busy(number, now) if 150 < now < 200 else quiet(number, now), [2, 1], monkeypatch
    )
    machine.run(200)
    assert [line.split(":")[0] for line in machine.told] == ["1 thread instead of 2", "2 threads instead of 1"]
    changes = [at for (at, n), (_, before) in zip(machine.steps[1:], machine.steps, strict=False) if n != before]
    assert any(150 < at < 151 for at in changes)  # noticed by the steps' time, long before the next trial was due
    assert machine.share(1, since=152) < 1
    assert machine.threads == 2
    assert machine.share(2, since=200 + LATEST + 5) > 0.98


def test_slower_for_everybody_is_no_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor that gets hot: trials end, since what is usual follows."""
    machine = Machine(lambda number, now: quiet(number, now) * (3 if now > 130 else 1), [2, 1], monkeypatch)
    machine.run(300)
    assert machine.told == []
    assert machine.share(1, since=140) < 2 * SHARE


def test_many_cores_some_of_them_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    def some(number: int, _: float) -> float:
        return 0.02 if number > 6 else 0.016 / number

    machine = Machine(some, [8, 4, 1], monkeypatch)
    machine.run(60)
    assert machine.threads == 4
    assert machine.share(4, since=105) > 0.95


@pytest.mark.parametrize("keeps", [False, True])
def test_what_is_left_behind(keeps: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The number before, but for work that goes on: that finds its own again, whatever came between."""
    machine = Machine(busy, [2, 1], monkeypatch, keeps)
    with machine.pace:
        machine.run(5)
        assert machine.threads == 1
    assert machine.threads == (1 if keeps else 2)
    machine.threads = 2
    with machine.pace:
        assert machine.threads == 1


def test_a_trial_that_is_not_judged_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(quiet, [2, 1], monkeypatch, keeps=True)
    with machine.pace:
        while machine.threads == 2:
            machine.run(0.001)
    assert machine.threads == 2


def test_short_batches_count_by_their_images(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(lambda number, now: 0.5 * quiet(number, now), [2, 1], monkeypatch)
    for _ in range(100):
        machine.run(0.2)
        machine.run(0.05, images=IMAGES // 2)
    assert machine.told == []


def test_what_is_no_lap_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(quiet, [2, 1], monkeypatch)
    for _ in range(40):
        machine.run(0.5)
        machine.now += 30  # writing a checkpoint
    assert machine.told == []
    assert machine.threads == 2


def test_a_number_that_was_asked_for_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_chosen", [])
    most: int = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
    assert threads.possible_threads()[0] == most
    assert threads.possible_threads()[-1] == 1
    threads.set_threads(1)
    assert threads.possible_threads() == [1]
    used: list[int] = []
    watched = Pace(clock=lambda: 0.0, use=used.append)
    for _ in range(100):
        watched.lap(1)
    assert used == []
