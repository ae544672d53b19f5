from __future__ import annotations

import json
import os
import re
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cnntrain.errors import CheckpointError, RunFolderError
from cnntrain.runs.checkpoint import (
    Checkpoint,
    Metadata,
    NormalizationValues,
    check_tensors,
    not_finite,
    read_checkpoint,
    save_checkpoint,
)
from cnntrain.runs.progress import Metrics, Progress, Sums

METRICS = Metrics(train_loss=0.1 + 0.2, train_accuracy=1 / 3, validation_loss=1e-300, validation_accuracy=0.5)


def checkpoint() -> Checkpoint:
    metadata = Metadata(
        config="network: [dense: classes]\n",
        class_names=("ze\u200cro\u3000\x1b[2J", "ünö"),
        input_shape=(1, 2, 3),
        image_type="uint8",
        normalization=NormalizationValues(mean=(float(np.float32(0.1307)),), std=(0.3081,), unit=255.0),
        images={"train": 10, "test": 2},
        progress=Progress(
            epoch=2, step=7, metrics=METRICS, best_epoch=1, best_metrics=METRICS, unfinished=Sums(loss=1 / 7)
        ),
    )
    weight = np.arange(12, dtype=np.float32).reshape(2, 6)
    return Checkpoint(metadata, {"0.dense.weight": weight, "0.dense.bias": weight[0, :2]}, {"velocity/0": -weight})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    result = tmp_path / "last.safetensors"
    save_checkpoint(result, checkpoint())
    return result


def test_reads_back_to_the_bit(path: Path) -> None:
    loaded = read_checkpoint(path)
    assert loaded.metadata == checkpoint().metadata
    for found, expected in ((loaded.network, checkpoint().network), (loaded.optimizer, checkpoint().optimizer)):
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            assert found[name].dtype == value.dtype
            np.testing.assert_array_equal(found[name], value)


def test_equal_content_gives_equal_files(path: Path, tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "again", checkpoint())
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


def test_strided_arrays_are_written_by_their_values(tmp_path: Path) -> None:
    original = checkpoint()
    view = np.arange(24, dtype=np.float32).reshape(6, 4).T[::2]
    save_checkpoint(tmp_path / "file", Checkpoint(original.metadata, {"view": view}))
    np.testing.assert_array_equal(read_checkpoint(tmp_path / "file").network["view"], view)


def with_header(path: Path, change: Any) -> None:
    """Rewrite the header; `change` edits the decoded JSON in place."""
    content = path.read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + length])
    change(header)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + length :])


def with_metadata(path: Path, **fields: Any) -> None:
    """Change the metadata, in a file without digests."""

    def change(header: dict[str, Any]) -> None:
        metadata = json.loads(header["__metadata__"]["cnntrain"]) | fields
        without = {key: value for key, value in metadata.items() if key not in ("digest", "digests")}
        header["__metadata__"]["cnntrain"] = json.dumps(without)

    with_header(path, change)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no checkpoint: it has 0 bytes"),
        (b"1234567", "is no checkpoint: it has 7 bytes"),
        (b"\x00" * 8, "is corrupt: its header cannot be read"),
        (struct.pack("<Q", 2**63) + b"{}", r"promise a header of 9,223,372,036,854,775,808 bytes"),
        (b"a text file, not a checkpoint", "is no safetensors file: its first 8 bytes promise a header of"),
        (struct.pack("<Q", 99) + b"{}", "is truncated: the header has 99 bytes, the file 10"),
        (struct.pack("<Q", 2) + b"{]", "is corrupt: its header cannot be read"),
        (struct.pack("<Q", 2) + b"[]", "is corrupt: its header cannot be read"),
        (struct.pack("<Q", 200_000) + b"[" * 200_000, "is corrupt: its header cannot be read"),
        (struct.pack("<Q", 2) + b"\xff\xfe", "is corrupt: its header cannot be read"),
        (struct.pack("<Q", 2) + b"{}", "a safetensors file, but no cnntrain checkpoint"),
        (struct.pack("<Q", 2) + b"{}more", "is corrupt: it has 14 bytes, its header promises 10"),
    ],
)
def test_files_that_are_no_checkpoints(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "bad.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=rf"bad\.safetensors: .*{message}"):
        read_checkpoint(path)


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="gone: cannot be read: No such file or directory"):
        read_checkpoint(tmp_path / "gone")
    with pytest.raises(CheckpointError, match="cannot be read: Is a directory"):
        read_checkpoint(tmp_path)


