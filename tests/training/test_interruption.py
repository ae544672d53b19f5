from __future__ import annotations

import signal
import threading

import pytest

from cnntrain.training import interruption
from cnntrain.training.interruption import StopSignals, exit_code, signal_name


@pytest.mark.parametrize(
    ("number", "name", "code"),
    [(signal.SIGINT, "Ctrl-C", 130), (signal.SIGTERM, "SIGTERM", 143), (signal.SIGHUP, "SIGHUP", 129)],
)
def test_the_first_signal_is_a_flag_and_the_second_leaves_at_once(
    monkeypatch: pytest.MonkeyPatch, number: int, name: str, code: int
) -> None:
    left: list[int] = []
    monkeypatch.setattr(interruption, "leave", lambda code, message: left.append(code))
    outside = signal.signal(number, signal.SIG_DFL)  # ignored, perhaps, as `nohup` has it
    try:
        with StopSignals() as stop:
            signal.raise_signal(number)
            assert stop.received == number
            assert left == []
            signal.raise_signal(number)
            assert left == [code] == [exit_code(number)]
        assert signal.getsignal(number) == signal.SIG_DFL
    finally:
        signal.signal(number, outside)
    assert signal_name(number) == name


def test_a_hangup_that_is_ignored_stays_so() -> None:
    """As `nohup` wants it."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopSignals() as stop:
            signal.raise_signal(signal.SIGHUP)
            assert stop.received is None
    finally:
        signal.signal(signal.SIGHUP, before)


def test_another_thread_leaves_the_signals_alone() -> None:
    before, seen = signal.getsignal(signal.SIGINT), []

    def work() -> None:
        with StopSignals():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]
