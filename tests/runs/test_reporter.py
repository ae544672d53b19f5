from __future__ import annotations

import io
from pathlib import Path

import pytest

from cnntrain.errors import RunFolderError
from cnntrain.runs.metrics_file import EpochRecord, append_record, drop_records_after
from cnntrain.runs.progress import Metrics
from cnntrain.runs.reporter import Reporter, epoch_line

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


def test_quiet_prints_warnings_only(tmp_path: Path) -> None:
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
    with pytest.raises(RunFolderError, match=r"gone/metrics\.csv: could not be written: No such file or directory"):
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
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(RunFolderError, match=r"metrics\.csv: cannot be read"):
        drop_records_after(path, 42)
