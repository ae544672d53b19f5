from __future__ import annotations

import signal
import threading

import pytest

from cnntrain.training.interruption import StopSignals, exit_code, signal_name


@pytest.mark.parametrize(("number", "name", "code"), [(signal.SIGINT, "Ctrl-C", 130), (signal.SIGTERM, "SIGTERM", 143)])
def test_the_first_signal_is_a_flag_and_the_second_leaves_at_once(number: int, name: str, code: int) -> None:
    before = signal.getsignal(number)
    with StopSignals() as stop:
        signal.raise_signal(number)
        assert stop.received == number
        with pytest.raises(SystemExit) as caught:
            signal.raise_signal(number)
        assert caught.value.code == code == exit_code(number)
    assert signal.getsignal(number) == before
    assert signal_name(number) == name


def test_another_thread_leaves_the_signals_alone() -> None:
    before, seen = signal.getsignal(signal.SIGINT), []

    def work() -> None:
        with StopSignals():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]
