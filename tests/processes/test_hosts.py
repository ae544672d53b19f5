"""Across hosts: two network namespaces of this machine, joined by a cable, which share no memory and speak TCP."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cnntrain.runs.folder import RunFolder
from tests.processes.configs import resnet
from tests.processes.started import MPIEXEC, environment, needs_hydra
from tests.training.small import same_files, train

pytestmark = needs_hydra

FIRST, SECOND = "10.77.0.1", "10.77.0.2"
HOSTS = [f"cnntrain-{os.getpid()}-{letter}" for letter in "ab"]


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@pytest.fixture
def hosts() -> Iterator[list[str]]:
    if shutil.which("ip") is None:
        pytest.skip("there is no `ip`, which makes network namespaces")
    cable = [f"cnn{os.getpid() % 10**8}{letter}" for letter in "ab"]
    try:
        try:
            for host in HOSTS:
                ip("netns", "add", host)
            ip("link", "add", cable[0], "netns", HOSTS[0], "type", "veth", "peer", "name", cable[1], "netns", HOSTS[1])
            for host, end, address in zip(HOSTS, cable, (FIRST, SECOND), strict=True):
                ip("-n", host, "addr", "add", f"{address}/24", "dev", end)
                ip("-n", host, "link", "set", "lo", "up")
                ip("-n", host, "link", "set", end, "up")
        except subprocess.CalledProcessError as error:
            pytest.skip(f"network namespaces are not allowed: {error.stderr.decode().strip()}")
        yield HOSTS
    finally:
        for host in HOSTS:
            subprocess.run(["ip", "netns", "delete", host], check=False, capture_output=True)


def shell(folder: Path, hosts: list[str]) -> Path:
    """Return a program that does what ssh does: run a command on a host."""
    program = folder / "shell"
    program.write_text(
        '#!/bin/sh\nwhile [ "${1#-}" != "$1" ]; do shift; done\nhost=$1; shift\n'
        f"case $host in {FIRST}) host={hosts[0]} ;; *) host={hosts[1]} ;; esac\n"
        'exec ip netns exec "$host" sh -c "$*"\n'
    )
    program.chmod(0o755)
    return program


def test_two_hosts(tmp_path: Path, hosts: list[str]) -> None:
    """Two processes on one, one on the other: the same bytes as from one process."""
    config, out = resnet(tmp_path), RunFolder(tmp_path / "out")
    straight = train(config, tmp_path / "run")
    ended = subprocess.run(
        [
            "ip", "netns", "exec", hosts[0], str(MPIEXEC), "-launcher", "rsh", "-launcher-exec",
            str(shell(tmp_path, hosts)), "-hosts", f"{FIRST}:2,{SECOND}:1", "-n", "3",
            sys.executable, "-m", "cnntrain", "train", str(config), "--out", str(out.path),
        ],
        capture_output=True, text=True, env=environment(), timeout=200, check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stdout) == (0, f"{out.path}\n"), ended.stderr
    assert "3 processes, each with 1 thread" in ended.stderr
    assert same_files(out, straight)
