from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from threading import Timer

import pytest

from cnntrain.errors import RunFolderError
from cnntrain.runs.folder import RunFolder, create_run_folder, find_checkpoint, hold, open_run_folder

LOGGED = "2026-01-02 03:04:05+00:00  cnntrain 0.1.0\n"


@pytest.fixture(autouse=True)
def _working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_numbers_count_up_and_ignore_other_runs() -> None:
    assert create_run_folder("net").path == Path("runs/net-1")
    assert create_run_folder("net").path == Path("runs/net-2")
    assert create_run_folder("net-2").path == Path("runs/net-2-1")
    Path("runs/net-1").rmdir()
    assert create_run_folder("net").path == Path("runs/net-3")


def test_no_number_is_given_twice_to_runs_that_start_together() -> None:
    with ThreadPoolExecutor(8) as pool:
        paths = [folder.path for folder in pool.map(lambda _: create_run_folder("net"), range(40))]
    assert len(set(paths)) == 40


def test_out_is_the_folder_itself() -> None:
    Path("empty").mkdir()
    assert create_run_folder("net", Path("empty")).path == Path("empty")
    assert create_run_folder("net", Path("deep/new")).path.is_dir()


def test_out_is_never_overwritten() -> None:
    Path("old").mkdir()
    Path("old/metrics.csv").write_text("kept")
    with pytest.raises(RunFolderError, match=r"old: is not empty \(it has metrics.csv\).*--resume old"):
        create_run_folder("net", Path("old"))
    assert Path("old/metrics.csv").read_text() == "kept"


def test_a_place_that_cannot_hold_folders_is_one_clear_error() -> None:
    Path("runs").write_text("a file")
    with pytest.raises(RunFolderError, match=r"runs: cannot make a run folder here: .*; name another place with --out"):
        create_run_folder("net")
    with pytest.raises(RunFolderError, match="runs/x: cannot be made a run folder: Not a directory"):
        create_run_folder("net", Path("runs/x"))


def test_open_needs_a_run() -> None:
    with pytest.raises(RunFolderError, match="nowhere: there is no such run folder"):
        open_run_folder(Path("nowhere"))
    folder = create_run_folder("net")
    with pytest.raises(RunFolderError, match=r"runs/net-1: has no last\.safetensors: this is no run folder"):
        open_run_folder(folder.path)
    folder.config.touch()
    folder.log.touch()
    with pytest.raises(RunFolderError, match=r"runs/net-1: has no last\.safetensors: this is no run folder"):
        open_run_folder(folder.path)
    folder.log.write_text(LOGGED)
    assert open_run_folder(folder.path) == folder  # ended before its first epoch was
    folder.metrics.write_text("epoch,step,train_loss\n1,14,0.5\n")
    assert open_run_folder(folder.path) == folder
    folder.metrics.write_text("epoch,step,train_loss\n1,14,0.5\n2,28,0.4\n")
    with pytest.raises(RunFolderError, match=r"last\.safetensors is lost: the run had finished an epoch"):
        open_run_folder(folder.path)
    folder.metrics.unlink()
    folder.best.touch()
    with pytest.raises(RunFolderError, match=r"last\.safetensors is lost: the run had finished an epoch"):
        open_run_folder(folder.path)
    folder.last.touch()
    assert open_run_folder(folder.path) == folder


def test_out_may_be_the_folder_of_a_run_that_finished_nothing() -> None:
    folder = create_run_folder("net", Path("run"))
    folder.log.touch()
    assert create_run_folder("net", Path("run")) == folder
    for path in (folder.config, folder.environment, folder.path / ".last.safetensors.7.tmp"):
        path.touch()
    with pytest.raises(RunFolderError, match=r"run: is not empty \(it has config\.yaml\)"):  # perhaps the user's
        create_run_folder("net", Path("run"))
    folder.log.write_text(LOGGED)
    assert create_run_folder("net", Path("run")) == folder
    folder.metrics.write_text("epoch,step,train_loss\n1,14,0.5\n")
    assert create_run_folder("net", Path("run")) == folder
    folder.metrics.write_text("epoch,step,train_loss\n1,14,0.5\n2,28,0.4\n")
    with pytest.raises(RunFolderError, match=r"run: is not empty \(it has metrics\.csv\)"):
        create_run_folder("net", Path("run"))
    folder.metrics.unlink()
    folder.best.touch()
    with pytest.raises(RunFolderError, match=r"run: is not empty \(it has best\.safetensors\)"):
        create_run_folder("net", Path("run"))


def test_a_run_folder_stands_for_its_best_checkpoint() -> None:
    folder = RunFolder(Path("run"))
    with pytest.raises(RunFolderError, match="run: there is no such run folder or checkpoint"):
        find_checkpoint(folder.path)
    folder.path.mkdir()
    with pytest.raises(RunFolderError, match=r"run: has no best\.safetensors: this is no run folder"):
        find_checkpoint(folder.path)
    folder.config.touch()
    with pytest.raises(RunFolderError, match="no epoch of this run was finished"):
        find_checkpoint(folder.path)
    folder.last.touch()
    with pytest.raises(
        RunFolderError, match=r"run: best\.safetensors is lost; there is run/last\.safetensors of the last"
    ):
        find_checkpoint(folder.path)
    folder.best.touch()
    assert find_checkpoint(folder.path) == folder.best
    assert find_checkpoint(folder.last) == folder.last


def test_a_folder_is_held_by_one_and_cleared_of_leftovers() -> None:
    folder = create_run_folder("net")
    (folder.path / ".best.safetensors.7.tmp").touch()
    (folder.path / ".somebodys.tmp").touch()
    with hold(folder):
        assert [path.name for path in folder.path.glob(".*")] == [".somebodys.tmp"]
        with (
            pytest.raises(RunFolderError, match="runs/net-1: another process is training in this run folder"),
            hold(folder),
        ):
            pass
    with hold(folder):
        pass


def test_a_process_that_is_going_is_waited_for() -> None:
    folder = create_run_folder("net")
    going = hold(folder)
    with ExitStack() as other:
        other.enter_context(going)
        Timer(0.2, other.pop_all().close).start()
    with hold(folder):
        pass


def test_no_file_of_the_folder_can_be_removed_with_the_lock() -> None:
    folder = create_run_folder("net")
    with hold(folder):
        for path in folder.path.iterdir():
            path.unlink()
        with pytest.raises(RunFolderError, match="another process is training in this run folder"), hold(folder):
            pass


def test_a_log_that_cannot_be_opened() -> None:
    folder = create_run_folder("net")
    folder.log.mkdir()
    with pytest.raises(RunFolderError, match=r"log\.txt: cannot be written: Is a directory"), hold(folder):
        pass
