"""Machine code that others could have planted is not even unpickled."""

from __future__ import annotations

import os
import pickle
import stat
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from cnntrain.kernels.compiler import trust
from cnntrain.kernels.compiler.files import KernelFiles
from tests.kernels.compiler.copied import Copy

pytestmark = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="this system keeps rights elsewhere")
as_root = pytest.mark.skipif(
    hasattr(os, "geteuid") and os.geteuid() != 0, reason="only root can give files to other users"
)
SOMEBODY = 54321


class Planted:
    """What makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self._folder),)


def plant(copy: Copy, folder: Path) -> Path:
    """Replace the index of a cache by one that makes a folder, as an attacker can: with a digest that is right."""
    (path,) = copy.cache.glob("sample*.nbi")
    rest = path.read_bytes()[32:96] + pickle.dumps(Planted(folder))
    path.write_bytes(sha256(rest).digest() + rest)
    return path


def test_the_plant_is_dangerous(copy: Copy, tmp_path: Path) -> None:
    """The other tests would fail if planted files were read."""
    plant(copy, tmp_path / "planted")
    copy.run()
    assert (tmp_path / "planted").is_dir()


@as_root
def test_a_file_of_another_user(copy: Copy, before: list[float], tmp_path: Path) -> None:
    path = plant(copy, tmp_path / "planted")
    os.chown(path, SOMEBODY, SOMEBODY)
    outcome = copy.run()
    assert not (tmp_path / "planted").exists()
    assert (outcome.compiled, outcome.result, outcome.folder) == (["sample"], before, str(copy.cache))
    assert outcome.warned == [
        f"a compiled kernel is not used, others may have planted it: {path} belongs to user {SOMEBODY}"
    ]
    assert (copy.run().compiled, copy.run().warned) == ([], [])  # it was replaced


@pytest.mark.parametrize("whose", ["in the package", "chosen"])
def test_a_folder_that_everybody_can_write_in(copy: Copy, before: list[float], tmp_path: Path, whose: str) -> None:
    plant(copy, tmp_path / "planted")
    folder = copy.cache
    environment = {"XDG_CACHE_HOME": str(tmp_path / "home")}
    if whose == "chosen":
        folder = tmp_path / "chosen"
        folder.mkdir()
        environment = {"NUMBA_CACHE_DIR": str(folder)}
        plant(copy, tmp_path / "planted").unlink()
    folder.chmod(0o777)
    content = sorted(folder.iterdir())
    outcome = copy.run(**environment)
    assert not (tmp_path / "planted").exists()
    assert (outcome.compiled, outcome.result) == (["sample"], before)
    (warning,) = outcome.warned
    assert f"others may have planted them: everybody can write in {folder}; " in warning
    assert "NUMBA_CACHE_DIR" in warning
    assert sorted(folder.iterdir()) == content  # and nothing is written there
    kept = Path(str(outcome.folder))
    assert kept.is_relative_to(tmp_path / "home") or kept == copy.cache
    assert copy.run(**environment).compiled == []


@pytest.mark.parametrize("suffix", ["nbi", "nbc", "lock"])
def test_nothing_waits_for_a_fifo(copy: Copy, before: list[float], suffix: str) -> None:
    (path,) = copy.cache.glob(f"sample*.{suffix}")
    if suffix == "lock":
        for other in copy.cache.glob("sample*.nb?"):
            other.unlink()
    path.unlink()
    os.mkfifo(path)
    outcome = copy.run()
    assert (outcome.compiled, outcome.result, outcome.warned) == (["sample"], before, [])
    assert copy.run().compiled == []


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    files = KernelFiles(tmp_path, "sample", "0" * 64)
    files.save("key", "data")
    index = tmp_path / "sample.nbi"
    index.rename(tmp_path / "elsewhere")
    index.symlink_to(tmp_path / "elsewhere")
    assert files.load("key") is None
    files.save("key", "new")
    assert files.load("key") == "new"
    assert not index.is_symlink()


def reason(folder: Path) -> str | None:
    return trust._reason_against(folder)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "a" / "b" / "c"
    made.mkdir(parents=True)
    return made


def test_a_folder_of_ones_own(folder: Path) -> None:
    assert reason(folder) is None
    assert reason(folder / "not" / "there") is None


@pytest.mark.parametrize("which", [0, 1, 2])
def test_what_everybody_can_write(folder: Path, which: int) -> None:
    open_to_all = [folder, *folder.parents][which]
    open_to_all.chmod(0o777)
    assert reason(folder) == f"everybody can write in {open_to_all}"
    open_to_all.chmod(0o1777)  # sticky: what is below it cannot be exchanged, but new files can be put into it
    assert reason(folder) == (f"everybody can write in {folder}" if which == 0 else None)


@as_root
@pytest.mark.parametrize("which", [0, 1, 2])
def test_what_belongs_to_others(folder: Path, which: int) -> None:
    theirs = [folder, *folder.parents][which]
    os.chown(theirs, SOMEBODY, -1)
    assert reason(folder) == f"{theirs} belongs to user {SOMEBODY}"


@as_root
def test_a_group_that_others_may_be_in(folder: Path) -> None:
    folder.chmod(0o775)
    assert reason(folder) is None  # root's
    os.chown(folder, -1, SOMEBODY)
    assert reason(folder) == f"a group can write in {folder}"


def test_a_group_of_ones_own(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many systems make one for each user, who then makes files that the group can write."""
    import grp
    import pwd

    status = os.stat_result((stat.S_IFREG | 0o664, 0, 0, 1, os.geteuid(), 777, 0, 0, 0, 0))

    class User:
        pw_name, pw_gid = "me", 777

    class Group:
        gr_name, gr_gid, gr_mem = "me", 777, ["me"]

    monkeypatch.setattr(pwd, "getpwuid", lambda _: User)
    monkeypatch.setattr(grp, "getgrgid", lambda _: Group)
    for name, members, private in [("me", ["me"], True), ("me", ["me", "you"], False), ("staff", [], False)]:
        trust._is_private.cache_clear()
        Group.gr_name, Group.gr_mem = name, members
        assert (trust._reason(folder, status) is None) == private
    trust._is_private.cache_clear()