def test_every_truncation_is_noticed(path: Path) -> None:
    content = path.read_bytes()
    for length in range(0, len(content), 7):
        path.write_bytes(content[:length])
        with pytest.raises(CheckpointError, match=r"truncated|no checkpoint"):
            read_checkpoint(path)


def test_every_flipped_bit_is_noticed(path: Path) -> None:
    content = path.read_bytes()
    random = np.random.default_rng(1)
    for place in range(len(content)):
        flipped = bytearray(content)
        flipped[place] ^= 1 << random.integers(8)
        path.write_bytes(flipped)
        with pytest.raises(CheckpointError, match=re.escape(str(path))):
            read_checkpoint(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_changed_bytes_are_noticed_or_mean_the_same(path: Path, data: st.DataObject) -> None:
    save_checkpoint(path, checkpoint())
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        found = read_checkpoint(path)
    except CheckpointError as error:
        assert str(path) in str(error)  # noqa: PT017
    else:
        assert found.metadata == checkpoint().metadata
        for name, value in checkpoint().network.items():
            np.testing.assert_array_equal(found.network[name], value)


def test_files_without_digests_are_still_read(path: Path) -> None:
    with_metadata(path)
    assert b"digest" not in path.read_bytes()
    assert read_checkpoint(path).metadata == checkpoint().metadata


def test_tensors_that_were_exchanged(path: Path) -> None:
    def exchange(header: dict[str, Any]) -> None:
        one, other = header["0.dense.weight"], header["optimizer/velocity/0"]
        one["data_offsets"], other["data_offsets"] = other["data_offsets"], one["data_offsets"]

    with_header(path, exchange)
    with pytest.raises(
        CheckpointError, match=r"tensor 0\.dense\.weight is not the one that was written .*another copy"
    ):
        read_checkpoint(path)


def test_a_tensor_that_was_renamed(path: Path) -> None:
    def rename(header: dict[str, Any]) -> None:
        header["0.dense.bios"] = header.pop("0.dense.bias")

    with_header(path, rename)
    with pytest.raises(CheckpointError, match=r"is damaged: tensor 0\.dense\.bias is missing"):
        read_checkpoint(path)


def test_a_header_that_would_take_much_memory(tmp_path: Path) -> None:
    path = tmp_path / "bad.safetensors"
    header = b'{"__metadata__":{"cnntrain":"' + b"[" * 5_000_000 + b'"}}'
    path.write_bytes(struct.pack("<Q", len(header)) + header)
    with pytest.raises(CheckpointError, match=r"promise a header of 5,000,\d+ bytes \(at most 4,000,000 are allowed\)"):
        read_checkpoint(path)


def test_what_could_not_be_read_again_is_not_written(tmp_path: Path) -> None:
    names = tuple(f"class {number} {'x' * 40}" for number in range(90_000))
    metadata = checkpoint().metadata.model_copy(update={"class_names": names})
    with pytest.raises(
        RunFolderError, match=r"file: its header would have .* the names of 90,000 classes are too long"
    ):
        save_checkpoint(tmp_path / "file", Checkpoint(metadata, checkpoint().network))
    assert not list(tmp_path.iterdir())


def test_a_pipe_is_no_checkpoint(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CheckpointError, match="pipe: is no file"):
        read_checkpoint(tmp_path / "pipe")


def test_the_best_before_reads_back_and_is_whole(path: Path) -> None:
    original = checkpoint()
    before = original.metadata.progress.model_copy(update={"epoch": 1})
    metadata = original.metadata.model_copy(update={"best_before": before})
    weights = {name: value + 1 for name, value in original.network.items()}
    save_checkpoint(path, Checkpoint(metadata, original.network, original.optimizer, best_before=weights))
    found = read_checkpoint(path)
    assert found.before is not None
    assert found.before.metadata == original.metadata.model_copy(update={"progress": before})
    np.testing.assert_array_equal(found.before.network["0.dense.weight"], weights["0.dense.weight"])
    assert found.network.keys() == original.network.keys()
    assert found.as_best().metadata == original.metadata
    save_checkpoint(
        path, Checkpoint(metadata, original.network, best_before={"0.dense.weight": weights["0.dense.weight"]})
    )
    with pytest.raises(CheckpointError, match="is damaged: the tensors best_before/"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"format_version": 2}, "has format version 2; this cnntrain reads version 1"),
        ({"config": 3}, "its metadata is wrong: config: Input should be a valid string"),
        ({"class_names": []}, "its metadata is wrong: class_names: "),
        ({"class_names": ["a", "a"]}, "its metadata is wrong: class_names: two classes have the same name"),
        ({"input_shape": [1, 0, 3]}, r"its metadata is wrong: input_shape\.1: "),
        ({"input_shape": [3, 2, 3]}, "its metadata is wrong: 1 values of mean for 3 channels"),
        ({"surprise": 1}, "its metadata is wrong: surprise: "),
        ({"normalization": {"mean": [0.0], "std": [0.0], "unit": 1.0}}, r"normalization\.std\.0: .* greater than 0"),
    ],
)
def test_wrong_metadata(path: Path, fields: dict[str, Any], message: str) -> None:
    with_metadata(path, **fields)
    with pytest.raises(CheckpointError, match=message):
        read_checkpoint(path)


