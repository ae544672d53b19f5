from __future__ import annotations

import errno
import io
import os
import re
from pathlib import Path
from typing import Any

import pytest

from cnntrain.errors import RunFolderError
from cnntrain.runs.folder import RunFolder
from cnntrain.runs.metrics_file import EpochRecord, append_record, drop_records_after, epochs_recorded
from cnntrain.runs.progress import Metrics
from cnntrain.runs.reporter import Reporter, epoch_line, fitted_epoch_line

ALONE = Metrics(train_loss=0.12345, train_accuracy=0.9876)
BOTH = Metrics(train_loss=0.12345, train_accuracy=0.9876, validation_loss=0.2, validation_accuracy=0.975)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def record(metrics: Metrics = BOTH, epoch: int = 3, step: int = 42) -> EpochRecord:
    return EpochRecord(epoch, step, metrics, learning_rate=0.05, images_per_second=41234.56, seconds=1.26)


def test_epoch_line() -> None:
    assert epoch_line(record(), 10, best=True) == (
        "epoch  3/10  loss 0.1235  accuracy 98.76%  validation loss 0.2000  accuracy 97.50%  "
        "learning rate 0.05  41,235 images/s  1.3 s  best"
    )
    assert "validation" not in epoch_line(record(ALONE), 10, best=False)


def test_lines_go_to_the_stream_and_the_log(tmp_path: Path) -> None:
    stream = io.StringIO()
    reporter = Reporter(stream=stream)
    reporter.open_log(tmp_path / "log.txt")
    reporter.line("something")
    reporter.warning("beware")
    reporter.log("only here")
    reporter.close()
    assert stream.getvalue() == "something\nwarning: beware\n"
    assert [line[27:] for line in (tmp_path / "log.txt").read_text().splitlines()] == [
        "something",
        "warning: beware",
        "only here",
    ]


def test_what_was_said_before_the_log_is_open_is_in_it(tmp_path: Path) -> None:
    reporter = Reporter(quiet=True, stream=io.StringIO())
    reporter.warning("early")
    reporter.open_log(tmp_path / "log.txt")
    reporter.line("late")
    reporter.close()
    assert [line[27:] for line in (tmp_path / "log.txt").read_text().splitlines()] == ["warning: early", "late"]


class Broken(Terminal):
    """Fails after its first write, as a terminal does whose window was closed."""

    def write(self, text: str) -> int:
        if self.tell():
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return super().write(text)


@pytest.mark.parametrize("closed", [False, True])
def test_a_stream_that_breaks_is_done_without(tmp_path: Path, closed: bool) -> None:
    stream: Any = Terminal() if closed else Broken()
    reporter = Reporter(stream=stream)
    reporter.open_log(tmp_path / "log.txt")
    if closed:
        stream.close()
    with reporter.bar(100, 0) as bar:
        bar._bar.mininterval = 0
        for text in ("one", "two", "three"):
            reporter.line(text)
            bar.advance(30, 0.5)
    reporter.close()
    lines = [line[27:] for line in (tmp_path / "log.txt").read_text().splitlines()]
    reason = r"I/O operation on closed file\.?" if closed else "Input/output error"
    assert [line for line in lines if "longer be seen" not in line] == ["one", "two", "three"]
    assert len(lines) == 4
    assert re.search(rf"what is printed can no longer be seen \({reason}\); this log goes on", "\n".join(lines))


def test_escapes_in_names_are_shown_and_not_obeyed(tmp_path: Path) -> None:
    stream = io.StringIO()
    reporter = Reporter(stream=stream)
    reporter.open_log(tmp_path / "log.txt")
    reporter.line("a\x1b[2Jb")
    reporter.warning("c\u202ed\udcff")
    reporter.close()
    assert stream.getvalue() == "a\\x1b[2Jb\nwarning: c\\u202ed\\xff\n"
    log = (tmp_path / "log.txt").read_text()
    assert "a\\x1b[2Jb" in log
    assert "\x1b" not in log


def test_quiet_prints_warnings_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    stream = Terminal()
    reporter = Reporter(quiet=True, stream=stream)
    reporter.line("something")
    with reporter.bar(100, 0) as bar:
        bar.start_epoch(1, 2)
        bar.advance(50, 0.5)
    reporter.warning("beware")
    assert stream.getvalue() == "warning: beware\n"


def test_a_bar_on_a_terminal_only() -> None:
    for stream, visible in ((Terminal(), True), (io.StringIO(), False)):
        with Reporter(stream=stream).bar(1000, 0) as bar:
            bar._bar.mininterval = 0
            bar.start_epoch(1, 2)
            bar.advance(250, 0.5)
            bar.advance(250, 0.25)
        shown = stream.getvalue()
        for part in ("epoch 1/2", "50%", "images/s", "left, loss 0.2500"):
            assert (part in shown) == visible, part


