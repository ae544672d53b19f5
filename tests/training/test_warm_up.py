from __future__ import annotations

import io
import json
import os
import subprocess
import sys
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


def small(tmp_path: Path) -> Config:
    return load_config(write_config(tmp_path))


def test_a_helper_starts_at_the_first_kernel_that_compiles_and_only_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, ended = [], []
    callbacks = []

    class Helper:
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
    subject = {"config": resolved_yaml(small(tmp_path)), "shape": SHAPE, "classes": 10, "batch_size": 8}
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    command = [sys.executable, "-m", "cnntrain.training.warm_up"]
    result = subprocess.run(command, input=json.dumps(subject), env=environment, text=True, capture_output=True)
    assert (result.returncode, result.stderr) == (0, "")
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
            received.append(self.getvalue())

    class Helper:
        def __init__(self, *_: Any, **__: Any) -> None:
            self.stdin = Sink()

    received: list[str] = []
    monkeypatch.setattr(subprocess, "Popen", Helper)
    compilation._start({"shape": SHAPE})
    assert json.loads(received[0]) == {"shape": [1, 14, 14]}
