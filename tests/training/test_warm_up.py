from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cnntrain.config import Config, load_config, resolved_yaml
from cnntrain.shape import Shape
from cnntrain.training import warm_up as compilation
from tests.training.small import write_config

SHAPE = Shape(1, 14, 14)


class Lines:
    def line(self, text: str) -> None:
        pass

    def warning(self, text: str) -> None:
        pass


def small(tmp_path: Path) -> Config:
    return load_config(write_config(tmp_path))


def test_a_helper_starts_at_the_first_kernel_that_compiles_and_only_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, ended = [], []
    callbacks = []

    class Helper:
        stdin = io.StringIO()

        def kill(self) -> None:
            ended.append(1)

        def wait(self) -> None:
            ended.append(2)

    class Announcing:
        def __init__(self, callback: Any) -> None:
            callbacks.append(callback)

        def __enter__(self) -> None: ...
        def __exit__(self, *_: object) -> None: ...

    monkeypatch.setattr(compilation, "announce", Announcing)
    monkeypatch.setattr(compilation, "set_threads", lambda _: 2)

    def start(subject: dict[str, Any]) -> Helper:
        started.append(subject)
        return Helper()

    monkeypatch.setattr(compilation, "_start", start)
    config = small(tmp_path)
    with compilation.compiling(config, SHAPE, 10, 8, Lines()):
        assert not started
        callbacks[0]("a kernel")
        callbacks[0]("another kernel")
        assert [subject["batch_size"] for subject in started] == [8]
        assert not ended
    assert ended == [1, 2]


def test_no_helper_where_everything_is_found_or_there_is_one_core(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compilation, "_start", lambda subject: pytest.fail("a helper was started"))
    monkeypatch.setattr(compilation, "set_threads", lambda _: 1)
    with compilation.compiling(small(tmp_path), SHAPE, 10, 8, Lines()):
        pass


def test_the_helper_compiles_the_layers_of_the_config(tmp_path: Path) -> None:
    subject = {"config": resolved_yaml(small(tmp_path)), "shape": SHAPE, "classes": 10, "batch_size": 16}
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    command = [sys.executable, "-m", "cnntrain.training.warm_up"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment, text=True, stdin=pipe, stderr=pipe) as helper:
        assert helper.stdin is not None
        assert helper.stderr is not None
        helper.stdin.write(json.dumps(subject) + "\n")
        helper.stdin.flush()
        assert (helper.stderr.read(), helper.wait()) == ("", 0)
    kept = {path.name.split("-")[0] for path in (tmp_path / "cache").rglob("*.nbi")}
    assert {"losses.cross_entropy", "dense.multiply", "weight_gradient_positions.by_positions"} <= kept
    assert "pooled_convolution.correlate_and_pool" not in kept  # the first layer's: the other process begins with it


def test_a_system_that_refuses_processes_does_not_stop_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError("no more processes")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    assert compilation._start({}) is None


def test_what_the_helper_reads_is_what_is_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Sink(io.StringIO):
        def close(self) -> None:
            pytest.fail("its end would say that this process has ended")

        def flush(self) -> None:
            received.append(self.getvalue())

    class Helper:
        def __init__(self, *_: Any, **__: Any) -> None:
            self.stdin = Sink()

    received: list[str] = []
    monkeypatch.setattr(subprocess, "Popen", Helper)
    compilation._start({"shape": SHAPE})
    assert json.loads(received[0]) == {"shape": [1, 14, 14]}


PARENT = """
import json, sys, time
from cnntrain.training import warm_up
print(warm_up._start(json.loads(sys.argv[1])).pid, flush=True)
time.sleep(600)
"""


def alive(process: int) -> bool:
    try:
        text = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False
    return text.rpartition(")")[2].split()[0] not in ("Z", "X")  # one that nobody has waited for is not alive


def wait_for(condition: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    return condition()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="this system does not show its processes")
@pytest.mark.parametrize("when", ["before it began", "while it compiles"])
def test_the_helper_ends_when_its_parent_is_killed(tmp_path: Path, when: str) -> None:
    task = {"config": resolved_yaml(small(tmp_path)), "shape": SHAPE, "classes": 10, "batch_size": 8}
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", PARENT, json.dumps(task)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        helper = int(parent.stdout.readline())
        try:
            if when == "while it compiles":
                assert wait_for(lambda: any((tmp_path / "cache").rglob("*.lock")), 120)
            assert alive(helper)
            parent.kill()
            assert wait_for(lambda: not alive(helper), 120)
            assert not list((tmp_path / "cache").rglob("losses.cross_entropy*.nbi"))  # which it compiles at last
        finally:
            parent.kill()
            if alive(helper):
                os.kill(helper, signal.SIGKILL)