def test_a_log_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match=r"gone/log\.txt: cannot be written: No such file or directory"):
        Reporter().open_log(tmp_path / "gone" / "log.txt")
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("needs /dev/full")
    reporter = Reporter(quiet=True)
    reporter.open_log(full)
    with pytest.raises(RunFolderError, match="/dev/full: could not be written: No space left on device"):
        reporter.line("something")
    reporter.close()


def test_metrics_rows(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    append_record(path, record())
    append_record(path, record(ALONE, 4, 56))
    assert path.read_text().splitlines() == [
        "epoch,step,train_loss,train_accuracy,validation_loss,validation_accuracy,learning_rate,images_per_second,seconds",
        "3,42,0.12345,0.9876,0.2,0.975,0.05,41234.6,1.26",
        "4,56,0.12345,0.9876,,,0.05,41234.6,1.26",
    ]


def test_rows_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match=r"gone/metrics\.csv: cannot be written: No such file or directory"):
        append_record(tmp_path / "gone" / "metrics.csv", record())


def test_dropping_rows(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    drop_records_after(path, 42)
    assert not path.exists()
    append_record(path, record())
    before = path.read_bytes()
    drop_records_after(path, 42)
    assert path.read_bytes() == before
    path.write_bytes(before + b"4,5")
    drop_records_after(path, 42)
    assert path.read_bytes() == before
    drop_records_after(path, 41)
    assert len(path.read_text().splitlines()) == 1
    assert epochs_recorded(path) == []
    damaged = before + b"1" * 5000 + b"," + b"2" * 5000 + b",x\n\0\0\0\n"
    path.write_bytes(damaged)
    drop_records_after(path, 42)
    assert path.read_bytes() == damaged
    assert epochs_recorded(path) == [3]
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(RunFolderError, match=r"metrics\.csv: cannot be read.*; move it away to go on"):
        drop_records_after(path, 42)


SLOW = EpochRecord(7, 42000, BOTH, learning_rate=0.00012345, images_per_second=123456.7, seconds=112.3)


@pytest.mark.parametrize("best", [False, True])
@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_the_line_of_an_epoch_fits_the_terminal(width: int, best: bool) -> None:
    for one, epochs in ((record(), 10), (record(ALONE), 10), (SLOW, 200)):
        lines = fitted_epoch_line(one, epochs, best=best, width=width).splitlines()
        assert all(len(line) < width for line in lines)
        assert len(lines) == 1 or width < 80
        text = " ".join(lines)
        for part in ("loss 0.1235", f"{one.metrics.train_accuracy:.2%}", f"{one.seconds:.1f} s"):
            assert part in text
        assert text.endswith("best") == best
        assert all(line.startswith("  ") for line in lines[1:]), "what goes on stands below what began"


def test_the_line_of_an_epoch_at_80_and_at_60_columns() -> None:
    short = "loss 0.1235 98.76%  validation 0.2000 97.50%"
    assert fitted_epoch_line(record(), 3, best=True, width=80) == f"epoch 3/3  {short}  41,235/s  1.3 s  best"
    assert fitted_epoch_line(record(), 10, best=True, width=80) == f"epoch  3/10  {short}  1.3 s  best"
    assert fitted_epoch_line(record(), 10, best=False, width=60) == (
        "epoch  3/10  loss 0.1235 98.76%  validation 0.2000 97.50%\n             41,235/s  1.3 s"
    )


def test_an_epoch_in_a_pipe_and_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    pipe, terminal = io.StringIO(), Terminal()
    for stream in (pipe, terminal):
        reporter = Reporter(stream=stream)
        reporter.epoch(record(), 10, best=True)
        reporter.warning("beware")
    assert pipe.getvalue() == f"{epoch_line(record(), 10, best=True)}\nwarning: beware\n"
    plain = epoch_line(record(), 10, best=True).removesuffix("best")
    assert terminal.getvalue() == f"{plain}\x1b[32mbest\x1b[0m\n\x1b[33mwarning:\x1b[0m beware\n"


def test_who_wants_to_know_is_told_of_each_epoch(tmp_path: Path) -> None:
    told: list[Any] = []
    reporter = Reporter(quiet=True)
    reporter.saved(RunFolder(tmp_path), "data")  # type: ignore[arg-type]
    reporter.after_epoch = lambda *arguments: told.append(arguments)
    reporter.saved(RunFolder(tmp_path), "data")  # type: ignore[arg-type]
    assert told == [(RunFolder(tmp_path), "data")]
