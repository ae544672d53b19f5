from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cnntrain.cli import main
from cnntrain.data.cache_entries import entries
from cnntrain.data.decoded_cache import decoded_folder
from tests.data.pictures import load, tree, write_zip


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(main, ["data", "cache", *arguments])
    assert (result.exit_code, result.stderr) == (0, "")
    return result


@pytest.fixture
def three(tmp_path: Path) -> Path:
    """Entries of a.zip (used now), of b.zip (40 days ago) and of c.zip (is gone), and things that are not ours."""
    for name in "abc":
        load(write_zip(tmp_path / f"{name}.zip", tree()))
    for entry in entries():
        if str(entry.source).endswith("b.zip"):
            os.utime(entry.folder, (time.time() - 40 * 86400,) * 2)
    (tmp_path / "c.zip").unlink()
    (decoded_folder() / "notes").mkdir()
    (decoded_folder() / ("0" * 64)).symlink_to(tmp_path)
    return tmp_path


def left() -> list[str]:
    return sorted(entry.source.name for entry in entries() if entry.source)


def test_entries_with_size_and_age(three: Path) -> None:
    sizes = {entry.source: entry for entry in entries()}
    assert {path.name for path in sizes if path} == {"a.zip", "b.zip", "c.zip"}
    b = sizes[three / "b.zip"]
    assert 576 < b.size < 5000
    assert 39.9 < b.days < 40.1
    assert [entry.state for entry in sizes.values() if entry.source != three / "c.zip"] == ["", ""]
    listed = run().stdout.splitlines()
    assert len(listed) == 4
    assert f"  40.0 days  {three}/b.zip" in listed[-2]
    assert sum(line.endswith(f"{three}/c.zip  (the data are gone)") for line in listed) == 1
    assert listed[-1].startswith("3 entries, 0.0 MB, in ")


def test_use_makes_an_entry_young_again(three: Path) -> None:
    load(three / "b.zip")
    assert max(entry.days for entry in entries()) < 1


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ([], []),
        (["--unused", "30"], ["a.zip", "c.zip"]),
        (["--unused", "50"], ["a.zip", "b.zip", "c.zip"]),
        (["--gone"], ["a.zip", "b.zip"]),
        (["--gone", "--unused", "30"], ["a.zip", "b.zip", "c.zip"]),
    ],
)
def test_clearing(three: Path, options: list[str], kept: list[str]) -> None:
    before = left()
    run(*options)
    assert left() == before  # listing removes nothing
    removed = len(before) - len(kept)
    assert f"removed {removed} entr" in run("--clear", *options).stdout
    assert left() == kept
    assert (decoded_folder() / "notes").is_dir()
    assert (three / "a.zip").exists()


def test_json(three: Path) -> None:
    found = json.loads(run("--json", "--gone").stdout)
    assert found["removed"] is False
    assert [(entry["source"], entry["state"]) for entry in found["entries"]] == [
        (f"{three}/c.zip", "the data are gone")
    ]


def test_damaged_old_and_unfinished_entries(three: Path) -> None:
    folder = entries()[0].folder
    (folder / "index.json").write_text("{}")
    for name, age in (("0123456789abcdef-old.part", 2 * 86400), ("0123456789abcdef-new.part", 0)):
        (decoded_folder() / name).mkdir()
        os.utime(decoded_folder() / name, (time.time() - age,) * 2)
    listed = run().stdout
    assert listed.count("  (of another version, or damaged)") == 1
    assert listed.count(".part  (unfinished)") == 2
    run("--clear")
    assert [entry.folder.name for entry in entries()] == ["0123456789abcdef-new.part"]  # somebody may be writing it


def test_no_cache_at_all() -> None:
    shutil.rmtree(decoded_folder(), ignore_errors=True)
    assert run("--clear").stdout.startswith("removed 0 entries, 0.0 MB, in ")


def test_a_cache_that_cannot_be_read() -> None:
    decoded_folder().parent.mkdir(parents=True, exist_ok=True)
    decoded_folder().write_text("")
    result = CliRunner().invoke(main, ["data", "cache"])
    assert result.exit_code == 2
    assert "cannot be read: Not a directory" in result.stderr