def test_a_type_that_numpy_lacks(path: Path) -> None:
    def change(header: dict[str, Any]) -> None:
        header["0.dense.bias"] |= {"dtype": "BF16", "shape": [4]}

    with_header(path, change)
    with pytest.raises(CheckpointError, match=r"tensor 0\.dense\.bias has type BF16, which cnntrain never writes"):
        read_checkpoint(path)


def test_tensors_of_another_network_are_listed_all_at_once(path: Path) -> None:
    loaded = dict(read_checkpoint(path).network)
    expected: dict[str, np.ndarray] = {
        "0.dense.weight": np.zeros((2, 7), np.float32),
        "0.dense.bias": np.zeros(2, np.float64),
        "1.dense.bias": np.zeros((), np.float32),
    }
    with pytest.raises(CheckpointError) as caught:
        check_tensors(path, loaded | {"extra": np.zeros((1, 2), np.int8)}, expected, "the network of its config")
    assert str(caught.value).splitlines() == [
        f"{path}: does not fit the network of its config:",
        "  1.dense.bias float32[] is missing",
        "  extra int8[1, 2] is unknown",
        "  0.dense.weight is float32[2, 6], expected float32[2, 7]",
        "  0.dense.bias is float32[2], expected float64[2]",
    ]


def test_a_long_list_of_differences_is_cut(path: Path) -> None:
    expected = {f"{i}.bias": np.zeros(1, np.float32) for i in range(13)}
    with pytest.raises(CheckpointError, match=r"9\.bias float32\[1\] is missing\n  and 3 more$"):
        check_tensors(path, {}, expected, "the network")


def test_not_finite_names_the_tensors() -> None:
    tensors = {"a": np.array([1.0, np.nan]), "b": np.array([1, 2]), "c": np.array([np.inf]), "d": np.array([1e30])}
    assert not_finite(tensors) == ["a", "c"]


def test_the_better_epoch() -> None:
    base = {"train_loss": 1.0, "train_accuracy": 0.5, "validation_loss": 1.0, "validation_accuracy": 0.9}
    better = Metrics(**base | {"validation_accuracy": 0.91, "validation_loss": 2.0})
    assert better.better_than(Metrics(**base))
    assert not Metrics(**base).better_than(better)
    assert Metrics(**base | {"validation_loss": 0.9}).better_than(Metrics(**base))
    assert not Metrics(**base | {"train_loss": 0.1}).better_than(Metrics(**base))
    alone = Metrics(train_loss=1.0, train_accuracy=0.5)
    assert Metrics(train_loss=0.9, train_accuracy=0.1).better_than(alone)
    assert not alone.better_than(alone)
