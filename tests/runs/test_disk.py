from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from cnntrain.errors import RunFolderError
from cnntrain.runs.disk import Addition, make_folder, write_atomically


def test_replaces_the_content_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("call", ["open", "write", "fsync", "replace"])
def test_a_full_disk_keeps_the_previous_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    path = tmp_path / "last.safetensors"
    write_atomically(path, b"old")

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, call, full)
    with pytest.raises(RunFolderError, match=r"last\.safetensors: .* \(3 bytes\): No space left on device; the prev"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_interruption_keeps_the_previous_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_folder_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match=r"gone/file: could not be written \(1 bytes\): No such file"):
        write_atomically(tmp_path / "gone" / "file", b"x")


def test_the_content_is_synced_before_it_takes_the_name_and_the_folder_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = calls_of(monkeypatch)
    write_atomically(tmp_path / "file", b"content")
    temporary = f".file.{os.getpid()}.tmp"
    assert calls == [f"write {temporary}", f"fsync {temporary}", f"replace {temporary}", f"fsync {tmp_path.name}"]


def test_a_new_file_is_synced_with_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = calls_of(monkeypatch)
    for _ in range(2):
        with Addition(tmp_path / "file") as file:
            file.add(b"line")
            file.sync()
    assert calls == ["write file", "fsync file", f"fsync {tmp_path.name}", "write file", "fsync file"]


def test_a_new_folder_is_synced_with_those_above(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = calls_of(monkeypatch)
    make_folder(tmp_path / "a" / "b")
    assert sorted(calls) == sorted([f"fsync {tmp_path.name}", "fsync a"])
    make_folder(tmp_path / "a" / "b")
    with pytest.raises(FileExistsError):
        make_folder(tmp_path / "a" / "b", new=True)
    assert len(calls) == 2


def test_a_disk_that_takes_a_part_gets_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, content: write(descriptor, content[:3]))
    write_atomically(tmp_path / "file", b"0123456789")
    assert (tmp_path / "file").read_bytes() == b"0123456789"


def test_a_line_that_does_not_fit_leaves_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write = os.write

    def full_after_three(descriptor: int, content: bytes) -> int:
        if os.fstat(descriptor).st_size >= 6:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(descriptor, content[:3])

    with Addition(path) as file:
        file.add(b"old")
        monkeypatch.setattr(os, "write", full_after_three)
        with pytest.raises(RunFolderError, match="file: could not be written: No space left on device"):
            file.add(b"0123456789")
    assert path.read_bytes() == b"old"


def calls_of(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record what reaches the disk, with the file's name."""
    calls: list[str] = []

    def recorded(name: str) -> Any:
        function = getattr(os, name)

        def call(file: Any, *arguments: Any) -> Any:
            path = os.readlink(f"/proc/self/fd/{file}") if isinstance(file, int) else file  # noqa: PTH115, any file
            calls.append(f"{name} {Path(path).name}")
            return function(file, *arguments)

        return call

    for name in ("write", "fsync", "replace"):
        monkeypatch.setattr(os, name, recorded(name))
    return calls
