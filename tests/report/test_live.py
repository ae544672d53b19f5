from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import Any

import pytest

from cnntrain.config import load_config
from cnntrain.report import live
from cnntrain.report.insight import Insight, look_into
from cnntrain.report.live import LiveReport
from cnntrain.report.records import RunRecord
from cnntrain.runs.disk import write_atomically
from cnntrain.runs.folder import RunFolder, create_run_folder, hold
from cnntrain.runs.reporter import Reporter
from cnntrain.training.session import start_run
from tests.training.small import same_files, write_config


def reported(config: Path, out: Path) -> tuple[RunFolder, str]:
    """Train with a report; return the run, and what was printed."""
    stream = io.StringIO()
    reporter = Reporter(quiet=True, stream=stream)
    reporter.after_epoch = LiveReport(reporter.warning)
    return start_run(load_config(config), reporter, out=out)[0], stream.getvalue()


@pytest.fixture
def config(trained: tuple[RunFolder, RunFolder], tmp_path: Path) -> Path:
    shutil.copy(trained[0].path.parent / "digits.npz", tmp_path)
    return write_config(trained[0].path.parent, train={"epochs": 3})


def test_a_report_after_each_epoch_and_the_same_bits(
    config: Path, trained: tuple[RunFolder, RunFolder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    looked: list[str] = []

    def write(path: Path, content: bytes) -> None:
        written.append(content.decode())
        write_atomically(path, content)

    def look(run: RunRecord, *rest: Any) -> Insight:
        looked.append(run.label)
        return look_into(run, *rest)

    monkeypatch.setattr(live, "write_atomically", write)
    monkeypatch.setattr(live, "look_into", look)
    folder, printed = reported(config, tmp_path / "run")
    assert printed == ""
    assert same_files(folder, trained[1])
    assert len(written) == 3
    assert folder.report.read_text() == written[-1]
    assert ["not finished: run" in page for page in written] == [True, True, False]
    assert all("Worst mistakes" in page and "validation split" in page for page in written)
    best = [line for line in folder.log.read_text().splitlines() if line.endswith("  best")]
    assert len(looked) == len(best)


def test_what_has_not_changed_is_not_computed_again(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []

    def look(found: RunRecord, *_: Any) -> Insight:
        looked.append(found.label)
        return Insight()

    monkeypatch.setattr(live, "look_into", look)
    report = LiveReport(print)
    for _ in range(3):
        report(run, None)  # type: ignore[arg-type]
    assert looked == ["run"]
    assert run.report.exists()


@pytest.mark.parametrize("error", [RuntimeError("what nobody thought of"), MemoryError(), OSError(28, "No space left")])
def test_a_report_that_fails_does_not_end_the_training(
    config: Path,
    trained: tuple[RunFolder, RunFolder],
    tmp_path: Path,
    error: Exception,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(live, "page_of", fail)
    monkeypatch.setenv("NO_COLOR", "1")
    folder, printed = reported(config, tmp_path / "run")
    assert printed == (
        f"warning: the report could not be written, training goes on: {str(error) or type(error).__name__}\n"
    )
    assert same_files(folder, trained[1])
    assert not folder.report.exists()


def test_a_write_that_did_not_end_is_cleaned_up(tmp_path: Path) -> None:
    folder = create_run_folder("x", tmp_path / "run")
    (folder.path / ".report.html.123.tmp").write_text("half")
    with hold(folder):
        assert [path.name for path in folder.path.iterdir()] == ["log.txt"]
