"""Files that are decompressed ahead give what the reader gives; what is wrong with one, the reader says."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from cnntrain.cli import main
from cnntrain.config import load_config
from cnntrain.data import read_ahead
from cnntrain.data.dataset import begin_to_load, load_data
from cnntrain.data.idx_format import begin_to_read, read_idx
from cnntrain.errors import DataError
from tests.training.small import write_config

VALUES = np.arange(12, dtype=np.uint8).reshape(3, 2, 2)
CONTENT = struct.pack(">4B3I", 0, 0, 8, 3, *VALUES.shape) + VALUES.tobytes()


def write(folder: Path, content: bytes) -> Path:
    path = folder / "images.gz"
    path.write_bytes(content)
    return path


def test_what_was_begun_is_used_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, gzip.compress(CONTENT))
    begin_to_read(path)
    read_ahead._begun[path].result()
    path.write_bytes(b"nobody looks at it")
    np.testing.assert_array_equal(read_idx(path, 3), VALUES)
    with pytest.raises(DataError, match="not an IDX file"):
        read_idx(path, 3)


@pytest.mark.parametrize(
    "content",
    [
        CONTENT,  # plain
        gzip.compress(CONTENT[:20]) + gzip.compress(CONTENT[20:]),
        gzip.compress(CONTENT) + bytes(8),  # as tapes pad it
    ],
)
def test_unusual_files_are_read_by_the_reader(tmp_path: Path, content: bytes) -> None:
    path = write(tmp_path, content)
    begin_to_read(path)
    assert read_ahead.take(path) is None
    begin_to_read(path)
    np.testing.assert_array_equal(read_idx(path, 3), VALUES)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        gzip.compress(CONTENT)[:-1],
        gzip.compress(CONTENT)[:-9],
        gzip.compress(CONTENT)[:-8] + bytes(8),  # checksum
        gzip.compress(CONTENT[:-1]),
        gzip.compress(CONTENT + b"more"),
        gzip.compress(CONTENT) + b"more",
        gzip.compress(struct.pack(">4B3I", 0, 0, 8, 3, 60_000, 5_000, 5_000) + bytes(1000)),
    ],
)
def test_damage_is_told_as_by_the_reader(tmp_path: Path, content: bytes) -> None:
    path = write(tmp_path, content)
    with pytest.raises(DataError) as alone:
        read_idx(path, 3)
    begin_to_read(path)
    with pytest.raises(DataError) as ahead:
        read_idx(path, 3)
    assert str(ahead.value) == str(alone.value)


def test_a_file_that_is_not_there_is_no_error_yet(tmp_path: Path) -> None:
    begin_to_read(tmp_path / "none.gz")
    with pytest.raises(DataError, match="no such file"):
        read_idx(tmp_path / "none.gz", 3)


def test_a_data_set_is_the_same(tmp_path: Path) -> None:
    settings = load_config(write_config(tmp_path)).data
    alone = load_data(settings, 1)
    begin_to_load(settings)
    ahead = load_data(settings, 1)
    assert not read_ahead._begun
    for one, other in ((alone.train, ahead.train), (alone.test, ahead.test)):
        np.testing.assert_array_equal(one.images, other.images)
        np.testing.assert_array_equal(one.labels, other.labels)


def test_sources_that_have_nothing_to_begin_and_folders_that_are_not_there_are_no_errors(tmp_path: Path) -> None:
    for source in ("{source: mnist, path: none}", "{source: npz, path: none.npz}"):
        path = tmp_path / "config.yaml"
        path.write_text(f"data: {source}\noptimizer: {{sgd: 0.1}}\nnetwork: [dense: classes]\ntrain: {{epochs: 1}}\n")
        begin_to_load(load_config(path).data)
    assert not read_ahead._begun


def test_train_begins_before_it_imports_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[str] = []

    def enough(*_: object, **__: object) -> None:
        assert len(begun) == 1
        raise DataError("enough")

    monkeypatch.setattr("cnntrain.data.dataset.begin_to_load", lambda settings: begun.append(settings.source))
    monkeypatch.setattr("cnntrain.training.session.start_run", enough)
    result = CliRunner().invoke(main, ["train", str(write_config(tmp_path))])
    assert (result.exit_code, result.output) == (2, "enough\n")