def test_links_on_the_way(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("a/b")
    (tmp_path / "a" / "up").symlink_to("../link/..")
    through = tmp_path / "a" / "up" / "b" / "c"
    assert through.resolve() == folder
    assert list(trust._leading_to(through))[-1] == folder
    assert reason(through) is None
    (tmp_path / "a" / "b").chmod(0o777)
    assert reason(through) == f"everybody can write in {tmp_path / 'a' / 'b'}"
    (tmp_path / "round").symlink_to("round")
    with pytest.raises(OSError, match="too many"):
        reason(tmp_path / "round")


@as_root
def test_a_link_of_another_user(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder)
    os.lchown(tmp_path / "link", SOMEBODY, -1)
    assert reason(tmp_path / "link") == f"{tmp_path / 'link'} belongs to user {SOMEBODY}"


def test_what_is_made_is_closed_to_others(tmp_path: Path) -> None:
    """Whatever the umask is; else it would not be used the next time."""
    before = os.umask(0)
    try:
        trust.prepare(tmp_path / "new" / "cache")
        KernelFiles(tmp_path / "new" / "cache", "sample", "0" * 64).save("key", "data")
    finally:
        os.umask(before)
    made = [path for path in tmp_path.rglob("*") if path.stat().st_mode & 0o022]
    assert made == []
    assert KernelFiles(tmp_path / "new" / "cache", "sample", "0" * 64).load("key") == "data"


def test_a_folder_that_is_not_trusted_is_not_made(folder: Path) -> None:
    folder.chmod(0o777)
    with trust.warnings_to(lambda text: None), pytest.raises(trust.UntrustedFolderError):
        trust.prepare(folder / "new")
    assert list(folder.iterdir()) == []
