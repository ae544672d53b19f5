from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks.comparison import environments
from benchmarks.comparison.contestants import Contestant
from benchmarks.comparison.environments import UnavailableError, check, default_folder, folder_of, python_of, ready

PEER = Contestant("Peer", "benchmarks.peers.none", "none", (("peer==1",), ("peer==1", "--index", "other")))


class Commands:
    """Commands that only say what was run, and why they fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **failures: str) -> None:
        self.run: list[str] = []
        self.failures = failures
        monkeypatch.setattr(environments, "_failure", self)

    def __call__(self, command: list[str]) -> str | None:
        line = " ".join(command[1:])
        self.run.append(line)
        if "venv" in line:
            (Path(command[-1]) / "bin").mkdir(parents=True)
        return next((reason for word, reason in self.failures.items() if word in line), None)


def test_an_environment_is_made_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    commands = Commands(monkeypatch)
    python = ready("peer", PEER, tmp_path)
    assert python == python_of(folder_of("peer", PEER, tmp_path))
    assert commands.run[1].endswith("peer==1")
    made = len(commands.run)
    assert ready("peer", PEER, tmp_path) == python
    assert len(commands.run) == made


def test_the_next_place_is_tried_where_one_has_no_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    commands = Commands(monkeypatch)
    commands.failures = {"peer==1 --index": ""}
    monkeypatch.setattr(
        environments, "_failure", lambda command: "no such release" if command[-1] == "peer==1" else commands(command)
    )
    commands.failures = {}
    ready("peer", PEER, tmp_path)
    assert commands.run[-1].endswith("peer==1 --index other")


def test_what_cannot_be_installed_is_said_and_nothing_is_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    Commands(monkeypatch, pip="ERROR: no matching distribution")
    with pytest.raises(UnavailableError, match=r"peer==1: ERROR: no .*; pip install peer==1 --index other: ERROR: no"):
        ready("peer", PEER, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_half_made_environment_is_made_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    commands = Commands(monkeypatch)
    rest = folder_of("peer", PEER, tmp_path) / "rest"
    rest.mkdir(parents=True)
    ready("peer", PEER, tmp_path)
    assert not rest.exists()
    assert len(commands.run) == 2


def test_a_folder_that_cannot_be_written_is_a_reason(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UnavailableError, match="no environment: "):
        ready("peer", PEER, tmp_path / "file" / "inside")


def test_another_release_has_another_folder(tmp_path: Path) -> None:
    other = Contestant(PEER.title, PEER.module, PEER.imports, (("peer==2",),))
    assert folder_of("peer", PEER, tmp_path) != folder_of("peer", other, tmp_path)


def test_a_named_python_must_have_the_peer() -> None:
    with pytest.raises(UnavailableError, match="cannot import numpy and no_such_package: ModuleNotFoundError"):
        check(sys.executable, Contestant("Peer", "", "no_such_package"))


def test_environments_lie_in_the_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CNNTRAIN_CACHE_DIR", str(tmp_path / "own"))
    assert default_folder() == tmp_path / "own" / "peers"
    monkeypatch.delenv("CNNTRAIN_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_folder() == tmp_path / "cnntrain" / "peers"
